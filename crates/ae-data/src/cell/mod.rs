//! Parses the cells of a text table: missing values, numbers, booleans, dates.

mod missing;
mod number_style;
mod words;

pub use self::{missing::Missing, number_style::Style};
pub(crate) use self::{
    number_style::{MONEY, Mark, Shape},
    words::{boolean, is_date, other_word, plain, trimmed, truth},
};

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
