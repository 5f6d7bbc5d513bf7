//! Rows of numbers in memory.

use ae_data::progress::beat;
use burn::tensor::{Device, Tensor, TensorData};
use faer::{
    Accum, Mat, MatRef, Par,
    linalg::matmul::triangular::{BlockStructure, matmul as triangular},
};

use crate::{
    Error, Result,
    tensors::{BATCH, numbers},
};

/// Bytes of centered values that are processed at a time, to limit the memory for large data.
pub(crate) const CHUNK: usize = 32 << 20;

/// Rows of scaled values; missing values are `NaN`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// The values, row by row.
    pub values: &'a [f32],
    /// Number of features of a row.
    pub width: usize,
}

impl Matrix<'_> {
    /// Number of rows.
    pub(crate) fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// The mean of each feature over the observed values; 0 without any.
    pub fn mean(&self) -> Vec<f64> {
        let mut sums = vec![(0.0, 0.0f64); self.width];
        self.values.chunks_exact(self.width).for_each(|row| add_means(&mut sums, row));
        sums.into_iter().map(|(sum, count)| sum / count.max(1.0)).collect()
    }

    /// A row minus `mean`, with missing values as 0.
    pub(crate) fn centered<'m>(row: &'m [f32], mean: &'m [f64]) -> impl Iterator<Item = f64> + 'm {
        row.iter().zip(mean).map(|(&value, mean)| if value.is_nan() { 0.0 } else { f64::from(value) - mean })
    }

    /// Calls `visit` with a chunk of rows, as they are and minus `mean`: a column for each row.
    pub(crate) fn each_chunk(&self, mean: &[f64], mut visit: impl FnMut(&[f32], MatRef<f64>)) {
        let step = (CHUNK / 8 / self.width).clamp(1, 4096);
        for chunk in self.values.chunks(step * self.width) {
            let centered: Vec<f64> = chunk.chunks_exact(self.width).flat_map(|row| Self::centered(row, mean)).collect();
            visit(chunk, MatRef::from_column_major_slice(&centered, self.width, chunk.len() / self.width));
            beat();
        }
    }

    /// Whether any value is missing.
    ///
    /// # Errors
    /// No features, or a value that is infinite.
    pub(crate) fn has_missing(&self) -> Result<bool> {
        if self.width == 0 {
            return Err(Error::Failed("principal components need at least one feature".to_string()));
        }
        match self.values.iter().position(|value| value.is_infinite()) {
            None => Ok(self.values.iter().any(|value| value.is_nan())),
            Some(place) => {
                let (row, feature) = (place / self.width + 1, place % self.width + 1);
                Err(Error::Failed(format!(
                    "principal components need finite values: feature {feature} of row {row} is infinite"
                )))
            }
        }
    }

    /// Applies `f` to these rows, in batches on `device`; input and output are row by row.
    ///
    /// # Errors
    /// A device that fails.
    pub fn through(&self, device: &Device, f: impl Fn(Tensor<2>) -> Tensor<2>) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.values.len());
        for chunk in self.values.chunks(BATCH * self.width) {
            let x = Tensor::from_data(TensorData::new(chunk.to_vec(), [chunk.len() / self.width, self.width]), device);
            values.extend(numbers(f(x))?);
        }
        Ok(values)
    }
}

/// Adds the observed values of a row to the sum and the number of those of each feature.
pub(crate) fn add_means(sums: &mut [(f64, f64)], row: &[f32]) {
    for (sum, &value) in sums.iter_mut().zip(row).filter(|(_, value)| !value.is_nan()) {
        *sum = (sum.0 + f64::from(value), sum.1 + 1.0);
    }
}

/// Adds the lower triangle of `scale x x^T`.
pub(crate) fn add_square(to: &mut Mat<f64>, x: MatRef<f64>, scale: f64) {
    use BlockStructure::{Rectangular, TriangularLower};
    triangular(to, TriangularLower, Accum::Add, x, Rectangular, x.transpose(), Rectangular, scale, Par::Seq);
}
