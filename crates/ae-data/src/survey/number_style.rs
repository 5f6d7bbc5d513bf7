//! The style in which the numbers of a column are written: decimal mark, thousands, units.

use super::seen::Seen;
use crate::{cell::Style, options::typed};

/// What all columns of a file together show about the style of its numbers.
pub(super) struct File {
    /// The decimal mark given by the options.
    decimal: Option<char>,
    /// Number of decimal commas.
    commas: usize,
    /// Number of decimal points.
    points: usize,
    is_comma_separated: bool,
}

impl File {
    /// From all columns; `is_comma_separated` unless the delimiter is known to be another one.
    pub(super) fn of(seen: &[Seen], decimal: Option<char>, is_comma_separated: bool) -> Self {
        let commas = seen.iter().map(|seen| seen.comma[0]).sum();
        let points = seen.iter().map(|seen| seen.point[0]).sum();
        Self { decimal, commas, points, is_comma_separated }
    }
}

/// The style of the numbers of a column.
///
/// # Errors
/// If the numbers mix units or decimal marks, or their marks are ambiguous.
pub(super) fn number_style(seen: &Seen, name: &str, file: &File) -> Result<Style, String> {
    if seen.has_other_affixes && seen.affixes.is_some() {
        let example = seen.example.as_deref().unwrap_or_default();
        return Err(format!(
            "column `{name}` mixes units: some of its numbers are written like `{example}`, others are not: write all \
             of them the same way"
        ));
    }
    let (prefix, suffix) = seen.affixes.clone().unwrap_or_default();
    let ([comma_decimal, comma_thousands, comma_either], [point_decimal, point_thousands, point_either]) =
        (seen.comma, seen.point);
    let commas = comma_decimal + comma_thousands + comma_either;
    let decimal_comma = match file.decimal {
        Some(mark) => mark == ',',
        None if comma_decimal > 0 && point_decimal > 0 => {
            return Err(format!(
                "column `{name}` has both decimal commas and decimal points: write all of its numbers the same way"
            ));
        }
        None if comma_decimal > 0 => true,
        None if point_decimal > 0 || comma_thousands > 0 => false,
        None if point_thousands > 0 => true,
        None if comma_either + point_either == 0 => false,
        None if file.commas > 0 && file.points == 0 => true,
        None if comma_either == 0 || file.points > 0 && file.commas == 0 || file.is_comma_separated => false,
        None => {
            let example = seen.example.as_deref().unwrap_or_default();
            return Err(format!(
                "column `{name}`: `{example}` can be read with a decimal mark or a thousands separator: choose with \
                 `--decimal ,` or `--decimal .`, or leave the column out with `--drop {}`",
                typed(name)
            ));
        }
    };
    let points = point_decimal + point_thousands + point_either;
    let thousands = seen.spaces > 0 || if decimal_comma { points > 0 } else { commas > 0 };
    let is_clear = if decimal_comma { point_either == 0 } else { comma_either == 0 };
    let decimals = seen
        .decimals
        .filter(|(least, most)| is_clear && least == most && (1..=15).contains(least))
        .map(|(least, _)| least);
    Ok(Style { decimal_comma: decimal_comma && (commas > 0 || points > 0), thousands, decimals, prefix, suffix })
}
