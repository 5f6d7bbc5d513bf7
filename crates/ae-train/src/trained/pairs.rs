//! Rows beside what a model should give for them.

use ae_data::Dataset;

use super::model::Trained;
use crate::{Error, Result, matrix::Matrix};

/// Scaled rows, and what a model should give for them: the rows themselves, or their target.
pub(crate) struct Pairs {
    inputs: Vec<f32>,
    d_input: usize,
    target: Option<(Vec<f32>, usize)>,
}

impl Pairs {
    /// What the model reads.
    pub fn inputs(&self) -> Matrix<'_> {
        Matrix { values: &self.inputs, width: self.d_input }
    }

    /// What it should give.
    pub fn wanted(&self) -> Matrix<'_> {
        match &self.target {
            Some((values, width)) => Matrix { values, width: *width },
            None => self.inputs(),
        }
    }
}

impl Trained {
    /// These rows, scaled, beside what the model should give for them.
    ///
    /// # Errors
    /// A file that can no longer be read; rows without the target that the model predicts.
    pub(crate) fn pairs(&self, rows: &Dataset) -> Result<Pairs> {
        let inputs = rows.scaled(&self.schema.scaling)?;
        let target = match &self.schema.target {
            None => None,
            Some(target) => {
                let wanted = rows.target().ok_or_else(|| {
                    Error::Usage(
                        "this run predicts other rows than it reads, which are needed to measure it: name them with \
                         `--target PATH`"
                            .to_string(),
                    )
                })?;
                Some((wanted.scaled(&target.scaling)?, target.d_output))
            }
        };
        Ok(Pairs { inputs, d_input: self.schema.d_input, target })
    }

    /// Refuses what only a model that reconstructs its own rows can do; `what` is what was asked for, such as "gives
    /// anomaly scores".
    pub(crate) fn check_reconstructs(&self, what: &str) -> Result<()> {
        match self.schema.target {
            None => Ok(()),
            Some(_) => Err(Error::Usage(format!(
                "this run predicts other rows than it reads (`--target`), and only a model that reconstructs its own \
                 rows {what}"
            ))),
        }
    }
}
