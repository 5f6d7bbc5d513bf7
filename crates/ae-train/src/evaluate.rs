//! The evaluation of a trained model on rows: reconstruction errors, code statistics, robustness to noise and missing
//! values, accuracy of classifiers on the code, and how well it reconstructs data that it should not.

use ae_data::{Dataset, Geometry, open, picture};
use burn::data::dataset::Dataset as _;
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    anomaly::PCA_SHARE,
    baseline::{Matrix, Pca, mean_errors},
    evaluation::{CodeFigures, Errors, code_figures, imputation_mse, noise_sse, numbers},
    likelihood::Likelihood,
    likeness, neighbours,
    probe::{self, Labelled},
    run_folder::Part,
    trained::Trained,
};

/// Maximum number of rows for the more expensive measurements.
const MEASURED: usize = 4096;
/// Maximum number of training rows for classifiers on the code.
const PROBED: usize = 10_000;

/// Evaluation of a model on rows, in units of the scaled data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of rows.
    pub rows: usize,
    /// Number of components of the PCA baseline: the width of the code, or enough for 90% of the variance if the code
    /// is as wide as the rows.
    pub pca_components: usize,
    /// Reconstruction errors of the model, of PCA and of the mean.
    #[serde(flatten)]
    pub errors: Part,
    /// For images: similarity of the reconstructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// Mean squared error of each column, in the order of the columns.
    pub columns: Vec<ColumnError>,
    /// Statistics of the code.
    pub code: CodeFigures,
    /// Effective rank of the code: the exponential of the entropy of the spectrum of its covariance (Roy and Vetterli
    /// 2007).
    pub effective_rank: f64,
    /// Error of the reconstructions of noisy rows, compared with the clean rows, by the standard deviation of the
    /// noise.
    pub noise: Vec<Point>,
    /// Error at hidden values after imputation, by the share that is hidden.
    pub missing: Vec<Point>,
    /// With labels: accuracy of classifiers on the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// Likelihood of the rows, if the code is stochastic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<Likelihood>,
    /// How well inputs that do not resemble the data are reconstructed.
    pub copying: Vec<Copying>,
}

/// Similarity of images and their reconstructions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Images {
    /// Peak signal-to-noise ratio in decibels, mean over the images.
    pub psnr_db: f64,
    /// The same of PCA.
    pub psnr_db_pca: f64,
    /// Structural similarity (Wang et al. 2004), mean over the images; none if the images are smaller than the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssim: Option<f64>,
    /// The same of PCA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssim_pca: Option<f64>,
}

/// Mean squared error of a column; for a category over its levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnError {
    /// Name of the column.
    pub name: String,
    /// Error of the model.
    pub mse: f64,
    /// Error of PCA.
    pub pca: f64,
    /// Error of predicting the mean.
    pub mean: f64,
}

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Standard deviation of the noise, or share of hidden values.
    pub level: f64,
    /// Mean squared error of the model.
    pub mse: f64,
    /// Mean squared error of PCA.
    pub pca: f64,
}

/// Accuracy of classifiers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Classes {
    /// Of a linear classifier ([`probe`]).
    pub linear: Accuracies,
    /// Of a vote of the five nearest training rows ([`neighbours`]).
    pub neighbours: Accuracies,
}

/// Accuracy of a classifier by its input features.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracies {
    /// On the code.
    pub code: f64,
    /// On the input.
    pub input: f64,
    /// On as many principal components as the code has units.
    pub pca: f64,
}

/// How well a kind of input is reconstructed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copying {
    /// The kind of input.
    pub what: String,
    /// Mean squared error.
    pub mse: f64,
    /// Fraction of its variance unexplained.
    pub fvu: f64,
    /// The same of PCA.
    pub fvu_pca: f64,
}

