//! Rows that are sums of known features, as of SAELens' synthetic models (`sae_lens.synthetic`).
//!
//! `x = b + sum_i s_i d_i` with unit vectors `d_i`, which are more than the dimensions, and strengths `s_i` that are
//! mostly 0. A feature of rank `r` is active with probability `p_r`, which falls from the first feature to the last as
//! `r^-a` does (Zipf's law), and then has the strength `max(0, N(m_r, v_r))`.
//!
//! Features form trees: a child is active only where its parent is, at most one child of a parent at a time, and its
//! strength is multiplied by that of its parent over the parent's mean; a dictionary easily takes the two for one
//! (Bussmann et al. 2025). To keep the probabilities near `p_r` in spite of this, a child is drawn with
//! `p_r / p_parent (1 + sum of the siblings' p / p_parent)`, at most 1.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::orthogonal::more_orthogonal;
use crate::{Error, Result, random::normal, tensors::numbers};

/// Which features there are.
#[derive(Debug, Clone, PartialEq)]
pub struct FeaturesConfig {
    /// Number of features. Default: 256.
    pub features: usize,
    /// Number of values of a row. Default: 64.
    pub width: usize,
    /// Probabilities of the first and the last feature, in `(0, 1]`. Default: 0.2 and 0.005.
    pub probability: [f64; 2],
    /// Exponent `a` of the probabilities between them, greater than 0. Default: 0.5.
    pub exponent: f64,
    /// Number of trees; 0 for independent features. Default: 16.
    pub trees: usize,
    /// Number of children of a feature that has children. Default: 4.
    pub children: usize,
    /// Number of generations below the root of a tree. Default: 2.
    pub depth: usize,
    /// Mean strengths of the first and the last feature, which are linear between them, greater than 0. Default: 5 and
    /// 4.
    pub strength: [f64; 2],
    /// The standard deviation of a feature's strength is `|N(m, s^2)|` with this `m` and `s`. Default: 0.5 and 0.5.
    pub deviation: [f64; 2],
    /// Length of `b`. Default: 0.5.
    pub bias: f64,
}

impl Default for FeaturesConfig {
    fn default() -> Self {
        Self {
            features: 256,
            width: 64,
            probability: [0.2, 0.005],
            exponent: 0.5,
            trees: 16,
            children: 4,
            depth: 2,
            strength: [5.0, 4.0],
            deviation: [0.5, 0.5],
            bias: 0.5,
        }
    }
}

impl FeaturesConfig {
    fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::Usage(format!("known features: {what}")));
        if self.features == 0 || self.width == 0 {
            return refuse("there must be at least one feature and one value");
        }
        let is_positive = |value: &f64| *value > 0.0;
        if !self.probability.iter().all(|p| is_positive(p) && *p <= 1.0) || !is_positive(&self.exponent) {
            return refuse("probabilities must be in (0, 1], and their exponent greater than 0");
        }
        if !self.strength.iter().all(is_positive) {
            return refuse("strengths must be greater than 0");
        }
        Ok(())
    }
}

/// Features, of which rows are drawn.
#[derive(Debug, Clone)]
pub struct KnownFeatures {
    /// The directions `d_i`, `[features, width]`, row by row, each of length 1.
    pub atoms: Vec<f32>,
    /// What all rows have in common, `b`.
    pub bias: Vec<f32>,
    /// The parent of each feature.
    pub parents: Vec<Option<usize>>,
    /// The children of each feature.
    pub children: Vec<Range<usize>>,
    /// The probability with which each feature is drawn; a child only where its parent is active.
    pub probabilities: Vec<f64>,
    /// Mean and standard deviation of each feature's strength, before it is scaled by its parent.
    pub strengths: Vec<[f64; 2]>,
}

/// Rows, and what they consist of.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// `[count, width]`, row by row.
    pub rows: Vec<f32>,
    /// The strength of each feature in each row, `[count, features]`, row by row; 0 where it is not active.
    pub strengths: Vec<f32>,
}

/// Steps and rate of Adam that make the directions more orthogonal.
const ORTHOGONAL: (i32, f64) = (100, 3e-4);

