//! The interface of tables, and functions on all of them.

use std::{collections::HashSet, fmt, io::Write, path::Path};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::{
    DataError,
    words::{counted, few},
};

/// A table that is read in parts. Each part can be read several times.
///
/// ```
/// use std::sync::Arc;
///
/// use ae_data::table::{InMemory, Table, names, rows, texts};
/// use arrow_array::{ArrayRef, Int64Array, RecordBatch};
///
/// let keys = Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 7])) as ArrayRef;
/// let batch = RecordBatch::try_from_iter([("key", keys)])?;
/// let table = InMemory::new("memory".as_ref(), batch.schema(), vec![batch])?;
/// assert_eq!((names(&table), rows(&table)), (vec!["key".to_string()], 2));
/// let part = table.part(0, &[0])?;
/// assert_eq!(texts(part.column(0), table.origin())?[0].as_deref(), Some("9007199254740993"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Table: fmt::Debug + Send + Sync {
    /// The name of the table in messages, usually its path.
    fn origin(&self) -> &Path;

    /// The name and the type of each column.
    fn schema(&self) -> SchemaRef;

    /// The first row of each part, followed by the total number of rows.
    fn starts(&self) -> &[usize];

    /// The columns at the positions `columns` (ascending) of a part.
    ///
    /// # Errors
    /// If the file can no longer be read, or is damaged.
    fn part(&self, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError>;

    /// Where a row is in its file, for messages.
    fn place(&self, row: usize) -> String {
        format!("row {}", row + 1)
    }

    /// What was inferred or left out while the table was opened, in sentences.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Columns that the file marks as its row index.
    fn index_columns(&self) -> Vec<String> {
        Vec::new()
    }

    /// The row index, if the file stores it as a range instead of a column.
    fn counted_index(&self) -> Option<CountedIndex> {
        None
    }

    /// The layout of a text file; `None` for other tables.
    fn layout(&self) -> Option<Layout> {
        None
    }

    /// Copies a text file byte for byte, except for replaced cells; gzipped if `packed`. Returns false, and writes
    /// nothing, if the table is not a text file.
    ///
    /// # Errors
    /// If the file can no longer be read or the output not be written, or an error of `replace`.
    fn rewrite(&self, output: &mut dyn Write, packed: bool, replace: &mut ReplaceText) -> Result<bool, DataError> {
        let _ = (output, packed, replace);
        Ok(false)
    }
}

/// A row index stored as a range, such as the `RangeIndex` of pandas. It is needed to join results with the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedIndex {
    /// Its name.
    pub name: String,
    /// For each section: its first row, the index of that row, and the step per row.
    pub stretches: Vec<(usize, i64, i64)>,
}

impl CountedIndex {
    /// The index of a row.
    pub fn of(&self, row: usize) -> i64 {
        let (first, start, step) = self.stretches[self.stretches.partition_point(|(first, ..)| *first <= row) - 1];
        (row - first) as i64 * step + start
    }

    /// Whether it is the position of a row in its file (0, 1, 2, ...).
    pub fn is_plain(&self) -> bool {
        self.stretches.iter().all(|(_, start, step)| (*start, *step) == (0, 1))
    }

    /// A note that it is carried along, if it is not plain.
    pub(crate) fn note(&self) -> Option<String> {
        (!self.is_plain()).then(|| {
            format!(
                "the row index, which pandas stores as a range, is carried along: codes, scores and reconstructions \
                 have it as column `{}`",
                self.name
            )
        })
    }
}

/// Gives the new contents of a cell, or `None` to keep it, from its row, the position of its column, and its contents.
/// Called in the order of the file.
pub type ReplaceText<'a> = dyn FnMut(usize, usize, &str) -> Result<Option<String>, DataError> + 'a;

/// The layout of a text file.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The byte that separates cells.
    pub delimiter: u8,
}

/// The number of rows of a table.
pub fn rows(table: &dyn Table) -> usize {
    table.starts().last().copied().unwrap_or(0)
}

/// The number of parts of a table.
pub fn parts(table: &dyn Table) -> usize {
    table.starts().len().saturating_sub(1)
}

/// The names of the columns of a table.
pub fn names(table: &dyn Table) -> Vec<String> {
    table.schema().fields().iter().map(|field| field.name().clone()).collect()
}

/// Reads a part and checks its number of rows.
pub(crate) fn whole_part(table: &dyn Table, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError> {
    let batch = table.part(part, columns)?;
    let expected = table.starts()[part + 1] - table.starts()[part];
    match batch.num_rows() == expected {
        true => Ok(batch),
        false => {
            let problem = format!(
                "is damaged: part {} has {}, but should have {expected}",
                part + 1,
                counted(batch.num_rows(), "row")
            );
            Err(DataError::Malformed { path: table.origin().to_owned(), problem })
        }
    }
}

/// The first row of each part, followed by the total, from the number of rows of each part; `None` if it overflows.
pub(crate) fn starts(parts: impl Iterator<Item = usize>) -> Option<Vec<usize>> {
    let mut starts = vec![0usize];
    for rows in parts {
        starts.push(starts[starts.len() - 1].checked_add(rows)?);
    }
    Some(starts)
}

/// Checks that no two columns have the same name.
///
/// # Errors
/// The duplicate name, and the position of the second column.
pub(crate) fn unique_names(schema: &Schema, origin: &Path) -> Result<(), DataError> {
    let mut seen = HashSet::new();
    for (index, field) in schema.fields().iter().enumerate() {
        if !seen.insert(field.name()) {
            let problem =
                format!("has two columns named `{}` (the second is column {}): rename one", field.name(), index + 1);
            return Err(DataError::Malformed { path: origin.to_owned(), problem });
        }
    }
    Ok(())
}

/// A sentence on which columns are missing and which are extra.
pub fn differences<T: fmt::Display>(missing: &[T], extra: &[T], where_known: &str) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("lacks {} of them ({})", missing.len(), few(missing, 8)));
    }
    if !extra.is_empty() {
        parts.push(format!("has {} more ({})", extra.len(), few(extra, 8)));
    }
    format!("its columns differ from those of {where_known}: it {}", parts.join(" and "))
}

/// An error of Arrow in a table.
pub(crate) fn arrow_problem(origin: &Path, error: &dyn fmt::Display) -> DataError {
    DataError::Malformed { path: origin.to_owned(), problem: error.to_string() }
}
