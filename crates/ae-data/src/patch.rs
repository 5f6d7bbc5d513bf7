//! A column with its missing cells filled in. Its type and every other cell stay the same.

use std::sync::Arc;

use arrow_array::{
    Array as _, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, cast::AsArray, make_array,
    types::Int64Type,
};
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_schema::{ArrowError, DataType};
use arrow_select::zip::zip;

use crate::{
    Column, Kind, Missing,
    cell::{boolean, trimmed},
    table::{is_number, is_string, texts},
};

/// Which cells of a column are missing: null, `NaN`, or a string or number that stands for a missing value.
///
/// # Errors
/// If the column cannot be cast to strings or numbers.
pub fn blanks(array: &ArrayRef, column: &Column, missing: &Missing) -> Result<Vec<bool>, ArrowError> {
    let null = |row: usize| array.is_null(row);
    Ok(match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            (0..array.len()).map(|row| null(row) || column.is_blank(trimmed(texts.value(row)), missing)).collect()
        }
        kind if is_string(kind) => {
            let texts = strict(array, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>();
            (0..array.len())
                .map(|row| texts.is_null(row) || column.is_blank(trimmed(texts.value(row)), missing))
                .collect()
        }
        kind if is_number(kind) => {
            let gaps = missing.numbers();
            let numbers = cast(array, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<arrow_array::types::Float64Type>();
            let is_gap = |number: f64| number.is_nan() || gaps.contains(&number);
            (0..array.len()).map(|row| numbers.is_null(row) || is_gap(numbers.value(row))).collect()
        }
        _ => (0..array.len()).map(null).collect(),
    })
}

fn strict(array: &dyn arrow_array::Array, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, kind, &CastOptions { safe: false, ..CastOptions::default() })
}

/// How a cell of a column is written in a text table; `None` for a missing cell.
pub fn written(column: &Column, cell: f64) -> Option<String> {
    if cell.is_nan() {
        return None;
    }
    Some(match column.kind {
        Kind::Number => column.style.write(&number(column, cell)),
        Kind::Boolean => match column.levels.as_slice() {
            [no, yes] => {
                if cell >= 0.5 {
                    yes.clone()
                } else {
                    no.clone()
                }
            }
            _ => (cell >= 0.5).to_string(),
        },
        Kind::Category => column.levels.get(cell as usize)?.clone(),
    })
}

/// The number with the decimals of its column, or with the digits of single precision, as precisely as it is known.
fn number(column: &Column, cell: f64) -> String {
    let rounded = |cell: f64, decimals: usize| {
        let text = format!("{cell:.decimals$}");
        // No negative zero.
        match text.strip_prefix('-') {
            Some(size) if size.bytes().all(|byte| matches!(byte, b'0' | b'.')) => size.to_string(),
            _ => text,
        }
    };
    match column.style.decimals {
        _ if column.integer => return rounded(cell.round(), column.style.decimals.unwrap_or(0)),
        Some(decimals) => return rounded(cell, decimals),
        None => {}
    }
    let single = cell as f32;
    // For large numbers, single precision is too coarse.
    if f64::from(single) == cell || cell.abs() < 1e6 { single.to_string() } else { cell.to_string() }
}

/// `array` with its missing cells replaced by `cells` (a number, 0 or 1, or the index of a level; `NaN` if unknown).
/// Returns the new column, the number of cells filled in, and the number of cells that stay missing.
///
/// # Errors
/// If a cell cannot be converted to the type of the column.
pub fn patch(
    array: &ArrayRef,
    column: &Column,
    cells: &[f64],
    missing: &Missing,
) -> Result<(ArrayRef, usize, usize), ArrowError> {
    let blank = blanks(array, column, missing)?;
    let known = |row: usize| !cells[row].is_nan() && !column.blank;
    let filled: Vec<bool> = blank.iter().enumerate().map(|(row, blank)| *blank && known(row)).collect();
    let (count, left) = (filled.iter().filter(|filled| **filled).count(), blank.iter().filter(|blank| **blank).count());
    if count == 0 {
        return Ok((array.clone(), 0, left));
    }
    let kind = match array.data_type() {
        DataType::Dictionary(_, value) => value.as_ref(),
        kind => kind,
    };
    let chosen = |row: usize| filled[row].then(|| cells[row]);
    let rows = 0..array.len();
    if let Some(patched) = with_keys(array, |row| chosen(row).and_then(|cell| written(column, cell)))? {
        return Ok((patched, count, left - count));
    }
    let made: ArrayRef = match kind {
        DataType::Null => return Ok((array.clone(), 0, left)),
        kind if is_string(kind) => {
            let texts: StringArray = rows.map(|row| chosen(row).and_then(|cell| written(column, cell))).collect();
            strict(&texts, kind)?
        }
        DataType::Boolean => {
            Arc::new(rows.map(|row| chosen(row).map(|cell| truth(column, cell))).collect::<BooleanArray>())
        }
        kind => {
            let is_whole = column.integer || kind.is_integer();
            let value = |cell: f64| match column.kind {
                // A level that is a number, in a column declared as categorical or boolean.
                Kind::Category | Kind::Boolean => {
                    written(column, cell).and_then(|text| text.parse::<f64>().ok()).unwrap_or(cell)
                }
                Kind::Number if is_whole => cell.round(),
                Kind::Number => cell,
            };
            let numbers: Float64Array = rows.map(|row| chosen(row).map(value)).collect();
            match strict(&numbers, kind) {
                Ok(made) => made,
                // Numbers outside the range of the type are clamped to it.
                Err(_) => strict(&within(&numbers, kind), kind)?,
            }
        }
    };
    let plain = if kind == array.data_type() { array.clone() } else { strict(array, kind)? };
    let patched = zip(&BooleanArray::from(filled), &made, &plain)?;
    let patched = if kind == array.data_type() { patched } else { strict(&patched, array.data_type())? };
    Ok((patched, count, left - count))
}

