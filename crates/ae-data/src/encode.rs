//! The cells of a table as numbers, read by known columns. Nothing is inferred here.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::{Mutex, MutexGuard},
};

use arrow_array::{Array as _, ArrayRef, cast::AsArray, types::Float64Type};
use arrow_cast::cast;
use arrow_schema::DataType;

use crate::{
    Column, DataError, Kind, Options,
    cell::{Missing, Shape, Style, plain, trimmed, truth},
    column::UNSEEN,
    options::{Unknown, typed},
    table::{Table, is_number, texts},
};

/// Maximum number of different cells of each kind that are kept for notes.
const NAMED: usize = 100;

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
    met: Mutex<Met>,
}

/// Looks up the level of a cell.
#[derive(Debug)]
struct Levels {
    by_text: HashMap<String, f64>,
    /// By the number that a level is; `None` if several levels are the same number.
    by_number: HashMap<u64, Option<f64>>,
    /// For a column of two values: whether they are words for true and false, so that other such words are read, too.
    is_truth: bool,
}

impl Levels {
    fn of(column: &Column) -> Self {
        let numbered = || column.levels.iter().zip((0..).map(f64::from));
        let mut by_number = HashMap::new();
        for (key, number) in numbered().filter_map(|(level, number)| Some((exact(level)?, number))) {
            by_number.entry(key).and_modify(|known| *known = None).or_insert(Some(number));
        }
        let by_text = numbered().map(|(level, number)| (level.clone(), number)).collect();
        Self { by_text, by_number, is_truth: column.levels.iter().all(|level| truth(level).is_some()) }
    }
}

/// The number that a string is, if double precision represents it exactly.
fn exact(text: &str) -> Option<u64> {
    plain(text).filter(|number| number.abs() < 9_007_199_254_740_992.0).map(|number| (number + 0.0).to_bits())
}

/// What was found in the cells that is reported as notes.
#[derive(Debug, Default)]
struct Met {
    /// First rows of the parts read so far: a part that is read again is not counted again.
    parts: HashSet<usize>,
    /// Values that did not occur in training, by column: the first row and the number of cells.
    unseen: BTreeMap<(usize, String), (usize, usize)>,
    /// Columns that were empty in training and have values now.
    unused: Vec<usize>,
    /// Cells that were read as missing, and the number of each.
    missing: BTreeMap<String, usize>,
    /// Levels that were found by their number, by column: the first cell, the level, and the number of cells.
    renamed: BTreeMap<usize, (String, String, usize)>,
    /// Ambiguous decimal marks, by column: the first cell, and the number that it is read as.
    doubtful: BTreeMap<usize, (String, f64)>,
}

impl Encoder {
    pub(crate) fn new(columns: Vec<Column>, options: &Options, is_text: bool, later: bool) -> Self {
        let levels = columns.iter().map(Levels::of).collect();
        let (unknown, decimal, missing) =
            (options.unknown.unwrap_or_default(), options.decimal, options.missing(is_text));
        Self { columns, levels, unknown, decimal, missing, later, met: Mutex::default() }
    }

    /// The strings that stand for a missing cell.
    pub(crate) fn missing(&self) -> &Missing {
        &self.missing
    }

