//! The cells of a table as numbers: by the columns that were decided on, never guessed anew.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Mutex,
};

use arrow_array::{Array as _, ArrayRef, cast::AsArray, types::Float64Type};
use arrow_cast::cast;
use arrow_schema::DataType;

use crate::{
    Column, DataError, Kind, Options,
    cell::{Missing, Shape, Style, boolean, plain, trimmed},
    column::UNSEEN,
    options::{Unknown, typed},
    survey::is_number,
    table::{Table, texts},
};

/// Most values of a category that are named, where training did not have them.
const NAMED: usize = 100;

/// Reads cells by known columns.
#[derive(Debug)]
pub(crate) struct Encoder {
    columns: Vec<Column>,
    /// The number of each level, by column.
    levels: Vec<HashMap<String, f64>>,
    unknown: Unknown,
    decimal: Option<char>,
    missing: Missing,
    /// Whether the columns are those of a run, which no option leaves out any more.
    later: bool,
    /// Values that training did not have: their column, the first row, and how many.
    unseen: Mutex<BTreeMap<(usize, String), (usize, usize)>>,
    /// Columns of which nothing was known in training, and that hold something.
    unused: Mutex<Vec<usize>>,
}

impl Encoder {
    pub(crate) fn new(columns: Vec<Column>, options: &Options, is_text: bool, later: bool) -> Self {
        let levels = |column: &Column| {
            let mut levels: HashMap<String, f64> = column.levels.iter().cloned().zip((0..).map(f64::from)).collect();
            // `1` and `1.0` are one level, as long as the column itself does not tell them apart.
            let numbers: Vec<(String, f64)> = column
                .levels
                .iter()
                .zip((0..).map(f64::from))
                .filter_map(|(level, number)| Some((plain(level)?.to_string(), number)))
                .collect();
            for (number, level) in &numbers {
                if numbers.iter().filter(|(other, _)| other == number).count() == 1 {
                    levels.entry(number.clone()).or_insert(*level);
                }
            }
            levels
        };
        let levels = columns.iter().map(levels).collect();
        let (unknown, decimal, missing) = (options.unknown, options.decimal, options.missing(is_text));
        Self { columns, levels, unknown, decimal, missing, later, unseen: Mutex::default(), unused: Mutex::default() }
    }

    /// Which texts stand for a missing cell.
    pub(crate) fn missing(&self) -> &Missing {
        &self.missing
    }

