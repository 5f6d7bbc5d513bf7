//! The baselines that every result is printed beside: principal component analysis of the same width, and the mean.
//!
//! PCA with `k` components projects on the `k` eigenvectors of the covariance with the largest eigenvalues (Pearson 1901): no linear
//! autoencoder of the same width has a smaller squared error on the rows that it was fitted to. Everything here is in `f64`.

use faer::{Accum, Mat, MatRef, Par, Side, linalg::matmul::matmul};

use crate::evaluation::Errors;

/// Rows that the covariance is accumulated over at a time: bounds the memory for large data.
const CHUNK: usize = 4096;

/// Rows of scaled values; missing ones are `NaN`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// Row by row.
    pub values: &'a [f32],
    /// Features of a row.
    pub width: usize,
}

impl Matrix<'_> {
    /// The mean of each feature over what was observed; 0 where nothing was.
    pub fn mean(&self) -> Vec<f64> {
        let mut sums = vec![(0.0, 0.0f64); self.width];
        for row in self.values.chunks_exact(self.width) {
            for (sum, &value) in sums.iter_mut().zip(row).filter(|(_, value)| !value.is_nan()) {
                *sum = (sum.0 + f64::from(value), sum.1 + 1.0);
            }
        }
        sums.into_iter().map(|(sum, count)| sum / count.max(1.0)).collect()
    }

    /// A row less `mean`, missing values as 0.
    fn centred<'m>(row: &'m [f32], mean: &'m [f64]) -> impl Iterator<Item = f64> + 'm {
        row.iter().zip(mean).map(|(&value, mean)| if value.is_nan() { 0.0 } else { f64::from(value) - mean })
    }
}

/// Principal components of some rows.
#[derive(Debug, Clone)]
pub struct Pca {
    mean: Vec<f64>,
    /// `[width, k]`, orthonormal columns.
    components: Mat<f64>,
}

impl Pca {
    /// The first `k` principal components of `rows` (at most as many as there are features).
    pub fn fit(rows: Matrix, k: usize) -> Self {
        let width = rows.width;
        let mean = rows.mean();
        let mut covariance = Mat::<f64>::zeros(width, width);
        for chunk in rows.values.chunks(CHUNK * width) {
            let centred: Vec<f64> = chunk.chunks_exact(width).flat_map(|row| Matrix::centred(row, &mean)).collect();
            let centred = MatRef::from_row_major_slice(&centred, chunk.len() / width, width);
            matmul(&mut covariance, Accum::Add, centred.transpose(), centred, 1.0, Par::Seq);
        }
        let decomposition = covariance.self_adjoint_eigen(Side::Lower).expect("a finite covariance has eigenvectors");
        let vectors = decomposition.U(); // eigenvalues ascend
        let k = k.min(width);
        let components = Mat::from_fn(width, k, |row, column| vectors[(row, width - 1 - column)]);
        Self { mean, components }
    }

    /// The errors of the reconstructions of `rows` from their `k` coordinates.
    pub fn errors(&self, rows: Matrix) -> Errors {
        let width = rows.width;
        let mut errors = Errors::new(&rows);
        for chunk in rows.values.chunks(CHUNK * width) {
            let centred: Vec<f64> = chunk.chunks_exact(width).flat_map(|row| Matrix::centred(row, &self.mean)).collect();
            let centred = MatRef::from_row_major_slice(&centred, chunk.len() / width, width);
            let reconstructed = (centred * &self.components) * self.components.transpose();
            for (index, row) in chunk.chunks_exact(width).enumerate() {
                errors.add(row, |column| reconstructed[(index, column)] + self.mean[column]);
            }
        }
        errors
    }
}

/// The errors of predicting `mean` for every row.
pub fn mean_errors(mean: &[f64], rows: Matrix) -> Errors {
    let mut errors = Errors::new(&rows);
    rows.values.chunks_exact(rows.width).for_each(|row| errors.add(row, |column| mean[column]));
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_are_one_component() {
        let values: Vec<f32> = (0..20).flat_map(|i| [i as f32, 2.0 * i as f32 + 1.0, -(i as f32)]).collect();
        let rows = Matrix { values: &values, width: 3 };
        assert!(Pca::fit(rows, 1).errors(rows).sse() < 1e-20);
        let nothing = mean_errors(&rows.mean(), rows);
        assert!((nothing.fvu() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn digits_give_the_published_figures() {
        // The figures of another PCA implementation on the official split, pixels / 16.
        let digits = ae_data::open("digits").unwrap();
        let scaled =
            |rows: &ae_data::Rows| (0..rows.len()).flat_map(|i| rows.row(i).collect::<Vec<_>>()).map(|v| v / 16.0).collect::<Vec<f32>>();
        let (train, test) = (scaled(&digits.train), scaled(&digits.test.unwrap()));
        let (train, test) = (Matrix { values: &train, width: 64 }, Matrix { values: &test, width: 64 });
        for (k, sse) in [(2, 3.432), (8, 1.608), (10, 1.289), (16, 0.760), (32, 0.177)] {
            let found = Pca::fit(train, k).errors(test).sse();
            assert!((found - sse).abs() < 6e-4, "PCA-{k}: {found}, expected {sse}");
        }
        assert!((mean_errors(&train.mean(), test).sse() - 4.705).abs() < 6e-4);
    }
}
