//! The contents of one or several files, and the rows that options make of them.

use std::{path::Path, sync::Arc};

use super::sets::Sets;
use crate::{
    DataError, Missing, Options, Rows, options,
    table::{Table, rows as rows_in},
    tabular::{Known, rows_of},
};

/// The contents of a file.
#[derive(Debug)]
pub(crate) enum Content {
    /// A table with named columns.
    Table(Arc<dyn Table>),
    /// Rows of numbers or images, and their official test set, if there is one.
    Rows(Box<Rows>, Option<Box<Rows>>),
}

impl Content {
    /// Makes rows, matched to the `known` ones if there are any.
    pub(super) fn into_rows(
        self,
        options: &Options,
        known: Option<&Known>,
        origin: &Path,
    ) -> Result<(Rows, Option<Rows>), DataError> {
        let malformed = |problem: String| DataError::Malformed { path: origin.to_owned(), problem };
        let is_resized = known.is_none() && (options.resize.is_some() || options.grey);
        let columns = known.map(|known| known.columns).unwrap_or_default();
        let (rows, test) = match self {
            Self::Table(_) if is_resized => {
                let problem = "is a table, but `--resize` and `--grey` are for image files: leave them out";
                return Err(malformed(problem.to_string()));
            }
            Self::Table(table) => {
                let width = table.schema().fields().len() as u64;
                let in_file = options.streams((rows_in(table.as_ref()) as u64).saturating_mul(width).saturating_mul(4));
                return Ok((rows_of(table, options, known.filter(|_| !columns.is_empty()), in_file)?, None));
            }
            Self::Rows(rows, test) => (rows, test),
        };
        if is_resized && rows.white.is_none() {
            let problem = "holds an array, but `--resize` and `--grey` are for image files: leave them out";
            return Err(malformed(problem.to_string()));
        }
        if let Some(option) = column_option(options).filter(|_| known.is_none()) {
            return Err(malformed(format!(
                "holds an array or images without named columns, so `--{option}` does not apply: leave it out"
            )));
        }
        let gaps = |rows: Rows| gaps(rows, options, known.is_none());
        let (rows, test) = (gaps(*rows), test.map(|test| gaps(*test)));
        // An array of numbers has the known columns, in their order, if there are as many and all are numeric.
        let is_table =
            !columns.is_empty() && columns.len() == rows.width() && columns.iter().all(|column| column.width() == 1);
        let named = |rows: Rows| if is_table { rows.with_columns(columns.to_vec()) } else { rows };
        Ok((named(rows), test.map(named)))
    }

    /// Makes sets with this name.
    pub(super) fn into_sets(
        self,
        name: String,
        options: &Options,
        known: Option<&Known>,
        origin: &Path,
    ) -> Result<Sets, DataError> {
        let (train, test) = self.into_rows(options, known, origin)?;
        Ok(Sets { name, train, test })
    }
}

/// The first option in use that chooses named columns.
fn column_option(options: &Options) -> Option<&'static str> {
    let is_given = [
        ("label", options.label.is_some()),
        ("id", options.id.is_some()),
        ("drop", !options.drop.is_empty()),
        ("keep", !options.keep.is_empty()),
        ("categorical", !options.categorical.is_empty()),
        ("boolean", !options.boolean.is_empty()),
        ("numeric", !options.numeric.is_empty()),
        ("integer", !options.integer.is_empty()),
    ];
    is_given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
}

/// Rows of an array in which the numbers given by the options stand for a missing value. Their counts are reported if
/// the data `is_new`, that is, for training.
fn gaps(rows: Rows, options: &Options, is_new: bool) -> Rows {
    let Missing::These(texts) = options.missing(false) else { return rows };
    let missing = Missing::These(texts.clone()).numbers();
    let (mut rows, counts) = rows.with_gaps(&missing);
    let counts = counts.filter(|_| is_new);
    let of = |text: &str| -> Option<usize> {
        let own = Missing::These(vec![text.to_string()]).numbers();
        Some(
            missing
                .iter()
                .zip(counts.as_ref()?)
                .filter(|(number, _)| own.contains(number))
                .map(|(_, count)| count)
                .sum(),
        )
    };
    let shown: Vec<String> = texts
        .iter()
        .filter_map(|text| Some((text, of(text)?)))
        .filter(|(_, count)| *count > 0)
        .map(|(text, count)| format!("{count} x `{text}`"))
        .collect();
    if !shown.is_empty() {
        rows.notes.push(format!("read as missing: {}", shown.join(", ")));
    }
    rows.notes.extend(options::nowhere(texts.iter().map(String::as_str).filter(|text| of(text) == Some(0))));
    rows
}
