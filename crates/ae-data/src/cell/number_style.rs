//! The notation of numbers in text: decimal mark, thousands separator, units.

use serde::{Deserialize, Serialize};

use super::words::plain;

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
        let spaces = body.chars().any(is_group);
        let (comma, point) = marks(body, spaces, exponent.is_some())?;
        Some(Self { prefix, suffix, comma, point, spaces, digits: rest, negative })
    }
}

/// The roles of the comma and the point in the digits of a number; `None` if it is not a number.
fn marks(body: &str, spaces: bool, has_exponent: bool) -> Option<(Mark, Mark)> {
    let count = |mark: char| body.matches(mark).count();
    let (commas, points) = (count(','), count('.'));
    // Only the integer part may have thousands separators.
    let last = body.rfind([',', '.']);
    match (commas, points) {
        (0, 0) if !spaces => Some((Mark::None, Mark::None)),
        (0, 0) => is_grouped(body, &is_group).then_some((Mark::None, Mark::None)),
        (_, _) if commas > 0 && points > 0 => {
            let last = last?;
            let mark = body[last..].chars().next()?;
            let other = if mark == ',' { '.' } else { ',' };
            if count(mark) > 1 || !is_grouped(&body[..last], &|character| character == other) {
                return None;
            }
            Some(if mark == ',' { (Mark::Decimal, Mark::Thousands) } else { (Mark::Thousands, Mark::Decimal) })
        }
        _ => {
            let (mark, many) = if commas > 0 { (',', commas > 1) } else { ('.', points > 1) };
            let is_grouped_by_mark = || is_grouped(body, &|character| character == mark);
            let role = if many {
                is_grouped_by_mark().then_some(Mark::Thousands)?
            } else if spaces {
                is_grouped(&body[..last?], &is_group).then_some(Mark::Decimal)?
            } else if is_grouped_by_mark() && !body.starts_with('0') && !has_exponent {
                Mark::Either
            } else {
                Mark::Decimal
            };
            Some(if commas > 0 { (role, Mark::None) } else { (Mark::None, role) })
        }
    }
}

/// Whether digits are separated by marks into thousands.
fn is_grouped(whole: &str, mark: &dyn Fn(char) -> bool) -> bool {
    let groups: Vec<&str> = whole.split(mark).collect();
    groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()))
        && (1..=3).contains(&groups[0].len())
        && groups[1..].iter().all(|group| group.len() == 3)
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
