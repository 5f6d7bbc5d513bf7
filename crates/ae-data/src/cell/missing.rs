//! Cells that stand for a missing value.

use super::{
    number_style::{Shape, Style},
    words::plain,
};

/// Strings that stand for a missing cell, beside the empty string: those of pandas, the errors of spreadsheets, the
/// null of databases, and the missing values of statistics programs.
const MISSING: [&str; 29] = [
    "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "<NA>", "NaT", "?", "-", ".", "\\N",
    "#N/A", "#N/A N/A", "#NA", "#DIV/0!", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#NAME?", "1.#IND", "-1.#IND",
    "1.#QNAN", "-1.#QNAN",
];

/// Which strings stand for a missing cell, beside the empty string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Missing {
    /// None: for typed tables, which have null.
    #[default]
    Nothing,
    /// The usual ones, such as `NA`, `?` and `#DIV/0!`.
    Usual,
    /// Exactly these.
    These(Vec<String>),
}

impl Missing {
    /// Whether a cell is empty or stands for a missing value.
    pub fn has(&self, cell: &str) -> bool {
        match self {
            _ if cell.is_empty() => true,
            Self::Nothing => false,
            // Fast path: short cells that begin with a digit are numbers.
            Self::Usual => !(cell.as_bytes()[0].is_ascii_digit() && cell.len() < 5) && MISSING.contains(&cell),
            Self::These(texts) => {
                // With leading zeros, as in 007, a cell is a name and not the number 7.
                let digits = cell.trim_start_matches(['+', '-']);
                let is_padded = digits.starts_with('0') && digits[1..].starts_with(|next: char| next.is_ascii_digit());
                texts.iter().any(|text| text == cell) || !is_padded && plain(cell).is_some_and(|number| self.is(number))
            }
        }
    }

    /// Whether a number stands for a missing value. Called for every cell, so nothing is allocated.
    fn is(&self, number: f64) -> bool {
        let Self::These(texts) = self else { return false };
        let single = |own: f64| f64::from(own as f32);
        texts
            .iter()
            .filter_map(|text| plain(text))
            .any(|own| own == number || single(own) == number && number.is_finite())
    }

    /// The numbers that stand for a missing value, and the same numbers rounded to single precision.
    pub(crate) fn numbers(&self) -> Vec<f64> {
        let Self::These(texts) = self else { return Vec::new() };
        let mut numbers: Vec<f64> = texts.iter().filter_map(|text| plain(text)).collect();
        let singles: Vec<f64> = numbers.iter().map(|number| f64::from(*number as f32)).collect();
        numbers.extend(singles.into_iter().filter(|number| number.is_finite()));
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        numbers
    }

    /// Whether a cell stands for a missing value in any style of numbers.
    pub(crate) fn may_have(&self, cell: &str) -> bool {
        let styled = |shape: Shape| {
            let style = |decimal_comma| Style {
                decimal_comma,
                thousands: true,
                decimals: None,
                prefix: shape.prefix.into(),
                suffix: shape.suffix.into(),
            };
            [false, true].iter().any(|&comma| self.has_in(&style(comma), cell))
        };
        self.has(cell) || matches!(self, Self::These(_)) && Shape::of(cell).is_some_and(styled)
    }

    /// Whether a cell is a number in this style that stands for a missing value.
    pub(crate) fn has_in(&self, style: &Style, cell: &str) -> bool {
        matches!(self, Self::These(_)) && style.parse(cell).is_some_and(|number| self.is(number))
    }

    /// The same without the strings that are values of a column.
    pub fn but_for(&self, values: &[String]) -> Self {
        let others = |texts: &mut dyn Iterator<Item = &str>| {
            Self::These(texts.filter(|text| !values.iter().any(|value| value == text)).map(str::to_string).collect())
        };
        match self {
            _ if !values.iter().any(|value| self.has(value)) => self.clone(),
            Self::Nothing => Self::Nothing,
            Self::Usual => others(&mut MISSING.into_iter()),
            Self::These(texts) => others(&mut texts.iter().map(String::as_str)),
        }
    }
}
