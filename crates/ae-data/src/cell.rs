//! What a cell of text says: nothing, a number, a truth value, a date.

use serde::{Deserialize, Serialize};

/// What stands for a missing cell of text, beside nothing at all: what pandas reads so, what spreadsheets print of an
/// error, databases of a null and statistics programs of a gap.
const MISSING: [&str; 29] = [
    "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "<NA>", "NaT", "?", "-", ".", "\\N",
    "#N/A", "#N/A N/A", "#NA", "#DIV/0!", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#NAME?", "1.#IND", "-1.#IND",
    "1.#QNAN", "-1.#QNAN",
];

/// Which texts stand for a missing cell, beside nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Missing {
    /// None: a table whose cells have types says itself what is missing.
    #[default]
    Nothing,
    /// The usual ones: `NA`, `?`, `#DIV/0!` and their like.
    Usual,
    /// These.
    These(Vec<String>),
}

impl Missing {
    /// Whether nothing stands in a cell, or something that says so.
    pub fn has(&self, cell: &str) -> bool {
        match self {
            _ if cell.is_empty() => true,
            Self::Nothing => false,
            // Few cells are so short, or begin so, and most of them are numbers.
            Self::Usual => !(cell.as_bytes()[0].is_ascii_digit() && cell.len() < 5) && MISSING.contains(&cell),
            Self::These(texts) => {
                // 007 is a name rather than another way to write 7.
                let digits = cell.trim_start_matches(['+', '-']);
                let is_padded = digits.starts_with('0') && digits[1..].starts_with(|next: char| next.is_ascii_digit());
                texts.iter().any(|text| text == cell) || !is_padded && plain(cell).is_some_and(|number| self.is(number))
            }
        }
    }

    /// Whether a number stands for a missing one: asked of every cell, so that nothing is allocated.
    fn is(&self, number: f64) -> bool {
        let Self::These(texts) = self else { return false };
        let single = |own: f64| f64::from(own as f32);
        texts
            .iter()
            .filter_map(|text| plain(text))
            .any(|own| own == number || single(own) == number && number.is_finite())
    }

    /// The numbers that stand for a missing one, and what they are in single precision.
    pub(crate) fn numbers(&self) -> Vec<f64> {
        let Self::These(texts) = self else { return Vec::new() };
        let mut numbers: Vec<f64> = texts.iter().filter_map(|text| plain(text)).collect();
        let singles: Vec<f64> = numbers.iter().map(|number| f64::from(*number as f32)).collect();
        numbers.extend(singles.into_iter().filter(|number| number.is_finite()));
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        numbers
    }

    /// Whether a cell says that it is missing, in whatever style its column writes numbers.
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

    /// Whether a cell is a number in this style that stands for a missing one.
    pub(crate) fn has_in(&self, style: &Style, cell: &str) -> bool {
        matches!(self, Self::These(_)) && style.parse(cell).is_some_and(|number| self.is(number))
    }

    /// The same but for texts that are values of a column.
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

/// Signs of money.
pub(crate) const MONEY: &str = "$€£¥₹₩₽₺₫฿¢";

/// How the numbers of a column of text are written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Style {
    /// Whether a comma stands before the decimals.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decimal_comma: bool,
    /// Whether thousands are set apart, by a comma or point, a blank or an apostrophe.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub thousands: bool,
    /// How many decimals each number has, if all have as many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimals: Option<usize>,
    /// What stands before each number, such as `$`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// What stands behind each number, such as `%`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub suffix: String,
}

impl Style {
    /// Whether nothing has to be said in `data.toml`.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether every program reads such numbers.
    pub fn is_plain(&self) -> bool {
        !self.decimal_comma && !self.thousands && self.prefix.is_empty() && self.suffix.is_empty()
    }

    /// The number that `cell` is in this style.
    pub(crate) fn parse(&self, cell: &str) -> Option<f64> {
        self.parse_doubtful(cell).map(|(number, _)| number)
    }

