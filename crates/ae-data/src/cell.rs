//! Parses the cells of a text table: missing values, numbers, booleans, dates.

use serde::{Deserialize, Serialize};

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

/// Currency signs.
pub(crate) const MONEY: &str = "$€£¥₹₩₽₺₫฿¢";

/// How the numbers of a text column are written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Style {
    /// Whether the decimal mark is a comma.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decimal_comma: bool,
    /// Whether thousands are separated, by a comma or point, a space or an apostrophe.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub thousands: bool,
    /// The number of decimals, if it is the same for all numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimals: Option<usize>,
    /// The prefix of each number, such as `$`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The suffix of each number, such as `%`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub suffix: String,
}

impl Style {
    /// Whether it is the default, which is not written to `data.toml`.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether numbers are written with a decimal point and nothing else, except for the number of decimals.
    pub fn is_plain(&self) -> bool {
        !self.decimal_comma && !self.thousands && self.prefix.is_empty() && self.suffix.is_empty()
    }

    /// Parses `cell` in this style.
    pub(crate) fn parse(&self, cell: &str) -> Option<f64> {
        self.parse_doubtful(cell).map(|(number, _)| number)
    }

    /// Parses `cell`, and tells whether it is ambiguous: three digits may be decimals or thousands.
    pub(crate) fn parse_doubtful(&self, cell: &str) -> Option<(f64, bool)> {
        if self.is_plain()
            && let Some(number) = plain(cell)
        {
            return Some((number, false));
        }
        let shape = Shape::of(cell)?;
        if (shape.prefix, shape.suffix) != (self.prefix.as_str(), self.suffix.as_str()) {
            return None;
        }
        let [decimal, thousands] =
            if self.decimal_comma { [shape.comma, shape.point] } else { [shape.point, shape.comma] };
        let grouped = thousands != Mark::None || shape.spaces;
        if decimal == Mark::Thousands || thousands == Mark::Decimal || grouped && !self.thousands {
            return None;
        }
        let mark = if self.decimal_comma { ',' } else { '.' };
        let digits = shape
            .digits
            .chars()
            .filter(|&character| character == mark || !is_group(character) && !matches!(character, ',' | '.'));
        let digits: String = digits.map(|character| if character == mark { '.' } else { character }).collect();
        let number = digits.parse::<f64>().ok().map(|number| if shape.negative { -number } else { number });
        // With a decimal point, `1.000` is not ambiguous: every program reads it as 1.
        let is_doubtful = shape.comma == Mark::Either || self.decimal_comma && shape.point == Mark::Either;
        number.map(|number| (number, is_doubtful))
    }

    /// `number` in this style; its decimals do not change.
    pub fn write(&self, number: &str) -> String {
        let number = if self.decimal_comma { number.replace('.', ",") } else { number.to_string() };
        match number.strip_prefix('-') {
            Some(size) if !self.prefix.is_empty() => format!("-{}{size}{}", self.prefix, self.suffix),
            _ => format!("{}{number}{}", self.prefix, self.suffix),
        }
    }

    /// An example of the style in words; empty if `cell` is not a number.
    pub(crate) fn describe(&self, cell: &str) -> String {
        self.parse(cell).map_or(String::new(), |number| format!("`{cell}` is read as {number}"))
    }
}

/// The role of a comma or a point in a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It does not occur.
    None,
    /// Decimal mark.
    Decimal,
    /// Thousands separator.
    Thousands,
    /// Either of the two: three digits follow.
    Either,
}

/// The parts of a number in any style.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) suffix: &'a str,
    pub(crate) comma: Mark,
    pub(crate) point: Mark,
    /// Whether thousands are separated by spaces or apostrophes.
    pub(crate) spaces: bool,
    /// The number with its sign, without prefix and suffix.
    digits: &'a str,
    /// Whether there is a minus sign before the prefix.
    negative: bool,
}

/// Whether a character may separate thousands, beside a comma or a point.
fn is_group(character: char) -> bool {
    matches!(character, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '’')
}

