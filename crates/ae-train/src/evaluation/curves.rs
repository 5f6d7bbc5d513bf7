//! Robustness: errors by the amount of noise, and by the share of missing values.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Result, baseline::Pca, matrix::Matrix, random::normal, trained::Trained};

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Standard deviation of the noise, or share of hidden values.
    pub level: f64,
    /// Mean squared error of the model.
    pub mse: f64,
    /// Mean squared error of PCA.
    pub pca: f64,
    /// Number of rows that both were measured on.
    #[serde(default)]
    pub rows: usize,
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
    let noisy = noisy(rows, std, seed);
    let cleaned = reconstruct(Matrix { values: &noisy, width: rows.width })?;
    Ok(sse(rows, &cleaned))
}

/// `rows` with noise N(0, `std`^2) added.
fn noisy(rows: Matrix, std: f64, seed: u64) -> Vec<f32> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    rows.values.iter().map(|&value| value + (std * normal(&mut generator)) as f32).collect()
}

/// Squared error per row.
fn sse(rows: Matrix, cleaned: &[f32]) -> f64 {
    let squares: f64 = rows.values.iter().zip(cleaned).map(|(x, r)| f64::from(x - r).powi(2)).sum();
    squares / rows.count() as f64
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

/// Rows of the imputation curve times the square of the components of PCA, at most: 4,096 rows for 64 components.
const FILLED: usize = 4096 * 64 * 64;

impl Trained {
    /// Denoising error by the standard deviation of the noise.
    pub(super) fn noise_curve(&self, rows: Matrix, pca: &Pca) -> Result<Vec<Point>> {
        let filled: Vec<f32> = rows.values.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect();
        let rows = Matrix { values: &filled, width: rows.width };
        let levels =
            if self.schema.scaling.is_unit_range() { [0.0, 0.1, 0.2, 0.3, 0.5] } else { [0.0, 0.25, 0.5, 1.0, 2.0] };
        let features = rows.width as f64;
        let point = |level: f64| {
            let noisy = noisy(rows, level, self.config.seed);
            let noisy = Matrix { values: &noisy, width: rows.width };
            let (ours, of_pca) = (sse(rows, &self.through(noisy)?), sse(rows, &pca.reconstruct(noisy)));
            Ok(Point { level, mse: ours / features, pca: of_pca / features, rows: rows.count() })
        };
        levels.into_iter().map(point).collect()
    }

    /// Imputation error by the share of hidden values.
    pub(super) fn missing_curve(&self, rows: Matrix, pca: &Pca) -> Result<Vec<Point>> {
        // The work of PCA grows with the square of its components.
        let most = (FILLED / pca.components().pow(2).max(1)).max(256);
        let rows = Matrix { values: &rows.values[..most.min(rows.count()) * rows.width], width: rows.width };
        let point = |level: f64| {
            let holes = self.hide(rows, level);
            let holes = Matrix { values: &holes, width: rows.width };
            let mse = |filled: &[f32]| imputation_mse(rows, holes, filled);
            let (ours, of_pca) = (mse(&self.fill(holes.values)?), mse(&pca.impute(holes)));
            Ok(Point { level, mse: ours, pca: of_pca, rows: rows.count() })
        };
        [0.1, 0.2, 0.3, 0.5, 0.7].into_iter().map(point).collect()
    }

    /// The reconstructions of scaled `rows` without missing values.
    pub(super) fn through(&self, rows: Matrix) -> Result<Vec<f32>> {
        rows.through(&self.device, |x| self.model.reconstruct(x))
    }
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
}
