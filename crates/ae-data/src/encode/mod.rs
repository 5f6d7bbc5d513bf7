//! The cells of a table as numbers, read by known columns. Nothing is inferred here.

mod found;
mod levels;

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard},
};

use arrow_array::{Array as _, ArrayRef, StringArray, cast::AsArray, types::Float64Type};
use arrow_cast::cast;
use arrow_schema::DataType;

use self::{found::Found, levels::Levels};
use crate::{
    Column, DataError, Kind, Options,
    cell::{Missing, Shape, Style, trimmed, truth},
    column::UNSEEN,
    options::{Unknown, typed},
    table::{Table, arrow_problem, is_number, texts},
};

/// Reads cells according to known columns.
#[derive(Debug)]
pub(crate) struct Encoder {
    columns: Vec<Column>,
    /// How the levels of each column are looked up.
    levels: Vec<Levels>,
    unknown: Unknown,
    decimal: Option<char>,
    missing: Missing,
    /// Whether the columns are those of a run, so that no option can leave one out.
    later: bool,
    found: Mutex<Found>,
}

/// A part of a table.
struct Part<'a> {
    table: &'a dyn Table,
    /// The first row.
    first: usize,
    /// Whether it is read for the first time, so that what is found counts.
    counts: bool,
}

impl Encoder {
    pub(crate) fn new(columns: Vec<Column>, options: &Options, is_text: bool, later: bool) -> Self {
        let levels = columns.iter().map(Levels::of).collect();
        let (unknown, decimal, missing) =
            (options.unknown.unwrap_or_default(), options.decimal, options.missing(is_text));
        Self { columns, levels, unknown, decimal, missing, later, found: Mutex::default() }
    }

    /// The strings that stand for a missing cell.
    pub(crate) fn missing(&self) -> &Missing {
        &self.missing
    }

    /// What was found that did not occur in training or is ambiguous, in sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.found().notes(&self.columns, |column| self.style(column))
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How the numbers of a column are written.
    fn style(&self, column: usize) -> Style {
        let style = self.columns[column].style.clone();
        match self.decimal {
            Some(mark) => Style { decimal_comma: mark == ',', ..style },
            None => style,
        }
    }

    /// The cells of some rows, row by row: a number, 0 or 1, or the index of a level; `NaN` for a missing cell.
    /// `arrays` are the columns in order, `first` is the index of the first row in its table.
    pub(crate) fn cells(&self, table: &dyn Table, first: usize, arrays: &[&ArrayRef]) -> Result<Vec<f64>, DataError> {
        let (rows, width) = (arrays.first().map_or(0, |array| array.len()), arrays.len());
        let mut cells = vec![f64::NAN; rows * width];
        let part = Part { table, first, counts: self.found().parts.insert(first) };
        for (index, array) in arrays.iter().enumerate() {
            let mut place = |row: usize, value: f64| cells[row * width + index] = value;
            match self.columns[index].kind {
                _ if self.columns[index].blank => self.unused(index, &part, array)?,
                Kind::Number => self.numbers(index, &part, array, &mut place)?,
                Kind::Boolean if array.data_type() == &DataType::Boolean && self.levels[index].is_truth => {
                    let values = array.as_boolean();
                    (0..rows)
                        .filter(|row| !values.is_null(*row))
                        .for_each(|row| place(row, f64::from(u8::from(values.value(row)))));
                }
                Kind::Boolean | Kind::Category => self.names(index, &part, array, &mut place)?,
            }
        }
        Ok(cells)
    }

    /// Notes that a column that was empty in training has values.
    fn unused(&self, index: usize, part: &Part, array: &ArrayRef) -> Result<(), DataError> {
        let mut found = self.found();
        if !found.unused.contains(&index)
            && texts(array, part.table.origin())?.iter().flatten().any(|text| !self.missing.has(trimmed(text)))
        {
            found.unused.push(index);
        }
        Ok(())
    }

    fn problem(&self, part: &Part, row: usize, column: usize, what: String) -> DataError {
        let problem = format!("{}, column `{}`: {what}", part.table.place(part.first + row), self.columns[column].name);
        DataError::Malformed { path: PathBuf::from(part.table.origin()), problem }
    }

    fn infinite(&self, part: &Part, row: usize, column: usize, text: &str) -> DataError {
        let what = format!("{text} is infinite: correct it, or leave the cell empty if it is missing");
        self.problem(part, row, column, what)
    }

    fn numbers(
        &self,
        index: usize,
        part: &Part,
        array: &ArrayRef,
        place: &mut impl FnMut(usize, f64),
    ) -> Result<(), DataError> {
        if is_number(array.data_type()) {
            return self.typed_numbers(index, part, array, place);
        }
        let Some(words) = self.strings(index, part, array)? else { return Ok(()) };
        let (column, style) = (&self.columns[index], self.style(index));
        // Ambiguous cells of the training data were reported by the survey.
        let mut is_silent = !part.counts || !self.later;
        for (row, cell) in words.iter().enumerate() {
            let Some(cell) = cell.map(trimmed) else { continue };
            if column.is_blank(cell, &self.missing) {
                self.note_missing(part, cell);
                continue;
            }
            let (value, is_doubtful) = style.parse_doubtful(cell).ok_or_else(|| {
                self.problem(part, row, index, format!("`{cell}`: {}", self.advice(column, &style, cell)))
            })?;
            if value.is_infinite() {
                return Err(self.infinite(part, row, index, &format!("`{cell}`")));
            }
            place(row, value);
            if is_doubtful && !is_silent {
                self.found().doubtful.entry(index).or_insert_with(|| (cell.to_string(), value));
                is_silent = true;
            }
        }
        Ok(())
    }

