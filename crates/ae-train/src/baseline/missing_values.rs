//! Principal components of rows with missing values, and imputation by components.
//!
//! Rows filled in with the mean have too small variances and covariances, so components are fitted by expectation
//! maximization: missing values are replaced by their mean given the observed ones under the current covariance, and
//! the covariance becomes that of the completed rows plus their remaining uncertainty,
//! `S = mean_i (x_i - m)(x_i - m)^T + C_i` (Dempster, Laird and Rubin 1977). With few features the covariance is
//! unrestricted; with many it is that of probabilistic PCA, `V (L - r I) V^T + r I`, with variances `L` along the
//! directions `V` and `r` along all others (Tipping and Bishop 1999).

use ae_data::progress::{Progress, beat};

use faer::{
    Mat, MatRef, Side,
    linalg::solvers::{DenseSolveCore, Llt, Solve},
};

use super::spectrum::{Krylov, Spectrum, covariance, eigen, of_covariance, principal, undecided};
use crate::{
    Result,
    matrix::{CHUNK, Matrix, add_square},
};

/// Number of features up to which the covariance is unrestricted.
const FEW: usize = 256;
/// Number of directions of the model for many features.
const DIRECTIONS: usize = 32;
/// Maximum number of rows used in each round; all rows are used once at the end.
const ROWS: usize = 5000;
/// Maximum number of values used in each round, if that leaves [`FEWEST`] rows.
const VALUES: usize = 8 << 20;
/// Minimum number of rows used in each round, if there are as many.
const FEWEST: usize = 1000;
/// Maximum number of rounds.
const ROUNDS: usize = 20;
/// Rounds end when the relative change of the covariance is smaller than this.
const SETTLED: f64 = 1e-4;
/// Rounds for many features end when the change of the imputed values, relative to the residual standard deviation, is
/// smaller than this. Later rounds only follow the noise: with 2,500 features and ten directions, the relative change
/// of the imputation error after that was 6e-6.
const QUIET: f64 = 2e-3;
/// Added to all variances, relative to their mean: columns that determine one another would make the covariance
/// singular.
const RIDGE: f64 = 1e-6;
/// Number of features up to which a full precision matrix may be computed.
const WIDE: usize = 2048;

/// As [`Pca::fit_share`], for rows with missing values.
pub fn fit(rows: Matrix, k: usize, share: f64) -> Result<(Vec<f64>, Spectrum)> {
    if rows.width <= FEW && rows.count() >= 2 * rows.width { of_few(rows, k, share) } else { of_many(rows, k, share) }
}

/// At most `most` rows, spread evenly.
fn thinned(rows: Matrix, most: usize) -> Vec<f32> {
    rows.values.chunks_exact(rows.width).step_by(rows.count().div_ceil(most).max(1)).flatten().copied().collect()
}

/// The missing and the observed columns of a row.
fn missing(row: &[f32]) -> (Vec<usize>, Vec<usize>) {
    (0..row.len()).partition(|&column| row[column].is_nan())
}

fn part(of: &Mat<f64>, rows: &[usize], columns: &[usize]) -> Mat<f64> {
    Mat::from_fn(rows.len(), columns.len(), |i, j| of[(rows[i], columns[j])])
}

fn trace(of: &Mat<f64>) -> f64 {
    (0..of.nrows()).map(|index| of[(index, index)]).sum()
}

fn of_few(rows: Matrix, k: usize, share: f64) -> Result<(Vec<f64>, Spectrum)> {
    let some = thinned(rows, ROWS);
    let some = Matrix { values: &some, width: rows.width };
    let mut mean = rows.mean();
    let mut now = covariance(some, &mean);
    let mut progress = Progress::new("components of observed values, rows", ROUNDS * some.count());
    for _ in 0..ROUNDS {
        let (center, next) = expected(some, &mean, &now, &mut progress)?;
        let change = (&next - &now).norm_l2() / next.norm_l2();
        (mean, now) = (center, next);
        if change.is_nan() || change < SETTLED {
            break;
        }
    }
    if some.count() < rows.count() {
        (mean, now) =
            expected(rows, &mean, &now, &mut Progress::new("components of observed values, rows", rows.count()))?;
    }
    Ok((mean, of_covariance(&now, k, share)?))
}

