//! Errors of reconstructions, in the units of the scaled data.
//!
//! `sse = mean over examples of sum_i (x_i - r_i)^2`, `mse = mean over observed values of (x - r)^2`, and `fvu = sum (x - r)^2 / sum (x - mean)^2`
//! with each feature's mean over the same rows: the fraction of variance unexplained, 0 for a perfect copy and 1 for predicting the mean.

use ae_data::{Batcher, Dataset};
use ae_model::{Autoencoder, Decoder, Encoder};
use burn::{data::dataset::Dataset as _, tensor::Device};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, baseline::Matrix};

/// Examples that go through the model at a time.
const BATCH: usize = 1024;

/// Accumulated squared errors over some rows.
#[derive(Debug, Clone)]
pub struct Errors {
    mean: Vec<f64>,
    squares: f64,
    variance: f64,
    observed: f64,
    rows: f64,
}

/// The figures that are printed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Squared error per example.
    pub sse: f64,
    /// Squared error per value.
    pub mse: f64,
    /// Fraction of variance unexplained.
    pub fvu: f64,
}

impl Errors {
    /// No errors yet, over `rows`.
    pub fn new(rows: &Matrix) -> Self {
        Self { mean: rows.mean(), squares: 0.0, variance: 0.0, observed: 0.0, rows: 0.0 }
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

    /// Fraction of variance unexplained.
    pub fn fvu(&self) -> f64 {
        self.squares / self.variance
    }

    /// Variance per value about each feature's mean: what `fvu` divides the `mse` by.
    pub fn variance_per_value(&self) -> f64 {
        self.variance / self.observed
    }

    /// All figures.
    pub fn figures(&self) -> Figures {
        Figures { sse: self.sse(), mse: self.squares / self.observed, fvu: self.fvu() }
    }
}

/// The errors of `model` on `dataset`, whose scaled values are `rows`.
///
/// # Errors
/// A device that fails to give its results back.
pub fn model_errors<E: Encoder, D: Decoder>(
    model: &Autoencoder<E, D>,
    dataset: &Dataset,
    batcher: &Batcher,
    rows: Matrix,
    device: &Device,
) -> Result<Errors> {
    let mut errors = Errors::new(&rows);
    let width = rows.width;
    for start in (0..dataset.len()).step_by(BATCH) {
        let end = dataset.len().min(start + BATCH);
        let batch = dataset.batch(start..end, batcher, device);
        let reconstructed = model.reconstruct(batch.x).try_into_data();
        let reconstructed = reconstructed.map_err(|error| Error::Failed(format!("the device failed: {error:?}")))?;
        let reconstructed: Vec<f32> = reconstructed.iter::<f32>().collect();
        for (row, r) in rows.values[start * width..end * width].chunks_exact(width).zip(reconstructed.chunks_exact(width)) {
            errors.add(row, |column| f64::from(r[column]));
        }
    }
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_worked_by_hand() {
        let values = [0.0f32, 2.0, 2.0, f32::NAN];
        let mut errors = Errors::new(&Matrix { values: &values, width: 2 });
        values.chunks_exact(2).for_each(|row| errors.add(row, |_| 1.0));
        // Errors 1, 1, 1; means 1 and 2; variance about them 1 + 1 + 0.
        assert_eq!(errors.figures(), Figures { sse: 1.5, mse: 1.0, fvu: 1.5 });
    }
}
