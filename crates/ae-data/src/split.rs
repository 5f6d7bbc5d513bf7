//! Train, validation and test: an official test set is kept; the rest is cut by fraction and seed. Or by class, for one-class learning: half of
//! the normal rows to learn from, the other half and every anomaly to test on.

use std::collections::HashSet;

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
        Self::parts(rest, test, rows, config)
    }

    /// The parts for learning what is `normal` (a class) from normal rows alone: half of them, chosen by the seed, are trained and validated
    /// on, the other half and every row of another class are tested on. Where there is an official test set, all normal rows of the training
    /// set are trained on and the test set stays as it is.
    ///
    /// # Errors
    /// Rows without labels, a class that they do not have, or a part without rows.
    pub fn one_class(sets: Sets, normal: &str, config: SplitConfig) -> Result<Self, DataError> {
        let name = sets.name.clone();
        let all = Dataset::new(sets.train);
        let normals = all.of_class(normal).filter(|normals| !normals.indices().is_empty());
        let normals = normals.ok_or_else(|| DataError::NoClass { name, class: normal.to_string(), classes: all.rows().classes() })?;
        let count = normals.indices().len();
        let (rest, test) = match sets.test {
            Some(test) => (normals, Dataset::new(test)),
            None => {
                let (kept, _) = normals.cut(0.5, config.seed ^ 0x7e57);
                let kept_rows: HashSet<usize> = kept.indices().iter().copied().collect();
                let others = all.indices().iter().copied().filter(|index| !kept_rows.contains(index)).collect();
                (kept, all.select(others))
            }
        };
        Self::parts(rest, test, count, config)
    }

    fn parts(rest: Dataset, test: Dataset, rows: usize, config: SplitConfig) -> Result<Self, DataError> {
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
    /// Its rows of a class, by the class's name; none if the table has no such class.
    pub fn of_class(&self, class: &str) -> Option<Self> {
        let labels = self.rows().labels.as_ref()?;
        let number = self.rows().classes().iter().position(|name| name == class)? as u32;
        Some(self.select(self.indices().iter().copied().filter(|&index| labels[index] == number).collect()))
    }

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
    fn one_class_is_learned_from_half_of_it_and_tested_on_everything_else() {
        let mut sets = sets(50);
        sets.train.labels = Some((0..50).map(|row| u32::from(row % 5 == 0)).collect());
        sets.train.label_names = Some(vec!["good".into(), "bad".into()]);
        let config = SplitConfig { validation: 0.25, test: 0.2, seed: 3 };
        let split = Split::one_class(sets.clone(), "good", config).unwrap();
        assert_eq!([&split.train, &split.validation, &split.test].map(|part| part.indices().len()), [15, 5, 30]);
        assert!(split.train.indices().iter().chain(split.validation.indices()).all(|row| row % 5 != 0));
        assert_eq!(split.test.indices().iter().filter(|&row| row % 5 == 0).count(), 10);
        let error = Split::one_class(sets, "fine", config).unwrap_err().to_string();
        assert!(error.contains("`fine`") && error.contains("`good`, `bad`"), "{error}");
    }

    #[test]
    fn a_part_without_rows_is_refused() {
        let error = Split::new(sets(1), SplitConfig::default()).unwrap_err().to_string();
        assert!(error.contains("1 rows leave nothing to test on"), "{error}");
    }
}