    fn typed_numbers(
        &self,
        index: usize,
        part: &Part,
        array: &ArrayRef,
        place: &mut impl FnMut(usize, f64),
    ) -> Result<(), DataError> {
        let values = cast(array, &DataType::Float64).map_err(|error| arrow_problem(part.table.origin(), &error))?;
        let (values, missing) = (values.as_primitive::<Float64Type>(), self.missing.numbers());
        for row in (0..values.len()).filter(|row| !values.is_null(*row)) {
            let value = values.value(row);
            if missing.contains(&value) {
                continue;
            }
            if value.is_infinite() {
                return Err(self.infinite(part, row, index, "the value"));
            }
            place(row, value);
        }
        Ok(())
    }

    /// The cells of a column that is to hold numbers, as strings; `None` if all are null.
    fn strings(&self, index: usize, part: &Part, array: &ArrayRef) -> Result<Option<StringArray>, DataError> {
        let wrong = |what: &str| DataError::Malformed {
            path: PathBuf::from(part.table.origin()),
            problem: format!("column `{}` holds {what}, but held numbers in training", self.columns[index].name),
        };
        let words = match array.data_type() {
            DataType::Null => return Ok(None),
            DataType::Boolean => return Err(wrong("booleans")),
            DataType::Utf8 => array.clone(),
            DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
                cast(array, &DataType::Utf8).map_err(|error| arrow_problem(part.table.origin(), &error))?
            }
            kind if kind.is_temporal() => return Err(wrong("dates")),
            kind => return Err(wrong(&kind.to_string())),
        };
        Ok(Some(words.as_string::<i32>().clone()))
    }

    /// Why a cell is not a number in the style of its column, and what to do.
    fn advice(&self, column: &Column, style: &Style, cell: &str) -> String {
        let unit = |prefix: &str, suffix: &str| match (prefix, suffix) {
            ("", "") => "no unit".to_string(),
            _ => format!("`{prefix}{suffix}`"),
        };
        match Shape::of(cell) {
            Some(shape) if (shape.prefix, shape.suffix) != (style.prefix.as_str(), style.suffix.as_str()) => format!(
                "its unit is {}, but {} in the training rows: write it the same way",
                unit(shape.prefix, shape.suffix),
                unit(&style.prefix, &style.suffix)
            ),
            Some(_) if style.decimal_comma => {
                "the column has decimal commas (`--decimal .` reads decimal points)".to_string()
            }
            Some(_) => "the column has decimal points (`--decimal ,` reads decimal commas)".to_string(),
            None if self.later => "not a number: correct it, or leave the cell empty if it is missing".to_string(),
            None => format!(
                "not a number: correct it, leave the cell empty if it is missing, or use `--drop {}`",
                typed(&column.name)
            ),
        }
    }

    /// Reads the cells of a category, or of a boolean column of words.
    fn names(
        &self,
        index: usize,
        part: &Part,
        array: &ArrayRef,
        place: &mut impl FnMut(usize, f64),
    ) -> Result<(), DataError> {
        // Strings are borrowed, not copied.
        let all = match array.data_type() {
            DataType::Utf8 => None,
            _ => Some(texts(array, part.table.origin())?),
        };
        let direct = all.is_none().then(|| array.as_string::<i32>());
        for row in 0..array.len() {
            let cell = match (&all, direct) {
                (Some(all), _) => all[row].as_deref(),
                (None, Some(direct)) => (!direct.is_null(row)).then(|| direct.value(row)),
                (None, None) => None,
            };
            let Some(cell) = cell.map(trimmed) else { continue };
            if let Some(value) = self.level(index, part, row, cell)? {
                place(row, value);
            }
        }
        Ok(())
    }

    /// The index of the level of a cell; `None` if the cell is read as missing.
    fn level(&self, index: usize, part: &Part, row: usize, cell: &str) -> Result<Option<f64>, DataError> {
        let (column, levels) = (&self.columns[index], &self.levels[index]);
        // A level of training is a level here, even if the string otherwise stands for a missing value.
        if let Some(level) = levels.by_text.get(cell) {
            return Ok(Some(*level));
        }
        if self.missing.has(cell) {
            self.note_missing(part, cell);
            return Ok(None);
        }
        if let Some(value) = truth(cell).filter(|_| column.kind == Kind::Boolean && levels.is_truth) {
            return Ok(Some(f64::from(u8::from(value))));
        }
        if let Some(level) = levels.by_number(cell) {
            if part.counts {
                let named = || (cell.to_string(), column.levels[level as usize].clone(), 0);
                self.found().renamed.entry(index).or_insert_with(named).2 += 1;
            }
            return Ok(Some(level));
        }
        let is_boolean = column.kind == Kind::Boolean;
        if is_boolean && !(self.later && self.unknown == Unknown::Score) {
            let words = match column.levels.as_slice() {
                [] => "true` or `false".to_string(),
                levels => levels.join("` or `"),
            };
            let what = format!("`{cell}` is neither `{words}`: correct it, or leave the cell empty if it is missing");
            return Err(self.problem(part, row, index, what));
        }
        if !is_boolean && self.unknown == Unknown::Refuse {
            let levels = column.levels.join("`, `");
            let what = format!(
                "`{cell}` did not occur in training (known levels: `{levels}`): correct it, or use `--unknown score`"
            );
            return Err(self.problem(part, row, index, what));
        }
        if part.counts {
            self.found().unseen(index, cell, part.first + row);
        }
        // In a boolean column, a value that is neither of the two is treated as missing.
        Ok((!is_boolean).then_some(UNSEEN))
    }

    /// Notes a cell that was read as missing; for the training rows the survey does that.
    fn note_missing(&self, part: &Part, cell: &str) {
        if part.counts && self.later && !cell.is_empty() {
            self.found().missing(cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{BooleanArray, StringArray};

    use super::*;
    use crate::table::InMemory;

    /// The cells of a text column of a later file, and the notes on them.
    fn later(column: Column, cells: &[&str], missing: Missing) -> (Vec<f64>, Vec<String>) {
        let array = Arc::new(StringArray::from(cells.to_vec())) as ArrayRef;
        let table = InMemory::texts("t".as_ref(), vec![(column.name.as_str(), vec![None; cells.len()])]).unwrap();
        let encoder = Encoder { missing, ..Encoder::new(vec![column], &Options::default(), true, true) };
        let found = encoder.cells(&table, 0, &[&array]).unwrap();
        // Reading a part again does not count it again.
        encoder.cells(&table, 0, &[&array]).unwrap();
        (found, encoder.notes())
    }

    fn names(kind: Kind, levels: &[&str]) -> Column {
        Column::new("a", kind, levels.iter().map(|level| level.to_string()).collect())
    }

    #[test]
    fn levels_are_found_by_their_string_and_then_by_a_unique_number() {
        let codes = names(Kind::Category, &["01", "1", "1E3", "7", "9007199254740993"]);
        let (found, said) = later(codes, &["01", "1", "1.0", "1000", "007", "7.0", "9007199254740992"], Missing::Usual);
        assert_eq!(found, [0.0, 1.0, UNSEEN, 2.0, 3.0, 3.0, UNSEEN]);
        assert!(
            said.iter()
                .any(|said| said.contains("`1000` is read as the training level `1E3`") && said.contains("(3 cells)")),
            "{said:?}"
        );
        assert!(said.iter().any(|said| said.contains("`1.0` in 1 cell")), "{said:?}");
    }

    #[test]
    fn words_for_true_and_false_are_read_only_in_columns_of_such_words() {
        let cells = ["yes", "0", "TRUE", "1.0"];
        assert_eq!(later(names(Kind::Boolean, &["No", "Yes"]), &cells, Missing::Usual).0, [1.0, 0.0, 1.0, 1.0]);
        for levels in [["1", "2"], ["-1", "1"], ["F", "M"]] {
            let (found, said) = later(names(Kind::Boolean, &levels), &["0", "no", "true"], Missing::Usual);
            assert!(found.iter().all(|cell| cell.is_nan()) && said.len() == 3, "{levels:?}: {found:?} {said:?}");
        }
        let table = InMemory::texts("t".as_ref(), vec![("a", vec![None; 2])]).unwrap();
        let array = Arc::new(BooleanArray::from(vec![true, false])) as ArrayRef;
        let read = |levels: &[&str]| {
            let encoder = Encoder::new(vec![names(Kind::Boolean, levels)], &Options::default(), false, true);
            encoder.cells(&table, 0, &[&array]).unwrap()
        };
        assert_eq!(read(&["0", "1"]), [1.0, 0.0]);
        assert!(read(&["F", "M"]).iter().all(|cell| cell.is_nan()));
    }

    #[test]
    fn missing_and_ambiguous_cells_are_reported() {
        let comma = Style { decimal_comma: true, thousands: true, ..Style::default() };
        let (found, said) =
            later(Column { style: comma, ..Column::number("a") }, &["1,000", "-", "2,5", "-"], Missing::Usual);
        assert_eq!((found[0], found[2]), (1.0, 2.5));
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("`1,000` is read as 1,") && said[0].contains("`--decimal .`"), "{said:?}");
        assert_eq!(said[1], "read as missing: 2 x `-`");
        let (found, said) = later(names(Kind::Category, &["DE", "NA"]), &["NA", "DE", "?"], Missing::Usual);
        assert_eq!((&found[..2], said.as_slice()), (&[1.0, 0.0][..], &["read as missing: 1 x `?`".to_string()][..]));
    }
}
