//! The categories of dictionary columns, and their order.

use std::collections::HashSet;

use arrow_array::cast::AsArray;

use super::{
    interface::{Table, parts},
    types::texts,
};
use crate::DataError;

/// Whether a dictionary column has the same categories, in the same order, in all parts of a table.
///
/// # Errors
/// If the file can no longer be read.
pub(crate) fn has_one_order(table: &dyn Table, column: usize) -> Result<bool, DataError> {
    let mut known = None;
    for part in 0..parts(table) {
        let found = categories(table, part, column)?;
        if known.get_or_insert_with(|| found.clone()) != &found {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The categories of a dictionary column in a part of a table, each once.
pub(super) fn categories(table: &dyn Table, part: usize, column: usize) -> Result<Vec<String>, DataError> {
    let batch = table.part(part, &[column])?;
    let Some(dictionary) = batch.column(0).as_any_dictionary_opt() else { return Ok(Vec::new()) };
    let mut seen = HashSet::new();
    Ok(texts(dictionary.values(), table.origin())?
        .into_iter()
        .flatten()
        .filter(|text| seen.insert(text.clone()))
        .collect())
}

/// The note for a column whose categories have different orders in the data.
pub(crate) fn without_order(column: &str) -> String {
    format!("column `{column}`: the order of its categories differs within the data and is not kept")
}
