//! How much of known features a dictionary has found. The definitions are those of SAELens (`synthetic/evals.py` of
//! version 6.54.12), with which the figures agree.
//!
//! The match of two directions is the magnitude of their cosine, `|a b| / (|a| |b|)`.

use burn::tensor::{Device, Tensor, TensorData};

use super::assignment::cheapest;
use crate::{Error, Result, Trained, matrix::Matrix, tensors::numbers};

/// Up to as many directions are matched by the best of all one-to-one assignments, which takes a time that grows with
/// the third power.
pub const HUNGARIAN_UP_TO: usize = 4096;
/// Directions that are compared with all others at a time.
const BLOCK: usize = 1024;

/// The directions of two dictionaries, matched one to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// Index in the first, index in the second, and their match.
    pub pairs: Vec<(usize, usize, f32)>,
    /// Number of directions of the smaller dictionary.
    pub smaller: usize,
}

impl Matching {
    /// Mean match of the pairs; 0 without any. If the second dictionary consists of known features, this is the mean
    /// correlation coefficient (MCC); of two dictionaries that were trained with different seeds it is their stability
    /// (Song et al. 2025).
    pub fn mean(&self) -> f64 {
        self.pairs.iter().map(|(.., cosine)| f64::from(*cosine)).sum::<f64>() / self.pairs.len().max(1) as f64
    }

    /// Share of the smaller dictionary's directions that have a partner with a match above `cosine`, such as 0.7
    /// (Paulo and Belrose 2025).
    pub fn share_above(&self, cosine: f32) -> f64 {
        self.pairs.iter().filter(|(.., found)| *found > cosine).count() as f64 / self.smaller.max(1) as f64
    }
}

/// Matches the directions of two dictionaries, the rows of `a` and `b`, one to one. If the smaller one has at most
/// 4,096, each of its directions has a partner, and the sum of the matches is the largest that is possible. Otherwise
/// the pairs are those directions that are each other's best match, so that many have no partner and
/// [`mean`](Matching::mean) is larger.
///
/// # Errors
/// Directions of different widths, or values that are not finite.
pub fn matched(a: Matrix, b: Matrix) -> Result<Matching> {
    check(a, b)?;
    let (rows, columns) = (a.count(), b.count());
    if rows > columns {
        let Matching { pairs, smaller } = matched(b, a)?;
        return Ok(Matching { pairs: pairs.into_iter().map(|(b, a, cosine)| (a, b, cosine)).collect(), smaller });
    }
    let pairs = match rows <= HUNGARIAN_UP_TO {
        true => {
            let mut cosines = Vec::with_capacity(rows * columns);
            each_block(a, b, |_, block| cosines.extend_from_slice(block))?;
            let of = |row: usize, column: usize| cosines[row * columns + column];
            let found = cheapest(rows, columns, |row, column| -f64::from(of(row, column)));
            found.into_iter().enumerate().map(|(row, column)| (row, column, of(row, column))).collect()
        }
        false => {
            let mut best_row = vec![(0, f32::NEG_INFINITY); columns];
            let mut best_column = Vec::with_capacity(rows);
            each_block(a, b, |start, block| {
                for (row, cosines) in (start..).zip(block.chunks_exact(columns)) {
                    best_column.push(largest(cosines));
                    for (best, &cosine) in best_row.iter_mut().zip(cosines) {
                        if cosine > best.1 {
                            *best = (row, cosine);
                        }
                    }
                }
            })?;
            let of = |(row, (column, cosine))| (row, column, cosine);
            best_column.into_iter().enumerate().map(of).filter(|(row, column, _)| best_row[*column].0 == *row).collect()
        }
    };
    Ok(Matching { pairs, smaller: rows })
}

