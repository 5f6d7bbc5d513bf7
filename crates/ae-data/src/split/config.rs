//! How rows are split.

use serde::{Deserialize, Serialize};

/// How rows are split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// Fraction of the training rows held out for validation, in `(0, 1)`. Default: 0.1.
    pub validation: f64,
    /// Fraction of all rows held out for testing if there is no official test set, in `(0, 1)`. Default: 0.2.
    pub test: f64,
    /// Random seed of the split. Default: 0.
    pub seed: u64,
    /// Whether the split is stratified: each class has the same share of every part. Default: false.
    pub stratify: bool,
    /// Column of groups, such as a customer with several rows: all rows of a group stay in one part. Default: none.
    pub group: Option<String>,
    /// Column of times that orders the rows: the last ones are for testing, the last of the others for validation.
    /// Default: none.
    pub time: Option<String>,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { validation: 0.1, test: 0.2, seed: 0, stratify: false, group: None, time: None }
    }
}
