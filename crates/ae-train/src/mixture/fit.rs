//! Fitting a mixture by expectation maximization.

use ae_data::progress::beat;
use faer::{Mat, Side};
use rayon::prelude::*;

use super::{
    component::{BLOCK, Component, FEWEST, Moments, NEGLIGIBLE, block_logs},
    density::Mixture,
    kmeans::start,
};

/// Maximum number of steps of expectation maximization.
const STEPS: usize = 200;

/// Expectation maximization ends when the mean log-likelihood improves by less than this, in nats per row.
const GAIN: f64 = 1e-6;

/// Added to the diagonal of each covariance, as a share of the mean variance of a column.
const RIDGE: f64 = 1e-6;

/// The same as a share of the mean square of all values: the square of the rounding error of an `f32`.
const ROUNDING: f64 = 1e-14;

impl Mixture {
    /// Fits `components` Gaussians to `rows` of `width` finite values, row by row. `seed` determines the
    /// initialization.
    ///
    /// There are fewer components if there are fewer than `2 (width + 1)` rows for each, and a component that is
    /// responsible for fewer than 2 rows is dropped: [`components`](Self::components) says how many are left. A ridge
    /// of 1e-6 times the mean variance of a column is added to the diagonal of each covariance, so that constant
    /// columns do no harm. Fitting ends when a step improves the log-likelihood by less than 1e-6 nats per row, or
    /// after 200 steps.
    ///
    /// A step takes `rows * components * width^2` multiplications: 0.1 s for 100,000 rows of 32 columns and 10
    /// components, on one core. All rows are used: the caller should pass a sample of at most about 100,000 rows.
    ///
    /// # Errors
    /// No rows, no columns, no components, values that do not make whole rows, a value that is not finite, or columns
    /// whose scales differ so much that a covariance is not positive definite.
    pub fn fit(rows: &[f32], width: usize, components: usize, seed: u64) -> Result<Self, String> {
        Self::fit_watched(rows, width, components, seed, |_| ())
    }

    /// As [`fit`](Self::fit); `watch` receives the mean log-likelihood before each step.
    pub(super) fn fit_watched<W>(
        rows: &[f32],
        width: usize,
        components: usize,
        seed: u64,
        mut watch: W,
    ) -> Result<Self, String>
    where
        W: FnMut(f64),
    {
        check(rows, width, components)?;
        let most = (rows.len() / width / (2 * (width + 1))).max(1);
        let ridge = ridge(rows, width);
        let mut current = maximize(start(rows, width, components.min(most), seed), ridge)?;
        let mut previous = Vec::new();
        let mut before = f64::NEG_INFINITY;
        let mut step = 0;
        loop {
            let (mean, moments) = expect(rows, width, &current);
            watch(mean);
            if mean < before {
                // The ridge is not part of the likelihood and can make it decrease slightly.
                return Ok(Self::of(&previous));
            }
            if mean - before < GAIN || step == STEPS {
                return Ok(Self::of(&current));
            }
            let next = maximize(moments, ridge)?;
            // The likelihood with one component fewer cannot be compared.
            before = if next.len() < current.len() { f64::NEG_INFINITY } else { mean };
            previous = std::mem::replace(&mut current, next);
            step += 1;
        }
    }
}

fn check(rows: &[f32], width: usize, components: usize) -> Result<(), String> {
    if width == 0 || components == 0 {
        return Err("a mixture of Gaussians needs at least one column and one component".to_string());
    }
    if rows.is_empty() || !rows.len().is_multiple_of(width) {
        return Err(format!(
            "a mixture of Gaussians needs whole rows of {width} values, but got {} values",
            rows.len()
        ));
    }
    match rows.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => {
            let (row, column) = (place / width + 1, place % width + 1);
            Err(format!("a mixture of Gaussians needs finite values: value {column} of row {row} is {}", rows[place]))
        }
    }
}