/// Expected mean and covariance (lower triangle) of the complete rows, given the previous ones.
fn expected(
    rows: Matrix,
    mean: &[f64],
    covariance: &Mat<f64>,
    progress: &mut Progress,
) -> Result<(Vec<f64>, Mat<f64>)> {
    let (width, count) = (rows.width, rows.count() as f64);
    let ridge = (RIDGE * trace(covariance) / width as f64).max(f64::MIN_POSITIVE.sqrt());
    let full = Mat::from_fn(width, width, |i, j| covariance[(i.max(j), i.min(j))] + if i == j { ridge } else { 0.0 });
    let precision = full.llt(Side::Lower).map_err(|_| undecided())?.inverse();
    let (mut sum, mut uncertain, mut shift) =
        (Mat::<f64>::zeros(width, width), Mat::<f64>::zeros(width, width), vec![0.0f64; width]);
    let step = (CHUNK / 8 / width).clamp(1, 4096);
    for chunk in rows.values.chunks(step * width) {
        let mut x: Vec<f64> = chunk.chunks_exact(width).flat_map(|row| Matrix::centered(row, mean)).collect();
        for (row, x) in chunk.chunks_exact(width).zip(x.chunks_exact_mut(width)) {
            let (missing, seen) = missing(row);
            if !missing.is_empty() {
                let left = conditional(&full, &precision, x, &missing, &seen)?;
                for (j, &column) in missing.iter().enumerate() {
                    let (of, to) = (left.col_as_slice(j), uncertain.col_as_slice_mut(column));
                    missing.iter().zip(of).for_each(|(&row, value)| to[row] += value);
                }
            }
            shift.iter_mut().zip(x).for_each(|(shift, x)| *shift += *x / count);
            progress.step();
        }
        add_square(&mut sum, MatRef::from_column_major_slice(&x, width, chunk.len() / width), 1.0);
    }
    let next = Mat::from_fn(width, width, |i, j| {
        (sum[(i.max(j), i.min(j))] + uncertain[(i, j)]) / count - shift[i] * shift[j]
    });
    Ok((mean.iter().zip(&shift).map(|(mean, shift)| mean + shift).collect(), next))
}

/// Replaces the missing values of the centered row `x` by their conditional mean, and returns their conditional
/// covariance. It solves for the smaller part.
fn conditional(
    full: &Mat<f64>,
    precision: &Mat<f64>,
    x: &mut [f64],
    missing: &[usize],
    seen: &[usize],
) -> Result<Mat<f64>> {
    if missing.len() <= seen.len() {
        let left = part(precision, missing, missing).llt(Side::Lower).map_err(|_| undecided())?.inverse();
        // Missing values are 0 in `x` at this point.
        let dot = |column: usize| precision.col_as_slice(column).iter().zip(&*x).map(|(p, x)| p * x).sum::<f64>();
        let side = Mat::from_fn(missing.len(), 1, |i, _| -dot(missing[i]));
        let filled = &left * side;
        missing.iter().enumerate().for_each(|(i, &column)| x[column] = filled[(i, 0)]);
        return Ok(left);
    }
    let all = part(full, missing, missing);
    if seen.is_empty() {
        return Ok(all);
    }
    let both = part(full, seen, missing);
    let weights = part(full, seen, seen).llt(Side::Lower).map_err(|_| undecided())?.solve(&both);
    for (j, &column) in missing.iter().enumerate() {
        x[column] = weights.col_as_slice(j).iter().zip(seen).map(|(weight, &seen)| weight * x[seen]).sum();
    }
    Ok(all - both.transpose() * weights)
}