    /// What was found that did not occur in training or is ambiguous, in sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        let met = self.met();
        let cells = |count: usize| format!("{count} cell{}", if count == 1 { "" } else { "s" });
        let unseen = met.unseen.iter().map(|((column, text), (row, count))| {
            let column = &self.columns[*column];
            let what = if column.kind == Kind::Boolean { "read as missing" } else { "scored as an unseen level" };
            let (name, count, row) = (&column.name, cells(*count), row + 1);
            format!(
                "column `{name}`: `{text}` in {count} (first in row {row}) did not occur in training: {what} \
                 (`--unknown refuse` makes it an error)"
            )
        });
        let unused = met.unused.iter().map(|&column| {
            format!("column `{}` was empty in training: its values here are not used", self.columns[column].name)
        });
        let renamed = met.renamed.iter().map(|(&column, (text, level, count))| {
            let name = &self.columns[column].name;
            format!(
                "column `{name}`: `{text}` is read as the training level `{level}`, which is the same number ({})",
                cells(*count)
            )
        });
        let doubtful = met.doubtful.iter().map(|(&column, (text, number))| {
            let other = if self.style(column).decimal_comma { '.' } else { ',' };
            let name = &self.columns[column].name;
            format!(
                "column `{name}`: `{text}` is read as {number}, as in training (`--decimal {other}` reads it the \
                 other way)"
            )
        });
        let missing: Vec<String> = met.missing.iter().map(|(text, count)| format!("{count} x `{text}`")).collect();
        let missing = (!missing.is_empty()).then(|| format!("read as missing: {}", missing.join(", ")));
        unseen.chain(unused).chain(renamed).chain(doubtful).chain(missing).collect()
    }

    fn met(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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
        let counts = self.met().parts.insert(first);
        for (index, array) in arrays.iter().enumerate() {
            let column = &self.columns[index];
            if column.blank {
                let mut met = self.met();
                if !met.unused.contains(&index)
                    && texts(array, table.origin())?.iter().flatten().any(|text| !self.missing.has(trimmed(text)))
                {
                    met.unused.push(index);
                }
                continue;
            }
            let mut place = |row: usize, value: f64| cells[row * width + index] = value;
            match column.kind {
                Kind::Number => self.numbers(index, table, (first, counts), array, &mut place)?,
                Kind::Boolean if array.data_type() == &DataType::Boolean && self.levels[index].is_truth => {
                    let values = array.as_boolean();
                    (0..rows)
                        .filter(|row| !values.is_null(*row))
                        .for_each(|row| place(row, f64::from(u8::from(values.value(row)))));
                }
                Kind::Boolean | Kind::Category => self.names(index, table, (first, counts), array, &mut place)?,
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
        (first, counts): (usize, bool),
        array: &ArrayRef,
        place: &mut impl FnMut(usize, f64),
    ) -> Result<(), DataError> {
        let column = &self.columns[index];
        let infinite = |row: usize, text: &str| {
            let what = format!("{text} is infinite: correct it, or leave the cell empty if it is missing");
            self.problem(table, first + row, index, what)
        };
        if is_number(array.data_type()) {
            let values =
                cast(array, &DataType::Float64).map_err(|error| crate::table::arrow_problem(table.origin(), &error))?;
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
            problem: format!("column `{}` holds {what}, but held numbers in training", column.name),
        };
        let words = match array.data_type() {
            DataType::Null => return Ok(()),
            DataType::Boolean => return Err(wrong("booleans")),
            DataType::Utf8 => array.clone(),
            DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
                cast(array, &DataType::Utf8).map_err(|error| crate::table::arrow_problem(table.origin(), &error))?
            }
            kind if kind.is_temporal() => return Err(wrong("dates")),
            kind => return Err(wrong(&kind.to_string())),
        };
        let style = self.style(index);
        // Ambiguous cells of the training data were reported by the survey.
        let mut is_silent = !counts || !self.later;
        for (row, cell) in words.as_string::<i32>().iter().enumerate() {
            let Some(cell) = cell.map(trimmed) else { continue };
            if column.is_blank(cell, &self.missing) {
                self.met_missing(cell, counts);
                continue;
            }
            match style.parse_doubtful(cell) {
                Some((value, _)) if value.is_infinite() => return Err(infinite(row, &format!("`{cell}`"))),
                Some((value, is_doubtful)) => {
                    place(row, value);
                    if is_doubtful && !is_silent {
                        self.met().doubtful.entry(index).or_insert_with(|| (cell.to_string(), value));
                        is_silent = true;
                    }
                }
                None => {
                    let option = typed(&column.name);
                    let unit = |prefix: &str, suffix: &str| match (prefix, suffix) {
                        ("", "") => "no unit".to_string(),
                        _ => format!("`{prefix}{suffix}`"),
                    };
                    let advice = match Shape::of(cell) {
                        Some(shape)
                            if (shape.prefix, shape.suffix) != (style.prefix.as_str(), style.suffix.as_str()) =>
                        {
                            format!(
                                "its unit is {}, but {} in the training rows: write it the same way",
                                unit(shape.prefix, shape.suffix),
                                unit(&style.prefix, &style.suffix)
                            )
                        }
                        Some(_) if style.decimal_comma => {
                            "the column has decimal commas (`--decimal .` reads decimal points)".to_string()
                        }
                        Some(_) => "the column has decimal points (`--decimal ,` reads decimal commas)".to_string(),
                        None if self.later => {
                            "not a number: correct it, or leave the cell empty if it is missing".to_string()
                        }
                        None => format!(
                            "not a number: correct it, leave the cell empty if it is missing, or use `--drop {option}`"
                        ),
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
        (first, counts): (usize, bool),
        array: &ArrayRef,
        place: &mut impl FnMut(usize, f64),
    ) -> Result<(), DataError> {
        let column = &self.columns[index];
        // Strings are borrowed, not copied.
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
            let Some(cell) = cell.map(trimmed) else { continue };
            let levels = &self.levels[index];
            // A level of training is a level here, even if the string otherwise stands for a missing value.
            if let Some(level) = levels.by_text.get(cell) {
                place(row, *level);
                continue;
            }
            if self.missing.has(cell) {
                self.met_missing(cell, counts);
                continue;
            }
            if let Some(value) = truth(cell).filter(|_| column.kind == Kind::Boolean && levels.is_truth) {
                place(row, f64::from(u8::from(value)));
                continue;
            }
            if let Some(level) = exact(cell).and_then(|number| levels.by_number.get(&number).copied().flatten()) {
                place(row, level);
                if counts {
                    let named = || (cell.to_string(), column.levels[level as usize].clone(), 0);
                    self.met().renamed.entry(index).or_insert_with(named).2 += 1;
                }
                continue;
            }
            if column.kind == Kind::Boolean {
                // A value that is neither of the two is treated as missing.
                if self.later && self.unknown == Unknown::Score {
                    self.met_unseen(index, cell, first + row, counts);
                    continue;
                }
                let words =
                    if column.levels.is_empty() { "true` or `false".to_string() } else { column.levels.join("` or `") };
                return Err(self.problem(
                    table,
                    first + row,
                    index,
                    format!("`{cell}` is neither `{words}`: correct it, or leave the cell empty if it is missing"),
                ));
            }
            if self.unknown == Unknown::Refuse {
                let levels = column.levels.join("`, `");
                let what = format!(
                    "`{cell}` did not occur in training (known levels: `{levels}`): correct it, or use `--unknown \
                     score`"
                );
                return Err(self.problem(table, first + row, index, what));
            }
            place(row, UNSEEN);
            self.met_unseen(index, cell, first + row, counts);
        }
        Ok(())
    }

    /// Notes a value that did not occur in training.
    fn met_unseen(&self, column: usize, cell: &str, row: usize, counts: bool) {
        let mut met = self.met();
        if counts && (met.unseen.len() < NAMED || met.unseen.contains_key(&(column, cell.to_string()))) {
            let entry = met.unseen.entry((column, cell.to_string())).or_insert((row, 0));
            entry.0 = entry.0.min(row);
            entry.1 += 1;
        }
    }

    /// Notes a cell that was read as missing; for the training rows the survey does that.
    fn met_missing(&self, cell: &str, counts: bool) {
        if !counts || !self.later || cell.is_empty() {
            return;
        }
        let mut met = self.met();
        if met.missing.len() < NAMED || met.missing.contains_key(cell) {
            *met.missing.entry(cell.to_string()).or_default() += 1;
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
