//! Arrow types, and the cells of Arrow columns as strings.

use std::path::Path;

use arrow_array::{Array as _, ArrayRef, cast::AsArray, new_null_array};
use arrow_cast::{
    CastOptions, cast_with_options,
    display::{ArrayFormatter, FormatOptions},
};
use arrow_schema::DataType;

use super::interface::arrow_problem;
use crate::DataError;

/// Whether a type is numeric, also as the values of a dictionary.
pub(crate) fn is_number(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_number(value),
        kind => kind.is_numeric(),
    }
}

/// Whether a type is strings, also as the values of a dictionary.
pub(crate) fn is_string(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_string(value),
        _ => false,
    }
}

/// A type that can hold the values of both.
pub(super) fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (a, b) if a.is_integer() && b.is_integer() => Some(DataType::Int64),
        (a, b) if (a.is_integer() || a.is_floating()) && (b.is_integer() || b.is_floating()) => Some(DataType::Float64),
        (a, b) if is_string(a) && is_string(b) => Some(DataType::Utf8),
        _ => None,
    }
}

/// The column as another type, if no value changes.
pub(super) fn exactly(array: &ArrayRef, kind: &DataType) -> Option<ArrayRef> {
    if array.data_type() == &DataType::Null {
        return Some(new_null_array(kind, array.len()));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let made = cast_with_options(array, kind, &strict).ok()?;
    let back = cast_with_options(&made, array.data_type(), &strict).ok()?;
    (&back == array).then_some(made)
}

/// The cells of a column as strings, as identifiers and classes are written: nothing is rounded, and integers have no
/// decimals. `None` for a missing cell.
///
/// # Errors
/// If the type cannot be written as a string.
pub fn texts(array: &ArrayRef, origin: &Path) -> Result<Vec<Option<String>>, DataError> {
    let problem = |error: arrow_schema::ArrowError| arrow_problem(origin, &error);
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            Ok(texts.iter().map(|text| text.map(str::to_string)).collect())
        }
        kind => {
            let is_float = kind.is_floating() || matches!(kind, DataType::Dictionary(_, value) if value.is_floating());
            let format = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(array.as_ref(), &format).map_err(problem)?;
            let text = |row: usize| -> Result<Option<String>, DataError> {
                if array.is_null(row) {
                    return Ok(None);
                }
                let text = formatter.value(row).try_to_string().map_err(problem)?;
                // An integer column with missing values is often stored as floats: 1.0 is written as 1.
                Ok(Some(match text.strip_suffix(".0").filter(|_| is_float) {
                    Some(whole) => whole.to_string(),
                    None => text,
                }))
            };
            (0..array.len()).map(text).collect()
        }
    }
}