/// A dictionary array with the keys of some rows replaced and its values unchanged. `None` if it is not a dictionary,
/// or has no such value.
fn with_keys(array: &ArrayRef, wanted: impl Fn(usize) -> Option<String>) -> Result<Option<ArrayRef>, ArrowError> {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return Ok(None) };
    let values = texts(dictionary.values(), "the column".as_ref())
        .map_err(|error| ArrowError::ComputeError(error.to_string()))?;
    let place = |text: &str| values.iter().position(|value| value.as_deref() == Some(text));
    let keys = strict(dictionary.keys(), &DataType::Int64)?;
    let keys = keys.as_primitive::<Int64Type>();
    let mut made = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        made.push(match wanted(row) {
            Some(text) => match place(&text) {
                Some(place) => Some(place as i64),
                None => return Ok(None),
            },
            None => (!array.is_null(row)).then(|| keys.value(row)),
        });
    }
    let made = strict(&Int64Array::from(made), dictionary.keys().data_type())?.to_data();
    let data = array
        .to_data()
        .into_builder()
        .nulls(made.nulls().cloned())
        .buffers(made.buffers().to_vec())
        .offset(made.offset());
    Ok(Some(make_array(data.build()?)))
}

fn truth(column: &Column, cell: f64) -> bool {
    match column.kind {
        Kind::Category => written(column, cell).and_then(|text| boolean(&text)).unwrap_or(cell >= 0.5),
        _ => cell >= 0.5,
    }
}

