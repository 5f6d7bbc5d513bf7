//! Principal components of rows, at a cost determined by the smaller number of rows and columns.
//!
//! With centered rows `X`, `[n, d]`, the components are the eigenvectors of `C = X^T X / n`. If `d` is small, `C` is
//! decomposed. If `n` is small, `X X^T` is decomposed: its eigenvalues are the same, and its eigenvectors `u` give the
//! components `X^T u / |X^T u|`. If both are large, the block Krylov space of a random start, `[Q, C Q, C^2 Q, ...]`,
//! grows until the eigenvalues of `C` within it converge (Halko, Martinsson and Tropp 2011; Musco and Musco 2015);
//! neither `C` nor `X X^T` is ever computed.

use ae_data::progress::{Progress, beat};
use faer::{Accum, Mat, MatRef, Par, Side, linalg::matmul::matmul};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Error, Result,
    matrix::{CHUNK, Matrix, add_square},
};

/// Size up to which all eigenvectors are computed. On two cores of a cloud machine 2,048 of them took 2.8 s and 1,024
/// took 0.3 s; the Krylov space took 0.9 s for 8 components of 2,048, and 4.6 s for the 512 of noise.
pub const SMALL: usize = 2048;
/// Maximum number of components to explain a share of the variance if there are many rows and many features.
pub const MOST: usize = 512;
/// Number of columns by which a Krylov space grows.
const BLOCK: usize = 64;
/// The requested components have converged when another step adds less than this share of the variance.
const SETTLED: f64 = 1e-8;
/// The same for further components, which explain a share of the variance.
const ROUGHLY: f64 = 1e-4;

/// Eigenvectors of a covariance, `[d, k]`; the variances along them, possibly followed by further ones, in decreasing
/// order; and the total variance.
#[derive(Debug, Clone)]
pub struct Spectrum {
    pub components: Mat<f64>,
    pub variances: Vec<f64>,
    pub total: f64,
}

impl Spectrum {
    /// Number of components.
    pub fn kept(&self) -> usize {
        self.components.ncols()
    }

    /// The same with only the first `k` components.
    pub fn first(&self, k: usize) -> Self {
        let components = self.components.subcols(0, k.min(self.kept())).to_owned();
        Self { components, variances: self.variances.clone(), total: self.total }
    }

    /// Mean variance along the directions that are not kept.
    pub fn rest(&self) -> f64 {
        let kept = self.kept();
        let left = self.total - self.variances[..kept].iter().sum::<f64>();
        // Less than the rounding error of the total counts as 0.
        if left > 1e-12 * self.total { left / (self.components.nrows() - kept).max(1) as f64 } else { 0.0 }
    }
}

/// Number of `variances` needed to reach `target`; all of them if they do not.
pub fn reach(variances: &[f64], target: f64) -> usize {
    let mut sum = 0.0;
    let enough = variances.iter().position(|variance| {
        sum += variance;
        sum >= target
    });
    enough.map_or(variances.len(), |index| index + 1)
}

/// Eigenvalues and eigenvectors of a symmetric matrix, given by its lower triangle, in decreasing order.
pub fn eigen(matrix: &Mat<f64>) -> Result<(Vec<f64>, Mat<f64>)> {
    let side = matrix.nrows();
    if side == 0 {
        return Ok((Vec::new(), Mat::zeros(0, 0)));
    }
    let decomposition = checked(matrix)?.self_adjoint_eigen(Side::Lower).map_err(|_| undecided())?;
    beat();
    let (values, vectors) = (decomposition.S().column_vector(), decomposition.U()); // ascending
    let values = (0..side).rev().map(|index| values[index].max(0.0)).collect();
    Ok((values, Mat::from_fn(side, side, |row, column| vectors[(row, side - 1 - column)])))
}

/// Only the eigenvalues, in decreasing order.
pub fn eigenvalues(matrix: &Mat<f64>) -> Result<Vec<f64>> {
    if matrix.nrows() == 0 {
        return Ok(Vec::new());
    }
    let values = checked(matrix)?.self_adjoint_eigenvalues(Side::Lower).map_err(|_| undecided())?;
    beat();
    Ok(values.into_iter().rev().map(|value| value.max(0.0)).collect())
}

/// The error for a decomposition that failed.
pub fn undecided() -> Error {
    Error::Failed("cannot compute the principal components: the decomposition did not converge".to_string())
}

fn checked(matrix: &Mat<f64>) -> Result<&Mat<f64>> {
    match matrix.is_all_finite() {
        true => Ok(matrix),
        false => Err(Error::Failed(
            "principal components need finite values, but these are not finite or too large".to_string(),
        )),
    }
}

/// The first `k` components of `rows` about `mean`, and as many more as explain a share `share` of the variance: at
/// most [`MOST`] if both sides are large.
pub fn principal(rows: Matrix, mean: &[f64], k: usize, share: f64) -> Result<Spectrum> {
    let (count, width) = (rows.count(), rows.width);
    if count == 0 || (k == 0 && share <= 0.0) {
        let mut total = 0.0;
        rows.each_chunk(mean, |_, x| total += x.squared_norm_l2());
        return Ok(Spectrum {
            components: Mat::zeros(width, 0),
            variances: Vec::new(),
            total: total / count.max(1) as f64,
        });
    }
    if width <= SMALL {
        return of_covariance(&covariance(rows, mean), k, share);
    }
    if count <= SMALL {
        return from_gram(rows, mean, k, share);
    }
    from_krylov(rows, mean, k, share)
}

