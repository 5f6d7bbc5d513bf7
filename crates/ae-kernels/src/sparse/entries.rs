//! Sparse matrices in compressed-column form, and their products with dense ones.

use std::ops::Range;

use super::places::Places;
use crate::{buffer, gemm::Matrix, math::add_scaled, simd::vectorized, threads};

/// Values that are compared at a time.
const BLOCK: usize = 16;

/// A sparse matrix in compressed-column form: the row and the value of each entry, column by column.
pub(crate) struct Entries {
    /// Where the entries of each column start, and where those of the last column end.
    first: Vec<usize>,
    entries: Vec<(u32, f32)>,
}

impl Entries {
    /// The entries of `dense` (rows of `width`) that are not 0.
    pub(crate) fn of(dense: &[f32], width: usize) -> Self {
        let rows = dense.len() / width;
        let ranges = threads::row_ranges(rows, threads::part_count(dense.len()));
        let mut found: Vec<Vec<(u32, u32, f32)>> = vec![Vec::new(); ranges.len()];
        let parts = ranges.iter().zip(&mut found).collect();
        threads::for_each_part(parts, |(range, found): (&Range<usize>, &mut Vec<_>)| {
            *found = nonzero(&dense[range.start * width..range.end * width], width, range.start);
        });
        Self::sorted(found.iter().flatten().copied(), width)
    }

    /// The matrix with `values` at their `places`, in the row that `row_of(row, column)` returns for each; an entry for
    /// which it returns `None` is left out.
    pub(super) fn at(values: &[f32], places: &Places, row_of: impl Fn(usize, usize) -> Option<u32> + Clone) -> Self {
        let of_row = |row: usize| {
            let (row_of, entries) = (row_of.clone(), places.starts[row]..places.starts[row + 1]);
            entries.filter_map(move |entry| {
                let column = places.columns[entry];
                row_of(row, column as usize).map(|row| (column, row, values[entry]))
            })
        };
        Self::sorted((0..places.rows()).flat_map(of_row), places.width)
    }

    /// From entries `(column, row, value)` in any order of the columns.
    fn sorted(entries: impl Iterator<Item = (u32, u32, f32)> + Clone, width: usize) -> Self {
        let mut first = vec![0; width + 1];
        entries.clone().for_each(|(column, ..)| first[column as usize + 1] += 1);
        (0..width).for_each(|column| first[column + 1] += first[column]);
        let mut next = first.clone();
        let mut sorted = vec![(0, 0.0); first[width]];
        for (column, row, value) in entries {
            sorted[next[column as usize]] = (row, value);
            next[column as usize] += 1;
        }
        Self { first, entries: sorted }
    }

    /// `s^T x` of this sparse matrix `s`: for each of its columns, the sum of the rows of `x` in which it has
    /// entries, times their values.
    pub(crate) fn outer(&self, x: Matrix) -> Outer {
        let (width, depth) = (self.first.len() - 1, x.cols());
        let x = x.row_major();
        let mut sums = buffer::zeros(width * depth);
        let ranges = threads::row_ranges(width, threads::part_count(self.entries.len() * depth + sums.len()));
        let parts = ranges.iter().zip(threads::split_rows(&mut sums, &ranges, depth)).collect();
        if depth > 0 {
            threads::for_each_part(parts, |(range, sums): (&Range<usize>, &mut [f32])| {
                sum_entries(sums, range.clone(), self, &x, depth)
            });
        }
        Outer { sums, width, depth }
    }
}

/// The result of [`Entries::outer`]: `width` rows of `depth` values.
pub(crate) struct Outer {
    pub(crate) sums: Vec<f32>,
    width: usize,
    depth: usize,
}

impl Outer {
    /// The transpose: `depth` rows of `width` values.
    pub(crate) fn transposed(self) -> Vec<f32> {
        let Self { sums, width, depth } = self;
        let mut out = buffer::unspecified(sums.len());
        let ranges = threads::row_ranges(depth, threads::part_count(sums.len()));
        let parts = ranges.iter().zip(threads::split_rows(&mut out, &ranges, width)).collect();
        let columns = Matrix::new(&sums, width, depth).transposed();
        threads::for_each_part(parts, |(range, out): (&Range<usize>, &mut [f32])| {
            columns.rows_of(range).copy_row_major(out)
        });
        buffer::recycle(sums);
        out
    }
}

vectorized! {
    /// The entries that are not 0 of some rows of `width` values, as `(column, row, value)`; `first` is the index of
    /// the first row.
    pub(super) fn nonzero(dense: &[f32], width: usize, first: usize) -> Vec<(u32, u32, f32)> {
        let mut found = Vec::new();
        for (index, row) in dense.chunks_exact(width).enumerate() {
            for (block, values) in row.chunks(BLOCK).enumerate() {
                // The sign bit is shifted out: -0 is 0.
                let mut bits = 0;
                for value in values {
                    bits |= value.to_bits() << 1;
                }
                if bits == 0 {
                    continue;
                }
                for (offset, value) in values.iter().enumerate() {
                    if *value != 0.0 {
                        found.push(((block * BLOCK + offset) as u32, (first + index) as u32, *value));
                    }
                }
            }
        }
        found
    }

    /// Adds to each row of `sums` the rows of `x` that its entries refer to, times the entries' values.
    fn sum_entries(sums: &mut [f32], columns: Range<usize>, entries: &Entries, x: &[f32], depth: usize) {
        for (column, sum) in columns.zip(sums.chunks_exact_mut(depth)) {
            for (row, value) in &entries.entries[entries.first[column]..entries.first[column + 1]] {
                add_scaled(sum, *value, &x[*row as usize * depth..][..depth]);
            }
        }
    }
}
