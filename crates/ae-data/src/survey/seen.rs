//! What occurs in the cells of a column, collected over all rows.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    path::Path,
};

use arrow_array::{Array as _, ArrayRef, cast::AsArray, types::Float64Type};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::chosen::Said;
use crate::{
    DataError,
    cell::{MONEY, Mark, Missing, Shape, boolean, is_date, plain, trimmed},
    column::MOST_LEVELS,
    table::{arrow_problem, is_number, is_string, texts},
};

/// Maximum number of row names that are compared with each other.
const MOST_NAMES: usize = 1 << 20;

/// What occurred in the cells of a column so far.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) observed: usize,
    /// Number of cells that are plain numbers, such as `-1.5` or `2e3`.
    pub(super) plain: usize,
    /// Number of cells that are numbers in another style, such as `1,5` or `$3`.
    pub(super) styled: usize,
    pub(super) booleans: usize,
    pub(super) dates: usize,
    /// Whether any number has a fractional part.
    pub(super) has_fraction: bool,
    /// The smallest and the largest number of decimals.
    pub(super) decimals: Option<(usize, usize)>,
    /// The first number with a leading zero, such as `007`.
    pub(super) zero: Option<String>,
    /// Number of integers that can be dates, such as 20240131.
    pub(super) days: usize,
    /// Whether any integer is too large for double precision (2^53 or more).
    pub(super) is_big: bool,
    /// Number of strings that begin with a number, and the first of them.
    pub(super) digits: (usize, Option<String>),
    /// How often a comma (and a point) is a decimal mark, a thousands separator, or either of the two (three digits
    /// follow).
    pub(super) comma: [usize; 3],
    pub(super) point: [usize; 3],
    pub(super) spaces: usize,
    /// The prefix and the suffix of the numbers, and whether other ones occur.
    pub(super) affixes: Option<(String, String)>,
    pub(super) has_other_affixes: bool,
    /// A number in another style, and one with a point and three digits.
    pub(super) example: Option<String>,
    pub(super) either: Option<String>,
    /// The first cell that is not a number, with its row.
    pub(super) text: Option<(usize, String)>,
    /// The different strings that are not numbers, up to one more than a category can have.
    pub(super) words: HashSet<String>,
    /// Whether each number is one more than the number before it; the last and the first number.
    pub(super) counts: bool,
    pub(super) last: Option<f64>,
    pub(super) first: Option<f64>,
    /// Number of cells that are 0 or 1.
    pub(super) bits: usize,
    /// A number with a fractional part, in a typed column.
    pub(super) part: Option<f64>,
    /// For a column without a name: the different cells so far, as long as none occurs twice or has a fractional part.
    pub(super) different: Option<HashSet<u64>>,
    /// The type of the column in its file, if it is not supported.
    pub(super) other: Option<DataType>,
    pub(super) is_time: bool,
}

impl Seen {
    /// For a column of this name.
    pub(super) fn of(name: &str) -> Self {
        Self { different: name.is_empty().then(HashSet::new), ..Self::default() }
    }

