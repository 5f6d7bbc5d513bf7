//! Errors of reconstructions, in units of the scaled data.
//!
//! `sse = mean over examples of sum_i (x_i - r_i)^2`, `mse = mean over observed values of (x - r)^2`, and `fvu = sum (x
//! - r)^2 / sum (x - mean)^2` with the mean of each feature over the same rows: the fraction of variance unexplained, 0
//! for a perfect reconstruction and 1 for predicting the mean.

use ae_data::{Batcher, Dataset, progress::Progress};
use ae_model::{
    Autoencoder, Jacobian, ModuleCode, ModuleDecoder, ModuleEncoder,
    jacobian::Method,
    units::{has_bounds, units},
};
use burn::{
    data::dataset::Dataset as _,
    tensor::{DType, Device, ExecutionError, Tensor, TensorData},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, baseline::Matrix};

/// Number of rows over which the spectrum of the Jacobian is averaged, in the report of a run.
pub(crate) const SPECTRUM_ROWS: usize = 16;
/// Largest size of the shorter side of a Jacobian whose spectrum is computed.
const SPECTRUM_WIDTH: usize = 512;
/// Number of examples that go through the model at a time.
pub(crate) const BATCH: usize = 1024;

/// Whether the spectrum of a Jacobian of this size is computed: the decomposition of a larger one takes minutes.
pub(crate) fn has_spectrum(width: usize, units: usize) -> bool {
    width.min(units) <= SPECTRUM_WIDTH && width <= 4096
}

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
pub struct Figures {
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

/// JSON has neither `NaN` nor infinity: serde writes `null`, and this reads it as `NaN`.
pub(crate) fn null_is_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
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

    /// Fraction of variance unexplained; `NaN` if the rows have no variance.
    pub fn fvu(&self) -> f64 {
        if self.variance > 0.0 { self.squares / self.variance } else { f64::NAN }
    }

    /// Variance per value about the mean of each feature: `fvu` is `mse` divided by it.
    pub fn variance_per_value(&self) -> f64 {
        self.variance / self.observed
    }

    /// All of these errors.
    pub fn figures(&self) -> Figures {
        Figures { sse: self.sse(), mse: self.squares / self.observed, fvu: self.fvu() }
    }
}

/// The errors of `model` on `dataset`, whose scaled values are `rows`.
///
/// # Errors
/// A device that fails to return its results.
pub fn model_errors<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
    model: &Autoencoder<E, D, C>,
    dataset: &Dataset,
    batcher: &Batcher,
    rows: Matrix,
    device: &Device,
) -> Result<Errors> {
    let mut errors = Errors::new(&rows);
    let width = rows.width;
    let mut progress = Progress::new("measuring rows", dataset.len());
    for start in (0..dataset.len()).step_by(BATCH) {
        let end = dataset.len().min(start + BATCH);
        progress.steps(end - start);
        let batch = dataset.batch(start..end, batcher, device)?;
        let reconstructed = numbers(model.reconstruct_visible(batch.x, batch.observed))?;
        for (row, r) in
            rows.values[start * width..end * width].chunks_exact(width).zip(reconstructed.chunks_exact(width))
        {
            errors.add(row, |column| f64::from(r[column]));
        }
    }
    Ok(errors)
}

/// Statistics of the code on rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CodeFigures {
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

/// Statistics of the code of `model` on `dataset`.
///
/// # Errors
/// A device that fails to return its results.
pub fn code_figures<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
    model: &Autoencoder<E, D, C>,
    dataset: &Dataset,
    batcher: &Batcher,
    device: &Device,
) -> Result<CodeFigures> {
    let activation = model.code.activation();
    let jacobian = match dataset.rows().width() <= JACOBIAN_UP_TO {
        true => Jacobian { method: Method::Exact, probes: 1 },
        false => Jacobian { method: Method::Auto, probes: 16 },
    };
    let (mut peak, mut sums) = (Vec::<f32>::new(), [0.0; 4]);
    let mut progress = Progress::new("measuring the code", dataset.len());
    for start in (0..dataset.len()).step_by(BATCH) {
        let end = dataset.len().min(start + BATCH);
        progress.steps(end - start);
        let batch = dataset.batch(start..end, batcher, device)?;
        let code = model.encode_visible(batch.x.clone(), batch.observed.clone());
        let units = units(&code, activation).map_err(failed)?;
        let norm2 = match start < JACOBIAN_ROWS {
            true => numbers(jacobian.norm2(&model.parts(), batch.x, batch.observed))?.into_iter().map(f64::from).sum(),
            false => 0.0,
        };
        for (sum, part) in sums.iter_mut().zip([units.active, units.size, units.saturated, norm2]) {
            *sum += part;
        }
        peak.resize(units.peak.len(), 0.0);
        peak.iter_mut().zip(units.peak).for_each(|(peak, seen)| *peak = peak.max(seen));
    }
    let rows = dataset.len() as f64;
    let values = rows * peak.len() as f64;
    let measured = dataset.len().min(JACOBIAN_ROWS.next_multiple_of(BATCH)) as f64;
    Ok(CodeFigures {
        l0: sums[0] / rows,
        dead_units: peak.iter().filter(|&&peak| f64::from(peak) <= activation.inactive()).count(),
        mean_activation: sums[1] / values,
        saturation: has_bounds(activation).then_some(sums[2] / values),
        jacobian_norm2: sums[3] / measured,
    })
}