/// How much of known features a dictionary has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Mean correlation coefficient: the mean match of the best one-to-one assignment of units to features.
    pub mcc: f64,
    /// Number of different features that are the best match of a unit, over the number of units: below 1, several units
    /// stand for the same feature.
    pub uniqueness: f64,
    /// Share of the rows where a unit is active in which its best match is, too; the mean over the units, as of the
    /// following figures. A figure that would be 0 / 0 is 0.
    pub precision: f64,
    /// Share of the rows where a unit's best match is active in which the unit is.
    pub recall: f64,
    /// Harmonic mean of the precision and the recall of a unit.
    pub f1: f64,
    /// Share of the rows in which unit and best match are both active or both not.
    pub accuracy: f64,
}

/// Compares a dictionary with known features.
///
/// - `dictionary`: the directions of its units, `[units, width]`
/// - `codes`: their values, `[rows, units]`; a unit is active where it is not 0
/// - `features`: the directions of the known features, `[features, width]`
/// - `strengths`: their values, `[rows, features]`; a feature is active where it is greater than 0
///
/// # Errors
/// Sizes that do not fit together, or values that are not finite.
pub fn agreement(dictionary: Matrix, codes: Matrix, features: Matrix, strengths: Matrix) -> Result<Agreement> {
    check(dictionary, features)?;
    let units = dictionary.count();
    let fits = codes.width == units && strengths.width == features.count();
    if units == 0 || features.count() == 0 || !fits || codes.count() != strengths.count() {
        return Err(Error::Usage(format!(
            "{} codes of {} values and {} strengths of {} do not belong to the same rows of {units} units and {} \
             features",
            codes.values.len(),
            codes.width,
            strengths.values.len(),
            strengths.width,
            features.count()
        )));
    }
    let best = best(dictionary, features)?;
    let mut distinct = best.clone();
    distinct.sort_unstable();
    distinct.dedup();
    // For each unit the rows with both active, only the unit, only the feature.
    let mut counts = vec![[0.0f64; 3]; units];
    let rows = codes.values.chunks_exact(units).zip(strengths.values.chunks_exact(strengths.width));
    for (code, strengths) in rows {
        for ((count, value), &feature) in counts.iter_mut().zip(code).zip(&best) {
            match (*value != 0.0, strengths[feature] > 0.0) {
                (true, true) => count[0] += 1.0,
                (true, false) => count[1] += 1.0,
                (false, true) => count[2] += 1.0,
                (false, false) => {}
            }
        }
    }
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let (mut sums, total) = ([0.0; 4], codes.count() as f64);
    for [both, only_unit, only_feature] in counts {
        let (precision, recall) = (ratio(both, both + only_unit), ratio(both, both + only_feature));
        let f1 = ratio(2.0 * precision * recall, precision + recall);
        let accuracy = ratio(total - only_unit - only_feature, total);
        sums.iter_mut().zip([precision, recall, f1, accuracy]).for_each(|(sum, figure)| *sum += figure);
    }
    let [precision, recall, f1, accuracy] = sums.map(|sum| sum / units as f64);
    let uniqueness = distinct.len() as f64 / units as f64;
    Ok(Agreement { mcc: matched(dictionary, features)?.mean(), uniqueness, precision, recall, f1, accuracy })
}

/// The directions of a model's units in the units of the data, with length 1, `[code_dim, features]` row by row; the
/// decoder must be a single layer.
///
/// # Errors
/// A decoder of several layers.
pub fn directions(trained: &Trained) -> Result<Vec<f32>> {
    let several = || Error::Usage("the units have no directions: the decoder must be a single layer".to_string());
    Ok(trained.atoms()?.ok_or_else(several)?.into_directions())
}

/// Whether directions can be compared.
fn check(a: Matrix, b: Matrix) -> Result<()> {
    if a.width != b.width || a.width == 0 {
        return Err(Error::Usage(format!("directions of {} and of {} values cannot be compared", a.width, b.width)));
    }
    match [a, b].iter().any(|matrix| matrix.values.iter().any(|value| !value.is_finite())) {
        true => Err(Error::Failed("directions need finite values".to_string())),
        false => Ok(()),
    }
}

