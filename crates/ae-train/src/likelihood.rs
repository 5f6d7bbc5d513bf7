//! Likelihood of rows under a model with a stochastic code, in nats per row, by importance sampling (Burda et al.
//! 2016).

use ae_data::{Batch, Dataset, progress::Progress};
use ae_model::Code;
use burn::data::dataset::Dataset as _;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Result, baseline::Pca, matrix::Matrix, step::sample, tensors::numbers, trained::Trained};

/// Maximum number of rows on which the likelihood is measured.
const ROWS: usize = 512;
/// Number of codes drawn for each row.
const SAMPLES: usize = 1000;
/// Number of codes drawn at a time.
const AT_ONCE: usize = 25;
/// Minimum number of codes drawn in total for the lower bound.
const LEAST_DRAWS: usize = 20_000;
/// Number of rows at a time.
const BATCH: usize = 128;
/// Minimum variance over the rows of the mean of a unit that counts as active (Burda et al. 2016).
const ACTIVE: f64 = 0.01;
/// Seed of the draws.
const SEED: u64 = 0x1e1b0;

/// Likelihood of rows under a stochastic code, in nats per row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Likelihood {
    /// Evidence lower bound (ELBO) of all rows.
    pub elbo: f64,
    /// Kullback-Leibler divergence of the code from its prior, of all rows.
    pub kl: f64,
    /// Number of randomly chosen rows on which the likelihood was measured; the following fields refer to these rows.
    pub rows: usize,
    /// Evidence lower bound of these rows.
    pub elbo_of_rows: f64,
    /// Number of codes drawn for each row.
    pub samples: usize,
    /// Importance-weighted lower bound on `log p(x)`, which it approaches with more samples.
    pub log_likelihood: f64,
    /// Effective number of samples, median over the rows: if it is small, the bound is far from `log p(x)`.
    pub effective_samples: f64,
    /// `log p(x)` under probabilistic PCA with as many components, if all columns are numbers with a variance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pca: Option<f64>,
    /// Whether numbers have only a squared error, which is a variance of 1.
    pub has_unit_variance: bool,
    /// Number of active units: units whose mean has a variance of more than 0.01 over the rows.
    pub active_units: usize,
    /// Standard deviation of numbers around their reconstruction, in units of the scaled data; the mean over the
    /// columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
}

/// Accumulated importance weights of the draws of a row.
#[derive(Debug, Clone, Copy)]
struct Weights {
    largest: f64,
    /// Sums of the weights and of their squares, relative to the largest weight.
    sums: [f64; 2],
}

impl Weights {
    const NONE: Self = Self { largest: f64::NEG_INFINITY, sums: [0.0; 2] };

    fn add(&mut self, logarithm: f64) {
        if logarithm > self.largest {
            let shrink = (self.largest - logarithm).exp();
            self.sums = [self.sums[0] * shrink, self.sums[1] * shrink * shrink];
            self.largest = logarithm;
        }
        let weight = (logarithm - self.largest).exp();
        self.sums = [self.sums[0] + weight, self.sums[1] + weight * weight];
    }
}

