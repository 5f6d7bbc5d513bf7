//! The selection of entries: the largest of each row, the largest of all rows together, or those above a threshold.

use std::{cmp::Ordering, ops::Range};

use super::places::Places;
use crate::{Rule, buffer::Scratch, simd::vectorized, threads};

/// What of a matrix is compared.
#[derive(Clone, Copy, Default)]
pub(super) struct View<'a> {
    /// The factor of each column by which its values are multiplied before they are compared; 1 if `None`.
    pub(super) sizes: Option<&'a [f32]>,
    /// The columns to select from, in ascending order; all if `None`.
    pub(super) among: Option<&'a [u32]>,
}

impl View<'_> {
    /// The values to compare of a row, in `scratch` if they are not those of the row itself.
    fn scores<'b>(&self, row: &'b [f32], scratch: &'b mut [f32]) -> &'b [f32] {
        match (self.sizes, self.among) {
            (None, None) => return row,
            (Some(sizes), None) => multiply(row, sizes, scratch),
            (None, Some(among)) => {
                scratch.iter_mut().zip(among).for_each(|(score, column)| *score = row[*column as usize])
            }
            (Some(sizes), Some(among)) => scratch
                .iter_mut()
                .zip(among)
                .for_each(|(score, column)| *score = row[*column as usize] * sizes[*column as usize]),
        }
        scratch
    }

    /// Number of values that are compared in each row of `width`.
    fn width(&self, width: usize) -> usize {
        self.among.map_or(width, <[u32]>::len)
    }

    /// The column of a position among the compared values.
    fn column(&self, position: u32) -> u32 {
        self.among.map_or(position, |among| among[position as usize])
    }
}

/// The places that `rule` selects in `z`, whose rows have `width` values.
pub(super) fn places(z: &[f32], width: usize, rule: Rule, view: View) -> Places {
    match rule {
        Rule::Largest(k) => by_row(z, width, view, |scores, positions| largest(scores, k, positions)).0,
        Rule::Above(threshold) => by_row(z, width, view, |scores, positions| above(scores, threshold, positions)).0,
        Rule::LargestOfAll(count) => largest_of_all(z, width, count, view),
    }
}

/// The places of the values in `z`, whose rows have `width` values, that are above the threshold of their column.
pub(super) fn above_each(z: &[f32], width: usize, thresholds: &[f32]) -> Places {
    by_row(z, width, View::default(), |row, positions| {
        positions.clear();
        let mut block = 0;
        while let Some(next) = next_above_each(row, thresholds, block) {
            let first = next * BLOCK;
            let last = (first + BLOCK).min(row.len());
            let pairs = row[first..last].iter().zip(&thresholds[first..last]);
            let found = pairs.enumerate().filter(|(_, (value, threshold))| value > threshold);
            positions.extend(found.map(|(at, _)| (first + at) as u32));
            block = next + 1;
        }
    })
    .0
}

/// The places that `select(scores, positions)` selects in each row, and their scores.
fn by_row(z: &[f32], width: usize, view: View, select: impl Fn(&[f32], &mut Vec<u32>) + Sync) -> (Places, Vec<f32>) {
    let rows = z.len() / width.max(1);
    let ranges = threads::row_ranges(rows, threads::part_count(z.len()));
    let mut found: Vec<(Places, Vec<f32>)> = ranges.iter().map(|_| (Places::of_width(width), Vec::new())).collect();
    let parts = ranges.iter().zip(&mut found).collect();
    threads::for_each_part(parts, |(range, (places, values)): (&Range<usize>, &mut (Places, Vec<f32>))| {
        let (mut positions, mut scratch) = (Vec::new(), Scratch::of(vec![0.0; view.width(width)]));
        for row in z[range.start * width..range.end * width].chunks_exact(width) {
            let scores = view.scores(row, &mut scratch);
            select(scores, &mut positions);
            values.extend(positions.iter().map(|position| scores[*position as usize]));
            places.push(positions.iter().map(|position| view.column(*position)));
        }
    });
    let mut found = found.into_iter();
    let mut all = found.next().unwrap_or_else(|| (Places::of_width(width), Vec::new()));
    found.for_each(|(places, values)| {
        all.0.append(&places);
        all.1.extend(values);
    });
    all
}

/// The number of values from which the threshold of [`largest_of_all`] is estimated.
const SAMPLE: usize = 1 << 15;

