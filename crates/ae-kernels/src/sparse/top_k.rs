//! The `k` largest values of each row.

use std::{cmp::Ordering, ops::Range};

use crate::{simd::vectorized, threads};

/// Columns and values of the `k` largest values of each row.
pub(super) fn largest(z: &[f32], width: usize, k: usize) -> (Vec<u32>, Vec<f32>) {
    let rows = z.len() / width;
    let (mut places, mut values) = (vec![0; rows * k], vec![0.0; rows * k]);
    let ranges = threads::row_ranges(rows, threads::part_count(z.len()));
    let parts = ranges
        .iter()
        .zip(threads::split_rows(&mut places, &ranges, k))
        .zip(threads::split_rows(&mut values, &ranges, k))
        .collect();
    threads::for_each_part(parts, |((range, places), values): ((&Range<usize>, &mut [u32]), &mut [f32])| {
        let mut candidates = Vec::new();
        let rows = z[range.start * width..range.end * width].chunks_exact(width);
        for ((row, places), values) in rows.zip(places.chunks_exact_mut(k)).zip(values.chunks_exact_mut(k)) {
            select(row, k, &mut candidates);
            for ((place, value), candidate) in places.iter_mut().zip(values).zip(&candidates) {
                (*place, *value) = (*candidate, row[*candidate as usize]);
            }
        }
    });
    (places, values)
}

/// Values that are compared at a time.
const BLOCK: usize = 16;

vectorized! {
    /// The first block of `row`, at or after `block`, with a value above `threshold`.
    fn next_above(row: &[f32], block: usize, threshold: f32) -> Option<usize> {
        for (index, block) in row.chunks(BLOCK).enumerate().skip(block) {
            let mut any = false;
            for value in block {
                any |= *value > threshold;
            }
            if any {
                return Some(index);
            }
        }
        None
    }
}

/// The columns of the `k` largest values of `row`, in ascending order.
///
/// Candidates are collected, and reduced to the `k` best whenever there are too many. From then on only blocks of
/// sixteen values with one above the worst of those are inspected, which soon are few.
fn select(row: &[f32], k: usize, candidates: &mut Vec<u32>) {
    let enough = (2 * k).max(4 * BLOCK);
    // Larger values first; of equal values, the one with the lower index.
    let order =
        |a: &u32, b: &u32| row[*b as usize].partial_cmp(&row[*a as usize]).unwrap_or(Ordering::Equal).then(a.cmp(b));
    candidates.clear();
    let mut next = 0;
    let mut threshold = None;
    while next * BLOCK < row.len() {
        if let Some(threshold) = threshold {
            match next_above(row, next, threshold) {
                Some(block) => next = block,
                None => break,
            }
        }
        let first = next * BLOCK;
        let block = &row[first..(first + BLOCK).min(row.len())];
        let above = block
            .iter()
            .enumerate()
            .filter(|(_, value)| threshold.map_or(!value.is_nan(), |threshold| **value > threshold));
        candidates.extend(above.map(|(offset, _)| (first + offset) as u32));
        if candidates.len() >= enough {
            candidates.select_nth_unstable_by(k - 1, order);
            candidates.truncate(k);
            threshold = Some(row[candidates[k - 1] as usize]);
        }
        next += 1;
    }
    if candidates.len() > k {
        candidates.select_nth_unstable_by(k - 1, order);
        candidates.truncate(k);
    }
    // A NaN is never a candidate. It is kept only where nothing else is left, so that it stays visible.
    let missing = k - candidates.len();
    candidates.extend((0..row.len() as u32).filter(|place| row[*place as usize].is_nan()).take(missing));
    candidates.sort_unstable();
}