/// As [`principal`], if both sides are large.
pub fn from_krylov(rows: Matrix, mean: &[f64], k: usize, share: f64) -> Result<Spectrum> {
    let (count, width) = (rows.count(), rows.width);
    let mut krylov = Krylov::new(rows, mean, random(width, BLOCK.max(k / 4)))?;
    let mut progress = Progress::new("principal components, directions looked at", width.min(count));
    let (mut looked, mut before) = (0, [0.0; 2]);
    loop {
        let grown = krylov.grow()?;
        let columns = krylov.columns();
        progress.steps(columns - looked);
        looked = columns;
        let enough = columns >= 2 * k && columns * 4 >= krylov.checked * 5;
        if grown && !enough {
            continue;
        }
        krylov.checked = columns;
        let values = eigenvalues(&krylov.projected)?;
        let wanted = k.max(reach(&values, share * krylov.total()).min(MOST));
        let sums =
            [k, wanted].map(|count| values.iter().take(count).sum::<f64>() / krylov.total().max(f64::MIN_POSITIVE));
        // A space with little more than the wanted components is not conclusive yet.
        let settled = columns >= wanted + wanted / 4 && sums[0] - before[0] < SETTLED && sums[1] - before[1] < ROUGHLY;
        if settled || !grown {
            return krylov.spectrum(wanted);
        }
        before = sums;
    }
}

/// The variances of `rows` about `mean` along all principal directions, in decreasing order; of the first [`SMALL`]
/// rows if both sides are larger.
pub fn variances(rows: Matrix, mean: &[f64]) -> Result<Vec<f64>> {
    let count = rows.count();
    if rows.width <= SMALL {
        return eigenvalues(&covariance(rows, mean));
    }
    let rows = Matrix { values: &rows.values[..count.min(SMALL) * rows.width], width: rows.width };
    Ok(eigenvalues(&gram(rows, mean))?.into_iter().map(|value| value / rows.count().max(1) as f64).collect())
}

/// `X^T X / n`, its lower triangle.
pub fn covariance(rows: Matrix, mean: &[f64]) -> Mat<f64> {
    let mut covariance = Mat::zeros(rows.width, rows.width);
    let mut progress = Progress::new("principal components of rows", rows.count());
    rows.each_chunk(mean, |_, x| {
        add_square(&mut covariance, x, 1.0);
        progress.steps(x.ncols());
    });
    covariance * faer::Scale(1.0 / rows.count().max(1) as f64)
}

/// The components of a covariance, given by its lower triangle.
pub fn of_covariance(covariance: &Mat<f64>, k: usize, share: f64) -> Result<Spectrum> {
    let (variances, vectors) = eigen(covariance)?;
    let total = variances.iter().sum();
    let kept = k.max(reach(&variances, share * total)).min(variances.len());
    Ok(Spectrum { components: vectors.subcols(0, kept).to_owned(), variances, total })
}

/// `X X^T`, its lower triangle.
fn gram(rows: Matrix, mean: &[f64]) -> Mat<f64> {
    let (count, width) = (rows.count(), rows.width);
    let mut gram = Mat::zeros(count, count);
    let mut progress = Progress::new("principal components of columns", width);
    let step = (CHUNK / 8 / count.max(1)).clamp(1, width);
    for start in (0..width).step_by(step) {
        let columns = start..width.min(start + step);
        let part = rows
            .values
            .chunks_exact(width)
            .flat_map(|row| Matrix::centered(&row[columns.clone()], &mean[columns.clone()]));
        let part: Vec<f64> = part.collect();
        add_square(&mut gram, MatRef::from_row_major_slice(&part, count, columns.len()), 1.0);
        progress.steps(columns.len());
    }
    gram
}

/// As [`principal`], if there are few rows.
pub fn from_gram(rows: Matrix, mean: &[f64], k: usize, share: f64) -> Result<Spectrum> {
    let count = rows.count();
    let (mut variances, vectors) = eigen(&gram(rows, mean))?;
    variances.iter_mut().for_each(|value| *value /= count as f64);
    let total: f64 = variances.iter().sum();
    // Smaller values are rounding errors, and give no direction.
    variances.retain(|&variance| variance > 1e-10 * total / count as f64);
    let kept = k.max(reach(&variances, share * total)).min(variances.len());
    let scaled =
        Mat::from_fn(count, kept, |row, column| vectors[(row, column)] / (variances[column] * count as f64).sqrt());
    let (mut components, mut row) = (Mat::zeros(rows.width, kept), 0);
    rows.each_chunk(mean, |_, x| {
        matmul(&mut components, Accum::Add, x, scaled.subrows(row, x.ncols()), 1.0, Par::Seq);
        row += x.ncols();
    });
    // The last components are orthogonal up to the rounding error of the first: one step towards the nearest
    // orthonormal matrix (Higham 1986).
    if variances.first().zip(variances.get(kept.saturating_sub(1))).is_some_and(|(most, least)| *least < 1e-6 * most) {
        let correction = Mat::<f64>::identity(kept, kept) * faer::Scale(1.5)
            - components.transpose() * &components * faer::Scale(0.5);
        components = components * correction;
    }
    Ok(Spectrum { components, variances, total })
}

