//! Least squares from rows to a target.

use faer::{Accum, Mat, MatRef, Par, Side, linalg::matmul::matmul, linalg::solvers::Solve};

use crate::{
    Error, Result,
    matrix::{Matrix, add_square},
};

/// Added to the diagonal of the covariance, relative to its mean: directions without variance have no coefficient.
const RIDGE: f64 = 1e-9;

/// The map `y = m_y + (x - m_x) B` with the smallest squared error on the rows it was fitted to.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearMap {
    /// The mean `m_x` of the inputs.
    from: Vec<f64>,
    /// The mean `m_y` of the targets.
    to: Vec<f64>,
    /// The weights `B`, `[d_input, d_output]`.
    weights: Mat<f64>,
}

impl LinearMap {
    /// The least-squares map from `x` to `y`, as many rows of each. Missing inputs count as the mean.
    ///
    /// # Errors
    /// Values that are not finite.
    pub fn fit(x: Matrix, y: Matrix) -> Result<Self> {
        x.has_missing()?;
        y.has_missing()?;
        let (from, to) = (x.mean(), y.mean());
        let mut squares = Mat::<f64>::zeros(x.width, x.width);
        let mut products = Mat::<f64>::zeros(x.width, y.width);
        let mut done = 0;
        x.each_chunk(&from, |_, inputs| {
            let rows = &y.values[done * y.width..(done + inputs.ncols()) * y.width];
            let targets: Vec<f64> = rows.chunks_exact(y.width).flat_map(|row| Matrix::centered(row, &to)).collect();
            let targets = MatRef::from_column_major_slice(&targets, y.width, inputs.ncols());
            add_square(&mut squares, inputs, 1.0);
            matmul(&mut products, Accum::Add, inputs, targets.transpose(), 1.0, Par::Seq);
            done += inputs.ncols();
        });
        let trace: f64 = (0..x.width).map(|at| squares[(at, at)]).sum();
        let ridge = (RIDGE * trace / x.width as f64).max(f64::MIN_POSITIVE);
        (0..x.width).for_each(|at| squares[(at, at)] += ridge);
        let factors = squares.llt(Side::Lower);
        let factors =
            factors.map_err(|_| Error::Failed("the least-squares map to the target cannot be computed".into()))?;
        Ok(Self { from, to, weights: factors.solve(&products) })
    }

    /// The predictions for inputs, `[rows, d_output]`, row by row.
    pub fn predict(&self, x: Matrix) -> Vec<f32> {
        let mut predicted = Vec::with_capacity(x.count() * self.to.len());
        x.each_chunk(&self.from, |_, inputs| {
            let rows = self.weights.transpose() * inputs;
            for row in 0..rows.ncols() {
                let values = rows.col_as_slice(row).iter().zip(&self.to);
                predicted.extend(values.map(|(value, mean)| (value + mean) as f32));
            }
        });
        predicted
    }

    /// The means of the inputs, and the weights `[d_input, d_output]`, row by row.
    pub fn parts(&self) -> (&[f64], Vec<f64>) {
        let (rows, columns) = (self.weights.nrows(), self.weights.ncols());
        let at = |place: usize| self.weights[(place / columns, place % columns)];
        (&self.from, (0..rows * columns).map(at).collect())
    }

    /// Builds it from the means of inputs and targets and the weights `[d_input, d_output]`, row by row.
    ///
    /// # Errors
    /// Parts that are not consistent or not finite.
    pub fn from_parts(from: Vec<f64>, to: Vec<f64>, weights: &[f64]) -> Result<Self> {
        let (rows, columns) = (from.len(), to.len());
        if rows * columns != weights.len() || !from.iter().chain(&to).chain(weights).all(|value| value.is_finite()) {
            return Err(Error::Failed("the parts of the linear map are not consistent".to_string()));
        }
        Ok(Self { from, to, weights: Mat::from_fn(rows, columns, |row, column| weights[row * columns + column]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Pca;

    #[test]
    fn a_linear_target_is_predicted_and_a_map_of_low_rank_is_the_best_of_its_rank() {
        // y = 3 + x B with B of rank 2.
        let x: Vec<f32> = (0..60).map(|at| ((at * 37 + at / 3 * 11) % 17) as f32 - 8.0).collect();
        let rows = Matrix { values: &x, width: 3 };
        let b = [[1.0, 2.0, 0.5, -1.0], [0.0, 1.0, 4.0, 1.0], [1.0, 3.0, 4.5, 0.0]];
        let y: Vec<f32> = x
            .chunks_exact(3)
            .flat_map(|x| (0..4).map(|to| 3.0 + (0..3).map(|at| x[at] * b[at][to]).sum::<f32>()).collect::<Vec<_>>())
            .collect();
        let target = Matrix { values: &y, width: 4 };
        let map = LinearMap::fit(rows, target).unwrap();
        let near = |found: &[f32], wanted: &[f32], tolerance: f32| {
            found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < tolerance)
        };
        assert!(near(&map.predict(rows), &y, 1e-4));
        let (from, weights) = map.parts();
        assert_eq!(LinearMap::from_parts(from.to_vec(), map.to.clone(), &weights).unwrap(), map);
        // B has rank 2, so that a map of rank 2 is as good, and one of rank 1 is not.
        let of = |rank: usize| Pca::fit_target(rows, target, rank, 0.0).unwrap();
        assert!(near(&of(2).predict(rows), &y, 1e-3) && !near(&of(1).predict(rows), &y, 1e-1));
        // With the rows themselves as the target it is PCA.
        let (same, pca) = (Pca::fit_target(rows, rows, 2, 0.0).unwrap(), Pca::fit(rows, 2).unwrap());
        assert!(near(&same.predict(rows), &pca.reconstruct(rows), 1e-3));
        assert!(LinearMap::from_parts(vec![0.0; 3], vec![0.0; 2], &[0.0; 5]).is_err());
    }
}