impl Trained {
    /// The likelihood of `rows` under the model; none if its code is not stochastic. `pca` has as many components as
    /// the code has units.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn likelihood(&self, rows: &Dataset, pca: &Pca) -> Result<Option<Likelihood>> {
        match self.model.code.is_stochastic() && self.schema.target.is_none() {
            true => ae_kernels::seeded(SEED, &self.device, || self.drawn_likelihood(rows, pca)).map(Some),
            false => Ok(None),
        }
    }

    fn drawn_likelihood(&self, rows: &Dataset, pca: &Pca) -> Result<Likelihood> {
        let draws = LEAST_DRAWS.div_ceil(rows.len().max(1));
        let (mut bound, mut divergence, mut means) = (0.0, 0.0, vec![[0.0; 2]; self.config.model.code_dim]);
        for batch in self.batches(rows, "measuring the lower bound", |batch| {
            let latent = self.model.parts().encode(batch.x.clone(), batch.observed.clone());
            let divergences = self.model.code.divergence(&latent).map(numbers).transpose()?.unwrap_or_default();
            let logarithms = self.log_weights(batch, draws)?;
            Ok((numbers(latent.mean.unwrap_or(latent.code))?, divergences, logarithms))
        }) {
            let (_, (codes, divergences, logarithms)) = batch?;
            for row in codes.chunks_exact(means.len()) {
                for (&mean, sums) in row.iter().zip(&mut means) {
                    let mean = f64::from(mean);
                    *sums = [sums[0] + mean, sums[1] + mean * mean];
                }
            }
            let sum = |values: Vec<f32>| values.into_iter().map(f64::from).sum::<f64>();
            bound += sum(logarithms) / draws as f64;
            divergence += sum(divergences);
        }
        let (weighted, weights, elbo_of_rows) = self.weights(rows)?;
        let (count, samples) = (rows.len() as f64, SAMPLES as f64);
        let mut effective: Vec<f64> = weights.iter().map(|row| row.sums[0] * row.sums[0] / row.sums[1]).collect();
        effective.sort_unstable_by(f64::total_cmp);
        let variance = |[sum, squares]: [f64; 2]| (squares - sum * sum / count) / (count - 1.0).max(1.0);
        let is_density = self.model.variance.is_some() && self.model.reconstruction.layout.is_none();
        let values = weighted.scaled(&self.schema.scaling)?;
        let pca =
            is_density.then(|| pca.log_likelihood(Matrix { values: &values, width: self.schema.d_input })).flatten();
        let deviation = match &self.model.variance {
            Some(variance) => {
                let deviations = numbers(variance.values().sqrt().unsqueeze::<2>())?;
                Some(deviations.iter().copied().map(f64::from).sum::<f64>() / deviations.len() as f64)
            }
            None => None,
        };
        Ok(Likelihood {
            elbo: bound / count,
            kl: divergence / count,
            rows: weighted.len(),
            elbo_of_rows,
            samples: SAMPLES,
            log_likelihood: weights.iter().map(|row| row.largest + (row.sums[0] / samples).ln()).sum::<f64>()
                / weights.len() as f64,
            effective_samples: effective[effective.len() / 2],
            pca,
            has_unit_variance: self.model.variance.is_none()
                && self.config.model.reconstruction.get::<ae_model::SquaredError>().is_some(),
            active_units: means.into_iter().filter(|sums| variance(*sums) > ACTIVE).count(),
            deviation,
        })
    }

    /// Some of `rows`, the weights of codes drawn for each of them, and the mean logarithm of a weight.
    fn weights(&self, rows: &Dataset) -> Result<(Dataset, Vec<Weights>, f64)> {
        // Randomly, not at equal distances, which could coincide with a pattern in the order of the rows.
        let mut chosen = rows.indices().to_vec();
        chosen.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
        chosen.truncate(ROWS);
        let (rows, mut sum) = (rows.select(chosen), 0.0);
        let mut weights = vec![Weights::NONE; rows.len()];
        let mut progress = Progress::new("drawing codes", rows.len() * SAMPLES);
        for start in (0..rows.len()).step_by(BATCH) {
            let batch = rows.batch(start..rows.len().min(start + BATCH), &self.batcher, &self.device)?;
            let count = batch.x.dims()[0];
            for _ in (0..SAMPLES).step_by(AT_ONCE) {
                for drawn in self.log_weights(batch.clone(), AT_ONCE)?.chunks_exact(count) {
                    sum += drawn.iter().copied().map(f64::from).sum::<f64>();
                    drawn.iter().zip(&mut weights[start..]).for_each(|(&logarithm, row)| row.add(f64::from(logarithm)));
                }
                progress.steps(count * AT_ONCE);
            }
        }
        let mean = sum / (rows.len() * SAMPLES) as f64;
        Ok((rows, weights, mean))
    }

    /// The logarithms of the weights of `samples` codes per row, sample by sample.
    fn log_weights(&self, batch: Batch, samples: usize) -> Result<Vec<f32>> {
        self.model.log_weights(sample(batch), samples).map_or(Ok(Vec::new()), numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_summed_without_overflow() {
        let mut weights = Weights::NONE;
        [-1000.0, -1001.0, -999.0].into_iter().for_each(|logarithm| weights.add(logarithm));
        let (e, sum) = (std::f64::consts::E, 1.0 + 1.0 / std::f64::consts::E + 1.0 / std::f64::consts::E.powi(2));
        assert!((weights.largest + weights.sums[0].ln() - (-999.0 + sum.ln())).abs() < 1e-12);
        assert!((weights.sums[1] - (1.0 + e.powi(-2) + e.powi(-4))).abs() < 1e-12);
    }
}
