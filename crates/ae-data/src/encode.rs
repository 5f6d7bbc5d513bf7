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
    cell::{Shape, Style, boolean, is_missing, trimmed},
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
    /// Values that training did not have: their column, the first row, and how many.
    unseen: Mutex<BTreeMap<(usize, String), (usize, usize)>>,
    /// Columns of which nothing was known in training, and that hold something.
    unused: Mutex<Vec<usize>>,
}

impl Encoder {
    pub(crate) fn new(columns: Vec<Column>, options: &Options) -> Self {
        let levels = |column: &Column| column.levels.iter().cloned().zip((0..).map(f64::from)).collect();
        let levels = columns.iter().map(levels).collect();
        Self { columns, levels, unknown: options.unknown, decimal: options.decimal, unseen: Mutex::default(), unused: Mutex::default() }
    }

    /// What was met that training did not have, in sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        let unseen = self.unseen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut notes: Vec<String> = unseen
            .iter()
            .map(|((column, text), (row, count))| {
                let name = &self.columns[*column].name;
                format!(
                    "column `{name}`: `{text}` in {count} cell{} (first in row {}) was never seen in training; it is scored as such, and \
                         `--unknown refuse` refuses it",
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
                if !unused.contains(&index) && texts(array, table.origin())?.iter().flatten().any(|text| !is_missing(trimmed(text))) {
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
            let values = values.as_primitive::<Float64Type>();
            for row in (0..values.len()).filter(|row| !values.is_null(*row)) {
                let value = values.value(row);
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
            let Some(cell) = cell.map(trimmed).filter(|cell| !is_missing(cell)) else { continue };
            match style.parse(cell) {
                Some(value) if value.is_infinite() => return Err(infinite(row, &format!("`{cell}`"))),
                Some(value) => place(row, value),
                None => {
                    let option = typed(&column.name);
                    let advice = match (Shape::of(cell), style.decimal_comma) {
                        (Some(_), false) => "it is written otherwise than most (`--decimal ,` reads decimal commas)".to_string(),
                        (Some(_), true) => "it is written otherwise than most (`--decimal .` reads decimal points)".to_string(),
                        (None, _) => format!("it is no number: correct it, leave it empty if it is missing, or `--drop {option}`"),
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
            let Some(cell) = cell.map(trimmed).filter(|cell| !is_missing(cell)) else { continue };
            if let Some(level) = self.levels[index].get(cell) {
                place(row, *level);
                continue;
            }
            if column.kind == Kind::Boolean {
                let value = boolean(cell).or(match cell {
                    "0" => Some(false),
                    "1" => Some(true),
                    _ => None,
                });
                match value {
                    Some(value) => place(row, f64::from(u8::from(value))),
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
            let mut unseen = self.unseen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if unseen.len() < NAMED || unseen.contains_key(&(index, cell.to_string())) {
                let entry = unseen.entry((index, cell.to_string())).or_insert((first + row, 0));
                entry.1 += 1;
            }
        }
        Ok(())
    }
}