impl Trained {
    /// Evaluates the model on `rows`, beside the principal components of its training rows. `train` are labeled rows
    /// for classifiers on the code, if there are any.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn evaluate(&self, rows: &Dataset, pca: &Pca, train: Option<&Dataset>) -> Result<Evaluation> {
        let width = self.schema.d_input;
        let k = self.config.model.code_dim;
        // With as many components as features PCA reconstructs everything, which is no baseline.
        let pca_components = if k < width { k } else { pca.components_for(PCA_SHARE) };
        let (pca_k, mean) = (pca.first(pca_components), pca.first(0));
        let pca_components = pca_k.components(); // fewer if there are fewer rows
        let all = rows.sample(ae_data::fit::SAMPLE);
        let values = all.scaled(&self.schema.scaling)?;
        let matrix = Matrix { values: &values, width };
        let copies = self.copies(&all)?;
        let reconstructed = pca_k.reconstruct(matrix);
        let mean_row: Vec<f64> =
            mean.reconstruct(Matrix { values: &values[..width], width }).into_iter().map(f64::from).collect();
        let errors = Part {
            model: errors_of(matrix, &copies).figures(),
            pca: errors_of(matrix, &reconstructed).figures(),
            mean: mean_errors(&mean_row, matrix).figures(),
        };
        let ranges = ae_data::Encoding::new(self.columns()).ranges();
        let means: Vec<f32> = mean_row.iter().map(|&value| value as f32).collect();
        let by_column = [
            feature_errors(matrix, |row| &copies[row * width..(row + 1) * width]),
            feature_errors(matrix, |row| &reconstructed[row * width..(row + 1) * width]),
            feature_errors(matrix, |_| &means),
        ];
        let columns = self.columns().into_iter().zip(ranges).map(|(column, (start, end))| {
            let [mse, pca, mean] =
                [0, 1, 2].map(|of| by_column[of][start..end].iter().sum::<f64>() / (end - start) as f64);
            ColumnError { name: column.name, mse, pca, mean }
        });
        let some = all.thin(MEASURED);
        let some_values = some.scaled(&self.schema.scaling)?;
        let some_matrix = Matrix { values: &some_values, width };
        Ok(Evaluation {
            rows: all.len(),
            pca_components,
            errors,
            images: self.schema.geometry.map(|geometry| self.likeness(geometry, matrix, &copies, &reconstructed)),
            columns: columns.collect(),
            code: code_figures(&self.model, &all, &self.batcher, &self.device)?,
            effective_rank: effective_rank(Matrix { values: &self.codes(&some)?, width: k })?,
            noise: self.noise_curve(some_matrix, &pca_k)?,
            missing: self.missing_curve(some_matrix, &pca_k)?,
            classes: train
                .filter(|train| train.rows().labels.is_some())
                .map(|train| self.classes(train, &all, &pca_k))
                .transpose()?
                .flatten(),
            likelihood: self.likelihood(&all, &pca_k)?,
            copying: self.copying(some_matrix, &pca_k)?,
        })
    }

    /// The reconstructions of `rows`, scaled, row by row.
    fn copies(&self, rows: &Dataset) -> Result<Vec<f32>> {
        let mut copies = Vec::new();
        for batch in self
            .batches(rows, "evaluating rows", |batch| numbers(self.model.reconstruct_visible(batch.x, batch.observed)))
        {
            copies.extend(batch?.1);
        }
        Ok(copies)
    }

    /// The reconstructions of scaled `rows` without missing values.
    fn through(&self, rows: Matrix) -> Result<Vec<f32>> {
        rows.through(&self.device, |x| self.model.reconstruct(x))
    }

    fn likeness(&self, geometry: Geometry, rows: Matrix, copies: &[f32], pca: &[f32]) -> Images {
        let range: f64 = match self.schema.scaling.is_unit_range() {
            true => 1.0,
            false => {
                let observed = || rows.values.iter().copied().filter(|value| !value.is_nan());
                (observed().fold(f32::MIN, f32::max) - observed().fold(f32::MAX, f32::min))
                    .max(f32::MIN_POSITIVE)
                    .into()
            }
        };
        let window = likeness::window(geometry);
        let of = |copies: &[f32]| {
            let (mut psnr, mut ssim, mut count) = (0.0, 0.0, 0.0f64);
            for (row, copy) in rows.values.chunks_exact(rows.width).zip(copies.chunks_exact(rows.width)).take(MEASURED)
            {
                if row.iter().any(|value| value.is_nan()) {
                    continue;
                }
                psnr += likeness::psnr_db(row, copy, range);
                ssim += window.map_or(0.0, |window| likeness::ssim(row, copy, geometry, window, range));
                count += 1.0;
            }
            (psnr / count, window.map(|_| ssim / count))
        };
        let ((psnr_db, ssim), (psnr_db_pca, ssim_pca)) = (of(copies), of(pca));
        Images { psnr_db, psnr_db_pca, ssim, ssim_pca }
    }

    fn noise_curve(&self, rows: Matrix, pca: &Pca) -> Result<Vec<Point>> {
        let filled: Vec<f32> = rows.values.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect();
        let rows = Matrix { values: &filled, width: rows.width };
        let levels =
            if self.schema.scaling.is_unit_range() { [0.0, 0.1, 0.2, 0.3, 0.5] } else { [0.0, 0.25, 0.5, 1.0, 2.0] };
        let features = rows.width as f64;
        let point = |level: f64| {
            let seed = self.config.seed;
            Ok(Point {
                level,
                mse: noise_sse(rows, level, seed, |noisy| self.through(noisy))? / features,
                pca: noise_sse(rows, level, seed, |noisy| Ok(pca.reconstruct(noisy)))? / features,
            })
        };
        levels.into_iter().map(point).collect()
    }

    fn missing_curve(&self, rows: Matrix, pca: &Pca) -> Result<Vec<Point>> {
        let point = |level: f64| {
            let holes = self.hide(rows, level);
            let holes = Matrix { values: &holes, width: rows.width };
            let mse = |filled: &[f32]| imputation_mse(rows, holes, filled);
            Ok(Point { level, mse: mse(&self.fill(holes.values)?), pca: mse(&pca.impute(holes)) })
        };
        [0.1, 0.2, 0.3, 0.5, 0.7].into_iter().map(point).collect()
    }

    /// None if `train` and `rows` have no class in common, or only one class.
    fn classes(&self, train: &Dataset, rows: &Dataset, pca: &Pca) -> Result<Option<Classes>> {
        let labelled = |rows: &Dataset| {
            rows.select(rows.indices().iter().copied().filter(|&row| rows.rows().label(row).is_some()).collect())
        };
        let train = labelled(train).thin(PROBED);
        if train.is_empty() {
            return Ok(None);
        }
        // Other data may number its classes differently: their names decide.
        let known = train.rows().classes();
        let classes = rows.rows().classes();
        let Some(labels) = &rows.rows().labels else { return Ok(None) };
        let number = |index: usize| {
            known.iter().position(|name| labels[index].is_some_and(|label| *name == classes[label as usize]))
        };
        let rows =
            rows.select(rows.indices().iter().copied().filter(|&index| number(index).is_some()).take(PROBED).collect());
        if rows.is_empty() {
            return Ok(None);
        }
        let test_labels: Vec<u32> =
            rows.indices().iter().filter_map(|&index| number(index)).map(|class| class as u32).collect();
        let train_labels: Vec<u32> = train.indices().iter().filter_map(|&index| train.rows().label(index)).collect();
        if train_labels.iter().all(|label| *label == train_labels[0]) {
            return Ok(None); // with one class there is nothing to classify
        }
        let filled = |dataset: &Dataset| -> Result<Vec<f32>> {
            Ok(dataset
                .scaled(&self.schema.scaling)?
                .into_iter()
                .map(|value| if value.is_nan() { 0.0 } else { value })
                .collect())
        };
        let inputs = [filled(&train)?, filled(&rows)?];
        let width = self.schema.d_input;
        let both = |features: &[Vec<f32>; 2], width: usize| -> Result<(f64, f64)> {
            let part = |values, labels| Labelled { features: Matrix { values, width }, labels };
            let (train, test) = (part(&features[0], &train_labels), part(&features[1], &test_labels));
            Ok((probe::accuracy(train, test, &self.device)?, neighbours::accuracy(train, test, &self.device)?))
        };
        let code = both(&[self.codes(&train)?, self.codes(&rows)?], self.config.model.code_dim)?;
        let input = both(&inputs, width)?;
        let pca = both(&[&inputs[0], &inputs[1]].map(|values| pca.encode(Matrix { values, width })), pca.components())?;
        Ok(Some(Classes {
            linear: Accuracies { code: code.0, input: input.0, pca: pca.0 },
            neighbours: Accuracies { code: code.1, input: input.1, pca: pca.1 },
        }))
    }

    /// Copying test: the rows themselves, the rows with each feature shuffled separately, uniform noise over the range
    /// of each feature, and for images another built-in data set.
    fn copying(&self, rows: Matrix, pca: &Pca) -> Result<Vec<Copying>> {
        let width = rows.width;
        let mut generator = ChaCha8Rng::seed_from_u64(self.config.seed);
        let filled: Vec<f32> = rows.values.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect();
        let (mut shuffled, mut noise) = (filled.clone(), filled.clone());
        for column in 0..width {
            let mut cells: Vec<f32> = filled.iter().skip(column).step_by(width).copied().collect();
            let (low, high) =
                cells.iter().fold((f32::MAX, f32::MIN), |(low, high), &value| (low.min(value), high.max(value)));
            cells.shuffle(&mut generator);
            shuffled.iter_mut().skip(column).step_by(width).zip(cells).for_each(|(cell, value)| *cell = value);
            noise
                .iter_mut()
                .skip(column)
                .step_by(width)
                .for_each(|cell| *cell = low + (high - low) * generator.random::<f32>());
        }
        let mut things = vec![
            ("the data".to_string(), filled),
            ("its features shuffled".into(), shuffled),
            ("uniform noise".into(), noise),
        ];
        if let Some(geometry) =
            self.schema.geometry.filter(|geometry| geometry.channels == 1 && self.schema.scaling.is_unit_range())
        {
            let other = if self.schema.name.starts_with("fashion") { "digits" } else { "fashion-mini" };
            let sets = open(other)?;
            let images = sets.test.unwrap_or(sets.train);
            let most = if other == "digits" { 16.0 } else { 255.0 };
            let values = (0..images.len().min(500))
                .map(|index| picture::resized(&images, index, geometry, most))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            things.push((other.to_string(), values.concat()));
        }
        let measure = |(what, values): (String, Vec<f32>)| {
            let matrix = Matrix { values: &values, width };
            let figures = errors_of(matrix, &self.through(matrix)?).figures();
            Ok(Copying {
                what,
                mse: figures.mse,
                fvu: figures.fvu,
                fvu_pca: errors_of(matrix, &pca.reconstruct(matrix)).fvu(),
            })
        };
        things.into_iter().map(measure).collect()
    }
}

