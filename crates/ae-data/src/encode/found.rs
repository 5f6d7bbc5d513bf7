//! What is found in the cells of later data and is reported.

use std::collections::{BTreeMap, HashSet};

use crate::{Column, Kind, cell::Style, words::counted};

/// Maximum number of different cells of each kind that are kept for notes.
const NAMED: usize = 100;

/// What was found in the cells that is reported as notes.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// First rows of the parts read so far: a part that is read again is not counted again.
    pub(super) parts: HashSet<usize>,
    /// Values that did not occur in training, by column: the first row and the number of cells.
    pub(super) unseen: BTreeMap<(usize, String), (usize, usize)>,
    /// Columns that were empty in training and have values now.
    pub(super) unused: Vec<usize>,
    /// Cells that were read as missing, and the number of each.
    pub(super) missing: BTreeMap<String, usize>,
    /// Levels that were found by their number, by column: the first cell, the level, and the number of cells.
    pub(super) renamed: BTreeMap<usize, (String, String, usize)>,
    /// Ambiguous decimal marks, by column: the first cell, and the number that it is read as.
    pub(super) doubtful: BTreeMap<usize, (String, f64)>,
}

impl Found {
    /// Adds a value that did not occur in training.
    pub(super) fn unseen(&mut self, column: usize, cell: &str, row: usize) {
        let key = (column, cell.to_string());
        if self.unseen.len() < NAMED || self.unseen.contains_key(&key) {
            let entry = self.unseen.entry(key).or_insert((row, 0));
            entry.0 = entry.0.min(row);
            entry.1 += 1;
        }
    }

    /// Adds a cell that was read as missing.
    pub(super) fn missing(&mut self, cell: &str) {
        if self.missing.len() < NAMED || self.missing.contains_key(cell) {
            *self.missing.entry(cell.to_string()).or_default() += 1;
        }
    }

    /// All of it in sentences; `style` gives the style of the numbers of a column.
    pub(super) fn notes(&self, columns: &[Column], style: impl Fn(usize) -> Style) -> Vec<String> {
        let unseen = self.unseen.iter().map(|((column, text), (row, count))| {
            let column = &columns[*column];
            let what = if column.kind == Kind::Boolean { "read as missing" } else { "scored as an unseen level" };
            let (name, count, row) = (&column.name, counted(*count, "cell"), row + 1);
            format!(
                "column `{name}`: `{text}` in {count} (first in row {row}) did not occur in training: {what} \
                 (`--unknown refuse` makes it an error)"
            )
        });
        let unused = self.unused.iter().map(|&column| {
            format!("column `{}` was empty in training: its values here are not used", columns[column].name)
        });
        let renamed = self.renamed.iter().map(|(&column, (text, level, count))| {
            let (name, count) = (&columns[column].name, counted(*count, "cell"));
            format!(
                "column `{name}`: `{text}` is read as the training level `{level}`, which is the same number ({count})"
            )
        });
        let doubtful = self.doubtful.iter().map(|(&column, (text, number))| {
            let other = if style(column).decimal_comma { '.' } else { ',' };
            let name = &columns[column].name;
            format!(
                "column `{name}`: `{text}` is read as {number}, as in training (`--decimal {other}` reads it the \
                 other way)"
            )
        });
        let missing: Vec<String> = self.missing.iter().map(|(text, count)| format!("{count} x `{text}`")).collect();
        let missing = (!missing.is_empty()).then(|| format!("read as missing: {}", missing.join(", ")));
        unseen.chain(unused).chain(renamed).chain(doubtful).chain(missing).collect()
    }
}
