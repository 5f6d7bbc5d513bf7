//! Finds the level of a cell.

use std::collections::HashMap;

use crate::{
    Column,
    cell::{plain, truth},
};

/// Looks up the level of a cell.
#[derive(Debug)]
pub(super) struct Levels {
    pub(super) by_text: HashMap<String, f64>,
    /// By the number that a level is; `None` if several levels are the same number.
    by_number: HashMap<u64, Option<f64>>,
    /// For a column of two values: whether they are words for true and false, so that other such words are read, too.
    pub(super) is_truth: bool,
}

impl Levels {
    pub(super) fn of(column: &Column) -> Self {
        let numbered = || column.levels.iter().zip((0..).map(f64::from));
        let mut by_number = HashMap::new();
        for (key, number) in numbered().filter_map(|(level, number)| Some((exact(level)?, number))) {
            by_number.entry(key).and_modify(|known| *known = None).or_insert(Some(number));
        }
        let by_text = numbered().map(|(level, number)| (level.clone(), number)).collect();
        Self { by_text, by_number, is_truth: column.levels.iter().all(|level| truth(level).is_some()) }
    }

    /// The only level that is the same number as a cell.
    pub(super) fn by_number(&self, cell: &str) -> Option<f64> {
        exact(cell).and_then(|number| self.by_number.get(&number).copied().flatten())
    }
}

/// The number that a string is, if double precision represents it exactly.
fn exact(text: &str) -> Option<u64> {
    plain(text).filter(|number| number.abs() < 9_007_199_254_740_992.0).map(|number| (number + 0.0).to_bits())
}