/// A matrix of noise, always the same.
fn random(rows: usize, columns: usize) -> Mat<f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(0);
    Mat::from_fn(rows, columns.min(rows), |_, _| generator.random::<f64>() - 0.5)
}

/// A growing space with an orthonormal basis, and the projection of `C` onto it.
pub struct Krylov<'a> {
    rows: Matrix<'a>,
    mean: &'a [f64],
    /// Blocks of shape `[d, some]`; the last one is not in the space yet.
    basis: Vec<Mat<f64>>,
    /// `Q^T C Q` for the basis `Q` of the space.
    projected: Mat<f64>,
    /// Sum of the squares of all values.
    squares: f64,
    /// Number of columns when the eigenvalues were last computed.
    checked: usize,
}

impl<'a> Krylov<'a> {
    /// The space that starts with the columns of `start`.
    pub fn new(rows: Matrix<'a>, mean: &'a [f64], start: Mat<f64>) -> Result<Self> {
        let start = orthonormal(start, &[], 0.0)?;
        Ok(Self { rows, mean, basis: vec![start], projected: Mat::zeros(0, 0), squares: 0.0, checked: 0 })
    }

    fn columns(&self) -> usize {
        self.projected.ncols()
    }

    fn total(&self) -> f64 {
        self.squares / self.rows.count() as f64
    }

    /// Adds a block to the basis, with a pass over the rows. Returns whether the space can still grow.
    pub fn grow(&mut self) -> Result<bool> {
        let Some(last) = self.basis.last().filter(|last| last.ncols() > 0) else { return Ok(false) };
        let mut image = Mat::zeros(last.nrows(), last.ncols());
        let (scale, mut squares) = (1.0 / self.rows.count() as f64, 0.0);
        self.rows.each_chunk(self.mean, |_, x| {
            matmul(&mut image, Accum::Add, x, x.transpose() * last, scale, Par::Seq);
            if self.squares == 0.0 {
                squares += x.squared_norm_l2();
            }
        });
        self.squares += squares;
        let (before, columns) = (self.columns(), self.columns() + last.ncols());
        let mut row = 0;
        self.projected.resize_with(columns, columns, |_, _| 0.0);
        for block in &self.basis {
            let part = block.transpose() * &image;
            for (i, j) in (0..part.nrows()).flat_map(|i| (0..part.ncols()).map(move |j| (i, j))) {
                self.projected[(before + j, row + i)] = part[(i, j)]; // the lower triangle
            }
            row += block.ncols();
        }
        let least = 1e-12 * self.projected.norm_l2(); // what is smaller is rounding
        let next = if columns < self.rows.width {
            orthonormal(image, &self.basis, least)?
        } else {
            Mat::zeros(self.rows.width, 0)
        };
        self.basis.push(next);
        Ok(self.basis.last().is_some_and(|last| last.ncols() > 0))
    }

    /// The first `k` components within the space.
    pub fn spectrum(&self, k: usize) -> Result<Spectrum> {
        let (mut variances, vectors) = eigen(&self.projected)?;
        variances.truncate(k);
        let (mut components, mut row) = (Mat::zeros(self.rows.width, variances.len()), 0);
        for block in &self.basis {
            if row == vectors.nrows() {
                break; // the block that is not in the space yet
            }
            let part = vectors.as_ref().submatrix(row, 0, block.ncols(), variances.len());
            matmul(&mut components, Accum::Add, block, part, 1.0, Par::Seq);
            row += block.ncols();
            beat();
        }
        Ok(Spectrum { components, variances, total: self.total() })
    }
}

/// An orthonormal basis of what `x` adds to the space of `basis`: the space is projected out, and the rest is divided
/// by the square root of its Gram matrix; twice, because the first time leaves rounding errors. Directions not longer
/// than `least` are dropped.
fn orthonormal(mut x: Mat<f64>, basis: &[Mat<f64>], least: f64) -> Result<Mat<f64>> {
    for round in 0..2 {
        for block in basis {
            let part = block.transpose() * &x;
            matmul(&mut x, Accum::Add, block, part, -1.0, Par::Seq);
            beat();
        }
        let (squares, vectors) = eigen(&(x.transpose() * &x))?;
        let longest = squares.first().map_or(0.0, |square| square.sqrt());
        let least = if round == 0 { least.max(1e-7 * longest) } else { 0.5 };
        let kept = squares.iter().take_while(|square| square.sqrt() > least).count();
        x = &x * Mat::from_fn(vectors.nrows(), kept, |i, j| vectors[(i, j)] / squares[j].sqrt());
    }
    Ok(x)
}