/// The `count` largest scores of all rows.
///
/// Their threshold is estimated from a sample, somewhat too low, so that one pass over all values leaves few candidates
/// to order.
fn largest_of_all(z: &[f32], width: usize, count: usize, view: View) -> Places {
    let compared = z.len() / width.max(1) * view.width(width);
    let count = count.min(compared);
    let candidates = match estimate(z, width, count, view) {
        Some(threshold) => {
            let found = by_row(z, width, view, |scores, positions| above(scores, threshold, positions));
            Some(found).filter(|(_, scores)| scores.len() >= count)
        }
        None => None,
    };
    let (places, scores) = candidates.unwrap_or_else(|| by_row(z, width, view, positions_of));
    if scores.len() == count {
        return places;
    }
    // A NaN is less than everything, so that it is kept only where nothing else is left, and stays visible.
    let ordered = |score: &f32| if score.is_nan() { f32::NEG_INFINITY } else { *score };
    let mut sorted: Vec<f32> = scores.iter().map(ordered).collect();
    let least = match count {
        0 => f32::INFINITY,
        _ => *sorted.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1,
    };
    let mut ties = count - scores.iter().filter(|score| ordered(score) > least).count();
    let mut kept = Places::of_width(width);
    for row in 0..places.rows() {
        let entries = places.starts[row]..places.starts[row + 1];
        let of_row = places.columns[entries.clone()].iter().zip(&scores[entries]);
        kept.push(of_row.filter_map(|(column, score)| {
            let score = ordered(score);
            let is_kept = score > least || score == least && ties > 0;
            ties -= usize::from(is_kept && score == least);
            is_kept.then_some(*column)
        }));
    }
    kept
}

/// A threshold with somewhat more than `count` scores above it, from a sample; `None` for few values.
fn estimate(z: &[f32], width: usize, count: usize, view: View) -> Option<f32> {
    let compared = z.len() / width.max(1) * view.width(width);
    let step = compared / SAMPLE;
    if step < 4 || count == 0 {
        return None;
    }
    let score = |index: usize| {
        let (row, column) = (index / view.width(width), view.column((index % view.width(width)) as u32) as usize);
        let value = z[row * width + column];
        view.sizes.map_or(value, |sizes| value * sizes[column])
    };
    // Steps of an odd length meet all columns in turn.
    let step = step | 1;
    let mut sample: Vec<f32> = (0..compared).step_by(step).map(score).filter(|score| !score.is_nan()).collect();
    let expected = sample.len() as f64 * count as f64 / compared as f64;
    // Six standard deviations of the number of values above the true threshold.
    let enough = (expected + 6.0 * expected.sqrt() + 6.0).ceil() as usize;
    if enough >= sample.len() {
        return None;
    }
    Some(*sample.select_nth_unstable_by(enough, |a, b| b.total_cmp(a)).1)
}

/// All positions.
fn positions_of(scores: &[f32], positions: &mut Vec<u32>) {
    positions.clear();
    positions.extend(0..scores.len() as u32);
}

/// The positions of the scores above a threshold.
fn above(scores: &[f32], threshold: f32, positions: &mut Vec<u32>) {
    positions.clear();
    let mut block = 0;
    while let Some(next) = next_above(scores, block, threshold) {
        let first = next * BLOCK;
        let values = &scores[first..(first + BLOCK).min(scores.len())];
        positions.extend(
            values.iter().enumerate().filter(|(_, score)| **score > threshold).map(|(at, _)| (first + at) as u32),
        );
        block = next + 1;
    }
}

/// Values that are compared at a time.
const BLOCK: usize = 16;

vectorized! {
    /// The products of each value with the factor of its column.
    fn multiply(row: &[f32], sizes: &[f32], out: &mut [f32]) {
        for ((out, value), size) in out.iter_mut().zip(row).zip(sizes) {
            *out = value * size;
        }
    }

    /// The first block of `row`, at or after `block`, with a value above the threshold of its column.
    fn next_above_each(row: &[f32], thresholds: &[f32], block: usize) -> Option<usize> {
        for (index, (values, thresholds)) in row.chunks(BLOCK).zip(thresholds.chunks(BLOCK)).enumerate().skip(block) {
            let mut any = false;
            for (value, threshold) in values.iter().zip(thresholds) {
                any |= value > threshold;
            }
            if any {
                return Some(index);
            }
        }
        None
    }

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

/// The positions of the `k` largest values of `row`, in ascending order.
///
/// Candidates are collected, and reduced to the `k` best whenever there are too many. From then on only blocks of
/// sixteen values with one above the worst of those are inspected, which soon are few.
fn largest(row: &[f32], k: usize, candidates: &mut Vec<u32>) {
    if k >= row.len() {
        return positions_of(row, candidates);
    }
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