    /// Adds a cell of a column that may name the rows.
    fn name(&mut self, cell: impl Hash) {
        if let Some(different) = &mut self.different
            && different.len() < MOST_NAMES
            && !different.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(cell))
        {
            self.different = None;
        }
    }

    /// Adds a plain number.
    fn number(&mut self, value: f64) {
        self.plain += 1;
        self.bits += usize::from(value == 0.0 || value == 1.0);
        if value.fract() != 0.0 {
            self.has_fraction = true;
            self.part = self.part.or(Some(value));
            self.different = None;
        } else if self.different.is_some() {
            self.name(value.to_bits());
        }
        let (year, month, day) = (value.div_euclid(1e4), value.div_euclid(1e2) % 1e2, value % 1e2);
        let is_day = (1900.0..2100.0).contains(&year)
            && (1.0..=12.0).contains(&month)
            && (1.0..=31.0).contains(&day)
            && value.fract() == 0.0;
        self.days += usize::from(is_day);
        self.is_big |= value.abs() >= 9_007_199_254_740_992.0;
        self.counts = match self.last {
            Some(last) => self.counts && value == last + 1.0,
            None => true,
        };
        self.first = self.first.or(Some(value));
        self.last = Some(value);
    }

    /// Adds a string that may be a level.
    fn word(&mut self, word: &str) {
        if self.words.len() <= MOST_LEVELS && !self.words.contains(word) {
            self.words.insert(word.to_string());
        }
    }

    /// Counts the commas and points of a number.
    fn marks(&mut self, shape: &Shape) {
        for (counts, mark) in [(&mut self.comma, shape.comma), (&mut self.point, shape.point)] {
            match mark {
                Mark::None => {}
                Mark::Decimal => counts[0] += 1,
                Mark::Thousands => counts[1] += 1,
                Mark::Either => counts[2] += 1,
            }
        }
        self.spaces += usize::from(shape.spaces);
    }

    /// Adds a cell of a text column.
    fn text(&mut self, row: usize, cell: &str) {
        if let Some(value) = plain(cell) {
            self.number(value);
            self.plain_text(cell);
            return;
        }
        self.counts = false;
        if let Some(shape) = Shape::of(cell) {
            self.styled += 1;
            self.different = None;
            self.marks(&shape);
            self.affix(shape.prefix, shape.suffix);
            self.decimals(shape.decimals());
            self.example.get_or_insert_with(|| cell.to_string());
            return;
        }
        self.name(cell);
        self.booleans += usize::from(boolean(cell).is_some());
        self.dates += usize::from(is_date(cell));
        self.text.get_or_insert_with(|| (row, cell.to_string()));
        if begins_with_number(cell) {
            self.digits.0 += 1;
            self.digits.1.get_or_insert_with(|| cell.to_string());
        }
        self.word(cell);
    }

    /// Adds the notation of a plain number.
    fn plain_text(&mut self, cell: &str) {
        let point = cell.find('.');
        let has_exponent = cell.contains(['e', 'E']);
        let after = point.map_or(0, |point| cell.len() - point - 1);
        self.decimals(if has_exponent { usize::MAX } else { after });
        if let Some(point) = point {
            // A point before three digits may be a thousands separator.
            match after == 3 && cell[point + 1..].bytes().all(|byte| byte.is_ascii_digit()) {
                true => {
                    self.marks(&Shape::of(cell).unwrap_or(Shape::NONE));
                    self.either.get_or_insert_with(|| cell.to_string());
                }
                false => self.point[0] += 1,
            }
        } else if self.zero.is_none() && cell.len() > 1 && cell.starts_with('0') {
            self.zero = Some(cell.to_string());
        }
        self.affix("", "");
    }

    /// Adds the number of decimals of a number.
    fn decimals(&mut self, count: usize) {
        self.decimals = Some(self.decimals.map_or((count, count), |(least, most)| (least.min(count), most.max(count))));
    }

    /// Adds the prefix and the suffix of a number.
    fn affix(&mut self, prefix: &str, suffix: &str) {
        match &self.affixes {
            None => self.affixes = Some((prefix.to_string(), suffix.to_string())),
            Some((before, behind)) => self.has_other_affixes |= before != prefix || behind != suffix,
        }
    }

    /// Whether the cells are strings of more kinds than a category can have.
    pub(super) fn has_too_many_levels(&self) -> bool {
        self.words.len() > MOST_LEVELS && self.numbers() * 2 <= self.observed
    }

    /// Number of cells that are numbers.
    pub(super) fn numbers(&self) -> usize {
        self.plain + self.styled
    }
}

/// The cells of a part, and what is noted about them while they are looked at.
pub(super) struct Part<'a> {
    /// The first row of the part.
    pub(super) first: usize,
    pub(super) origin: &'a Path,
    pub(super) missing: &'a Missing,
    /// Which rows have any observed value.
    pub(super) observed: &'a mut [bool],
}

impl Seen {
    /// Adds the cells of a column in a part. `marker` is called with each cell that is not empty and stands for a
    /// missing value.
    pub(super) fn add(
        &mut self,
        said: Option<Said>,
        array: &ArrayRef,
        part: &mut Part,
        marker: &mut dyn FnMut(&str),
    ) -> Result<(), DataError> {
        let is_name = matches!(said, Some(Said::Category | Said::Boolean));
        match array.data_type() {
            DataType::Null => Ok(()),
            DataType::Boolean if !is_name => {
                let values = array.as_boolean();
                for row in (0..values.len()).filter(|row| !values.is_null(*row)) {
                    self.observe(row, part);
                    self.booleans += 1;
                }
                Ok(())
            }
            kind if is_string(kind) => self.add_strings(is_name, array, part, marker),
            _ if is_name => self.add_names(array, part, marker),
            kind if is_number(kind) => self.add_numbers(array, part, marker),
            _ => self.add_others(array, part),
        }
    }