    /// What was met that training did not have, in sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        let unseen = self.unseen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut notes: Vec<String> = unseen
            .iter()
            .map(|((column, text), (row, count))| {
                let column = &self.columns[*column];
                let what = if column.kind == Kind::Boolean { "read as missing" } else { "scored as such" };
                format!(
                    "column `{}`: `{text}` in {count} cell{} (first in row {}) was never seen in training; it is {what}, and `--unknown refuse` \
                     refuses it",
                    column.name,
                    if *count == 1 { "" } else { "s" },
                    row + 1
                )
            })
            .collect();
        let unused = self.unused.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        notes.extend(
            unused
                .iter()
                .map(|&column| format!("column `{}` was empty in training: what it holds here is not used", self.columns[column].name)),
        );
        notes
    }

    /// The cells of some rows, row by row: a number, 0 or 1, the number of a level; `NaN` where nothing is. `arrays` are the columns in their order,
    /// `first` the number of the first row in its table.
    pub(crate) fn cells(&self, table: &dyn Table, first: usize, arrays: &[&ArrayRef]) -> Result<Vec<f64>, DataError> {
        let (rows, width) = (arrays.first().map_or(0, |array| array.len()), arrays.len());
        let mut cells = vec![f64::NAN; rows * width];
        for (index, array) in arrays.iter().enumerate() {
            let column = &self.columns[index];
            if column.blank {
                let mut unused = self.unused.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                if !unused.contains(&index) && texts(array, table.origin())?.iter().flatten().any(|text| !self.missing.has(trimmed(text))) {
                    unused.push(index);
                }
                continue;
            }
            let mut place = |row: usize, value: f64| cells[row * width + index] = value;
            match column.kind {
                Kind::Number => self.numbers(index, table, first, array, &mut place)?,
                Kind::Boolean if array.data_type() == &DataType::Boolean => {
                    let values = array.as_boolean();
                    (0..rows).filter(|row| !values.is_null(*row)).for_each(|row| place(row, f64::from(u8::from(values.value(row)))));
                }
                Kind::Boolean | Kind::Category => self.names(index, table, first, array, &mut place)?,
            }
        }
        Ok(cells)
    }

    fn problem(&self, table: &dyn Table, row: usize, column: usize, what: String) -> DataError {
        let problem = format!("{}, column `{}`: {what}", table.place(row), self.columns[column].name);
        DataError::Malformed { path: PathBuf::from(table.origin()), problem }
    }

    fn numbers(
        &self,
        index: usize,
        table: &dyn Table,
        first: usize,
        array: &ArrayRef,
        place: &mut impl FnMut(usize, f64),
    ) -> Result<(), DataError> {
        let column = &self.columns[index];
        let infinite = |row: usize, text: &str| self.problem(table, first + row, index, format!("{text} is infinite"));
        if is_number(array.data_type()) {
            let values = cast(array, &DataType::Float64).map_err(|error| crate::table::arrow_problem(table.origin(), &error))?;
            let (values, missing) = (values.as_primitive::<Float64Type>(), self.missing.numbers());
            for row in (0..values.len()).filter(|row| !values.is_null(*row)) {
                let value = values.value(row);
                if missing.contains(&value) {
                    continue;
                }
                if value.is_infinite() {
                    return Err(infinite(row, "the value"));
                }
                place(row, value);
            }
            return Ok(());
        }
        let wrong = |what: &str| DataError::Malformed {
            path: PathBuf::from(table.origin()),
            problem: format!("column `{}` holds {what}, but numbers were trained on", column.name),
        };
        let words = match array.data_type() {
            DataType::Null => return Ok(()),
            DataType::Boolean => return Err(wrong("truth values")),
            DataType::Utf8 => array.clone(),
            DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
                cast(array, &DataType::Utf8).map_err(|error| crate::table::arrow_problem(table.origin(), &error))?
            }
            kind if kind.is_temporal() => return Err(wrong("dates")),
            kind => return Err(wrong(&kind.to_string())),
        };
        let style = match self.decimal {
            Some(mark) => Style { decimal_comma: mark == ',', ..column.style.clone() },
            None => column.style.clone(),
        };
        for (row, cell) in words.as_string::<i32>().iter().enumerate() {
            let Some(cell) = cell.map(trimmed).filter(|cell| !column.is_blank(cell, &self.missing)) else { continue };
            match style.parse(cell) {
                Some(value) if value.is_infinite() => return Err(infinite(row, &format!("`{cell}`"))),
                Some(value) => place(row, value),
                None => {
                    let option = typed(&column.name);
                    let unit = |prefix: &str, suffix: &str| match (prefix, suffix) {
                        ("", "") => "no unit".to_string(),
                        _ => format!("`{prefix}{suffix}`"),
                    };
                    let advice = match Shape::of(cell) {
                        Some(shape) if (shape.prefix, shape.suffix) != (style.prefix.as_str(), style.suffix.as_str()) => format!(
                            "its unit is {}, but {} in the rows that were learned from: write it alike",
                            unit(shape.prefix, shape.suffix),
                            unit(&style.prefix, &style.suffix)
                        ),
                        Some(_) if style.decimal_comma => {
                            "the others have a decimal comma (`--decimal .` reads decimal points)".to_string()
                        }
                        Some(_) => "the others have a decimal point (`--decimal ,` reads decimal commas)".to_string(),
                        None if self.later => "it is no number: correct it, or leave it empty if it is missing".to_string(),
                        None => format!("it is no number: correct it, leave it empty if it is missing, or `--drop {option}`"),
                    };
                    return Err(self.problem(table, first + row, index, format!("`{cell}`: {advice}")));
                }
            }
        }
        Ok(())
    }

    fn names(
        &self,
        index: usize,
        table: &dyn Table,
        first: usize,
        array: &ArrayRef,
        place: &mut impl FnMut(usize, f64),
    ) -> Result<(), DataError> {
        let column = &self.columns[index];
        // Texts as they are, without a copy of each.
        let all = match array.data_type() {
            DataType::Utf8 => None,
            _ => Some(texts(array, table.origin())?),
        };
        let direct = all.is_none().then(|| array.as_string::<i32>());
        for row in 0..array.len() {
            let cell = match (&all, direct) {
                (Some(all), _) => all[row].as_deref(),
                (None, Some(direct)) => (!direct.is_null(row)).then(|| direct.value(row)),
                (None, None) => None,
            };
            let Some(cell) = cell.map(trimmed).filter(|cell| !self.missing.has(cell)) else { continue };
            let level = self.levels[index].get(cell).or_else(|| self.levels[index].get(&plain(cell)?.to_string()));
            if let Some(level) = level {
                place(row, *level);
                continue;
            }
            if column.kind == Kind::Boolean {
                let number = || match plain(cell) {
                    Some(0.0) => Some(false),
                    Some(1.0) => Some(true),
                    _ => None,
                };
                let value = boolean(cell).or_else(number);
                match value {
                    Some(value) => place(row, f64::from(u8::from(value))),
                    // What is neither of the two cannot be told from what is missing.
                    None if self.later && self.unknown == Unknown::Score => self.met(index, cell, first + row),
                    None => {
                        let words = if column.levels.is_empty() { "true or false".to_string() } else { column.levels.join("` or `") };
                        return Err(self.problem(table, first + row, index, format!("`{cell}` is neither of `{words}`")));
                    }
                }
                continue;
            }
            if self.unknown == Unknown::Refuse {
                let levels = column.levels.join("`, `");
                let what = format!("`{cell}` was never seen in training, where it was one of `{levels}`");
                return Err(self.problem(table, first + row, index, what));
            }
            place(row, UNSEEN);
            self.met(index, cell, first + row);
        }
        Ok(())
    }

    /// Notes a value that training did not have.
    fn met(&self, column: usize, cell: &str, row: usize) {
        let mut unseen = self.unseen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if unseen.len() < NAMED || unseen.contains_key(&(column, cell.to_string())) {
            let entry = unseen.entry((column, cell.to_string())).or_insert((row, 0));
            entry.0 = entry.0.min(row);
            entry.1 += 1;
        }
    }
}
