//! The result of a run: `summary.json`.

use serde::{Deserialize, Serialize};

use crate::{
    baseline::name,
    evaluation::CodeStatistics,
    reconstruction_error::{Comparison, ReconstructionErrors, null_is_nan},
};

/// The result of a run, in the units of the scaled data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The variant.
    pub variant: String,
    /// Short name of the data.
    pub data: String,
    /// Device it was trained on.
    pub device: String,
    /// Number of features of a row.
    pub d_input: usize,
    /// Number of units of the code.
    pub code_dim: usize,
    /// Number of trained parameters.
    pub parameters: usize,
    /// Number of epochs trained.
    pub epochs: usize,
    /// The epoch whose model was kept.
    pub best_epoch: usize,
    /// Seconds of training and validation, without reading data and without the final measurements.
    #[serde(deserialize_with = "null_is_nan")]
    pub train_seconds: f64,
    /// Seed of the weights, the split and the order of the rows.
    pub seed: u64,
    /// Errors on all rows that are not test rows, including validation rows: the rows PCA is fitted to.
    pub train: Comparison,
    /// Errors on the test rows.
    pub test: Comparison,
    /// Number of rows that `train` and `test` were measured on: all of them, or a sample if the rows stay in their
    /// file.
    pub measured_rows: [usize; 2],
    /// Number of components of the PCA beside the model: the width of the code, or, of a sparse code, the number of
    /// active units; at most the number of features. 0 in summaries of earlier versions, which compared with the width
    /// of the code.
    #[serde(default)]
    pub pca_components: usize,
    /// Errors on the test rows of a dictionary of random atoms, as wide as the code and with as many active units; only
    /// of a sparse code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_dictionary: Option<ReconstructionErrors>,
    /// With a target: errors on the test rows of its least-squares prediction from the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear_map: Option<ReconstructionErrors>,
    /// Statistics of the code on the test rows.
    pub code: CodeStatistics,
    /// The first epoch with an infinite loss, which ended the training; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged: Option<usize>,
}

impl Summary {
    /// The name of the baseline beside the model: PCA, or a linear map to the target.
    pub fn baseline(&self) -> String {
        name(self.components(), self.linear_map.is_some())
    }

    /// Number of components of the PCA beside the model.
    pub fn components(&self) -> usize {
        match self.pca_components {
            0 => self.code_dim.min(self.d_input),
            components => components,
        }
    }
}
