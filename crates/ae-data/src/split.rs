//! Train, validation and test: an official test set is kept; the rest is cut by fraction and seed.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, Sets};

/// How to cut.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// Share of the training rows held out for validation, in `(0, 1)`. Default: 0.1.
    pub validation: f64,
    /// Share of all rows held out for the test where there is no official test set, in `(0, 1)`. Default: 0.2.
    pub test: f64,
    /// Seed of the cut. Default: 0.
    pub seed: u64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { validation: 0.1, test: 0.2, seed: 0 }
    }
}

/// The three parts.
#[derive(Debug, Clone)]
pub struct Split {
    /// Rows to fit on.
    pub train: Dataset,
    /// Rows to choose the best epoch by.
    pub validation: Dataset,
    /// Rows that nothing was chosen by.
    pub test: Dataset,
}

impl Split {
    /// The parts of `sets`. The same seed gives the same cut.
    ///
    /// # Errors
    /// A part without rows.
    pub fn new(sets: Sets, config: SplitConfig) -> Result<Self, DataError> {
        let rows = sets.train.len();
        let all = Dataset::new(sets.train);
        let (rest, test) = match sets.test {
            Some(test) => (all, Dataset::new(test)),
            None => all.cut(config.test, config.seed ^ 0x7e57),
        };
        let (train, validation) = rest.cut(config.validation, config.seed);
        for (part, dataset, advice) in [
            ("test on", &test, "give more rows, or raise `data.test`"),
            ("validate on", &validation, "give more rows, or raise `data.validation`"),
            ("train on", &train, "give more rows, or lower `data.validation`"),
        ] {
            if dataset.indices().is_empty() {
                return Err(DataError::EmptySplit { rows, part, advice: advice.to_string() });
            }
        }
        Ok(Self { train, validation, test })
    }
}

impl Dataset {
    /// Cuts off `fraction` of the rows, chosen by `seed`; both parts keep the order of the rows.
    fn cut(self, fraction: f64, seed: u64) -> (Self, Self) {
        let mut order = self.indices().to_vec();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let held_out = (order.len() as f64 * fraction).round() as usize;
        let (held_out, kept) = order.split_at_mut(held_out);
        held_out.sort_unstable();
        kept.sort_unstable();
        (self.select(kept.to_vec()), self.select(held_out.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rows, Values};

    fn sets(count: usize) -> Sets {
        Sets { name: "numbers".into(), train: Rows::new(Values::U8(vec![0; count]), 1), test: None }
    }

    #[test]
    fn parts_are_disjoint_complete_and_repeatable() {
        let config = SplitConfig { validation: 0.25, test: 0.2, seed: 3 };
        let split = Split::new(sets(50), config).unwrap();
        assert_eq!([&split.train, &split.validation, &split.test].map(|part| part.indices().len()), [30, 10, 10]);
        let mut all: Vec<_> = [&split.train, &split.validation, &split.test].iter().flat_map(|part| part.indices().to_vec()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        assert_eq!(Split::new(sets(50), config).unwrap().validation.indices(), split.validation.indices());
        let other = Split::new(sets(50), SplitConfig { seed: 4, ..config }).unwrap();
        assert_ne!(other.validation.indices(), split.validation.indices());
    }

    #[test]
    fn a_part_without_rows_is_refused() {
        let error = Split::new(sets(1), SplitConfig::default()).unwrap_err().to_string();
        assert!(error.contains("1 rows leave nothing to test on"), "{error}");
    }
}
