//! The baselines of every result: principal component analysis of the same width, and the mean.
//!
//! PCA with `k` components projects onto the `k` eigenvectors of the covariance with the largest eigenvalues (Pearson
//! 1901): no linear autoencoder of the same width has a smaller squared error on the rows it was fitted to. All
//! computation is in `f64`.

mod linear_map;
mod missing_values;
mod random_dictionary;
mod spectrum;

use std::{borrow::Cow, sync::Arc};

use ae_data::progress::Progress;
use faer::MatRef;

pub(crate) use self::spectrum::SMALL;
#[cfg(feature = "report")]
pub(crate) use self::spectrum::eigenvalues;
pub use self::{
    linear_map::LinearMap,
    random_dictionary::{RANDOM_ROWS, random_dictionary},
    spectrum::MOST,
};
use self::{
    missing_values::Filler,
    spectrum::{Spectrum, reach},
};
pub use crate::matrix::Matrix;
use crate::{
    Error, Result,
    reconstruction_error::{Errors, errors_of},
};

/// Maximum number of components used to fill in missing values of a row before it is projected: the work per row grows
/// with the square of this number.
const FILLING: usize = 64;

/// Share of the variance that the components of [`Pca::most`] explain.
pub const PCA_SHARE: f64 = 0.9;

/// The name of the baseline with so many components, beside a model that reconstructs its rows, or predicts a target.
pub fn name(components: usize, has_target: bool) -> String {
    if has_target { format!("linear map of rank {components}") } else { format!("PCA ({components})") }
}

/// Principal components of rows; or, for a target other than the rows, those of its least-squares prediction from them,
/// which are the best linear map of their rank (reduced-rank regression: Izenman 1975).
#[derive(Debug, Clone)]
pub struct Pca {
    /// What is projected: the prediction of a target, or the rows themselves if `None`.
    map: Option<Arc<LinearMap>>,
    mean: Vec<f64>,
    /// The kept components, `[width, k]` with orthonormal columns, and their variances.
    spectrum: Spectrum,
}

impl Pca {
    /// The first `k` principal components of `rows` (at most as many as there are features, or directions in which wide
    /// rows differ). Missing values are handled by expectation maximization (Dempster, Laird and Rubin 1977) instead of
    /// being replaced by the mean.
    ///
    /// # Errors
    /// Infinite values.
    pub fn fit(rows: Matrix, k: usize) -> Result<Self> {
        Self::fit_share(rows, k, 0.0)
    }

    /// The first `k` principal components, and as many more as needed to explain a share `share` of the variance. If
    /// there are more than 2,048 rows and more than 2,048 features, it stops at [`MOST`] components;
    /// [`explained`](Self::explained) returns the share they explain.
    ///
    /// # Errors
    /// Infinite values.
    pub fn fit_share(rows: Matrix, k: usize, share: f64) -> Result<Self> {
        match rows.has_missing()? && rows.count() > 1 && (k > 0 || share > 0.0) {
            true => {
                let (mean, spectrum) = missing_values::fit(rows, k, share)?;
                Ok(Self { map: None, mean, spectrum })
            }
            false => {
                let mean = rows.mean();
                let spectrum = spectrum::principal(rows, &mean, k, share)?;
                Ok(Self { map: None, mean, spectrum })
            }
        }
    }

    /// The best linear map from `rows` to `target` of rank `k`, and as many more components as needed to explain a
    /// share `share` of the variance that any linear map explains.
    ///
    /// # Errors
    /// Infinite values.
    pub fn fit_target(rows: Matrix, target: Matrix, k: usize, share: f64) -> Result<Self> {
        let map = LinearMap::fit(rows, target)?;
        let predicted = map.predict(rows);
        let pca = Self::fit_share(Matrix { values: &predicted, width: target.width }, k, share)?;
        Ok(pca.with_map(map))
    }

    /// The same components, of the predictions of `map`.
    pub fn with_map(self, map: LinearMap) -> Self {
        Self { map: Some(Arc::new(map)), ..self }
    }

    /// The least-squares map to a target, if there is one.
    pub fn map(&self) -> Option<&LinearMap> {
        self.map.as_deref()
    }