/// Denoising error: squared error per row between `rows` and the reconstruction of `rows` with noise N(0, `std`^2)
/// added. `seed` determines the noise.
///
/// # Errors
/// Any error of `reconstruct`.
pub fn noise_sse(
    rows: Matrix,
    std: f64,
    seed: u64,
    reconstruct: impl FnOnce(Matrix) -> Result<Vec<f32>>,
) -> Result<f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    // Two uniform numbers give a normal one (Box and Muller 1958).
    let mut normal = || {
        let (radius, angle): (f64, f64) = (generator.random(), generator.random());
        (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    };
    let noisy: Vec<f32> = rows.values.iter().map(|&value| value + (std * normal()) as f32).collect();
    let cleaned = reconstruct(Matrix { values: &noisy, width: rows.width })?;
    let squares: f64 = rows.values.iter().zip(&cleaned).map(|(x, r)| f64::from(x - r).powi(2)).sum();
    Ok(squares / (rows.values.len() / rows.width) as f64)
}

/// `rows` with a share `rate` of their values missing completely at random; `seed` determines which.
pub fn hide(rows: Matrix, rate: f64, seed: u64) -> Vec<f32> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    rows.values.iter().map(|&value| if generator.random_bool(rate) { f32::NAN } else { value }).collect()
}

/// Mean squared error of `filled` compared with `rows`, over the values that are missing in `holes` but not in `rows`.
pub fn imputation_mse(rows: Matrix, holes: Matrix, filled: &[f32]) -> f64 {
    let missing =
        rows.values.iter().zip(holes.values).zip(filled).filter(|((x, hole), _)| hole.is_nan() && !x.is_nan());
    let (sum, count) =
        missing.fold((0.0, 0.0f64), |(sum, count), ((x, _), r)| (sum + f64::from(x - r).powi(2), count + 1.0));
    sum / count.max(1.0)
}

impl Matrix<'_> {
    /// Applies `f` to these rows, in batches on `device`; input and output are row by row.
    ///
    /// # Errors
    /// A device that fails.
    pub fn through(&self, device: &Device, f: impl Fn(Tensor<2>) -> Tensor<2>) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.values.len());
        for chunk in self.values.chunks(BATCH * self.width) {
            let x = Tensor::from_data(TensorData::new(chunk.to_vec(), [chunk.len() / self.width, self.width]), device);
            values.extend(numbers(f(x))?);
        }
        Ok(values)
    }
}

/// Copies the numbers of a tensor from the device.
///
/// # Errors
/// A device that fails to return its results.
pub fn numbers<const R: usize>(tensor: Tensor<R>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(failed)?;
    // Numbers in single precision need no conversion.
    match data.dtype() {
        DType::F32 => data.try_into_vec().map_err(|error| Error::Failed(format!("the device failed: {error:?}"))),
        _ => Ok(data.iter::<f32>().collect()),
    }
}

fn failed(error: ExecutionError) -> Error {
    Error::Failed(format!("the device failed: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_unremoved_noise_is_its_variance_and_only_hidden_values_count() {
        let values = vec![0.5f32; 6400];
        let rows = Matrix { values: &values, width: 64 };
        let sse = noise_sse(rows, 0.3, 1, |noisy| Ok(noisy.values.to_vec())).unwrap();
        assert!((sse / (64.0 * 0.09) - 1.0).abs() < 0.06, "{sse}");
        let holes = hide(rows, 0.25, 1);
        let missing = holes.iter().filter(|value| value.is_nan()).count();
        assert!((1400..1800).contains(&missing), "{missing}");
        let filled: Vec<f32> = holes.iter().map(|value| if value.is_nan() { 1.0 } else { 77.0 }).collect();
        assert_eq!(imputation_mse(rows, Matrix { values: &holes, width: 64 }, &filled), 0.25);
    }

    #[test]
    fn figures_worked_by_hand() {
        let values = [0.0f32, 2.0, 2.0, f32::NAN];
        let mut errors = Errors::new(&Matrix { values: &values, width: 2 });
        values.chunks_exact(2).for_each(|row| errors.add(row, |_| 1.0));
        // Errors 1, 1, 1; means 1 and 2; variance about them 1 + 1 + 0.
        assert_eq!(errors.figures(), Figures { sse: 1.5, mse: 1.0, fvu: 1.5 });
    }
}