/// The ridge: what is added to the diagonal of each covariance.
fn ridge(rows: &[f32], width: usize) -> f64 {
    let count = (rows.len() / width) as f64;
    let mut means = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        means.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value) / count);
    }
    let (mut variance, mut square) = (0.0, 0.0);
    for row in rows.chunks_exact(width) {
        for (&value, mean) in row.iter().zip(&means) {
            variance += (f64::from(value) - mean).powi(2);
            square += f64::from(value).powi(2);
        }
    }
    let ridge = (RIDGE * variance).max(ROUNDING * square) / rows.len() as f64;
    // Rows that are all 0 have no scale.
    if ridge > f64::MIN_POSITIVE { ridge } else { RIDGE }
}

/// The mean log-likelihood of `rows`, and the moments of each component about its mean, weighted by the posterior
/// probability of the component.
fn expect(rows: &[f32], width: usize, components: &[Component]) -> (f64, Vec<(Vec<f64>, Moments)>) {
    // For each block and each component the same additions in the same order, whatever the number of threads.
    let blocks: Vec<&[f32]> = rows.chunks(BLOCK * width).collect();
    let chances: Vec<Vec<f64>> = blocks.par_iter().map(|block| responsibilities(block, width, components)).collect();
    beat();
    let moments = components.par_iter().enumerate().map(|(index, component)| {
        let (mut moments, mut buffer) = (Moments::new(width), Vec::new());
        for (block, chances) in blocks.iter().zip(&chances) {
            let count = block.len() / width;
            let chances = &chances[index * count..(index + 1) * count];
            moments.add(block, &component.mean, chances.iter().copied(), &mut buffer);
        }
        (component.mean.clone(), moments)
    });
    let moments = moments.collect();
    beat();
    let mut sum = 0.0;
    for (block, chances) in blocks.iter().zip(&chances) {
        chances[chances.len() - block.len() / width..].iter().for_each(|log| sum += log);
    }
    (sum / (rows.len() / width) as f64, moments)
}

/// For each component the posterior probabilities of the rows of a block, then the logarithms of their densities.
fn responsibilities(block: &[f32], width: usize, components: &[Component]) -> Vec<f64> {
    let mut logs = block_logs(block, width, components);
    let count = block.len() / width;
    let mut densities = Vec::with_capacity(count);
    for row in 0..count {
        let most = logs[row..].iter().step_by(count).copied().fold(f64::NEG_INFINITY, f64::max);
        let mut total = 0.0;
        for log in logs[row..].iter_mut().step_by(count) {
            *log = if *log - most > NEGLIGIBLE.ln() { (*log - most).exp() } else { 0.0 };
            total += *log;
        }
        logs[row..].iter_mut().step_by(count).for_each(|chance| *chance /= total);
        densities.push(most + total.ln());
    }
    logs.extend(densities);
    logs
}

fn indefinite() -> String {
    let what = "a covariance of the mixture of Gaussians is not positive definite";
    format!("{what}: scale the columns, whose ranges differ too much, or use fewer components")
}

/// The components with these moments; components with almost no rows are dropped.
fn maximize(found: Vec<(Vec<f64>, Moments)>, ridge: f64) -> Result<Vec<Component>, String> {
    let most = found.iter().map(|(_, moments)| moments.mass).fold(0.0, f64::max);
    let fewest = FEWEST.min(most);
    let kept = || found.iter().filter(|(_, moments)| moments.mass >= fewest);
    let total: f64 = kept().map(|(_, moments)| moments.mass).sum();
    let component = |(point, moments): &(Vec<f64>, Moments)| {
        let Moments { mass, shift, square } = moments;
        let shift: Vec<f64> = shift.iter().map(|shift| shift / mass).collect();
        let covariance = |i: usize, j: usize| {
            let ridge = if i == j { ridge } else { 0.0 };
            square[(i.max(j), i.min(j))] / mass - shift[i] * shift[j] + ridge
        };
        let covariance = Mat::from_fn(point.len(), point.len(), covariance);
        let factor = covariance.llt(Side::Lower).map_err(|_| indefinite())?;
        let mean = point.iter().zip(&shift).map(|(point, shift)| point + shift).collect();
        Ok(Component::new(mass / total, mean, factor.L().to_owned()))
    };
    kept().map(component).collect()
}