/// The best match of each row of `a` among the rows of `b`.
fn best(a: Matrix, b: Matrix) -> Result<Vec<usize>> {
    let mut best = Vec::with_capacity(a.count());
    each_block(a, b, |_, block| best.extend(block.chunks_exact(b.count()).map(|cosines| largest(cosines).0)))?;
    Ok(best)
}

/// The first of the largest values, with its index.
fn largest(values: &[f32]) -> (usize, f32) {
    let keep = |best: (usize, f32), (index, &value): (usize, &f32)| if value > best.1 { (index, value) } else { best };
    values.iter().enumerate().fold((0, f32::NEG_INFINITY), keep)
}

/// Calls `visit` with the matches of some rows of `a` with all rows of `b`, row by row, and the index of the first.
fn each_block(a: Matrix, b: Matrix, mut visit: impl FnMut(usize, &[f32])) -> Result<()> {
    let other = unit(b.values, b.width).transpose();
    for (index, rows) in a.values.chunks(BLOCK * a.width).enumerate() {
        let cosines = ae_kernels::matmul(unit(rows, a.width), other.clone()).abs();
        visit(index * BLOCK, &numbers(cosines)?);
    }
    Ok(())
}

/// The rows divided by their lengths; a row of zeros stays as it is.
fn unit(values: &[f32], width: usize) -> Tensor<2> {
    let rows = Tensor::<2>::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), &Device::flex());
    let lengths = rows.clone().square().sum_dim(1).sqrt().clamp_min(1e-8);
    rows / lengths
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::random::normal;

    /// `sin(0.7 (37 i mod 101))` and so on: numbers that Python computes as well.
    fn wave(count: usize, factor: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * factor % 101) as f64 * 0.7).sin() as f32).collect()
    }

    /// Of `values` those above `threshold`, and 0 elsewhere.
    fn above(values: Vec<f32>, threshold: f32) -> Vec<f32> {
        values.into_iter().map(|value| if value > threshold { value } else { 0.0 }).collect()
    }

    fn matrix(values: &[f32], width: usize) -> Matrix<'_> {
        Matrix { values, width }
    }

    #[test]
    fn a_permuted_flipped_and_scaled_dictionary_is_the_same() {
        let (features, width) = (wave(30 * 8, 37), 8);
        // Unit i is feature 7 i mod 30, flipped and scaled.
        let order: Vec<usize> = (0..30).map(|unit| unit * 7 % 30).collect();
        let of = |values: &[f32], factor: fn(usize) -> f32| -> Vec<f32> {
            let row = |(unit, &feature): (usize, &usize)| {
                values[feature * width..(feature + 1) * width].iter().map(move |v| v * factor(unit)).collect::<Vec<_>>()
            };
            order.iter().enumerate().flat_map(row).collect()
        };
        let units = of(&features, |unit| if unit % 2 == 0 { -2.0 } else { 0.1 + unit as f32 });
        let found = matched(matrix(&units, width), matrix(&features, width)).unwrap();
        assert!((found.mean() - 1.0).abs() < 1e-6 && found.share_above(0.999) == 1.0);
        assert!(found.pairs.iter().all(|&(unit, feature, _)| order[unit] == feature));
        let strengths = above(wave(50 * 30, 53), 0.5);
        let codes: Vec<f32> =
            strengths.chunks_exact(30).flat_map(|row| order.iter().map(|&feature| -row[feature])).collect();
        let features = [matrix(&features, width), matrix(&strengths, 30)];
        let found = agreement(matrix(&units, width), matrix(&codes, 30), features[0], features[1]).unwrap();
        let exact = Agreement { mcc: found.mcc, uniqueness: 1.0, precision: 1.0, recall: 1.0, f1: 1.0, accuracy: 1.0 };
        assert_eq!(found, exact);
    }

    #[test]
    fn figures_of_directions_at_known_angles() {
        // Features along the axes. Units at 60 degrees between two of them, along the first, and along nothing.
        let features = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let (cos, sin) = (0.5, 0.75f32.sqrt());
        let units = [cos, sin, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let found = matched(matrix(&units, 3), matrix(&features, 3)).unwrap();
        assert_eq!(found.pairs[..2].iter().map(|pair| pair.1).collect::<Vec<_>>(), [1, 0]);
        assert!((found.mean() - f64::from(sin + 1.0) / 3.0).abs() < 1e-6);
        assert!((found.share_above(0.7) - 2.0 / 3.0).abs() < 1e-12);
        // Two units nearest to the same feature: one of them gets the other feature.
        let close = [1.0, 0.1, 0.0, 1.0, -0.2, 0.0];
        let found = matched(matrix(&close, 3), matrix(&features, 3)).unwrap();
        assert_eq!(found.pairs.iter().map(|pair| (pair.0, pair.1)).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
        let codes = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        let strengths = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let found = agreement(matrix(&close, 3), matrix(&codes, 2), matrix(&features, 3), matrix(&strengths, 3));
        let found = found.unwrap();
        // Feature 0 is active in rows 0 and 1, unit 0 in row 0, unit 1 in row 1.
        assert_eq!((found.uniqueness, found.precision, found.recall), (0.5, 1.0, 0.5));
        assert!((found.f1 - 2.0 / 3.0).abs() < 1e-12 && (found.accuracy - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn figures_are_those_of_saelens() {
        // mean_correlation_coefficient, feature_uniqueness and compute_classification_metrics of SAELens 6.54.12
        let (units, features, width) = (5, 7, 4);
        let (dictionary, directions) = (wave(units * width, 37), wave(features * width, 29));
        let mut codes = above(wave(60 * units, 53), 0.4);
        codes.iter_mut().skip(3).step_by(units).for_each(|value| *value = 0.0);
        let strengths = above(wave(60 * features, 71), 0.2);
        let found = agreement(
            matrix(&dictionary, width),
            matrix(&codes, units),
            matrix(&directions, width),
            matrix(&strengths, features),
        );
        let found = found.unwrap();
        for (what, found, expected) in [
            ("mcc", found.mcc, 0.606_327_9),
            ("uniqueness", found.uniqueness, 0.6),
            ("precision", found.precision, 0.303_258_15),
            ("recall", found.recall, 0.252),
            ("f1", found.f1, 0.275_046_1),
            ("accuracy", found.accuracy, 0.52),
        ] {
            assert!((found - expected).abs() < 1e-6, "{what}: {found}, expected {expected}");
        }
    }

    #[test]
    fn many_directions_are_matched_where_both_are_the_best_for_each_other() {
        let (count, width) = (HUNGARIAN_UP_TO + 4, 8);
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let a: Vec<f32> = (0..count * width).map(|_| normal(&mut generator) as f32).collect();
        // In reverse order, and two of them twice, of which only the first can be a partner.
        let mut b: Vec<f32> = a.chunks_exact(width).rev().flatten().copied().collect();
        b.extend_from_slice(&a[..2 * width]);
        let (a, b) = (matrix(&a, width), matrix(&b, width));
        let found = matched(a, b).unwrap();
        assert!((found.mean() - 1.0).abs() < 1e-6 && found.share_above(0.999) == 1.0);
        let expected: Vec<(usize, usize)> = (0..count).map(|row| (row, count - 1 - row)).collect();
        assert_eq!(found.pairs.iter().map(|pair| (pair.0, pair.1)).collect::<Vec<_>>(), expected);
        // The other way round the pairs are the same.
        let turned = matched(b, a).unwrap();
        assert_eq!(turned.pairs.iter().map(|pair| (pair.1, pair.0)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let values = [1.0; 12];
        assert!(matched(matrix(&values, 3), matrix(&values, 4)).is_err());
        assert!(matched(matrix(&values, 0), matrix(&values, 0)).is_err());
        let [three, four] = [3, 4].map(|width| matrix(&values, width));
        assert!(agreement(three, three, three, four).is_err());
        assert!(agreement(three, four, three, four).is_ok());
        let infinite = [f32::INFINITY; 12];
        assert!(matched(three, matrix(&infinite, 3)).is_err());
    }
}
