//! The components of a mixture, and the moments from which they are computed.

use faer::{
    Accum, Mat, MatRef, Par,
    linalg::{matmul::matmul, triangular_solve::solve_lower_triangular_in_place},
};

use crate::matrix::add_square;

/// Number of rows processed at a time.
pub(super) const BLOCK: usize = 1024;

/// Responsibilities that are not larger count as 0.
pub(super) const NEGLIGIBLE: f64 = 1e-12;

/// A component with a smaller sum of responsibilities, in rows, is dropped.
pub(super) const FEWEST: f64 = 2.0;

/// A component, prepared for many rows.
pub(super) struct Component {
    pub(super) weight: f64,
    pub(super) mean: Vec<f64>,
    /// `L`, `[width, width]`.
    pub(super) factor: Mat<f64>,
    /// `L^-1`, `[width, width]`.
    pub(super) whiten: Mat<f64>,
    /// `ln w - width/2 ln 2 pi - sum ln L_ii`: the log density at the mean.
    pub(super) peak: f64,
}

/// Weighted sums over rows, relative to a point near their mean.
pub(super) struct Moments {
    /// Sum of the responsibilities.
    pub(super) mass: f64,
    /// Sum of `x - point`, `width` numbers.
    pub(super) shift: Vec<f64>,
    /// Sum of `(x - point) (x - point)^T`, its lower triangle, `[width, width]`.
    pub(super) square: Mat<f64>,
}

impl Component {
    pub(super) fn new(weight: f64, mean: Vec<f64>, factor: Mat<f64>) -> Self {
        let width = mean.len();
        let mut whiten = Mat::identity(width, width);
        solve_lower_triangular_in_place(factor.as_ref(), whiten.as_mut(), Par::Seq);
        let logs: f64 = (0..width).map(|i| factor[(i, i)].ln()).sum();
        let peak = weight.ln() - 0.5 * width as f64 * std::f64::consts::TAU.ln() - logs;
        Self { weight, mean, factor, whiten, peak }
    }
}

impl Moments {
    pub(super) fn new(width: usize) -> Self {
        Self { mass: 0.0, shift: vec![0.0; width], square: Mat::zeros(width, width) }
    }

    /// Adds rows relative to `point`, each with its weight; `buffer` is scratch space for their differences.
    pub(super) fn add(
        &mut self,
        block: &[f32],
        point: &[f64],
        weights: impl Iterator<Item = f64>,
        buffer: &mut Vec<f64>,
    ) {
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
        add_square(&mut self.square, rows, 1.0);
    }
}

/// `ln sum_i e^(x_i)`, without overflow.
pub(super) fn log_sum_exp(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if most.is_finite() { most + logs.map(|log| (log - most).exp()).sum::<f64>().ln() } else { most }
}

/// `ln w_k N(x_i; m_k, S_k)` of the rows of a block, `[K, rows]` row by row.
pub(super) fn block_logs(block: &[f32], width: usize, components: &[Component]) -> Vec<f64> {
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
