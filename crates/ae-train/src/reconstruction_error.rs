//! Errors of reconstructions, in units of the scaled data.
//!
//! `sse = mean over examples of sum_i (x_i - r_i)^2`, `mse = mean over observed values of (x - r)^2`, and
//! `fvu = sum (x - r)^2 / sum (x - mean)^2` with the mean of each feature over the same rows: the fraction of variance
//! unexplained, 0 for a perfect reconstruction and 1 for predicting the mean.

use ae_data::{DataError, Dataset, Scaling};
use serde::{Deserialize, Serialize};

use crate::matrix::{Matrix, add_means};

/// Accumulated squared errors over rows.
#[derive(Debug, Clone)]
pub struct Errors {
    mean: Vec<f64>,
    squares: f64,
    variance: f64,
    observed: f64,
    rows: f64,
}

/// Reconstruction errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReconstructionErrors {
    /// Squared error per example.
    #[serde(deserialize_with = "null_is_nan")]
    pub sse: f64,
    /// Squared error per value.
    #[serde(deserialize_with = "null_is_nan")]
    pub mse: f64,
    /// Fraction of variance unexplained; `NaN` (in JSON `null`) if the rows have no variance.
    #[serde(deserialize_with = "null_is_nan")]
    pub fvu: f64,
}

/// Reconstruction errors of the model and of its baselines on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Of the model.
    #[serde(flatten)]
    pub model: ReconstructionErrors,
    /// Of principal component analysis with as many components as the code has units.
    pub pca: ReconstructionErrors,
    /// Of predicting the training rows' mean.
    pub mean: ReconstructionErrors,
}

/// JSON has neither `NaN` nor infinity: serde writes `null`, and this reads it as `NaN`.
pub(crate) fn null_is_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

impl Errors {
    /// No errors yet, over `rows`.
    pub fn new(rows: &Matrix) -> Self {
        Self { mean: rows.mean(), squares: 0.0, variance: 0.0, observed: 0.0, rows: 0.0 }
    }

    /// The variance per value of scaled rows about the mean of each feature, which are gathered one by one.
    ///
    /// # Errors
    /// A file that can no longer be read.
    pub fn variance_of(rows: &Dataset, scaling: &Scaling) -> Result<f64, DataError> {
        let (mut row, mut scratch) = (Vec::new(), Vec::new());
        let mut each = |visit: &mut dyn FnMut(&[f32])| {
            rows.indices().iter().try_for_each(|&index| {
                row.clear();
                rows.rows().gather(index, scaling, &mut row, &mut scratch)?;
                visit(&row);
                Ok(())
            })
        };
        let mut sums = vec![(0.0, 0.0f64); rows.rows().width()];
        each(&mut |row| add_means(&mut sums, row))?;
        let mean = sums.into_iter().map(|(sum, count)| sum / count.max(1.0)).collect();
        let mut errors = Self { mean, squares: 0.0, variance: 0.0, observed: 0.0, rows: 0.0 };
        each(&mut |row| errors.add(row, |_| 0.0))?;
        Ok(errors.variance_per_value())
    }

    /// Adds one row, whose reconstruction is `r(column)`.
    pub fn add(&mut self, row: &[f32], r: impl Fn(usize) -> f64) {
        self.rows += 1.0;
        for (column, &value) in row.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            self.squares += (f64::from(value) - r(column)).powi(2);
            self.variance += (f64::from(value) - self.mean[column]).powi(2);
            self.observed += 1.0;
        }
    }

    /// Squared error per example.
    pub fn sse(&self) -> f64 {
        self.squares / self.rows
    }

    /// Fraction of variance unexplained; `NaN` if the rows have no variance.
    pub fn fvu(&self) -> f64 {
        if self.variance > 0.0 { self.squares / self.variance } else { f64::NAN }
    }

    /// Variance per value about the mean of each feature: `fvu` is `mse` divided by it.
    pub fn variance_per_value(&self) -> f64 {
        self.variance / self.observed
    }

    /// All of these errors.
    pub fn figures(&self) -> ReconstructionErrors {
        ReconstructionErrors { sse: self.sse(), mse: self.squares / self.observed, fvu: self.fvu() }
    }
}

/// The errors of the reconstructions `copies` of `rows`.
pub(crate) fn errors_of(rows: Matrix, copies: &[f32]) -> Errors {
    let mut errors = Errors::new(&rows);
    for (row, copy) in rows.values.chunks_exact(rows.width).zip(copies.chunks_exact(rows.width)) {
        errors.add(row, |column| f64::from(copy[column]));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variance_of_rows_is_that_of_their_matrix() {
        let values = vec![0.0f32, 2.0, 2.0, f32::NAN, 5.0, 1.0];
        let rows = Dataset::new(ae_data::Rows::new(ae_data::Values::F32(values.clone()), 2));
        let mut errors = Errors::new(&Matrix { values: &values, width: 2 });
        values.chunks_exact(2).for_each(|row| errors.add(row, |_| 1.0));
        assert_eq!(Errors::variance_of(&rows, &Scaling::identity()).unwrap(), errors.variance_per_value());
    }

    #[test]
    fn errors_worked_by_hand() {
        let values = [0.0f32, 2.0, 2.0, f32::NAN];
        let mut errors = Errors::new(&Matrix { values: &values, width: 2 });
        values.chunks_exact(2).for_each(|row| errors.add(row, |_| 1.0));
        // Errors 1, 1, 1; means 1 and 2; variance about them 1 + 1 + 0.
        assert_eq!(errors.figures(), ReconstructionErrors { sse: 1.5, mse: 1.0, fvu: 1.5 });
    }
}
