//! The density of a mixture, and samples of it.

use ae_data::progress::beat;
use faer::Mat;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{
    component::{BLOCK, Component, block_logs, log_sum_exp},
    kmeans::drawn,
};

/// Gaussian mixture with full covariances. It is validated when it is deserialized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Mixture {
    /// Number of components in use, `K`: possibly fewer than requested.
    pub components: usize,
    /// Weight of each component, `K` numbers above 0 that sum to 1.
    pub weights: Vec<f64>,
    /// Mean of each component, `K` times `width` numbers.
    pub means: Vec<Vec<f64>>,
    /// Cholesky factor `L` of each covariance, `S = L L^T`: the lower triangle row by row, `K` times
    /// `width (width + 1) / 2` numbers.
    pub factors: Vec<Vec<f64>>,
}

/// The fields of a [`Mixture`] as they are read, not validated.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    components: usize,
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    factors: Vec<Vec<f64>>,
}

impl Mixture {
    pub(super) fn of(components: &[Component]) -> Self {
        let packed = |factor: &Mat<f64>| {
            let lower = (0..factor.nrows()).flat_map(|i| (0..=i).map(move |j| factor[(i, j)]));
            lower.collect()
        };
        Self {
            components: components.len(),
            weights: components.iter().map(|component| component.weight).collect(),
            means: components.iter().map(|component| component.mean.clone()).collect(),
            factors: components.iter().map(|component| packed(&component.factor)).collect(),
        }
    }

    /// Number of values of a row.
    pub fn width(&self) -> usize {
        self.means.first().map_or(0, Vec::len)
    }

    /// The covariance of component `k`, `[width, width]` row by row.
    ///
    /// # Panics
    /// If `k` is not below [`components`](Self::components).
    pub fn covariance(&self, k: usize) -> Vec<f64> {
        let (width, factor) = (self.width(), &self.factors[k]);
        let row = |i: usize| &factor[i * (i + 1) / 2..(i + 1) * (i + 2) / 2];
        let product = |i: usize, j: usize| row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
        (0..width).flat_map(|i| (0..width).map(move |j| product(i, j))).collect()
    }

    /// The log density of a row, in nats; negative infinity where a value is not finite.
    ///
    /// # Panics
    /// If the number of values is not [`width`](Self::width).
    pub fn log_density(&self, row: &[f32]) -> f64 {
        assert_eq!(row.len(), self.width(), "a value for each column");
        let mut whitened = vec![0.0; row.len()];
        let parts = self.weights.iter().zip(&self.means).zip(&self.factors);
        let logs: Vec<f64> = parts
            .map(|((weight, mean), factor)| {
                // Forward substitution: `L y = x - m`.
                let (mut place, mut log) = (0, weight.ln() - 0.5 * row.len() as f64 * std::f64::consts::TAU.ln());
                for i in 0..row.len() {
                    let before: f64 = (0..i).map(|j| factor[place + j] * whitened[j]).sum();
                    let pivot = factor[place + i];
                    whitened[i] = (f64::from(row[i]) - mean[i] - before) / pivot;
                    log -= pivot.ln() + 0.5 * whitened[i] * whitened[i];
                    place += i + 1;
                }
                log
            })
            .collect();
        log_sum_exp(logs.iter().copied())
    }

    /// The log density of each of `rows`, in nats; negative infinity where a value is not finite.
    ///
    /// # Panics
    /// If the values do not make whole rows.
    pub fn log_densities(&self, rows: &[f32]) -> Vec<f64> {
        let width = self.width();
        assert!(rows.len().is_multiple_of(width.max(1)), "whole rows");
        let components: Vec<Component> = (0..self.components).map(|k| self.component(k)).collect();
        let mut densities = Vec::with_capacity(rows.len() / width.max(1));
        for block in rows.chunks(BLOCK * width.max(1)) {
            let logs = block_logs(block, width, &components);
            let count = block.len() / width;
            densities.extend((0..count).map(|row| log_sum_exp(logs[row..].iter().step_by(count).copied())));
            beat();
        }
        densities
    }

    /// The mean log density of `rows`, in nats per row; `NaN` without rows.
    ///
    /// # Panics
    /// If the values do not make whole rows.
    pub fn mean_log_density(&self, rows: &[f32]) -> f64 {
        let densities = self.log_densities(rows);
        densities.iter().sum::<f64>() / densities.len() as f64
    }

    /// Draws `count` rows, row by row. `seed` determines them.
    pub fn sample(&self, count: usize, seed: u64) -> Vec<f32> {
        let width = self.width();
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut values = Vec::with_capacity(count * width);
        let mut noise = vec![0.0; width];
        for _ in 0..count {
            let k = drawn(&self.weights, generator.random());
            normals(&mut generator, &mut noise);
            let mut rest = self.factors[k].as_slice();
            for (i, mean) in self.means[k].iter().enumerate() {
                let (row, below) = rest.split_at(i + 1);
                let value = mean + row.iter().zip(&noise).map(|(factor, noise)| factor * noise).sum::<f64>();
                values.push(value as f32);
                rest = below;
            }
        }
        values
    }

    fn component(&self, k: usize) -> Component {
        let (width, packed) = (self.width(), &self.factors[k]);
        let lower = |i: usize, j: usize| if j <= i { packed[i * (i + 1) / 2 + j] } else { 0.0 };
        Component::new(self.weights[k], self.means[k].clone(), Mat::from_fn(width, width, lower))
    }
}

impl TryFrom<Parts> for Mixture {
    type Error = String;

    fn try_from(parts: Parts) -> Result<Self, String> {
        let Parts { components, weights, means, factors } = parts;
        let wrong = |what: &str| Err(format!("the parts of a mixture are not consistent: {what}"));
        if components == 0 || [weights.len(), means.len(), factors.len()] != [components; 3] {
            return wrong("`components` must be at least 1 and the length of `weights`, `means` and `factors`");
        }
        let width = means[0].len();
        if width == 0 || means.iter().any(|mean| mean.len() != width) {
            return wrong("all `means` must have the same length, at least 1");
        }
        if factors.iter().any(|factor| factor.len() != width * (width + 1) / 2) {
            return wrong(&format!(
                "each of `factors` must be a lower triangle of {} numbers",
                width * (width + 1) / 2
            ));
        }
        if !means.iter().chain(&factors).flatten().all(|value| value.is_finite()) {
            return wrong("every number must be finite");
        }
        let positive = |factor: &Vec<f64>| (0..width).all(|i| factor[i * (i + 3) / 2] > 0.0);
        if !factors.iter().all(positive) {
            return wrong("the diagonals of `factors` must be above 0");
        }
        let sum: f64 = weights.iter().sum();
        if !weights.iter().all(|&weight| weight > 0.0) || (sum - 1.0).abs() > 1e-6 {
            return wrong("`weights` must be above 0 and sum to 1");
        }
        Ok(Self { components, weights, means, factors })
    }
}

/// Fills `values` with standard normal numbers (Box and Muller 1958).
fn normals(generator: &mut ChaCha8Rng, values: &mut [f64]) {
    for pair in values.chunks_mut(2) {
        // Two uniform numbers give two normal ones.
        let (radius, angle) = (1.0 - generator.random::<f64>(), generator.random::<f64>());
        let (sine, cosine) = (std::f64::consts::TAU * angle).sin_cos();
        let radius = (-2.0 * radius.ln()).sqrt();
        pair.iter_mut().zip([radius * cosine, radius * sine]).for_each(|(value, normal)| *value = normal);
    }
}
