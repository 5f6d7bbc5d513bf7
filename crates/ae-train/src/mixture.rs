//! Gaussian mixture with full covariances: a density of codes or of any rows, to draw samples from and to score rows
//! by.
//!
//! `p(x) = sum_k w_k N(x; m_k, S_k)`, with weights `w`, means `m` and covariances `S` of `K` components. It is fitted
//! by expectation maximization (Dempster, Laird and Rubin 1977), initialized by k-means++ (Arthur and Vassilvitskii
//! 2007) and a few steps of k-means. On the codes of a trained autoencoder it is the ex-post density of Ghosh et al.
//! (2020): its decoded samples are generated rows. All computation is in `f64`.

use ae_data::progress::beat;
use faer::{
    Accum, Mat, MatRef, Par, Side,
    linalg::{
        matmul::{
            matmul,
            triangular::{BlockStructure, matmul as triangular},
        },
        triangular_solve::solve_lower_triangular_in_place,
    },
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Number of rows processed at a time.
const BLOCK: usize = 1024;
/// Steps of k-means before expectation maximization.
const KMEANS_STEPS: usize = 8;
/// Maximum number of steps of expectation maximization.
const STEPS: usize = 200;
/// Expectation maximization ends when the mean log-likelihood improves by less than this, in nats per row.
const GAIN: f64 = 1e-6;
/// Added to the diagonal of each covariance, as a share of the mean variance of a column.
const RIDGE: f64 = 1e-6;
/// The same as a share of the mean square of all values: the square of the rounding error of an `f32`.
const ROUNDING: f64 = 1e-14;
/// Responsibilities that are not larger count as 0.
const NEGLIGIBLE: f64 = 1e-12;
/// A component with a smaller sum of responsibilities, in rows, is dropped.
const FEWEST: f64 = 2.0;

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

/// A component, prepared for many rows.
struct Component {
    weight: f64,
    mean: Vec<f64>,
    /// `L`, `[width, width]`.
    factor: Mat<f64>,
    /// `L^-1`, `[width, width]`.
    whiten: Mat<f64>,
    /// `ln w - width/2 ln 2 pi - sum ln L_ii`: the log density at the mean.
    peak: f64,
}

/// Weighted sums over rows, relative to a point near their mean.
struct Moments {
    /// Sum of the responsibilities.
    mass: f64,
    /// Sum of `x - point`, `width` numbers.
    shift: Vec<f64>,
    /// Sum of `(x - point) (x - point)^T`, its lower triangle, `[width, width]`.
    square: Mat<f64>,
}

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
    fn fit_watched<W>(rows: &[f32], width: usize, components: usize, seed: u64, mut watch: W) -> Result<Self, String>
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

    fn of(components: &[Component]) -> Self {
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

impl Component {
    fn new(weight: f64, mean: Vec<f64>, factor: Mat<f64>) -> Self {
        let width = mean.len();
        let mut whiten = Mat::identity(width, width);
        solve_lower_triangular_in_place(factor.as_ref(), whiten.as_mut(), Par::Seq);
        let logs: f64 = (0..width).map(|i| factor[(i, i)].ln()).sum();
        let peak = weight.ln() - 0.5 * width as f64 * std::f64::consts::TAU.ln() - logs;
        Self { weight, mean, factor, whiten, peak }
    }
}

impl Moments {
    fn new(width: usize) -> Self {
        Self { mass: 0.0, shift: vec![0.0; width], square: Mat::zeros(width, width) }
    }

    /// Adds rows relative to `point`, each with its weight; `buffer` is scratch space for their differences.
    fn add(&mut self, block: &[f32], point: &[f64], weights: impl Iterator<Item = f64>, buffer: &mut Vec<f64>) {
        let width = point.len();
        buffer.clear();
        for (row, weight) in block.chunks_exact(width).zip(weights).filter(|(_, weight)| *weight > NEGLIGIBLE) {
            let root = weight.sqrt();
            self.mass += weight;
            let first = buffer.len();
            buffer.extend(row.iter().zip(point).map(|(&value, point)| root * (f64::from(value) - point)));
            self.shift.iter_mut().zip(&buffer[first..]).for_each(|(shift, value)| *shift += root * value);
        }
        let rows = MatRef::from_column_major_slice(buffer, width, buffer.len() / width);
        use BlockStructure::{Rectangular, TriangularLower};
        let (to, by) = (TriangularLower, Rectangular);
        triangular(&mut self.square, to, Accum::Add, rows, by, rows.transpose(), by, 1.0, Par::Seq);
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

/// The moments of the clusters of k-means, and the center of each.
fn start(rows: &[f32], width: usize, components: usize, seed: u64) -> Vec<(Vec<f64>, Moments)> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut centers = plus_plus(rows, width, components, &mut generator);
    let count = rows.len() / width;
    for _ in 0..KMEANS_STEPS {
        let mut clusters = vec![(vec![0.0; width], 0usize); centers.len()];
        for row in rows.chunks_exact(width) {
            let (sum, members) = &mut clusters[nearest(row, &centers)];
            sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
            *members += 1;
        }
        for (center, (sum, members)) in centers.iter_mut().zip(clusters) {
            if (members as f64) < FEWEST {
                // The center of an outlier or of no row: another place is more useful.
                let place = generator.random_range(0..count) * width;
                *center = wide(&rows[place..place + width]);
            } else {
                *center = sum.into_iter().map(|sum| sum / members as f64).collect();
            }
        }
        beat();
    }
    let mut found: Vec<(Vec<f64>, Moments)> = centers.into_iter().map(|at| (at, Moments::new(width))).collect();
    let mut buffer = Vec::new();
    for block in rows.chunks(BLOCK * width) {
        let centers: Vec<&[f64]> = found.iter().map(|(center, _)| center.as_slice()).collect();
        let members: Vec<usize> = block.chunks_exact(width).map(|row| nearest(row, &centers)).collect();
        for (k, (center, moments)) in found.iter_mut().enumerate() {
            let weights = members.iter().map(|&member| f64::from(u8::from(member == k)));
            moments.add(block, center, weights, &mut buffer);
        }
    }
    found
}

/// Rows that are far from one another (k-means++): each is drawn with a probability proportional to its squared
/// distance to the nearest one so far. Fewer than `components` if there are fewer distinct rows.
fn plus_plus(rows: &[f32], width: usize, components: usize, generator: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let count = rows.len() / width;
    let mut place = generator.random_range(0..count);
    let mut centers = Vec::with_capacity(components);
    let mut distances = vec![f64::INFINITY; count];
    loop {
        let center = wide(&rows[place * width..(place + 1) * width]);
        for (distance, row) in distances.iter_mut().zip(rows.chunks_exact(width)) {
            *distance = distance.min(squared_distance(row, &center));
        }
        centers.push(center);
        beat();
        if centers.len() == components || distances.iter().all(|&distance| distance == 0.0) {
            return centers;
        }
        place = drawn(&distances, generator.random());
    }
}

fn wide(row: &[f32]) -> Vec<f64> {
    row.iter().copied().map(f64::from).collect()
}

fn squared_distance(row: &[f32], point: &[f64]) -> f64 {
    row.iter().zip(point).map(|(&value, point)| (f64::from(value) - point).powi(2)).sum()
}

/// The index of the point that is nearest to a row.
fn nearest(row: &[f32], points: &[impl AsRef<[f64]>]) -> usize {
    let distances = points.iter().map(|point| squared_distance(row, point.as_ref()));
    distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(place, _)| place)
}

/// An index of `weights`, drawn with a probability proportional to its weight; `uniform` is a number in [0, 1).
fn drawn(weights: &[f64], uniform: f64) -> usize {
    let mut left = uniform * weights.iter().sum::<f64>();
    let place = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    // Rounding can leave a small rest.
    place.or_else(|| weights.iter().rposition(|&weight| weight > 0.0)).unwrap_or(0)
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

/// `ln sum_i e^(x_i)`, without overflow.
fn log_sum_exp(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if most.is_finite() { most + logs.map(|log| (log - most).exp()).sum::<f64>().ln() } else { most }
}

/// `ln w_k N(x_i; m_k, S_k)` of the rows of a block, `[K, rows]` row by row.
fn block_logs(block: &[f32], width: usize, components: &[Component]) -> Vec<f64> {
    let count = block.len() / width;
    // Relative to the first mean: products of values far from 0 would lose digits.
    let origin = components.first().map_or(&[][..], |component| &component.mean);
    // A column of the matrices for each column of the rows, so that the loops run along contiguous values.
    let mut centered = Mat::zeros(count, width);
    for (column, origin) in origin.iter().enumerate() {
        let values = block[column..].iter().step_by(width);
        let centered = centered.col_as_slice_mut(column).iter_mut();
        centered.zip(values).for_each(|(to, &value)| *to = f64::from(value) - origin);
    }
    let mut whitened = Mat::zeros(count, width);
    let mut logs = Vec::with_capacity(components.len() * count);
    for component in components {
        let Component { mean, whiten, peak, .. } = component;
        matmul(&mut whitened, Accum::Replace, &centered, whiten.transpose(), 1.0, Par::Seq);
        let first = logs.len();
        logs.resize(first + count, *peak);
        for column in 0..width {
            let mean: f64 = (0..=column).map(|j| whiten[(column, j)] * (mean[j] - origin[j])).sum();
            let values = whitened.col_as_slice(column);
            logs[first..].iter_mut().zip(values).for_each(|(log, value)| *log -= 0.5 * (value - mean) * (value - mean));
        }
    }
    logs
}

/// The mean log-likelihood of `rows`, and the moments of each component about its mean, weighted by the posterior
/// probability of the component.
fn expect(rows: &[f32], width: usize, components: &[Component]) -> (f64, Vec<(Vec<f64>, Moments)>) {
    let about = |component: &Component| (component.mean.clone(), Moments::new(width));
    let mut found: Vec<(Vec<f64>, Moments)> = components.iter().map(about).collect();
    let (mut sum, mut buffer) = (0.0, Vec::new());
    for block in rows.chunks(BLOCK * width) {
        let mut logs = block_logs(block, width, components);
        let count = block.len() / width;
        for row in 0..count {
            let most = logs[row..].iter().step_by(count).copied().fold(f64::NEG_INFINITY, f64::max);
            let mut total = 0.0;
            for log in logs[row..].iter_mut().step_by(count) {
                *log = if *log - most > NEGLIGIBLE.ln() { (*log - most).exp() } else { 0.0 };
                total += *log;
            }
            logs[row..].iter_mut().step_by(count).for_each(|chance| *chance /= total);
            sum += most + total.ln();
        }
        for ((mean, moments), chances) in found.iter_mut().zip(logs.chunks_exact(count)) {
            moments.add(block, mean, chances.iter().copied(), &mut buffer);
        }
        beat();
    }
    (sum / (rows.len() / width) as f64, found)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Two components in the plane, the first with a correlation of 0.6.
    fn known() -> Mixture {
        let covariances = [[1.0, 0.6, 0.6, 1.0], [0.25, 0.0, 0.0, 4.0]];
        // `[[1, 0.6], [0.6, 1]] = L L^T` with `L = [[1, 0], [0.6, 0.8]]`.
        let mixture = Mixture {
            components: 2,
            weights: vec![0.3, 0.7],
            means: vec![vec![-4.0, 0.0], vec![4.0, 1.0]],
            factors: vec![vec![1.0, 0.6, 0.8], vec![0.5, 0.0, 2.0]],
        };
        for (k, covariance) in covariances.into_iter().enumerate() {
            let pairs = mixture.covariance(k).into_iter().zip(covariance);
            pairs.for_each(|(found, value)| assert!((found - value).abs() < 1e-15));
        }
        mixture
    }

    #[test]
    fn one_component_is_the_closed_form() {
        // Mean (1, 2), covariance [[1, 1.5], [1.5, 4]], determinant 1.75.
        let rows = [0.0, 0.0, 2.0, 4.0, 0.0, 1.0, 2.0, 3.0, 0.0, -0.5, 2.0, 4.5f32];
        let (sxx, sxy) = (1.0, (2.0 + 2.0 + 1.0 + 1.0 + 2.5 + 2.5) / 6.0);
        let syy = (4.0 + 4.0 + 1.0 + 1.0 + 6.25 + 6.25) / 6.0;
        let mixture = Mixture::fit(&rows, 2, 1, 0).unwrap();
        assert_eq!((mixture.components, mixture.width(), mixture.weights.as_slice()), (1, 2, [1.0].as_slice()));
        let ridge = 1e-6 * (sxx + syy) / 2.0;
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(mixture.means[0][0], 1.0);
        near(mixture.means[0][1], 2.0);
        let found = mixture.covariance(0);
        [sxx + ridge, sxy, sxy, syy + ridge].into_iter().zip(&found).for_each(|(value, &found)| near(found, value));
        // -ln 2 pi - 1/2 ln |S| - 1/2 d^T S^-1 d at d = (1, -1): S^-1 = [[syy, -sxy], [-sxy, sxx]] / |S|.
        let [a, b, _, c] = found[..] else { panic!("four numbers") };
        let determinant = a * c - b * b;
        let log = -std::f64::consts::TAU.ln() - 0.5 * determinant.ln() - 0.5 * (c + 2.0 * b + a) / determinant;
        near(mixture.log_density(&[2.0, 1.0]), log);
        near(mixture.log_densities(&[1.0, 2.0, 2.0, 1.0])[1], log);
        // The mean log-likelihood of a Gaussian on its own rows is -(ln 2 pi + 1/2 ln |S| + 1), apart from the ridge.
        let own = -std::f64::consts::TAU.ln() - 0.5 * (sxx * syy - sxy * sxy).ln() - 1.0;
        assert!((mixture.mean_log_density(&rows) - own).abs() < 1e-5);
    }

    #[test]
    fn a_standard_normal_by_hand() {
        let mixture = Mixture { components: 1, weights: vec![1.0], means: vec![vec![0.0]], factors: vec![vec![1.0]] };
        assert!((mixture.log_density(&[0.0]) + 0.918_938_533_204_672_7).abs() < 1e-15);
        assert!((mixture.log_density(&[2.0]) + 2.918_938_533_204_672_7).abs() < 1e-15);
        // Half and half of N(-1, 1) and N(1, 1), at 0: the density of N(0, 1) at 1.
        let (means, factors) = (vec![vec![-1.0], vec![1.0]], vec![vec![1.0]; 2]);
        let two = Mixture { components: 2, weights: vec![0.5; 2], means, factors };
        assert!((two.log_density(&[0.0]) + 1.418_938_533_204_672_7).abs() < 1e-15);
        // Far away nothing overflows.
        assert!((two.log_density(&[1e6]) / -0.5e12 - 1.0).abs() < 1e-5);
    }

    #[test]
    fn the_log_likelihood_never_decreases() {
        let rows = known().sample(3000, 1);
        for (components, seed) in [(1, 0), (2, 1), (3, 2), (5, 3), (8, 4)] {
            let mut seen = Vec::new();
            let mixture = Mixture::fit_watched(&rows, 2, components, seed, |mean| seen.push(mean)).unwrap();
            assert_eq!(mixture.components, components);
            assert!(seen.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9), "{seen:?}");
            let last = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert!(components <= 2 || seen.len() > 3); // the first two are found by k-means
            assert!((mixture.mean_log_density(&rows) - last).abs() < 1e-12);
        }
    }

    #[test]
    fn samples_have_the_moments_and_fitting_finds_them_again() {
        let known = known();
        let count = 40_000;
        let rows = known.sample(count, 7);
        assert_eq!(rows, known.sample(count, 7));
        assert_ne!(rows[..10], known.sample(5, 8)[..]);
        let densities = known.log_densities(&rows);
        for (row, density) in rows.chunks_exact(2).zip(densities).step_by(997) {
            assert!((known.log_density(row) - density).abs() < 1e-12);
        }
        assert_eq!(known.log_densities(&[f32::NAN, 0.0]), [f64::NEG_INFINITY]);
        assert_eq!(known.log_density(&[f32::NAN, 0.0]), f64::NEG_INFINITY);
        // Mean 0.3 (-4) + 0.7 (4) and 0.7; second moments E xx = 0.3 (1 + 16) + 0.7 (0.25 + 16), E yy = 0.3 + 0.7 (5),
        // E xy = 0.3 (0.6) + 0.7 (4).
        let mean = |value: fn(f64, f64) -> f64| {
            let values = rows.chunks_exact(2).map(|row| value(row[0].into(), row[1].into()));
            values.sum::<f64>() / count as f64
        };
        let near = |a: f64, b: f64, by: f64| assert!((a - b).abs() < by, "{a} {b}");
        near(mean(|x, _| x), 1.6, 0.07);
        near(mean(|_, y| y), 0.7, 0.04);
        near(mean(|x, _| x * x), 16.475, 0.15);
        near(mean(|_, y| y * y), 3.8, 0.11);
        near(mean(|x, y| x * y), 2.98, 0.15);
        let found = Mixture::fit(&rows, 2, 2, 3).unwrap();
        let order = if found.means[0][0] < 0.0 { [0, 1] } else { [1, 0] };
        for (place, k) in order.into_iter().enumerate() {
            near(found.weights[k], known.weights[place], 0.01);
            found.means[k].iter().zip(&known.means[place]).for_each(|(a, b)| near(*a, *b, 0.05));
            let covariances = found.covariance(k).into_iter().zip(known.covariance(place));
            covariances.for_each(|(a, b)| near(a, b, 0.12));
        }
        near(found.mean_log_density(&rows), known.mean_log_density(&rows), 1e-3);
    }

    #[test]
    fn a_mixture_survives_serialization_and_is_validated() {
        let mixture = Mixture::fit(&known().sample(500, 2), 2, 3, 5).unwrap();
        let json = serde_json::to_string(&mixture).unwrap();
        let read: Mixture = serde_json::from_str(&json).unwrap();
        for row in [[0.0, 0.0], [-4.0, 1.0], [9.0, 9.0f32]] {
            assert!((read.log_density(&row) - mixture.log_density(&row)).abs() < 1e-11);
        }
        assert_eq!(read.sample(3, 1).len(), 6);
        let refused = |what: &str| {
            let error = serde_json::from_str::<Mixture>(what).unwrap_err().to_string();
            assert!(error.contains("mixture"), "{error}");
        };
        refused(r#"{"components": 0, "weights": [], "means": [], "factors": []}"#);
        refused(r#"{"components": 1, "weights": [1.0], "means": [[0.0, 0.0]], "factors": [[1.0, 1.0]]}"#);
        refused(r#"{"components": 1, "weights": [1.0], "means": [[0.0]], "factors": [[0.0]]}"#);
        refused(r#"{"components": 2, "weights": [0.5, 0.4], "means": [[0.0], [1.0]], "factors": [[1.0], [1.0]]}"#);
    }

    #[test]
    fn constant_columns_few_rows_and_equal_rows_are_handled() {
        let constant: Vec<f32> = known().sample(400, 3).chunks_exact(2).flat_map(|row| [row[0], 7.5, row[1]]).collect();
        let mixture = Mixture::fit(&constant, 3, 4, 0).unwrap();
        assert!(mixture.mean_log_density(&constant).is_finite());
        assert!(mixture.sample(50, 0).chunks_exact(3).all(|row| (row[1] - 7.5).abs() < 0.05));
        // 20 rows of 2 columns are enough for three components.
        assert_eq!(Mixture::fit(&constant[..40], 2, 10, 0).unwrap().components, 3);
        for value in [0.0, 1e-20, 0.1, 3e30f32] {
            let equal = vec![value; 60];
            let mixture = Mixture::fit(&equal, 2, 3, 0).unwrap();
            assert_eq!(mixture.components, 1);
            assert!(mixture.log_density(&equal[..2]).is_finite());
        }
        let mut outlier = known().sample(400, 4);
        outlier.extend([1e6, -1e6]);
        assert!(Mixture::fit(&outlier, 2, 3, 0).unwrap().log_density(&[0.0, 0.0]).is_finite());
    }

    #[test]
    fn rows_that_cannot_be_fitted_are_refused() {
        assert!(Mixture::fit(&[], 2, 1, 0).unwrap_err().contains("0 values"));
        assert!(Mixture::fit(&[1.0; 5], 2, 1, 0).unwrap_err().contains("whole rows of 2"));
        assert!(Mixture::fit(&[1.0; 4], 2, 0, 0).unwrap_err().contains("one component"));
        let error = Mixture::fit(&[1.0, 2.0, f32::NAN, 2.0], 2, 1, 0).unwrap_err();
        assert!(error.contains("value 1 of row 2 is NaN"), "{error}");
    }
}
