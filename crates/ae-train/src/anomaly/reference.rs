//! Reference rows for anomaly scores, and the search for the nearest of them.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{Result, tensors::numbers};

/// Number of rows whose distances are computed at a time.
const CHUNK: usize = 1024;
/// Number of candidates beyond those requested: the fast distances are rounded, and the exact ones decide.
const SPARE: usize = 8;

/// Scaled training rows, and the range of the values of each feature.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reference {
    /// Row by row, 0 where a value is missing.
    pub(crate) values: Vec<f32>,
    /// Whether each value is missing; empty if none is.
    pub(crate) missing: Vec<bool>,
    pub(crate) width: usize,
    /// The smallest and the largest value of each feature.
    low: Vec<f32>,
    high: Vec<f32>,
}

/// The rows of a [`Reference`] on a device.
#[derive(Debug)]
pub(crate) struct Search {
    /// Each row times -2, followed by its squared length, `[width + 1, n]`.
    known: Tensor<2>,
    /// The square of each value, `[width, n]`.
    squares: Tensor<2>,
    device: Device,
}

impl Reference {
    /// From rows of `width` values, `NaN` where one is missing.
    pub(crate) fn of(mut values: Vec<f32>, width: usize) -> Self {
        let (mut low, mut high) = (vec![f32::INFINITY; width], vec![f32::NEG_INFINITY; width]);
        for row in values.chunks_exact(width) {
            for (index, &value) in row.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                (low[index], high[index]) = (low[index].min(value), high[index].max(value));
            }
        }
        // A feature without any value has an empty range.
        let known = |value: f32| if value.is_finite() { value } else { 0.0 };
        let missing: Vec<bool> = if values.iter().any(|value| value.is_nan()) {
            values.iter().map(|value| value.is_nan()).collect()
        } else {
            Vec::new()
        };
        values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
        let [low, high] = [low, high].map(|ends| ends.into_iter().map(known).collect());
        Self { values, missing, width, low, high }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    pub(crate) fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// The values of the rows at `places`, missing again where they were missing.
    pub(crate) fn with_missing(&self, places: &[usize], mut values: Vec<f32>) -> Vec<f32> {
        if !self.missing.is_empty() {
            for (row, place) in places.iter().enumerate() {
                for index in (0..self.width).filter(|index| self.missing[place * self.width + index]) {
                    values[row * self.width + index] = f32::NAN;
                }
            }
        }
        values
    }

    /// Clamps the values of `rows` to the range of each feature here, extended by its length on both sides. Missing
    /// values stay missing.
    pub(crate) fn within_reach(&self, rows: &[f32]) -> Vec<f32> {
        let within = |(index, &value): (usize, &f32)| {
            let (low, high) = (self.low[index % self.width], self.high[index % self.width]);
            let span = high - low;
            value.clamp(low - span, high + span)
        };
        rows.iter().enumerate().map(within).collect()
    }

    /// Copies the rows to a device, prepared for the search.
    pub(crate) fn search(&self, device: &Device) -> Search {
        let device = device.clone().inner();
        let (rows, width) = (self.len(), self.width);
        // |a - b|^2 - |a|^2 = |b|^2 - 2 a b is a single product if each b is extended by |b|^2 and each a by 1.
        let mut known = vec![0.0f32; (width + 1) * rows];
        for index in 0..rows {
            let row = self.row(index);
            row.iter().enumerate().for_each(|(feature, value)| known[feature * rows + index] = -2.0 * value);
            known[width * rows + index] = row.iter().map(|value| value * value).sum();
        }
        let squares: Vec<f32> = self.values.iter().map(|value| value * value).collect();
        let squares = Tensor::<2>::from_data(TensorData::new(squares, [rows, width]), &device).transpose();
        Search { known: Tensor::from_data(TensorData::new(known, [width + 1, rows]), &device), squares, device }
    }