impl KnownFeatures {
    /// Draws the features.
    ///
    /// # Errors
    /// A setting outside its range, or a device that fails.
    pub fn new(config: &FeaturesConfig, seed: u64) -> Result<Self> {
        config.check()?;
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let (features, width) = (config.features, config.width);
        let drawn: Vec<f32> = (0..features * width).map(|_| normal(&mut generator) as f32).collect();
        let drawn = Tensor::<2>::from_data(TensorData::new(drawn, [features, width]), &Device::flex());
        let atoms = numbers(more_orthogonal(drawn, ORTHOGONAL.0, ORTHOGONAL.1))?;
        let bias: Vec<f64> = (0..width).map(|_| normal(&mut generator)).collect();
        let length = bias.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        let bias = bias.into_iter().map(|value| (value / length * config.bias) as f32).collect();

        let children = trees(config);
        let mut parents = vec![None; features];
        for (parent, children) in children.iter().enumerate() {
            parents[children.clone()].fill(Some(parent));
        }
        let wanted = zipf(config);
        let probabilities = (0..features)
            .map(|feature| {
                let Some(parent) = parents[feature] else { return wanted[feature] };
                let share = |feature: usize| wanted[feature] / wanted[parent];
                let others: f64 = children[parent].clone().filter(|&other| other != feature).map(share).sum();
                (share(feature) * (1.0 + others)).min(1.0)
            })
            .collect();
        let [first, last] = config.strength;
        let strengths = (0..features)
            .map(|feature| {
                let place = feature as f64 / (features - 1).max(1) as f64;
                let deviation = (config.deviation[0] + config.deviation[1] * normal(&mut generator)).abs();
                [first + (last - first) * place, deviation]
            })
            .collect();
        Ok(Self { atoms, bias, parents, children, probabilities, strengths })
    }

    /// Draws rows. The same seed gives the same rows.
    pub fn draw(&self, count: usize, seed: u64) -> Drawn {
        let (features, width) = (self.probabilities.len(), self.bias.len());
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn = Drawn { rows: self.bias.repeat(count), strengths: vec![0.0; count * features] };
        for (row, strengths) in drawn.rows.chunks_exact_mut(width).zip(drawn.strengths.chunks_exact_mut(features)) {
            self.draw_strengths(&mut generator, strengths);
            for (strength, atom) in strengths.iter().zip(self.atoms.chunks_exact(width)).filter(|(s, _)| **s > 0.0) {
                row.iter_mut().zip(atom).for_each(|(value, atom)| *value += strength * atom);
            }
        }
        drawn
    }

    /// Draws the strengths of one row.
    fn draw_strengths(&self, generator: &mut ChaCha8Rng, strengths: &mut [f32]) {
        let one = |feature: usize, generator: &mut ChaCha8Rng| -> Option<f64> {
            let is_active = generator.random::<f64>() < self.probabilities[feature];
            let [mean, deviation] = self.strengths[feature];
            is_active.then(|| mean + deviation * normal(generator)).filter(|strength| *strength > 0.0)
        };
        // Parents come before their children.
        for feature in 0..strengths.len() {
            if self.parents[feature].is_none() {
                strengths[feature] = one(feature, generator).unwrap_or(0.0) as f32;
            }
            if strengths[feature] > 0.0 {
                let children = self.children[feature].clone();
                let active: Vec<(usize, f64)> =
                    children.filter_map(|child| Some((child, one(child, generator)?))).collect();
                if !active.is_empty() {
                    let (child, strength) = active[generator.random_range(0..active.len())];
                    strengths[child] = (strength * f64::from(strengths[feature]) / self.strengths[feature][0]) as f32;
                }
            }
        }
    }
}

/// `p_r`: as `r^-a`, moved and scaled to the first and the last probability.
fn zipf(config: &FeaturesConfig) -> Vec<f64> {
    let ([first, last], count) = (config.probability, config.features);
    let power = |rank: usize| (rank as f64).powf(-config.exponent);
    let range = (1.0 - power(count)).max(f64::MIN_POSITIVE);
    (1..=count).map(|rank| first - (first - last) * (1.0 - power(rank)) / range).collect()
}

