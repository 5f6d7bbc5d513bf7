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