impl<'a> Shape<'a> {
    pub(crate) const NONE: Shape<'static> = Shape {
        prefix: "",
        suffix: "",
        comma: Mark::None,
        point: Mark::None,
        spaces: false,
        digits: "",
        negative: false,
    };

    /// Number of digits after the decimal mark; 0 if the mark is ambiguous.
    pub(crate) fn decimals(&self) -> usize {
        let mark = if self.comma == Mark::Decimal { ',' } else { '.' };
        let is_decimal = self.comma == Mark::Decimal || self.point == Mark::Decimal;
        self.digits.rfind(mark).filter(|_| is_decimal).map_or(0, |place| self.digits.len() - place - 1)
    }

    /// The shape of a cell that is a number in any style; `None` otherwise.
    pub(crate) fn of(cell: &'a str) -> Option<Self> {
        let is_money = |character: char| MONEY.contains(character);
        let cell = cell.trim();
        // `-$5` is the same as `$-5`.
        let (negative, cell) = match cell.strip_prefix('-').filter(|rest| rest.starts_with(is_money)) {
            Some(rest) => (true, rest),
            None => (false, cell),
        };
        let (prefix, rest) = split_start(cell, is_money);
        let (rest, suffix) = split_end(rest, |character| is_money(character) || matches!(character, '%' | '‰'));
        let unsigned = rest.trim_start_matches(['-', '+']);
        if rest.len() - unsigned.len() > 1 || !unsigned.bytes().any(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (body, exponent) = match unsigned.find(['e', 'E']) {
            Some(place) => (&unsigned[..place], Some(&unsigned[place + 1..])),
            None => (unsigned, None),
        };
        if exponent.is_some_and(|exponent| exponent.parse::<i16>().is_err()) {
            return None;
        }
        if !body
            .chars()
            .all(|character| character.is_ascii_digit() || matches!(character, ',' | '.') || is_group(character))
        {
            return None;
        }
        let count = |mark: char| body.matches(mark).count();
        let (commas, points) = (count(','), count('.'));
        // Only the integer part may have thousands separators.
        let last = body.rfind([',', '.']);
        let grouped = |whole: &str, mark: &dyn Fn(char) -> bool| {
            let groups: Vec<&str> = whole.split(mark).collect();
            groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()))
                && (1..=3).contains(&groups[0].len())
                && groups[1..].iter().all(|group| group.len() == 3)
        };
        let spaces = body.chars().any(is_group);
        let (comma, point) = match (commas, points) {
            (0, 0) if !spaces => (Mark::None, Mark::None),
            (0, 0) => grouped(body, &is_group).then_some((Mark::None, Mark::None))?,
            (_, _) if commas > 0 && points > 0 => {
                let last = last?;
                let mark = body[last..].chars().next()?;
                let other = if mark == ',' { '.' } else { ',' };
                if count(mark) > 1 || !grouped(&body[..last], &|character| character == other) {
                    return None;
                }
                if mark == ',' { (Mark::Decimal, Mark::Thousands) } else { (Mark::Thousands, Mark::Decimal) }
            }
            _ => {
                let (mark, many) = if commas > 0 { (',', commas > 1) } else { ('.', points > 1) };
                let last = last?;
                let what = if many {
                    grouped(body, &|character| character == mark).then_some(Mark::Thousands)?
                } else if spaces {
                    grouped(&body[..last], &is_group).then_some(Mark::Decimal)?
                } else if grouped(body, &|character| character == mark) && !body.starts_with('0') && exponent.is_none()
                {
                    Mark::Either
                } else {
                    Mark::Decimal
                };
                if commas > 0 { (what, Mark::None) } else { (Mark::None, what) }
            }
        };
        Some(Self { prefix, suffix, comma, point, spaces, digits: rest, negative })
    }
}

/// Splits off the longest start of `wanted` characters; spaces after it are removed.
fn split_start(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|character| !wanted(character)).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// Splits off the longest end of `wanted` characters; spaces before it are removed.
fn split_end(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.trim_end_matches(wanted).len();
    (text[..end].trim_end(), &text[end..])
}

/// The cell without surrounding spaces, and without quotes that come after a space, which the CSV parser does not
/// remove.
pub(crate) fn trimmed(cell: &str) -> &str {
    let cell = cell.trim();
    if cell.len() > 1 { cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell) } else { cell }
}

/// Parses a number with a decimal point, or an infinite one.
pub(crate) fn plain(cell: &str) -> Option<f64> {
    // Rust also parses `nan`, which is not a number here.
    let first = cell.trim_start_matches(['+', '-']).bytes().next()?;
    let infinite = || matches!(cell.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str(), "inf" | "infinity");
    if first.is_ascii_digit() || first == b'.' || infinite() { cell.parse().ok() } else { None }
}

/// Parses `true` or `yes`, `false` or `no`, in any case.
pub(crate) fn boolean(cell: &str) -> Option<bool> {
    if cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("yes") {
        Some(true)
    } else if cell.eq_ignore_ascii_case("false") || cell.eq_ignore_ascii_case("no") {
        Some(false)
    } else {
        None
    }
}

/// Parses such a word, or 0 or 1.
pub(crate) fn truth(cell: &str) -> Option<bool> {
    boolean(cell).or_else(|| match plain(cell)? {
        0.0 => Some(false),
        1.0 => Some(true),
        _ => None,
    })
}

/// The opposite of `word`, in the same case.
pub(crate) fn other_word(word: &str) -> String {
    let other = match word.to_ascii_lowercase().as_str() {
        "true" => "false",
        "false" => "true",
        "yes" => "no",
        _ => "yes",
    };
    let mut letters = word.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_uppercase() => other.to_uppercase(),
        (Some(first), _) if first.is_uppercase() => other[..1].to_uppercase() + &other[1..],
        _ => other.to_string(),
    }
}

