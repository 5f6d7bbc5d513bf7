//! Where the entries of a sparse matrix are, row by row.

use std::ops::Range;

use crate::{buffer, threads};

/// The columns of the entries of each row, in ascending order within the row.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Where the entries of each row start, and where those of the last row end.
    pub(super) starts: Vec<usize>,
    pub(super) columns: Vec<u32>,
    pub(super) width: usize,
}

impl Places {
    /// Places without rows yet.
    pub(super) fn of_width(width: usize) -> Self {
        Self { starts: vec![0], columns: Vec::new(), width }
    }

    /// Appends a row.
    pub(super) fn push(&mut self, columns: impl IntoIterator<Item = u32>) {
        self.columns.extend(columns);
        self.starts.push(self.columns.len());
    }

    /// Appends the rows of `other`.
    pub(super) fn append(&mut self, other: &Self) {
        let first = self.columns.len();
        self.columns.extend_from_slice(&other.columns);
        self.starts.extend(other.starts[1..].iter().map(|start| first + start));
    }

    pub(super) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The entries of some rows.
    pub(super) fn entries(&self, rows: &Range<usize>) -> Range<usize> {
        self.starts[rows.start]..self.starts[rows.end]
    }

    /// Half-open ranges of rows with about equal numbers of entries, for `work` elementary operations.
    pub(super) fn parts(&self, work: usize) -> Vec<Range<usize>> {
        let parts = threads::part_count(work);
        let share = self.len().div_ceil(parts).max(1);
        let mut first = 0;
        let mut ranges = Vec::with_capacity(parts);
        for part in 1..=parts {
            let last = match part == parts {
                true => self.rows(),
                false => self.starts.partition_point(|start| *start < part * share).min(self.rows()),
            };
            if last > first {
                ranges.push(first..last);
            }
            first = first.max(last);
        }
        ranges
    }

    /// Splits `values`, one for each entry, into those of each range of rows.
    pub(super) fn split<'a, T>(&self, mut values: &'a mut [T], ranges: &[Range<usize>]) -> Vec<&'a mut [T]> {
        let take = |range: &Range<usize>| {
            let (head, tail) = std::mem::take(&mut values).split_at_mut(self.entries(range).len());
            values = tail;
            head
        };
        ranges.iter().map(take).collect()
    }

    /// A dense matrix with `values` at these places and 0 elsewhere.
    pub(super) fn scatter(&self, values: &[f32]) -> Vec<f32> {
        let mut dense = buffer::zeros(self.rows() * self.width);
        if self.width == 0 {
            return dense;
        }
        let ranges = threads::row_ranges(self.rows(), threads::part_count(dense.len()));
        let parts = ranges.iter().zip(threads::split_rows(&mut dense, &ranges, self.width)).collect();
        threads::for_each_part(parts, |(range, dense): (&Range<usize>, &mut [f32])| {
            for (row, dense) in range.clone().zip(dense.chunks_exact_mut(self.width)) {
                let entries = self.starts[row]..self.starts[row + 1];
                let (columns, values) = (&self.columns[entries.clone()], &values[entries]);
                columns.iter().zip(values).for_each(|(column, value)| dense[*column as usize] = *value);
            }
        });
        dense
    }

    /// The values of `dense` at these places.
    pub(super) fn gather(&self, dense: &[f32]) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.len());
        for (row, dense) in dense.chunks_exact(self.width.max(1)).enumerate() {
            let columns = &self.columns[self.starts[row]..self.starts[row + 1]];
            values.extend(columns.iter().map(|column| dense[*column as usize]));
        }
        values
    }
}