fn of_many(rows: Matrix, k: usize, share: f64) -> Result<(Vec<f64>, Spectrum)> {
    let some = thinned(rows, (VALUES / rows.width).clamp(FEWEST, ROWS));
    let some = Matrix { values: &some, width: rows.width };
    let directions = DIRECTIONS.min(some.count() / 10).min(some.width / 4).max(1);
    let mut mean = some.mean();
    let mut spectrum = principal(some, &mean, directions, 0.0)?;
    let mut progress = Progress::new("components of observed values, rows", ROUNDS * some.count());
    let mut before: Option<Vec<f32>> = None;
    for _ in 0..ROUNDS {
        let (filled, hidden) = Filler::new(&mean, &spectrum).complete(some, &mut progress);
        let change =
            before.map(|before| before.iter().zip(&filled).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>());
        let rows = Matrix { values: &filled, width: some.width };
        mean = rows.mean();
        // One step of a subspace iteration from the current directions; the next rounds continue it.
        let mut krylov = Krylov::new(rows, &mean, spectrum.components.clone())?;
        krylov.grow()?;
        krylov.grow()?;
        spectrum = hidden.add_to(krylov.spectrum(directions)?, &spectrum.components)?;
        if change.is_some_and(|change| change <= QUIET.powi(2) * spectrum.rest() * rows.values.len() as f64) {
            break;
        }
        before = Some(filled);
    }
    let mut progress = Progress::new("components of observed values, rows", rows.count());
    let (filled, hidden) = Filler::new(&mean, &spectrum).complete(rows, &mut progress);
    let rows = Matrix { values: &filled, width: rows.width };
    let mean = rows.mean();
    let total = principal(rows, &mean, 0, 0.0)?.total.max(f64::MIN_POSITIVE);
    // The share refers to the total variance, which includes the uncertainty of the completed rows.
    let share = (share * (1.0 + hidden.trace / hidden.rows / total)).min(1.0);
    let all = hidden.add_to(principal(rows, &mean, k, share)?, &spectrum.components)?;
    Ok((mean, all))
}

/// Remaining uncertainty of completed rows, summed over them.
struct Hidden {
    rows: f64,
    /// Covariance along the components.
    along: Mat<f64>,
    /// Variance in all directions.
    trace: f64,
}

impl Hidden {
    /// The spectrum of the completed rows plus their uncertainty, which has the covariance `along` in the directions
    /// `known` and is isotropic in all others.
    fn add_to(&self, spectrum: Spectrum, known: &Mat<f64>) -> Result<Spectrum> {
        let Spectrum { components, variances, total } = spectrum;
        let (width, kept, directions) = (components.nrows(), components.ncols(), known.ncols());
        let rest = (self.trace - trace(&self.along)) / (width - directions).max(1) as f64;
        let shared = components.transpose() * known;
        let along = &self.along - Mat::from_fn(directions, directions, |i, j| if i == j { rest } else { 0.0 });
        let mut within = &shared * along * shared.transpose() * faer::Scale(1.0 / self.rows);
        (0..kept).for_each(|k| within[(k, k)] += variances[k] + rest / self.rows);
        let (variances, turned) = eigen(&within)?;
        Ok(Spectrum { components: components * turned, variances, total: total + self.trace / self.rows })
    }
}

/// Fills in missing values by means of principal components.
pub struct Filler<'a> {
    mean: &'a [f64],
    spectrum: &'a Spectrum,
    /// `[k, width]`: the components, feature by feature.
    basis: Mat<f64>,
    /// The residual variance divided by the additional variance of each component.
    ridge: Vec<f64>,
    /// Inverse covariance up to its scale, if using it is cheaper.
    precision: Option<Mat<f64>>,
}

/// The coordinates of a row given its observed values.
struct Coordinates {
    /// `[k, 1]`
    mean: Mat<f64>,
    /// Factorization of `V_o^T V_o + ridge`, whose inverse is their covariance divided by the residual variance.
    system: Llt<f64>,
    /// `V_m^T V_m`, of the missing features.
    hidden: Mat<f64>,
}

impl<'a> Filler<'a> {
    pub fn new(mean: &'a [f64], spectrum: &'a Spectrum) -> Self {
        let (width, k, rest) = (mean.len(), spectrum.kept(), spectrum.rest());
        let ridge: Vec<f64> =
            spectrum.variances[..k].iter().map(|variance| (rest / (variance - rest).max(1e-12)).max(1e-9)).collect();
        // For wide codes the same mean is cheaper to compute by the inverse covariance, whose system has the missing
        // columns as unknowns.
        let precision = (2 * k > width && width <= WIDE).then(|| {
            let scaled = Mat::<f64>::from_fn(width, k, |column, component| {
                spectrum.components[(column, component)] / (1.0 + ridge[component])
            });
            Mat::<f64>::identity(width, width) - scaled * spectrum.components.transpose()
        });
        Self { mean, spectrum, basis: spectrum.components.transpose().to_owned(), ridge, precision }
    }

