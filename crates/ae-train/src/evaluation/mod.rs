//! The evaluation of a trained model on rows: reconstruction errors, code statistics, robustness to noise and missing
//! values, accuracy of classifiers on the code, and how well it reconstructs data that it should not.

mod activations;
mod classes;
mod code;
mod copying;
mod curves;
mod dictionary;
mod images;
mod reconstruction;

use ae_data::Dataset;
use ae_model::Code;
use burn::data::dataset::Dataset as _;
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    baseline::{Pca, mean_errors},
    likelihood::Likelihood,
    matrix::Matrix,
    reconstruction_error::{Comparison, errors_of},
    trained::Trained,
};

#[cfg(feature = "report")]
pub(crate) use self::code::SPECTRUM_ROWS;
pub(crate) use self::code::{JACOBIAN_UP_TO, has_spectrum, spectrum_at_once};
use self::reconstruction::feature_errors;
pub(crate) use self::reconstruction::through;
pub use self::{
    activations::Activations,
    classes::{Accuracies, Classes},
    code::{CodeStatistics, effective_rank},
    copying::Copying,
    curves::{Point, hide, imputation_mse, noise_sse},
    dictionary::{Atoms, DENSE, DictionaryMeasures},
    images::ImageQuality,
    reconstruction::model_errors,
};
#[cfg(any(feature = "cli", feature = "report"))]
pub(crate) use crate::reconstruction_error::ReconstructionErrors as Figures;
pub use crate::{
    reconstruction_error::{Errors, ReconstructionErrors},
    tensors::numbers,
};

/// Maximum number of rows for the more expensive measurements.
const MEASURED: usize = 4096;
/// As [`MEASURED`], of a dictionary, whose code is wide.
const MEASURED_WIDE: usize = 1024;

/// Evaluation of a model on rows, in units of the scaled data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of rows.
    pub rows: usize,
    /// Number of components of the PCA baseline: the width of the code, or of a sparse code the number of active units;
    /// enough for 90% of the variance if that is as many as there are features.
    pub pca_components: usize,
    /// Reconstruction errors of the model, of PCA and of the mean. With a target of the model, of PCA of its
    /// least-squares prediction, which is the best linear map of its rank, and of the mean.
    #[serde(flatten)]
    pub errors: Comparison,
    /// With a target: errors of its least-squares prediction from the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear_map: Option<ReconstructionErrors>,
    /// For images: similarity of the reconstructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageQuality>,
    /// Mean squared error of each column, in the order of the columns.
    pub columns: Vec<ColumnError>,
    /// Statistics of the code.
    pub code: CodeStatistics,
    /// Of a sparse code: what is usually measured of dictionaries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dictionary: Option<DictionaryMeasures>,
    /// Effective rank of the code: the exponential of the entropy of the spectrum of its covariance (Roy and Vetterli
    /// 2007).
    pub effective_rank: f64,
    /// Error of the reconstructions of noisy rows, compared with the clean rows, by the standard deviation of the
    /// noise. Empty for a dictionary, whose rows have many values for each active unit and are never filled in.
    pub noise: Vec<Point>,
    /// Error at hidden values after imputation, by the share that is hidden. Empty for a dictionary.
    pub missing: Vec<Point>,
    /// With labels: accuracy of classifiers on the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Classes>,
    /// Likelihood of the rows, if the code is stochastic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<Likelihood>,
    /// How well inputs that do not resemble the data are reconstructed. Empty for a dictionary.
    pub copying: Vec<Copying>,
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

impl Trained {
    /// Evaluates the model on `rows`, beside the principal components of its training rows. `train` are labeled rows
    /// for classifiers on the code, if there are any.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn evaluate(&self, rows: &Dataset, pca: &Pca, train: Option<&Dataset>) -> Result<Evaluation> {
        Ok(self.evaluate_units(rows, pca, train)?.0)
    }

    /// As [`evaluate`](Self::evaluate), with the activations of a sparse code on at most as many rows as are measured
    /// if they stay in their file.
    pub(crate) fn evaluate_units(
        &self,
        rows: &Dataset,
        pca: &Pca,
        train: Option<&Dataset>,
    ) -> Result<(Evaluation, Option<Activations>)> {
        let width = self.schema.d_output();
        let all = rows.sample(ae_data::fit::SAMPLE);
        let model = &self.config.model;
        let inactive = self.model.code.activation().inactive() as f32;
        let mut activations = model.is_sparse().then(|| Activations::new(model.code_dim, inactive));
        let mut copies = Vec::new();
        let code = through(&self.model, &all, &self.batcher, &self.device, |(_, code, reconstructed)| {
            copies.extend(reconstructed);
            if let Some(activations) = &mut activations {
                activations.add(&numbers(code.clone())?);
            }
            Ok(())
        })?;
        let (pca_k, mean) = (pca.beside(self.comparable_components(code.l0)), pca.first(0));
        let pca_components = pca_k.components(); // fewer if there are fewer rows
        let pairs = self.pairs(&all)?;
        let matrix = pairs.wanted();
        let reconstructed = pca_k.predict(pairs.inputs());
        let mean_row: Vec<f64> =
            mean.reconstruct(Matrix { values: &matrix.values[..width], width }).into_iter().map(f64::from).collect();
        let errors = Comparison {
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
        let is_dictionary = model.network.is_dictionary();
        let some = all.thin(if is_dictionary { MEASURED_WIDE } else { MEASURED });
        let some_values = some.scaled(&self.schema.scaling)?;
        let some_matrix = Matrix { values: &some_values, width: self.schema.d_input };
        let dictionary =
            activations.as_ref().map(|of| DictionaryMeasures::of(self, matrix, &copies, of)).transpose()?;
        let evaluation = Evaluation {
            rows: all.len(),
            pca_components,
            errors,
            linear_map: pca.map().map(|map| errors_of(matrix, &map.predict(pairs.inputs())).figures()),
            images: self.schema.geometry.map(|geometry| self.image_quality(geometry, matrix, &copies, &reconstructed)),
            columns: columns.collect(),
            code,
            dictionary,
            effective_rank: effective_rank(Matrix { values: &self.codes(&some)?, width: self.config.model.code_dim })?,
            noise: if is_dictionary { Vec::new() } else { self.noise_curve(some_matrix, &pca_k)? },
            missing: if is_dictionary { Vec::new() } else { self.missing_curve(some_matrix, &pca_k)? },
            // Classifiers are compared on the code, the input and its principal components.
            classes: train
                .filter(|train| train.rows().labels.is_some() && self.schema.target.is_none())
                .map(|train| self.classes(train, &all, &pca_k))
                .transpose()?
                .flatten(),
            likelihood: self.likelihood(&all, &pca_k)?,
            copying: if is_dictionary { Vec::new() } else { self.copying(some_matrix, &pca_k)? },
        };
        Ok((evaluation, activations))
    }
}