    /// The same, and whether the cell alone does not tell if three digits of it are decimals or thousands.
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
        // With a decimal point, `1.000` is what every program reads it as.
        let is_doubtful = shape.comma == Mark::Either || self.decimal_comma && shape.point == Mark::Either;
        number.map(|number| (number, is_doubtful))
    }

    /// `number` in this style, but for its decimals.
    pub fn write(&self, number: &str) -> String {
        let number = if self.decimal_comma { number.replace('.', ",") } else { number.to_string() };
        match number.strip_prefix('-') {
            Some(size) if !self.prefix.is_empty() => format!("-{}{size}{}", self.prefix, self.suffix),
            _ => format!("{}{number}{}", self.prefix, self.suffix),
        }
    }

    /// The style in words, with an example; nothing for plain numbers.
    pub(crate) fn describe(&self, cell: &str) -> String {
        self.parse(cell).map_or(String::new(), |number| format!("`{cell}` is read as {number}"))
    }
}

/// What a comma or a point does in a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// There is none.
    None,
    /// It stands before the decimals.
    Decimal,
    /// It stands between thousands.
    Thousands,
    /// One of the two: three digits follow.
    Either,
}

/// A number in whatever style.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) suffix: &'a str,
    pub(crate) comma: Mark,
    pub(crate) point: Mark,
    /// Whether thousands are set apart by blanks or apostrophes.
    pub(crate) spaces: bool,
    /// The number without prefix and suffix, its sign included.
    digits: &'a str,
    /// Whether a minus stands in front of the prefix.
    negative: bool,
}

/// What may stand between thousands, beside a comma or a point.
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

    /// Digits behind the decimal mark; none behind one that can be of thousands.
    pub(crate) fn decimals(&self) -> usize {
        let mark = if self.comma == Mark::Decimal { ',' } else { '.' };
        let is_decimal = self.comma == Mark::Decimal || self.point == Mark::Decimal;
        self.digits.rfind(mark).filter(|_| is_decimal).map_or(0, |place| self.digits.len() - place - 1)
    }

    /// The shape of a cell that is a number in some style; none of any other.
    pub(crate) fn of(cell: &'a str) -> Option<Self> {
        let is_money = |character: char| MONEY.contains(character);
        let cell = cell.trim();
        // `-$5` is `$-5`.
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
        // The whole part, which alone may have thousands.
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

/// A start of characters that are `wanted`, and the rest without blanks between.
fn split_start(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|character| !wanted(character)).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn split_end(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.trim_end_matches(wanted).len();
    (text[..end].trim_end(), &text[end..])
}

/// The cell without blanks around it, and without quotes that stood behind a blank, where the parser does not see them.
pub(crate) fn trimmed(cell: &str) -> &str {
    let cell = cell.trim();
    if cell.len() > 1 { cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell) } else { cell }
}

/// A number with a point before its decimals, or an infinite one.
pub(crate) fn plain(cell: &str) -> Option<f64> {
    // Rust also reads `infinity` and `nan`; a number here begins like one.
    let first = cell.trim_start_matches(['+', '-']).bytes().next()?;
    let infinite = || matches!(cell.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str(), "inf" | "infinity");
    if first.is_ascii_digit() || first == b'.' || infinite() { cell.parse().ok() } else { None }
}

/// `true` or `yes`, `false` or `no`, in capitals or not.
pub(crate) fn boolean(cell: &str) -> Option<bool> {
    if cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("yes") {
        Some(true)
    } else if cell.eq_ignore_ascii_case("false") || cell.eq_ignore_ascii_case("no") {
        Some(false)
    } else {
        None
    }
}

/// The truth value of such a word, or of 0 and 1.
pub(crate) fn truth(cell: &str) -> Option<bool> {
    boolean(cell).or_else(|| match plain(cell)? {
        0.0 => Some(false),
        1.0 => Some(true),
        _ => None,
    })
}

/// The word that stands beside `word` for the other truth value, written alike.
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

/// `2024-01-31`, `31.01.2024`, `1/31/2024`, with or without a time.
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
    fn numbers_in_every_style() {
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
    fn what_is_missing_what_is_a_date_and_the_other_word() {
        assert!(["", "NA", "?", "#DIV/0!", "1.#QNAN", ".", "\\N"].iter().all(|cell| Missing::Usual.has(cell)));
        assert!(["0", "na", "none", "5", "#5"].iter().all(|cell| !Missing::Usual.has(cell)));
        let these = Missing::These(vec!["ND".into()]);
        assert!(these.has("ND") && these.has("") && !these.has("NA") && !Missing::Nothing.has("NA"));
        // A number is the same however it is written, but not where its zeros make it a name.
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