    /// Fills in the missing values of a row.
    pub fn fill(&self, row: &mut [f32]) {
        let (missing, seen) = missing(row);
        if missing.is_empty() {
            return;
        }
        let Some(precision) = &self.precision else {
            let coordinates = self.coordinates(row, &missing, &seen);
            return self.write(row, &missing, coordinates.as_ref());
        };
        let target =
            Mat::<f64>::from_fn(seen.len(), 1, |index, _| f64::from(row[seen[index]]) - self.mean[seen[index]]);
        let filled = part(precision, &missing, &missing)
            .llt(Side::Lower)
            .map(|llt| llt.solve(-(part(precision, &missing, &seen) * target)));
        for (index, &column) in missing.iter().enumerate() {
            row[column] = (filled.as_ref().map_or(0.0, |filled| filled[(index, 0)]) + self.mean[column]) as f32;
        }
    }

    /// Writes the missing values given the coordinates; without them the mean.
    fn write(&self, row: &mut [f32], missing: &[usize], coordinates: Option<&Coordinates>) {
        for &column in missing {
            let dot = |of: &Coordinates| {
                of.mean.col_as_slice(0).iter().zip(self.basis.col_as_slice(column)).map(|(z, v)| z * v).sum()
            };
            row[column] = (coordinates.map_or(0.0, dot) + self.mean[column]) as f32;
        }
    }

    /// None without components, or with damaged ones that are far from orthonormal.
    fn coordinates(&self, row: &[f32], missing: &[usize], seen: &[usize]) -> Option<Coordinates> {
        let k = self.basis.nrows();
        if k == 0 {
            return None;
        }
        let mut side = Mat::<f64>::zeros(k, 1);
        for &column in seen {
            let x = f64::from(row[column]) - self.mean[column];
            side.col_as_slice_mut(0)
                .iter_mut()
                .zip(self.basis.col_as_slice(column))
                .for_each(|(side, v)| *side += x * v);
        }
        // The products over all features sum to the identity, so that those over the fewer features are enough.
        let fewer = if missing.len() < seen.len() { missing } else { seen };
        let gathered: Vec<f64> =
            fewer.iter().flat_map(|&column| self.basis.col_as_slice(column).iter().copied()).collect();
        let gathered = MatRef::from_column_major_slice(&gathered, k, fewer.len());
        let mut product = Mat::<f64>::zeros(k, k);
        add_square(&mut product, gathered, 1.0);
        let product = Mat::from_fn(k, k, |i, j| product[(i.max(j), i.min(j))]);
        let other = Mat::<f64>::identity(k, k) - &product;
        let (hidden, mut system) = if missing.len() < seen.len() { (product, other) } else { (other, product) };
        self.ridge.iter().enumerate().for_each(|(component, ridge)| system[(component, component)] += ridge);
        let system = system.llt(Side::Lower).ok()?;
        Some(Coordinates { mean: system.solve(side), system, hidden })
    }

    /// `rows` completed, and their remaining uncertainty: `r (I + V_m M^-1 V_m^T)` of the missing features, with the
    /// residual variance `r` and the system of the coordinates `M`.
    fn complete(&self, rows: Matrix, progress: &mut Progress) -> (Vec<f32>, Hidden) {
        let (k, rest) = (self.basis.nrows(), self.spectrum.rest());
        let mut values = rows.values.to_vec();
        let mut hidden = Hidden { rows: rows.count() as f64, along: Mat::zeros(k, k), trace: 0.0 };
        for row in values.chunks_exact_mut(rows.width) {
            let (missing, seen) = missing(row);
            if !missing.is_empty() {
                let coordinates = self.coordinates(row, &missing, &seen);
                self.write(row, &missing, coordinates.as_ref());
                hidden.trace += rest * missing.len() as f64;
                if let Some(Coordinates { system, hidden: products, .. }) = coordinates {
                    let solved = system.solve(&products);
                    hidden.trace += rest * trace(&solved);
                    hidden.along += (&products + &products * solved) * faer::Scale(rest);
                }
            }
            progress.step();
        }
        beat();
        (values, hidden)
    }
}
