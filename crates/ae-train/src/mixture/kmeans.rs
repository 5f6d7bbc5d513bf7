//! The initialization of a mixture: k-means++ and a few steps of k-means.

use ae_data::progress::beat;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::component::{BLOCK, FEWEST, Moments};

/// Steps of k-means before expectation maximization.
const KMEANS_STEPS: usize = 8;

/// The moments of the clusters of k-means, and the center of each.
pub(super) fn start(rows: &[f32], width: usize, components: usize, seed: u64) -> Vec<(Vec<f64>, Moments)> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut centers = plus_plus(rows, width, components, &mut generator);
    let count = rows.len() / width;
    for _ in 0..KMEANS_STEPS {
        let mut clusters = vec![(vec![0.0; width], 0usize); centers.len()];
        for row in rows.chunks_exact(width) {
            let (sum, members) = &mut clusters[nearest(row, &centers)];
            sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
            *members += 1;
        }
        for (center, (sum, members)) in centers.iter_mut().zip(clusters) {
            if (members as f64) < FEWEST {
                // The center of an outlier or of no row: another place is more useful.
                let place = generator.random_range(0..count) * width;
                *center = wide(&rows[place..place + width]);
            } else {
                *center = sum.into_iter().map(|sum| sum / members as f64).collect();
            }
        }
        beat();
    }
    let mut found: Vec<(Vec<f64>, Moments)> = centers.into_iter().map(|at| (at, Moments::new(width))).collect();
    let mut buffer = Vec::new();
    for block in rows.chunks(BLOCK * width) {
        let centers: Vec<&[f64]> = found.iter().map(|(center, _)| center.as_slice()).collect();
        let members: Vec<usize> = block.chunks_exact(width).map(|row| nearest(row, &centers)).collect();
        for (k, (center, moments)) in found.iter_mut().enumerate() {
            let weights = members.iter().map(|&member| f64::from(u8::from(member == k)));
            moments.add(block, center, weights, &mut buffer);
        }
    }
    found
}

/// Rows that are far from one another (k-means++): each is drawn with a probability proportional to its squared
/// distance to the nearest one so far. Fewer than `components` if there are fewer distinct rows.
fn plus_plus(rows: &[f32], width: usize, components: usize, generator: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let count = rows.len() / width;
    let mut place = generator.random_range(0..count);
    let mut centers = Vec::with_capacity(components);
    let mut distances = vec![f64::INFINITY; count];
    loop {
        let center = wide(&rows[place * width..(place + 1) * width]);
        for (distance, row) in distances.iter_mut().zip(rows.chunks_exact(width)) {
            *distance = distance.min(squared_distance(row, &center));
        }
        centers.push(center);
        beat();
        if centers.len() == components || distances.iter().all(|&distance| distance == 0.0) {
            return centers;
        }
        place = drawn(&distances, generator.random());
    }
}

fn wide(row: &[f32]) -> Vec<f64> {
    row.iter().copied().map(f64::from).collect()
}

fn squared_distance(row: &[f32], point: &[f64]) -> f64 {
    row.iter().zip(point).map(|(&value, point)| (f64::from(value) - point).powi(2)).sum()
}

/// The index of the point that is nearest to a row.
fn nearest(row: &[f32], points: &[impl AsRef<[f64]>]) -> usize {
    let distances = points.iter().map(|point| squared_distance(row, point.as_ref()));
    distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(place, _)| place)
}

/// An index of `weights`, drawn with a probability proportional to its weight; `uniform` is a number in [0, 1).
pub(super) fn drawn(weights: &[f64], uniform: f64) -> usize {
    let mut left = uniform * weights.iter().sum::<f64>();
    let place = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    // Rounding can leave a small rest.
    place.or_else(|| weights.iter().rposition(|&weight| weight > 0.0)).unwrap_or(0)
}