fn errors_of(rows: Matrix, copies: &[f32]) -> Errors {
    let mut errors = Errors::new(&rows);
    for (row, copy) in rows.values.chunks_exact(rows.width).zip(copies.chunks_exact(rows.width)) {
        errors.add(row, |column| f64::from(copy[column]));
    }
    errors
}

/// Mean squared error of each feature over the observed values.
fn feature_errors<'a>(rows: Matrix, copy: impl Fn(usize) -> &'a [f32]) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0f64); rows.width];
    for (index, row) in rows.values.chunks_exact(rows.width).enumerate() {
        for ((sum, &value), &copy) in
            sums.iter_mut().zip(row).zip(copy(index)).filter(|((_, value), _)| !value.is_nan())
        {
            *sum = (sum.0 + f64::from(value - copy).powi(2), sum.1 + 1.0);
        }
    }
    sums.into_iter().map(|(sum, count)| sum / count.max(1.0)).collect()
}

/// Effective rank: the exponential of the entropy of the shares of the variance of `rows` along its principal
/// directions; 0 without variance. Beyond 2,048 units the spectrum is that of the first 2,048 rows.
///
/// # Errors
/// Values that are not finite.
pub fn effective_rank(rows: Matrix) -> Result<f64> {
    let variances = rows.variances()?;
    let total: f64 = variances.iter().sum();
    if total <= 0.0 {
        return Ok(0.0);
    }
    let entropy: f64 = variances
        .iter()
        .map(|variance| variance / total)
        .filter(|share| *share > 0.0)
        .map(|share| -share * share.ln())
        .sum();
    Ok(entropy.exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effective_rank_counts_directions() {
        // Two directions of equal variance in five units have rank 2; one direction has rank 1.
        let circle: Vec<f32> = (0..400)
            .flat_map(|i| {
                let a = i as f32 * std::f32::consts::TAU / 400.0;
                [a.cos(), a.sin(), 0.0, 3.0, 3.0]
            })
            .collect();
        assert!((effective_rank(Matrix { values: &circle, width: 5 }).unwrap() - 2.0).abs() < 1e-4);
        let line: Vec<f32> = (0..100).flat_map(|i| [i as f32, -2.0 * i as f32]).collect();
        assert!((effective_rank(Matrix { values: &line, width: 2 }).unwrap() - 1.0).abs() < 1e-6);
        let wide: Vec<f32> =
            (0..64).flat_map(|i| (0..2000).map(move |unit| if unit == i % 2 { 1.0 } else { 0.0 })).collect();
        assert!((effective_rank(Matrix { values: &wide, width: 2000 }).unwrap() - 1.0).abs() < 1e-6);
    }
}