    /// The `k` nearest rows of each of `rows` with their distances, nearest first: Euclidean distance over the observed
    /// values, scaled up to all values. `near` are the same rows clamped by [`within_reach`](Self::within_reach), by
    /// which candidates are found. `own` are the positions of the rows here, if they are among these: a row is not its
    /// own neighbor.
    pub(crate) fn nearest(
        &self,
        search: &Search,
        rows: &[f32],
        near: &[f32],
        k: usize,
        own: Option<&[usize]>,
    ) -> Result<Vec<Vec<(usize, f64)>>> {
        let width = self.width;
        let Search { known, squares, device } = search;
        let tensor = |values: Vec<f32>, width: usize| {
            let shape = [values.len() / width, width];
            Tensor::<2>::from_data(TensorData::new(values, shape), device)
        };
        let mut found = Vec::with_capacity(rows.len() / width);
        for (number, (chunk, near)) in rows.chunks(CHUNK * width).zip(near.chunks(CHUNK * width)).enumerate() {
            let has_missing = near.iter().any(|value| value.is_nan());
            let zeroed = |value: &f32| if value.is_nan() { 0.0 } else { *value };
            let quick = match has_missing {
                false => {
                    let with_one: Vec<f32> =
                        near.chunks_exact(width).flat_map(|row| row.iter().copied().chain([1.0])).collect();
                    tensor(with_one, width + 1).matmul(known.clone())
                }
                true => {
                    // Over the observed values.
                    let there = near.iter().map(|value| f32::from(u8::from(!value.is_nan()))).collect();
                    let with_zero: Vec<f32> =
                        near.chunks_exact(width).flat_map(|row| row.iter().map(zeroed).chain([0.0])).collect();
                    tensor(with_zero, width + 1).matmul(known.clone()) + tensor(there, width).matmul(squares.clone())
                }
            };
            let quick = numbers(quick)?;
            for (index, (row, quick)) in chunk.chunks_exact(width).zip(quick.chunks_exact(self.len())).enumerate() {
                let own = own.map(|own| own[number * CHUNK + index]);
                let candidates = least(quick, k + SPARE, own);
                let mut exact: Vec<(usize, f64)> =
                    candidates.into_iter().map(|place| (place, self.distance(row, place))).collect();
                exact.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
                exact.truncate(k);
                found.push(exact);
            }
        }
        Ok(found)
    }

    fn distance(&self, row: &[f32], place: usize) -> f64 {
        let both = row.iter().zip(self.row(place)).filter(|(value, _)| !value.is_nan());
        let (sum, count) = both
            .fold((0.0, 0.0f64), |(sum, count), (a, b)| (sum + (f64::from(*a) - f64::from(*b)).powi(2), count + 1.0));
        (sum * self.width as f64 / count.max(1.0)).sqrt()
    }
}

/// The positions of the `most` smallest values, in any order, without `own`.
fn least(values: &[f32], most: usize, own: Option<usize>) -> Vec<usize> {
    let mut kept: Vec<(f32, usize)> = Vec::with_capacity(2 * most);
    let mut bound = f32::INFINITY;
    for (place, &value) in values.iter().enumerate() {
        // Almost all values are above the bound, so that one comparison is enough for them.
        if value > bound || Some(place) == own {
            continue;
        }
        kept.push((value, place));
        if kept.len() == 2 * most {
            kept.select_nth_unstable_by(most - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            kept.truncate(most);
            bound = kept.iter().map(|(value, _)| *value).fold(f32::NEG_INFINITY, f32::max);
        }
    }
    if kept.len() > most {
        kept.select_nth_unstable_by(most - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        kept.truncate(most);
    }
    kept.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rows_equal_those_found_by_differences() {
        let value = |i: usize| ((i * 37 + i * i * 11) % 101) as f32 / 10.0;
        let reference = Reference::of((0..600).map(value).collect(), 3);
        let search = reference.search(&Device::default());
        let queries: Vec<f32> = (0..30).map(|i| value(i * 7 + 3) + 0.05).collect();
        let found = reference.nearest(&search, &queries, &reference.within_reach(&queries), 5, None).unwrap();
        for (row, found) in queries.chunks_exact(3).zip(&found) {
            let mut all: Vec<f64> = (0..200).map(|place| reference.distance(row, place)).collect();
            all.sort_by(f64::total_cmp);
            assert_eq!(found.iter().map(|(_, distance)| *distance).collect::<Vec<_>>(), all[..5]);
        }
        // A row is not its own neighbor, an extreme value does not hide the others, and missing values are left out.
        let own = reference.row(4).to_vec();
        let found = reference.nearest(&search, &own, &own, 1, Some(&[4])).unwrap();
        assert_ne!(found[0][0].0, 4);
        let far = [own[0], 1e30, own[2]];
        let found = reference.nearest(&search, &far, &reference.within_reach(&far), 1, None).unwrap();
        assert!(found[0][0].1 > 9e29 && found[0][0].1.is_finite());
        let hole = [own[0], f32::NAN, own[2]];
        let found = reference.nearest(&search, &hole, &hole, 1, None).unwrap();
        assert_eq!(found[0][0].1, 0.0);
    }
}