    /// What the components project, for the inputs of a model: the prediction of the target, or the rows themselves.
    fn projected<'a>(&self, inputs: Matrix<'a>) -> Cow<'a, [f32]> {
        match &self.map {
            Some(map) => map.predict(inputs).into(),
            None => inputs.values.into(),
        }
    }

    /// The baseline's output for `inputs`, `[rows, d_output]`, row by row: a prediction of the target, or a
    /// reconstruction of the rows themselves.
    pub fn predict(&self, inputs: Matrix) -> Vec<f32> {
        self.reconstruct(Matrix { values: &self.projected(inputs), width: self.mean.len() })
    }

    /// The errors of [`predict`](Self::predict) for `inputs`, compared with `wanted`.
    pub fn prediction_errors(&self, inputs: Matrix, wanted: Matrix) -> Errors {
        match &self.map {
            None => self.errors(wanted),
            Some(_) => errors_of(wanted, &self.predict(inputs)),
        }
    }

    /// Builds it from its parts: the mean (`width` numbers), the kept components (each `width` numbers, one after the
    /// other), the variances along them and possibly further ones, and the total variance.
    ///
    /// # Errors
    /// Parts that are not consistent or not finite.
    pub fn from_parts(mean: Vec<f64>, components: &[f64], variances: Vec<f64>, total: f64) -> Result<Self> {
        let width = mean.len();
        let wrong = |what: &str| {
            Err(Error::Failed(format!("the parts of the principal components are not consistent: {what}")))
        };
        if width == 0 || !components.len().is_multiple_of(width) {
            return wrong("the components must be as long as the mean, which must not be empty");
        }
        let kept = components.len() / width;
        if kept > variances.len() || variances.len() > width {
            return wrong(&format!("{kept} components of {width} numbers with {} variances", variances.len()));
        }
        if ![&mean, components, &variances, &[total]].iter().all(|part| part.iter().all(|value| value.is_finite())) {
            return wrong("every number must be finite");
        }
        if total < 0.0
            || variances.iter().any(|&variance| variance < 0.0)
            || variances.iter().sum::<f64>() > total * (1.0 + 1e-6)
        {
            return wrong("variances must not be negative, nor sum to more than the total variance");
        }
        let components = MatRef::from_column_major_slice(components, width, kept).to_owned();
        Ok(Self { map: None, mean, spectrum: Spectrum { components, variances, total } })
    }

    /// The arguments of [`from_parts`](Self::from_parts).
    pub fn parts(&self) -> (&[f64], Vec<f64>, &[f64], f64) {
        let components = (0..self.spectrum.components.ncols())
            .flat_map(|k| self.spectrum.components.col_as_slice(k).iter().copied());
        (&self.mean, components.collect(), &self.spectrum.variances, self.spectrum.total)
    }

    /// The mean of the rows.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The same with only the first `k` components; with none it is the mean.
    pub fn first(&self, k: usize) -> Self {
        Self { map: self.map.clone(), mean: self.mean.clone(), spectrum: self.spectrum.first(k) }
    }

    /// Number of kept components.
    pub fn components(&self) -> usize {
        self.spectrum.kept()
    }

    /// Variances along the components that were computed, in decreasing order: at least those of the kept ones.
    pub fn variances(&self) -> &[f64] {
        &self.spectrum.variances
    }

    /// Total variance.
    pub fn total(&self) -> f64 {
        self.spectrum.total
    }

    /// Share of the variance explained by the kept components; 1 if there is no variance.
    pub fn explained(&self) -> f64 {
        if self.spectrum.total > 0.0 {
            self.spectrum.variances[..self.components()].iter().sum::<f64>() / self.spectrum.total
        } else {
            1.0
        }
    }

    /// The direction of a component; zeros if it is not kept.
    pub fn component(&self, k: usize) -> Vec<f64> {
        if k < self.components() {
            self.spectrum.components.col_as_slice(k).to_vec()
        } else {
            vec![0.0; self.mean.len()]
        }
    }

    /// Number of components needed to explain a share `share` of the variance; all computed components if they explain
    /// less.
    pub fn components_for(&self, share: f64) -> usize {
        reach(&self.spectrum.variances, share * self.spectrum.total)
    }

    /// Only the components that explain [`PCA_SHARE`] of the variance: the baseline of results that have no width.
    pub fn most(&self) -> Self {
        self.first(self.components_for(PCA_SHARE))
    }

    /// The baseline of a code with `units` units: as many components. With as many as there are features PCA
    /// reconstructs everything and imputes the means, which is no baseline: then it is [`most`](Self::most).
    pub fn beside(&self, units: usize) -> Self {
        if units < self.mean.len() { self.first(units) } else { self.most() }
    }

    /// The reconstructions of `rows` from their `k` coordinates, row by row.
    pub fn reconstruct(&self, rows: Matrix) -> Vec<f32> {
        let mut values = Vec::with_capacity(rows.values.len());
        self.each(rows, |_, r| values.extend(r.iter().map(|&value| value as f32)));
        values
    }

    /// The `k` coordinates of each row, row by row.
    pub fn encode(&self, rows: Matrix) -> Vec<f32> {
        let mut codes = Vec::with_capacity(rows.count() * self.components());
        self.each_filled(rows, |_, x| {
            let code = self.spectrum.components.transpose() * x; // [k, rows]
            (0..code.ncols()).for_each(|row| codes.extend(code.col_as_slice(row).iter().map(|&value| value as f32)));
        });
        codes
    }

    /// The rows with these coordinates (`k` numbers each, row by row).
    pub fn decode(&self, codes: &[f32]) -> Vec<f32> {
        let row = |code: &[f32]| {
            let mut row = self.mean.clone();
            for (k, &coordinate) in code.iter().enumerate() {
                let direction = self.spectrum.components.col_as_slice(k);
                row.iter_mut().zip(direction).for_each(|(value, along)| *value += f64::from(coordinate) * along);
            }
            row
        };
        codes.chunks_exact(self.components().max(1)).flat_map(row).map(|value| value as f32).collect()
    }

    /// `rows` with missing values filled in: their mean given the observed values under probabilistic PCA (Tipping and
    /// Bishop 1999). This is a least-squares fit to the observed values with each coordinate regularized by the ratio
    /// of the residual variance to its own.
    pub fn impute(&self, rows: Matrix) -> Vec<f32> {
        let mut values = rows.values.to_vec();
        let filler = Filler::new(&self.mean, &self.spectrum);
        let mut progress = Progress::new("filling in rows by PCA", rows.count());
        for row in values.chunks_exact_mut(rows.width) {
            filler.fill(row);
            progress.step();
        }
        values
    }

    /// The errors of the reconstructions of `rows` from their `k` coordinates.
    pub fn errors(&self, rows: Matrix) -> Errors {
        let mut errors = Errors::new(&rows);
        self.each(rows, |row, r| errors.add(row, |column| r[column]));
        errors
    }

    /// The squared error of the reconstruction of each row, over its observed values.
    pub fn row_errors(&self, rows: Matrix) -> Vec<f64> {
        let mut errors = Vec::with_capacity(rows.count());
        self.each(rows, |row, r| {
            let observed = row.iter().zip(r).filter(|(value, _)| !value.is_nan());
            errors.push(observed.map(|(&value, r)| (f64::from(value) - r).powi(2)).sum());
        });
        errors
    }

    /// `log p(x)` of `rows` in nats, mean over the rows, under probabilistic PCA (Tipping and Bishop 1999): a normal
    /// distribution with the variances along the kept components, and the mean of the remaining variances along all
    /// other directions. None if no variance remains, or a value is missing.
    pub fn log_likelihood(&self, rows: Matrix) -> Option<f64> {
        let (kept, width, rest) = (self.components(), self.mean.len(), self.spectrum.rest());
        if rest <= 0.0 || rows.count() == 0 || rows.values.iter().any(|value| value.is_nan()) {
            return None;
        }
        let along: Vec<f64> = self.spectrum.variances[..kept].iter().map(|variance| variance.max(rest)).collect();
        let volume = along.iter().map(|variance| variance.ln()).sum::<f64>() + (width - kept) as f64 * rest.ln();
        let mut distances = 0.0;
        rows.each_chunk(&self.mean, |_, x| {
            let codes = self.spectrum.components.transpose() * x; // [k, rows]
            for row in 0..x.ncols() {
                let (mut left, mut inside) = (x.col(row).squared_norm_l2(), 0.0);
                for (code, variance) in codes.col(row).iter().zip(&along) {
                    left -= code * code;
                    inside += code * code / variance;
                }
                distances += inside + left / rest;
            }
        });
        let constant = width as f64 * std::f64::consts::TAU.ln();
        Some(-0.5 * (constant + volume + distances / rows.count() as f64))
    }

    /// As [`Matrix::each_chunk`], for the rows minus the mean, with missing values filled in by the first components:
    /// with the mean instead, all coordinates would be pulled towards 0.
    fn each_filled(&self, rows: Matrix, mut visit: impl FnMut(&[f32], MatRef<f64>)) {
        let first = rows.values.iter().any(|value| value.is_nan()).then(|| self.spectrum.first(FILLING));
        let filler = first.as_ref().map(|first| Filler::new(&self.mean, first));
        rows.each_chunk(&self.mean, |chunk, x| match &filler {
            None => visit(chunk, x),
            Some(filler) => {
                let mut filled = chunk.to_vec();
                filled.chunks_exact_mut(rows.width).for_each(|row| filler.fill(row));
                Matrix { values: &filled, width: rows.width }.each_chunk(&self.mean, |_, x| visit(chunk, x));
            }
        });
    }

    /// Calls `visit` with each row and its reconstruction.
    fn each(&self, rows: Matrix, mut visit: impl FnMut(&[f32], &[f64])) {
        self.each_filled(rows, |chunk, x| {
            let mut reconstructed = &self.spectrum.components * (self.spectrum.components.transpose() * x);
            for (index, row) in chunk.chunks_exact(rows.width).enumerate() {
                let r = reconstructed.col_as_slice_mut(index);
                r.iter_mut().zip(&self.mean).for_each(|(value, mean)| *value += mean);
                visit(row, r);
            }
        });
    }
}

/// The errors of predicting `mean` for every row.
pub fn mean_errors(mean: &[f64], rows: Matrix) -> Errors {
    let mut errors = Errors::new(&rows);
    rows.values.chunks_exact(rows.width).for_each(|row| errors.add(row, |column| mean[column]));
    errors
}

/// The variances of `rows` along all principal directions, in decreasing order, with missing values as the mean; of at
/// most the first 2,048 rows if there are more features than that.
///
/// # Errors
/// Values that are not finite.
pub fn variances(rows: Matrix) -> Result<Vec<f64>> {
    rows.has_missing()?;
    spectrum::variances(rows, &rows.mean())
}

#[cfg(test)]
mod tests;
