//! Matrices of any layout in a slice.

use std::{borrow::Cow, ops::Range};

use burn::backend::flex::FlexTensor;

use crate::cpu;

/// Side of the tiles in which a matrix is transposed: a row of a tile is as long as a cache line.
const TILE: usize = 16;

/// A matrix of any layout: element `(i, j)` is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `rows x cols` values in row-major order.
    pub(crate) fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols, 1)
    }

    /// # Panics
    /// The strides lead out of `data`.
    pub(crate) fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Self {
        let inside = rows == 0 || cols == 0 || (rows - 1) * row_stride + (cols - 1) * col_stride < data.len();
        assert!(
            inside,
            "a matrix of {rows} x {cols} with strides {row_stride} and {col_stride} exceeds {} values",
            data.len()
        );
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// The matrix in the tensor's own layout; `None` if a stride is negative.
    pub(crate) fn of(tensor: &'a FlexTensor) -> Option<Self> {
        let (rows, cols, row_stride, col_stride, start) = cpu::strides(tensor.layout());
        let (row_stride, col_stride) = (usize::try_from(row_stride).ok()?, usize::try_from(col_stride).ok()?);
        Some(Self::strided(&tensor.storage::<f32>()[start..], rows, cols, row_stride, col_stride))
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// The values in row-major order.
    pub(crate) fn row_major(self) -> Cow<'a, [f32]> {
        if self.col_stride == 1 && self.row_stride == self.cols {
            return Cow::Borrowed(&self.data[..self.rows * self.cols]);
        }
        (0..self.rows)
            .flat_map(|i| (0..self.cols).map(move |j| self.data[i * self.row_stride + j * self.col_stride]))
            .collect()
    }

    /// Copies a matrix that is stored column by column into `out`, in row-major order.
    pub(crate) fn copy_row_major(self, out: &mut [f32]) {
        assert!(
            self.row_stride == 1 && out.len() == self.rows * self.cols,
            "the matrix must be column-major, and the buffer as large"
        );
        for first in (0..self.rows).step_by(TILE) {
            for depth in (0..self.cols).step_by(TILE) {
                #[cfg(target_arch = "x86_64")]
                if first + TILE <= self.rows
                    && depth + TILE <= self.cols
                    && crate::simd::level() != crate::simd::Level::Any
                {
                    let tile = &self.data[depth * self.col_stride + first..];
                    transpose_tile(tile, self.col_stride, &mut out[first * self.cols + depth..], self.cols);
                    continue;
                }
                let columns = depth..(depth + TILE).min(self.cols);
                for row in first..(first + TILE).min(self.rows) {
                    let out = &mut out[row * self.cols..][columns.clone()];
                    out.iter_mut()
                        .zip(columns.clone())
                        .for_each(|(out, column)| *out = self.data[column * self.col_stride + row]);
                }
            }
        }
    }

    /// The given rows only.
    pub(crate) fn rows_of(self, range: &Range<usize>) -> Self {
        let data = if range.is_empty() { &[] } else { &self.data[range.start * self.row_stride..] };
        Self { data, rows: range.len(), ..self }
    }

    /// The given columns only.
    pub(super) fn columns_of(self, range: &Range<usize>) -> Self {
        self.transposed().rows_of(range).transposed()
    }
}

/// Writes the transpose of a tile, on a CPU with AVX2: `out[i * out_stride + j] = from[j * stride + i]`.
#[cfg(target_arch = "x86_64")]
fn transpose_tile(from: &[f32], stride: usize, out: &mut [f32], out_stride: usize) {
    let last = TILE - 1;
    assert!(last * stride + last < from.len() && last * out_stride + last < out.len(), "a whole tile");
    for (row, column) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
        // SAFETY: the caller has checked the instructions, and the whole tile is inside both slices.
        unsafe {
            transpose_8x8(
                from.as_ptr().add(column * stride + row),
                stride,
                out.as_mut_ptr().add(row * out_stride + column),
                out_stride,
            );
        }
    }
}

/// # Safety
/// The CPU has AVX2. `from` is valid for reads of 8 rows of 8 values, `stride` apart, and `out` for writes of as many,
/// `out_stride` apart.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn transpose_8x8(from: *const f32, stride: usize, out: *mut f32, out_stride: usize) {
    use std::arch::x86_64::*;
    // SAFETY: promised by the caller.
    let rows: [__m256; 8] = std::array::from_fn(|row| unsafe { _mm256_loadu_ps(from.add(row * stride)) });
    // Pairs of rows interleaved, then fours, then the halves exchanged.
    let low = |row: usize| _mm256_unpacklo_ps(rows[2 * row], rows[2 * row + 1]);
    let high = |row: usize| _mm256_unpackhi_ps(rows[2 * row], rows[2 * row + 1]);
    let fours = |a: __m256, b: __m256| [_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0xEE>(a, b)];
    let [[a0, a1], [a2, a3]] = [fours(low(0), low(1)), fours(high(0), high(1))];
    let [[b0, b1], [b2, b3]] = [fours(low(2), low(3)), fours(high(2), high(3))];
    for (row, (a, b)) in [(a0, b0), (a1, b1), (a2, b2), (a3, b3)].into_iter().enumerate() {
        // SAFETY: as above.
        unsafe {
            _mm256_storeu_ps(out.add(row * out_stride), _mm256_permute2f128_ps::<0x20>(a, b));
            _mm256_storeu_ps(out.add((row + 4) * out_stride), _mm256_permute2f128_ps::<0x31>(a, b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_in_row_major_order() {
        for (rows, cols) in [(1, 1), (16, 16), (40, 33), (15, 64), (100, 256)] {
            let data: Vec<f32> = (0..rows * cols).map(|value| value as f32).collect();
            let mut out = vec![0.0; rows * cols];
            Matrix::new(&data, cols, rows).transposed().copy_row_major(&mut out);
            assert!((0..rows * cols).all(|at| out[at] == data[at % cols * rows + at / cols]), "{rows} x {cols}");
        }
    }
}
