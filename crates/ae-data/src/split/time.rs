//! Dates, times and numbers that order rows.

/// Which part comes first in dates such as 3/4/2024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    DayFirst,
    MonthFirst,
    /// Every date can be read both ways.
    Either,
}

impl Order {
    /// Decided by the dates that can be read in only one way.
    pub(super) fn of(texts: &[&str]) -> Self {
        let beyond =
            |place: usize| texts.iter().any(|text| parts(text).is_some_and(|parts| parts[2] > 31 && parts[place] > 12));
        match (beyond(0), beyond(1), texts.iter().any(|text| text.contains('.'))) {
            (true, _, _) | (false, false, true) => Self::DayFirst,
            (false, true, _) => Self::MonthFirst,
            (false, false, false) => Self::Either,
        }
    }

    /// A note on what was decided, if it is not obvious.
    pub(super) fn said(self, texts: &[&str]) -> Option<String> {
        let example = texts.iter().find(|text| parts(text).is_some_and(|parts| parts[2] > 31))?;
        match self {
            Self::Either => Some(format!(
                "dates like `{example}` are read with the month first: write them as 2024-01-31 if that is wrong"
            )),
            Self::DayFirst => Some(format!("dates like `{example}` are read with the day first")),
            Self::MonthFirst => None,
        }
    }
}

/// The three numbers of a date.
fn parts(text: &str) -> Option<[u32; 3]> {
    let day = text.trim().split([' ', 'T']).next()?;
    let parts: Vec<u32> = day.split(['-', '/', '.']).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// A value of a column that orders rows.
pub(super) enum Moment {
    Number(f64),
    /// Days since 1970 and seconds since midnight, in UTC where an offset is given.
    Date(i64, f64),
}

impl Moment {
    /// `None` if the string is neither a number nor a date.
    pub(super) fn of(text: &str, order: Order) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse::<f64>() {
            return number.is_finite().then_some(Self::Number(number));
        }
        let date = match parts(text)? {
            [year, month, day] if year > 31 => [year, month, day],
            [day, month, year] if order == Order::DayFirst => [year, month, day],
            [month, day, year] => [year, month, day],
        };
        let [year, month, day] = date;
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if is_leap => 29,
            2 => 28,
            _ => 0,
        };
        let time = text.split_once([' ', 'T']).map_or(Some(0.0), |(_, time)| seconds(time))?;
        // An offset from UTC may change the day.
        let (midnights, time) = (time.div_euclid(86_400.0), time.rem_euclid(86_400.0));
        ((1..=days).contains(&day) && year > 31).then(|| Self::Date(days_since_1970(date) + midnights as i64, time))
    }

    /// The order of two moments of the same kind.
    pub(super) fn compare(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Date(a, at), Self::Date(b, at_other)) => a.cmp(b).then_with(|| at.total_cmp(at_other)),
            _ => std::cmp::Ordering::Equal,
        }
    }
}

/// The number of days from 1970-01-01 to a date in the Gregorian calendar (algorithm: Hinnant, `days_from_civil`).
fn days_since_1970([year, month, day]: [u32; 3]) -> i64 {
    // Years begin in March, so that the leap day is the last day of a year.
    let year = i64::from(year) - i64::from(month < 3);
    let month = (i64::from(month) + 9) % 12;
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + i64::from(day) - 1 - 719_468
}

/// The seconds since midnight of a time such as `9:30`, `09:30:15.5`, `9:30 PM` or `09:30:00+02:00`. An offset from UTC
/// is subtracted.
fn seconds(time: &str) -> Option<f64> {
    let time = time.trim();
    let upper = time.to_ascii_uppercase();
    let (clock, half) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(clock), _) => (clock.trim(), Some(0.0)),
        (_, Some(clock)) => (clock.trim(), Some(12.0)),
        _ => (upper.as_str(), None),
    };
    let (clock, offset) = match clock.find(['+', '-', 'Z']) {
        Some(place) if &clock[place..] == "Z" => (&clock[..place], 0.0),
        Some(place) => {
            let digits: String = clock[place + 1..].chars().filter(|character| *character != ':').collect();
            let hours: f64 = digits.get(..2)?.parse().ok()?;
            let minutes: f64 = digits.get(2..4).unwrap_or("0").parse().ok()?;
            let size = 3600.0 * hours + 60.0 * minutes;
            (&clock[..place], if clock.as_bytes()[place] == b'-' { -size } else { size })
        }
        None => (clock, 0.0),
    };
    let parts: Vec<f64> = clock.trim().split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes] => (hours, minutes, 0.0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let hours = match half {
        Some(half) if (1.0..=12.0).contains(&hours) => hours % 12.0 + half,
        Some(_) => return None,
        None => hours,
    };
    let is_time = (0.0..24.0).contains(&hours) && (0.0..60.0).contains(&minutes) && (0.0..61.0).contains(&seconds);
    is_time.then_some(3600.0 * hours + 60.0 * minutes + seconds - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ordered_in_every_notation() {
        let order = |texts: &[&str]| {
            let order = Order::of(texts);
            let mut places: Vec<usize> = (0..texts.len()).collect();
            let moments: Option<Vec<Moment>> = texts.iter().map(|text| Moment::of(text, order)).collect();
            let moments = moments?;
            places.sort_by(|&a, &b| moments[a].compare(&moments[b]));
            Some((places, order))
        };
        assert_eq!(order(&["25/03/2023", "01/04/2023", "02/01/2023 10:00"]), Some((vec![2, 0, 1], Order::DayFirst)));
        assert_eq!(order(&["03/25/2023", "04/01/2023", "01/02/2023"]), Some((vec![2, 0, 1], Order::MonthFirst)));
        assert_eq!(order(&["3/4/2024", "4/3/2024"]), Some((vec![0, 1], Order::Either)));
        assert_eq!(order(&["3.4.2024", "4.3.2024"]), Some((vec![1, 0], Order::DayFirst)));
        assert_eq!(order(&["2024-01-02T10:00:00Z", "2024-01-02T09:30:00Z", "2023-12-31"]).unwrap().0, [2, 1, 0]);
        assert_eq!(order(&["10", "9.5", "-1"]).unwrap().0, [2, 1, 0]);
        assert_eq!(order(&["2024-01-01 1:00 PM", "2024-01-01 10:00 AM", "2024-01-01 12:30 AM"]).unwrap().0, [2, 1, 0]);
        assert_eq!(order(&["2024-01-01 12:00+02:00", "2024-01-01 9:30Z"]).unwrap().0, [1, 0]);
        let zones =
            ["2024-03-02T01:00:00+09:00", "2024-03-01T15:00:00Z", "2024-03-01T20:00:00-05:00", "2024-03-01T23:30:00Z"];
        assert_eq!(order(&zones).unwrap().0, [1, 0, 3, 2]);
        assert_eq!(
            [[1970, 1, 1], [2000, 2, 29], [2024, 3, 1], [1969, 12, 31]].map(days_since_1970),
            [0, 11_016, 19_783, -1]
        );
        for text in [
            "2024-02-30",
            "2023-02-29",
            "2024-01-01 25:00",
            "2024-01-01 10:75",
            "20 Jan 2023",
            "2023-13-45",
            "2023Q1",
            "u",
            "01:59:00",
            "nan",
        ] {
            assert!(Moment::of(text, Order::Either).is_none(), "{text}");
        }
    }
}
