//! Statistics of the code.

use ae_data::{Batch, Dataset};
use ae_model::{
    Autoencoder, Jacobian, ModuleCode, ModuleDecoder, ModuleEncoder,
    jacobian::Method,
    units::{has_bounds, units},
};
use burn::{data::dataset::Dataset as _, tensor::Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    baseline::variances,
    matrix::Matrix,
    reconstruction_error::null_is_nan,
    tensors::{BATCH, failed, numbers},
};

/// Number of rows over which the spectrum of the Jacobian is averaged, in the report of a run.
pub(crate) const SPECTRUM_ROWS: usize = 16;
/// Derivatives that are held at a time for that, as numbers.
const DERIVATIVES: usize = 1 << 23;

/// Largest size of the shorter side of a Jacobian whose spectrum is computed.
const SPECTRUM_WIDTH: usize = 512;

/// How many of these rows are decomposed at a time, of `width` features and with a code of `units`.
pub(crate) fn spectrum_at_once(width: usize, units: usize) -> usize {
    (DERIVATIVES / (width * units).max(1)).clamp(1, SPECTRUM_ROWS)
}

/// Whether the spectrum of a Jacobian of this size is computed: the decomposition of a larger one takes minutes.
pub(crate) fn has_spectrum(width: usize, units: usize) -> bool {
    width.min(units) <= SPECTRUM_WIDTH && width <= 4096
}

/// Statistics of the code on rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CodeStatistics {
    /// Mean number of active units per example.
    #[serde(deserialize_with = "null_is_nan")]
    pub l0: f64,
    /// Number of units that are active for none of the rows.
    pub dead_units: usize,
    /// Mean absolute value of a unit.
    #[serde(deserialize_with = "null_is_nan")]
    pub mean_activation: f64,
    /// Share of the values within 0.05 of a bound of their activation; none if the activation is unbounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saturation: Option<f64>,
    /// Squared Frobenius norm of the Jacobian of the code with respect to the input, mean over the rows (at most the
    /// first 2,048): exact up to 128 features, estimated by 16 random probes beyond.
    #[serde(deserialize_with = "null_is_nan")]
    pub jacobian_norm2: f64,
}

/// Number of features up to which this norm is exact.
pub(crate) const JACOBIAN_UP_TO: usize = 128;

/// Number of rows on which the norm of the Jacobian is measured.
const JACOBIAN_ROWS: usize = 2048;

/// The statistics of a code while it is measured, batch by batch.
pub(super) struct Measuring<'a, E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode> {
    model: &'a Autoencoder<E, D, C>,
    rows: usize,
    jacobian: Jacobian,
    peak: Vec<f32>,
    sums: [f64; 4],
}

impl<'a, E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode> Measuring<'a, E, D, C> {
    /// Of the codes of `dataset`, none of which has been added yet.
    pub fn new(model: &'a Autoencoder<E, D, C>, dataset: &Dataset) -> Self {
        let jacobian = match dataset.rows().width() <= JACOBIAN_UP_TO {
            true => Jacobian { method: Method::Exact, probes: 1 },
            false => Jacobian { method: Method::Auto, probes: 16 },
        };
        Self { model, rows: dataset.len(), jacobian, peak: Vec::new(), sums: [0.0; 4] }
    }

    /// Adds the batch whose first row is at `start`, and its code.
    pub fn add(&mut self, start: usize, batch: &Batch, code: &Tensor<2>) -> Result<()> {
        let units = units(code, self.model.code.activation()).map_err(failed)?;
        let norm2 = match start < JACOBIAN_ROWS {
            true => {
                let norms = self.jacobian.norm2(&self.model.parts(), batch.x.clone(), batch.observed.clone());
                numbers(norms)?.into_iter().map(f64::from).sum()
            }
            false => 0.0,
        };
        for (sum, part) in self.sums.iter_mut().zip([units.active, units.size, units.saturated, norm2]) {
            *sum += part;
        }
        self.peak.resize(units.peak.len(), 0.0);
        self.peak.iter_mut().zip(units.peak).for_each(|(peak, seen)| *peak = peak.max(seen));
        Ok(())
    }

    /// The statistics, once every batch has been added.
    pub fn statistics(self) -> CodeStatistics {
        let Self { model, rows, peak, sums, .. } = self;
        let activation = model.code.activation();
        let values = rows as f64 * peak.len() as f64;
        let measured = rows.min(JACOBIAN_ROWS.next_multiple_of(BATCH)) as f64;
        CodeStatistics {
            l0: sums[0] / rows as f64,
            dead_units: peak.iter().filter(|&&peak| f64::from(peak) <= activation.inactive()).count(),
            mean_activation: sums[1] / values,
            saturation: has_bounds(activation).then_some(sums[2] / values),
            jacobian_norm2: sums[3] / measured,
        }
    }
}

/// Effective rank: the exponential of the entropy of the shares of the variance of `rows` along its principal
/// directions; 0 without variance. Beyond 2,048 units the spectrum is that of the first 2,048 rows.
///
/// # Errors
/// Values that are not finite.
pub fn effective_rank(rows: Matrix) -> Result<f64> {
    let variances = variances(rows)?;
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