fn within(numbers: &Float64Array, kind: &DataType) -> Float64Array {
    let (low, high) = match kind {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::UInt8 => (0.0, u8::MAX.into()),
        DataType::UInt16 => (0.0, u16::MAX.into()),
        DataType::UInt32 => (0.0, u32::MAX.into()),
        DataType::UInt64 => (0.0, 1.8e19),
        DataType::Int64 => (-9.2e18, 9.2e18),
        _ => (f64::MIN, f64::MAX),
    };
    numbers.iter().map(|number| number.map(|number| number.clamp(low, high))).collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::{Decimal128Array, DictionaryArray, Float32Array, types::Int32Type};

    use super::*;

    fn patched(array: ArrayRef, column: &Column, cells: &[f64]) -> (Vec<Option<String>>, DataType, usize, usize) {
        let (made, filled, left) = patch(&array, column, cells, &Missing::Usual).unwrap();
        (texts(&made, "t".as_ref()).unwrap(), made.data_type().clone(), filled, left)
    }

    #[test]
    fn types_and_other_cells_do_not_change() {
        let whole = Column { integer: true, ..Column::number("n") };
        let some = |texts: &[&str]| texts.iter().map(|text| Some(text.to_string())).collect::<Vec<_>>();
        let big = 9_007_199_254_740_993;
        let found = patched(Arc::new(Int64Array::from(vec![Some(big), None, Some(3)])), &whole, &[1.0, 2.6, 1.0]);
        assert_eq!(found, (some(&["9007199254740993", "3", "3"]), DataType::Int64, 1, 0));
        let found = patched(
            Arc::new(Float32Array::from(vec![Some(0.1), Some(f32::NAN), None])),
            &Column::number("n"),
            &[9.0, 2.5, f64::NAN],
        );
        assert_eq!(found, (vec![Some("0.1".into()), Some("2.5".into()), None], DataType::Float32, 1, 1));
        let decimal = Decimal128Array::from(vec![Some(1234), None]).with_precision_and_scale(9, 2).unwrap();
        let found = patched(Arc::new(decimal), &Column::number("n"), &[0.0, 5.678]);
        assert_eq!(found.0, some(&["12.34", "5.68"]));
        let colors = Column::new("c", Kind::Category, vec!["blue".into(), "red".into()]);
        let array: DictionaryArray<Int32Type> = [Some("red"), None, Some("red")].into_iter().collect();
        let found = patched(Arc::new(array), &colors, &[0.0, 0.0, 0.0]);
        assert_eq!((found.0, found.2), (some(&["red", "blue", "red"]), 1));
        // Unused values of a dictionary stay, and so does the order of the values.
        let sizes: DictionaryArray<Int32Type> = DictionaryArray::try_new(
            vec![Some(2), None, Some(0)].into(),
            Arc::new(StringArray::from(vec!["lo", "mid", "hi"])),
        )
        .unwrap();
        let size = Column::new("s", Kind::Category, vec!["hi".into(), "lo".into()]);
        let made = patch(&(Arc::new(sizes) as ArrayRef), &size, &[0.0; 3], &Missing::Nothing).unwrap().0;
        assert_eq!(texts(&made, "t".as_ref()).unwrap(), some(&["hi", "hi", "lo"]));
        assert_eq!(texts(made.as_any_dictionary().values(), "t".as_ref()).unwrap(), some(&["lo", "mid", "hi"]));
        // In a typed column a string never stands for a missing value.
        let typed: ArrayRef = Arc::new(StringArray::from(vec![Some("NA"), None]));
        let country = Column::new("c", Kind::Category, vec!["DE".into(), "NA".into()]);
        let made = patch(&typed, &country, &[0.0; 2], &Missing::Nothing).unwrap().0;
        assert_eq!(texts(&made, "t".as_ref()).unwrap(), some(&["NA", "DE"]));
        let words = Column::new("b", Kind::Boolean, vec!["No".into(), "Yes".into()]);
        let found = patched(Arc::new(StringArray::from(vec![Some("Yes"), Some("NA"), None])), &words, &[0.0, 0.0, 1.0]);
        assert_eq!(found.0, some(&["Yes", "No", "Yes"]));
        let found = patched(
            Arc::new(BooleanArray::from(vec![Some(false), None])),
            &Column::new("b", Kind::Boolean, Vec::new()),
            &[1.0, 1.0],
        );
        assert_eq!(found.0, some(&["false", "true"]));
        let small: ArrayRef = Arc::new(arrow_array::UInt8Array::from(vec![Some(1), None]));
        assert_eq!(patched(small, &whole, &[0.0, 300.0]).0, some(&["1", "255"]));
    }

    #[test]
    fn user_defined_missing_values_and_nan_are_missing_in_every_type() {
        let gap = Missing::These(vec!["-999".into()]);
        let whole = Column { integer: true, ..Column::number("n") };
        let found = |array: ArrayRef, column: &Column, cells: &[f64]| {
            let (made, filled, left) = patch(&array, column, cells, &gap).unwrap();
            assert_eq!(made.data_type(), array.data_type());
            (texts(&made, "t".as_ref()).unwrap().into_iter().flatten().collect::<Vec<_>>(), filled, left)
        };
        let expect = |texts: &[&str], filled: usize, left: usize| {
            (texts.iter().map(|text| text.to_string()).collect(), filled, left)
        };
        assert_eq!(
            found(Arc::new(Int64Array::from(vec![7, -999, 9])), &whole, &[0.0, 2.6, 0.0]),
            expect(&["7", "3", "9"], 1, 0)
        );
        let reals = Float32Array::from(vec![Some(-999.0), None, Some(9.5)]);
        assert_eq!(
            found(Arc::new(reals), &Column::number("n"), &[1.5, 2.5, 0.0]),
            expect(&["1.5", "2.5", "9.5"], 2, 0)
        );
        let comma = Column { style: crate::Style { decimal_comma: true, ..Default::default() }, ..Column::number("n") };
        let words = StringArray::from(vec!["-999,0", "1,5"]);
        assert_eq!(found(Arc::new(words), &comma, &[2.5, 0.0]), expect(&["2,5", "1,5"], 1, 0));
        let values = Float64Array::from(vec![1.5, f64::NAN, 3.5]);
        let keys = arrow_array::UInt16Array::from(vec![Some(0), Some(1), Some(2), None]);
        let coded = DictionaryArray::try_new(keys, Arc::new(values)).unwrap();
        assert_eq!(
            found(Arc::new(coded), &Column::number("n"), &[0.0, 2.25, 0.0, 1.5]),
            expect(&["1.5", "2.25", "3.5", "1.5"], 2, 0)
        );
    }

    #[test]
    fn a_column_that_was_empty_in_training_stays_empty() {
        let column = Column { blank: true, ..Column::number("n") };
        let found = patched(Arc::new(Float64Array::from(vec![None, None])), &column, &[1.0, 2.0]);
        assert_eq!((found.0, found.2, found.3), (vec![None, None], 0, 2));
    }

    #[test]
    fn numbers_are_written_in_the_style_of_their_column() {
        let style = crate::cell::Style { decimal_comma: true, suffix: "%".into(), ..Default::default() };
        assert_eq!(written(&Column { style, ..Column::number("n") }, 12.300000190734863).unwrap(), "12,3%");
        assert_eq!(written(&Column { integer: true, ..Column::number("n") }, -0.2).unwrap(), "0");
        let point_zero = crate::cell::Style { decimals: Some(1), ..Default::default() };
        assert_eq!(written(&Column { integer: true, style: point_zero, ..Column::number("n") }, 1.7).unwrap(), "2.0");
        let money = crate::cell::Style { decimals: Some(2), prefix: "$".into(), ..Default::default() };
        assert_eq!(written(&Column { style: money, ..Column::number("n") }, -0.001).unwrap(), "$0.00");
        assert_eq!(written(&Column::number("n"), 1_700_000_000.5).unwrap(), "1700000000.5");
    }
}