/// The children of each feature. First come the roots, then their children, one generation after the other, while there
/// are features; what is left has no parent.
fn trees(config: &FeaturesConfig) -> Vec<Range<usize>> {
    let mut children = vec![0..0; config.features];
    let (mut generation, mut next) = (0..config.trees.min(config.features), config.trees.min(config.features));
    for _ in 0..config.depth {
        let start = next;
        for parent in generation {
            let end = (next + config.children).min(config.features);
            children[parent] = next..end;
            next = end;
        }
        generation = start..next;
    }
    children
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default() -> KnownFeatures {
        KnownFeatures::new(&FeaturesConfig::default(), 42).unwrap()
    }

    #[test]
    fn directions_have_length_one_and_are_nearly_orthogonal() {
        let atoms = default().atoms;
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let rows: Vec<&[f32]> = atoms.chunks_exact(64).collect();
        assert!(rows.iter().all(|row| (dot(row, row) - 1.0).abs() < 1e-5));
        let all: f64 = rows.iter().flat_map(|a| rows.iter().map(|b| dot(a, b).powi(2))).sum();
        // 256^2 / 64 is the least that is possible (Welch 1974); of random directions it is 256 more.
        assert!((1024.0..1100.0).contains(&all), "{all}");
    }

    #[test]
    fn directions_are_those_that_saelens_finds() {
        let start: Vec<f32> = (0..24).map(|i| ((i * i % 17) as f32 * 0.9).sin() + 0.1).collect();
        let start = Tensor::<2>::from_data(TensorData::new(start, [6, 4]), &Device::flex());
        let found = numbers(more_orthogonal(start, 30, 0.01)).unwrap();
        // orthogonalize_embeddings(start, num_steps=30, lr=0.01) of SAELens 6.54.12
        let expected = [
            [-0.098762, 0.629065, -0.459188, 0.619411],
            [0.528792, 0.35346, 0.506403, 0.582237],
            [-0.545653, -0.261949, 0.695514, 0.387178],
            [0.290537, 0.643663, 0.500489, -0.500796],
            [0.629692, -0.174063, 0.544126, -0.526419],
            [0.505629, 0.456334, 0.331801, 0.652693],
        ];
        for (found, expected) in found.iter().zip(expected.as_flattened()) {
            assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
        }
    }

    #[test]
    fn a_child_is_active_where_its_parent_is_and_alone() {
        let known = default();
        assert_eq!((known.children[0].clone(), known.children[16].clone()), (16..20, 80..84));
        assert_eq!((known.parents[79], known.parents[255], known.children[60].clone()), (Some(15), Some(59), 256..256));
        let drawn = known.draw(20_000, 1);
        for strengths in drawn.strengths.chunks_exact(256) {
            for (parent, children) in known.children.iter().enumerate() {
                let active = strengths[children.clone()].iter().filter(|strength| **strength > 0.0).count();
                assert!(active <= usize::from(strengths[parent] > 0.0));
            }
        }
    }

    #[test]
    fn features_are_active_as_often_as_their_probabilities_say() {
        let (known, count) = (default(), 40_000);
        let drawn = known.draw(count, 2);
        let mut rates = [0.0; 256];
        for strengths in drawn.strengths.chunks_exact(256) {
            rates.iter_mut().zip(strengths).for_each(|(rate, s)| *rate += f64::from(u8::from(*s > 0.0)));
        }
        rates.iter_mut().for_each(|rate| *rate /= count as f64);
        // The few strengths that are cut off at 0 are left out here: less than 1 in 1,000.
        let mut expected = known.probabilities.clone();
        for (parent, children) in known.children.iter().enumerate() {
            // A child is kept with the probability 1 / (1 + number of other active ones), over all sets of others.
            for child in children.clone() {
                let others: Vec<usize> = children.clone().filter(|&other| other != child).collect();
                let kept: f64 = (0..1usize << others.len())
                    .map(|set| {
                        let is_in = |index: usize| set >> index & 1 == 1;
                        let p = |index: usize| known.probabilities[others[index]];
                        let each = (0..others.len()).map(|i| if is_in(i) { p(i) } else { 1.0 - p(i) });
                        each.product::<f64>() / (1.0 + f64::from(set.count_ones()))
                    })
                    .sum();
                expected[child] = known.probabilities[child] * kept * expected[parent];
            }
        }
        for (feature, (rate, expected)) in rates.iter().zip(&expected).enumerate() {
            let deviation = (expected * (1.0 - expected) / count as f64).sqrt();
            assert!((rate - expected).abs() < 5.0 * deviation, "{feature}: {rate}, expected {expected}");
        }
        assert!((rates[0] - 0.2).abs() < 0.01);
    }

    #[test]
    fn rows_are_the_sums_of_their_features() {
        let known = default();
        let drawn = known.draw(50, 3);
        assert_eq!(drawn, known.draw(50, 3));
        assert!(drawn != known.draw(50, 4));
        for (row, strengths) in drawn.rows.chunks_exact(64).zip(drawn.strengths.chunks_exact(256)) {
            for (column, value) in row.iter().enumerate() {
                let sum: f32 = (0..256).map(|feature| strengths[feature] * known.atoms[feature * 64 + column]).sum();
                assert!((value - known.bias[column] - sum).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn features_without_trees_are_independent_and_settings_are_checked() {
        let config = FeaturesConfig { features: 5, width: 3, trees: 0, ..FeaturesConfig::default() };
        let known = KnownFeatures::new(&config, 1).unwrap();
        assert!(known.parents.iter().all(Option::is_none));
        assert!((known.probabilities[0] - 0.2).abs() < 1e-12 && (known.probabilities[4] - 0.005).abs() < 1e-12);
        for wrong in [
            FeaturesConfig { features: 0, ..config.clone() },
            FeaturesConfig { probability: [0.2, 0.0], ..config.clone() },
            FeaturesConfig { exponent: 0.0, ..config.clone() },
            FeaturesConfig { strength: [1.0, 0.0], ..config },
        ] {
            assert!(matches!(KnownFeatures::new(&wrong, 1), Err(Error::Usage(_))));
        }
    }
}