/// Whether a cell is a date such as `2024-01-31`, `31.01.2024` or `1/31/2024`, with or without a time.
pub(crate) fn is_date(cell: &str) -> bool {
    let day = cell.split([' ', 'T']).next().unwrap_or_default();
    ['-', '/', '.'].iter().any(|&mark| {
        let parts: Vec<&str> = day.split(mark).collect();
        parts.len() == 3
            && parts
                .iter()
                .all(|part| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit()))
            && (parts[0].len() == 4 || parts[2].len() == 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_parsed_in_every_style() {
        let points = Style { thousands: true, ..Style::default() };
        let comma = Style { decimal_comma: true, thousands: true, ..Style::default() };
        let of = |prefix: &str, suffix: &str| Style {
            prefix: prefix.into(),
            suffix: suffix.into(),
            thousands: true,
            ..Style::default()
        };
        for (style, cell, number) in [
            (&Style::default(), "12.5", 12.5),
            (&points, "1,234.5", 1234.5),
            (&points, "1 234 567", 1_234_567.0),
            (&points, "-1,234", -1234.0),
            (&Style::default(), "6.02e23", 6.02e23),
            (&comma, "12,5", 12.5),
            (&comma, "1.234,5", 1234.5),
            (&comma, "1.234", 1234.0),
            (&comma, "1 234,56", 1234.56),
            (&comma, "-0,001", -0.001),
            (&comma, "7", 7.0),
            (&of("", "%"), "12.5%", 12.5),
            (&of("", "%"), "12.5 %", 12.5),
            (&of("$", ""), "$1,234.50", 1234.5),
            (&of("$", ""), "-$5", -5.0),
            (&of("€", ""), "€ 5", 5.0),
        ] {
            assert_eq!(style.parse(cell), Some(number), "{cell}");
        }
        for (style, cell) in [
            (&Style::default(), "12,5"),
            (&Style::default(), "1,234"),
            (&points, "12,5"),
            (&points, "1.234,5"),
            (&Style::default(), "12.5%"),
            (&Style::default(), "1,2,3"),
            (&Style::default(), "abc"),
            (&Style::default(), "1-2"),
            (&comma, "12.5"),
            (&comma, "1,234.5"),
            (&of("$", ""), "€5"),
            (&of("", "%"), "5"),
        ] {
            assert_eq!(style.parse(cell), None, "{cell}");
        }
        for (style, cell, doubtful) in
            [(&comma, "1,000", (1.0, true)), (&comma, "1.000", (1000.0, true)), (&points, "1,000", (1000.0, true))]
        {
            assert_eq!(style.parse_doubtful(cell), Some(doubtful), "{cell}");
        }
        assert_eq!(
            (points.parse_doubtful("1.000"), comma.parse_doubtful("1,50")),
            (Some((1.0, false)), Some((1.5, false)))
        );
        assert_eq!(comma.write("-1.5"), "-1,5");
        assert_eq!(of("$", "").write("-1.5"), "-$1.5");
    }

    #[test]
    fn missing_values_dates_and_opposite_words() {
        assert!(["", "NA", "?", "#DIV/0!", "1.#QNAN", ".", "\\N"].iter().all(|cell| Missing::Usual.has(cell)));
        assert!(["0", "na", "none", "5", "#5"].iter().all(|cell| !Missing::Usual.has(cell)));
        let these = Missing::These(vec!["ND".into()]);
        assert!(these.has("ND") && these.has("") && !these.has("NA") && !Missing::Nothing.has("NA"));
        // A number matches in every notation, except with leading zeros.
        let gap = Missing::These(vec!["-999".into(), "7".into(), "1e20".into()]);
        assert!(["-999", "-999.0", "-9.99e2", "7", "7.00"].iter().all(|cell| gap.has(cell)));
        assert!(["-99", "999", "007", "-999x", "-999,0", "$7"].iter().all(|cell| !gap.has(cell)));
        assert!(gap.may_have("-999,0") && gap.may_have("$7") && !gap.may_have("-99,9"));
        assert!(gap.numbers().contains(&f64::from(1e20f32)) && Missing::Usual.numbers().is_empty());
        let some = Missing::Usual.but_for(&["DE".to_string(), "NA".to_string()]);
        assert!(
            !some.has("NA")
                && some.has("?")
                && some.has("")
                && Missing::Usual.but_for(&["DE".to_string()]) == Missing::Usual
        );
        assert!(is_date("2024-01-31") && is_date("1/31/2024 10:00") && !is_date("1.5") && !is_date("1-2-3"));
        assert_eq!(["Yes", "NO", "true"].map(other_word), ["No", "YES", "false"]);
        assert_eq!(["1.0", "0", "No", "2", "t"].map(truth), [Some(true), Some(false), Some(false), None, None]);
    }
}
