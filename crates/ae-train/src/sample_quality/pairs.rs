//! Measures based on the nearest rows.

use super::distances::{BLOCK, Rows, spread};
use crate::auroc::quantile;

/// Number of the nearest real row whose distance is the radius of a ball, for density and coverage.
pub(super) const NEIGHBORS: usize = 5;

/// Maximum number of rows of each set for which the nearest training row is searched.
const QUERIES: usize = 1000;

/// Maximum number of training rows that are searched.
const TRAINING: usize = 100_000;

/// Smallest relative difference of squared distances that are not equal.
const EQUAL: f64 = 1e-9;

/// Statistics of the squared distances between equally many generated and real rows.
pub(super) struct Pairs {
    /// Squared distances to the nearest other row of the same set and to the nearest row of the other set: generated
    /// rows first, then real rows.
    nearest: Vec<(f64, f64)>,
    /// Number of generated rows in the ball of each real row.
    within: Vec<usize>,
}

impl Pairs {
    pub(super) fn of(samples: &[f32], real: &[f32], width: usize, most: usize) -> Self {
        let [samples, real] = [samples, real].map(|rows| Rows::of(rows, width, spread(rows.len() / width, most)));
        let mut nearest_sample = vec![(f64::INFINITY, f64::INFINITY); samples.len()];
        let mut nearest_real = vec![(f64::INFINITY, f64::INFINITY); real.len()];
        let mut within = vec![0; real.len()];
        // The smallest distances to other real rows, ascending.
        let mut neighbors = vec![[f64::INFINITY; NEIGHBORS]; real.len()];
        real.each_distance(&real, |row, other, squared| {
            let least = &mut neighbors[row];
            if row != other && squared < least[NEIGHBORS - 1] {
                let place = least.partition_point(|&known| known <= squared);
                least[place..].rotate_right(1);
                least[place] = squared;
            }
        });
        for (nearest, least) in nearest_real.iter_mut().zip(&neighbors) {
            nearest.0 = least[0];
        }
        real.each_distance(&samples, |row, sample, squared| {
            nearest_real[row].1 = nearest_real[row].1.min(squared);
            nearest_sample[sample].1 = nearest_sample[sample].1.min(squared);
            // Balls are open, as in the authors' code, but a ball of radius 0 contains its center.
            let radius = neighbors[row][NEIGHBORS - 1];
            within[row] += usize::from(squared * (1.0 + EQUAL) < radius || squared == 0.0);
        });
        samples.each_distance(&samples, |row, other, squared| {
            if row != other {
                nearest_sample[row].0 = nearest_sample[row].0.min(squared);
            }
        });
        Self { nearest: [nearest_sample, nearest_real].concat(), within }
    }

    pub(super) fn accuracy(&self) -> f64 {
        let right = |&(own, other): &(f64, f64)| match () {
            () if own * (1.0 + EQUAL) < other => 1.0,
            () if other * (1.0 + EQUAL) < own => 0.0,
            () => 0.5,
        };
        self.nearest.iter().map(right).sum::<f64>() / self.nearest.len() as f64
    }

    pub(super) fn density(&self) -> f64 {
        self.within.iter().sum::<usize>() as f64 / (NEIGHBORS * self.within.len()) as f64
    }

    pub(super) fn coverage(&self) -> f64 {
        self.within.iter().filter(|&&samples| samples > 0).count() as f64 / self.within.len() as f64
    }
}

/// The ratio of the median distances to the nearest training row.
pub(super) fn nearest_train(samples: &[f32], real: &[f32], train: &[f32], width: usize) -> Option<f64> {
    if train.is_empty() {
        return None;
    }
    let [samples, real] = [samples, real].map(|rows| Rows::of(rows, width, spread(rows.len() / width, QUERIES)));
    let mut nearest = [&samples, &real].map(|rows| vec![f64::INFINITY; rows.len()]);
    // Training rows are converted block by block: all of them might not fit into memory as `f64`.
    let places: Vec<usize> = spread(train.len() / width, TRAINING).collect();
    for places in places.chunks(BLOCK.1) {
        let train = Rows::of(train, width, places.iter().copied());
        for (rows, nearest) in [&samples, &real].into_iter().zip(&mut nearest) {
            rows.each_distance(&train, |row, _, squared| nearest[row] = nearest[row].min(squared));
        }
    }
    let [samples, real] = nearest.map(|mut nearest| {
        nearest.iter_mut().for_each(|squared| *squared = squared.sqrt());
        nearest.sort_by(f64::total_cmp);
        quantile(&nearest, 0.5)
    });
    (real > 0.0).then(|| samples / real)
}
