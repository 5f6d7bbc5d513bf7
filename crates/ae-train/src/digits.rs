//! Numbers as people read them: in the tables of the terminal, in the page of a run and in its model card. JSON and
//! tables of results keep the exact values.
//!
//! Errors are in units of the scaled data, where values have a size of about 1 and the last digit of single precision
//! is about 1e-7. What is less than [`ROUNDING`] is a rounding error, and is shown as such: `0`, or `< 1e-6`.

/// The largest rounding error, as a share of the size of the values.
pub(crate) const ROUNDING: f64 = 1e-6;

/// How a figure is shown that cannot be told from 0: `None` if it can be, and for `NaN`.
pub(crate) fn rounding_error(value: f64) -> Option<&'static str> {
    match value.abs() < ROUNDING {
        true if value > 0.0 => Some("< 1e-6"),
        true => Some("0"),
        false => None,
    }
}

/// A figure with about three digits.
#[cfg(feature = "report")]
pub(crate) fn short(value: f64) -> String {
    rounding_error(value).map_or_else(|| significant(value), str::to_string)
}

/// A figure with this many decimals, as in a column of figures; one that would be all zeros has its first digits
/// instead.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    match rounding_error(value) {
        Some(text) => text.to_string(),
        None if value.abs() < 0.5 * 0.1f64.powi(decimals as i32) => format!("{value:.1e}"),
        None => format!("{value:.decimals$}"),
    }
}

/// A value with about three digits beside others of this size, such as a cell of a column or a number at an axis. What
/// is a rounding error beside them is 0.
#[cfg(feature = "report")]
pub(crate) fn beside(value: f64, size: f64) -> String {
    if value.abs() < ROUNDING * size { "0".to_string() } else { significant(value) }
}

/// About three digits; large numbers have all of those before the decimal point as long as they can be read.
#[cfg(feature = "report")]
fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        size if !(1e-3..1e9).contains(&size) => format!("{value:.1e}"),
        size => {
            let digits = (2 - size.log10().floor() as i32).max(0) as usize;
            let text = format!("{value:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rounding_error_is_shown_as_such_and_a_small_figure_as_it_is() {
        assert_eq!(
            [0.0, -0.0, 4.5e-8, -4.5e-8, 2e-5, 0.25, f64::NAN].map(|value| fixed(value, 4)),
            ["0", "0", "< 1e-6", "0", "2.0e-5", "0.2500", "NaN"]
        );
        assert_eq!([0.00006, 1.0].map(|value| fixed(value, 4)), ["0.0001", "1.0000"]);
    }

    #[cfg(feature = "report")]
    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.01234, 12.34, 1234.0, 123456.7, 2.5e9, 1e-5, 4.5e-8, -4.5e-8].map(short),
            ["0", "0.0123", "12.3", "1234", "123457", "2.5e9", "1.0e-5", "< 1e-6", "0"]
        );
        // A column may have small units.
        assert_eq!([beside(4.5e-8, 1e-8), beside(4.5e-8, 1.0), beside(-1e-17, 0.2)], ["4.5e-8", "0", "0"]);
    }
}