    /// Counts a cell that is not missing.
    fn observe(&mut self, row: usize, part: &mut Part) {
        part.observed[row] = true;
        self.observed += 1;
    }

    fn add_strings(
        &mut self,
        is_name: bool,
        array: &ArrayRef,
        part: &mut Part,
        marker: &mut dyn FnMut(&str),
    ) -> Result<(), DataError> {
        let values = match array.data_type() {
            DataType::Utf8 => array.clone(),
            _ => cast(array, &DataType::Utf8).map_err(|error| arrow_problem(part.origin, &error))?,
        };
        for (row, cell) in values.as_string::<i32>().iter().enumerate() {
            let Some(cell) = cell.map(trimmed) else { continue };
            if cell.is_empty() {
                // A typed table has null for a missing value, so empty strings are reported.
                if *part.missing == Missing::Nothing {
                    marker("''");
                }
            } else if part.missing.has(cell) || !is_name && part.missing.may_have(cell) {
                marker(cell);
            } else {
                self.observe(row, part);
                match is_name {
                    true => self.word(cell),
                    false => self.text(part.first + row, cell),
                }
            }
        }
        Ok(())
    }

    /// Adds the cells of a typed column that is declared as categorical or boolean.
    fn add_names(&mut self, array: &ArrayRef, part: &mut Part, marker: &mut dyn FnMut(&str)) -> Result<(), DataError> {
        for (row, text) in texts(array, part.origin)?.into_iter().enumerate() {
            let Some(text) = text else { continue };
            if part.missing.has(&text) {
                marker(&text);
                continue;
            }
            self.observe(row, part);
            self.word(&text);
        }
        Ok(())
    }

    fn add_numbers(
        &mut self,
        array: &ArrayRef,
        part: &mut Part,
        marker: &mut dyn FnMut(&str),
    ) -> Result<(), DataError> {
        let values = cast(array, &DataType::Float64).map_err(|error| arrow_problem(part.origin, &error))?;
        let (values, gaps) = (values.as_primitive::<Float64Type>(), part.missing.numbers());
        for row in (0..values.len()).filter(|row| !values.is_null(*row) && !values.value(*row).is_nan()) {
            let value = values.value(row);
            if gaps.contains(&value) {
                marker(&value.to_string());
                continue;
            }
            self.observe(row, part);
            self.number(value);
        }
        Ok(())
    }

    /// Adds the cells of a type that cannot be learned from, such as dates.
    fn add_others(&mut self, array: &ArrayRef, part: &mut Part) -> Result<(), DataError> {
        let kind = array.data_type();
        self.is_time = kind.is_temporal();
        self.other = Some(kind.clone());
        for row in (0..array.len()).filter(|row| !array.is_null(*row)) {
            self.observe(row, part);
            if self.example.is_none() && self.is_time {
                self.example = texts(&array.slice(row, 1), part.origin)?.into_iter().flatten().next();
            }
        }
        Ok(())
    }
}

/// Whether a string begins with a number in any digits (`34 min`, `<10`, `($5)`, `10-Jan-2024`, `１.５`), or with a word
/// and a number (`USD 34`, `Jan 10`). `A1` does not.
fn begins_with_number(cell: &str) -> bool {
    let is_mark = |letter: char| "+-−–—‐‑('’‘`<>=~\"#≤≥± ".contains(letter) || MONEY.contains(letter);
    let start = cell.trim_start_matches(is_mark);
    let rest = start.trim_start_matches(|letter: char| letter.is_alphabetic());
    let letters = start.len() - rest.len();
    let is_digit = |text: &str| text.trim_start_matches([' ', '.']).starts_with(char::is_numeric);
    letters == 0 && is_digit(start) || letters > 2 && is_digit(rest)
}
