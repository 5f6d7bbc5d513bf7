//! Training, validation and test sets. An official test set is kept; the other rows are split at random, by group, or
//! by time. For one-class learning they are split by class: half of the normal rows are for training, the other half
//! and all anomalies for testing.

use std::collections::{HashMap, HashSet};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{DataError, Dataset, Sets, table::names, words::counted};

/// Maximum number of rows that are checked for duplicates.
const COMPARED: usize = 200_000;

/// How rows are split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// Fraction of the training rows held out for validation, in `(0, 1)`. Default: 0.1.
    pub validation: f64,
    /// Fraction of all rows held out for testing if there is no official test set, in `(0, 1)`. Default: 0.2.
    pub test: f64,
    /// Random seed of the split. Default: 0.
    pub seed: u64,
    /// Whether the split is stratified: each class has the same share of every part. Default: false.
    pub stratify: bool,
    /// Column of groups, such as a customer with several rows: all rows of a group stay in one part. Default: none.
    pub group: Option<String>,
    /// Column of times that orders the rows: the last ones are for testing, the last of the others for validation.
    /// Default: none.
    pub time: Option<String>,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { validation: 0.1, test: 0.2, seed: 0, stratify: false, group: None, time: None }
    }
}

/// Training, validation and test rows.
///
/// ```
/// use ae_data::{Rows, Sets, Split, SplitConfig, Values};
///
/// let rows = Rows::new(Values::F32((0..100).map(|value| value as f32).collect()), 1);
/// let sets = Sets { name: "numbers".into(), train: rows, test: None };
/// let split = Split::new(sets, &SplitConfig::default())?;
/// let parts = [&split.train, &split.validation, &split.test];
/// assert_eq!(parts.map(|part| part.indices().len()), [72, 8, 20]);
/// # Ok::<(), ae_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Split {
    /// Training set: rows that the model is fitted to.
    pub train: Dataset,
    /// Validation set: rows that the best epoch is chosen by.
    pub validation: Dataset,
    /// Test set: rows that nothing is fitted to or chosen by.
    pub test: Dataset,
    /// What was left out, and what is doubtful about the split, in sentences.
    pub notes: Vec<String>,
}

/// What the rows are split by.
enum By {
    Random,
    /// The class of each row.
    Class(Vec<Option<u32>>),
    /// The group of each row, as a number.
    Group(Vec<usize>),
    /// The position of each row in time.
    Time(Vec<usize>),
}

impl By {
    fn of(all: &Dataset, config: &SplitConfig, notes: &mut Vec<String>) -> Result<Self, DataError> {
        let column = |option: &str, name: &String| -> Result<Vec<Option<String>>, DataError> {
            let problem = |what: String| DataError::Malformed { path: "the data".into(), problem: what };
            let carried = all.rows().carried.as_ref().ok_or_else(|| {
                problem(format!("has no named columns, so `--{option}` does not apply: leave it out"))
            })?;
            let columns = names(carried.table().as_ref());
            let place = columns.iter().position(|other| other == name);
            let place =
                place.ok_or_else(|| crate::options::no_column(option, name, &columns, carried.table().origin()))?;
            carried.texts(&(0..all.rows().len()).collect::<Vec<_>>(), place)
        };
        if let (true, Some(by)) =
            (config.stratify, config.group.as_ref().map(|_| "group").or(config.time.as_ref().map(|_| "time")))
        {
            let problem = format!("cannot be split both by {by} and by class: leave out `--stratify` or `--{by}`");
            return Err(DataError::Malformed { path: "the data".into(), problem });
        }
        match (&config.group, &config.time) {
            (Some(_), Some(_)) => Err(DataError::Malformed {
                path: "the data".into(),
                problem: "cannot be split both by group and by time: leave out `--group` or `--time`".to_string(),
            }),
            (Some(group), None) => {
                let mut numbers = HashMap::new();
                let texts = column("group", group)?;
                // A row without a group is a group of its own. Surrounding spaces do not count, and 1.0 is the same
                // group as 1.
                let plain = |text: String| {
                    let text = text.trim();
                    let whole = text
                        .split_once('.')
                        .filter(|(whole, rest)| whole.parse::<i128>().is_ok() && rest.bytes().all(|byte| byte == b'0'));
                    whole.map_or(text, |(whole, _)| whole).to_string()
                };
                let missing = all.rows().missing();
                let texts: Vec<Option<String>> =
                    texts.into_iter().map(|text| text.map(plain).filter(|text| !missing.has(text))).collect();
                let without = texts.iter().filter(|text| text.is_none()).count();
                if without > 0 {
                    let verb = if without == 1 { "has" } else { "have" };
                    notes.push(format!(
                        "{without} of {} {verb} no `{group}`: each is a group of its own",
                        counted(texts.len(), "row")
                    ));
                }
                let number = |(row, text): (usize, Option<String>)| {
                    let next = numbers.len();
                    *numbers.entry(text.ok_or(row)).or_insert(next)
                };
                let groups: Vec<usize> = texts.into_iter().enumerate().map(number).collect();
                if groups.len() > 1 && groups.iter().all(|other| *other == groups[0]) {
                    let problem = format!(
                        "has one group for all {} rows, which cannot be split: name another column with `--group`",
                        groups.len()
                    );
                    return Err(DataError::Malformed { path: format!("column `{group}`").into(), problem });
                }
                Ok(Self::Group(groups))
            }
            (None, Some(time)) => {
                let texts = column("time", time)?;
                let problem = |row: usize, what: String| {
                    let problem = format!("row {}: {what}", row + 1);
                    DataError::Malformed { path: format!("column `{time}`").into(), problem }
                };
                if let Some(row) =
                    texts.iter().position(|text| text.as_deref().is_none_or(|text| text.trim().is_empty()))
                {
                    return Err(problem(
                        row,
                        "is empty, but `--time` orders the rows by it: fill it in, or leave the row out".to_string(),
                    ));
                }
                let texts: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
                let order = Order::of(&texts);
                let mut moments = Vec::with_capacity(texts.len());
                for (row, text) in texts.iter().enumerate() {
                    let moment = Moment::of(text, order).ok_or_else(|| {
                        problem(
                            row,
                            format!(
                                "`{text}` is neither a number nor a known date: write it as 2024-01-31 or \
                                 2024-01-31 10:30"
                            ),
                        )
                    })?;
                    if std::mem::discriminant(&moment) != std::mem::discriminant(moments.first().unwrap_or(&moment)) {
                        return Err(problem(
                            row,
                            format!(
                                "`{text}` is not written like `{}` in row 1: write all of them the same way",
                                texts[0]
                            ),
                        ));
                    }
                    moments.push(moment);
                }
                if let Some(said) = order.said(&texts) {
                    notes.push(said);
                }
                let mut order: Vec<usize> = (0..texts.len()).collect();
                order.sort_by(|&a, &b| moments[a].compare(&moments[b]));
                let mut places = vec![0; order.len()];
                order.into_iter().enumerate().for_each(|(place, row)| places[row] = place);
                Ok(Self::Time(places))
            }
            (None, None) => Ok(match (config.stratify, &all.rows().labels) {
                (true, Some(labels)) => Self::Class(labels.clone()),
                (true, None) => {
                    let problem = "has no labels, which `data.stratify` needs: name their column with `--label`, or, \
                                   for an array `x`, add an array `y`"
                        .to_string();
                    return Err(DataError::Malformed { path: "the data".into(), problem });
                }
                (false, _) => Self::Random,
            }),
        }
    }
}

/// Which part comes first in dates such as 3/4/2024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    DayFirst,
    MonthFirst,
    /// Every date can be read both ways.
    Either,
}

impl Order {
    /// Decided by the dates that can be read in only one way.
    fn of(texts: &[&str]) -> Self {
        let beyond =
            |place: usize| texts.iter().any(|text| parts(text).is_some_and(|parts| parts[2] > 31 && parts[place] > 12));
        match (beyond(0), beyond(1), texts.iter().any(|text| text.contains('.'))) {
            (true, _, _) | (false, false, true) => Self::DayFirst,
            (false, true, _) => Self::MonthFirst,
            (false, false, false) => Self::Either,
        }
    }

    /// A note on what was decided, if it is not obvious.
    fn said(self, texts: &[&str]) -> Option<String> {
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
enum Moment {
    Number(f64),
    /// Days since 1970 and seconds since midnight, in UTC where an offset is given.
    Date(i64, f64),
}

impl Moment {
    /// `None` if the string is neither a number nor a date.
    fn of(text: &str, order: Order) -> Option<Self> {
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

    fn compare(&self, other: &Self) -> std::cmp::Ordering {
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

impl Split {
    /// Splits `sets`. The same seed gives the same split. Rows without any value are in no part.
    ///
    /// # Errors
    /// If a part has no rows, or if a column to split by does not exist or cannot order the rows.
    pub fn new(sets: Sets, config: &SplitConfig) -> Result<Self, DataError> {
        let all = Dataset::new(sets.train);
        let (full, mut notes) = not_blank(&all);
        if full.indices().is_empty() && !all.indices().is_empty() {
            let problem = format!(
                "none of its {} rows has any value to learn from: check the file, `--missing` and `--drop`",
                all.indices().len()
            );
            return Err(DataError::Malformed { path: sets.name.into(), problem });
        }
        let by = By::of(&all, config, &mut notes)?;
        let rows = full.indices().len();
        let (rest, test) = match sets.test {
            Some(test) => (full, not_blank(&Dataset::new(test)).0),
            None => full.cut(config.test, config.seed ^ 0x7e57, &by),
        };
        Self::parts(rest, test, rows, config, &by, notes)
    }

    /// Splits `sets` for one-class learning: the model learns only from rows of the class `normal`. Half of them,
    /// chosen by the seed, are for training and validation; the other half and all rows of other classes are for
    /// testing. If there is an official test set, it stays as it is, and all normal rows of the training set are for
    /// training and validation. Rows without a label are in no part.
    ///
    /// # Errors
    /// If there are no labels, no rows of this class, or a part has no rows.
    pub fn one_class(sets: Sets, normal: &str, config: &SplitConfig) -> Result<Self, DataError> {
        let name = sets.name.clone();
        let all = Dataset::new(sets.train);
        let (full, mut notes) = not_blank(&all);
        let normals = full.of_class(normal).filter(|normals| !normals.indices().is_empty());
        let normals = normals.ok_or_else(|| DataError::NoClass {
            name,
            class: normal.to_string(),
            classes: all.rows().classes(),
        })?;
        let by = By::of(&all, config, &mut notes)?;
        let count = normals.indices().len();
        let (rest, test) = match sets.test {
            Some(test) => (normals, not_blank(&Dataset::new(test)).0),
            None => {
                let (kept, _) = normals.cut(0.5, config.seed ^ 0x7e57, &by);
                let kept_rows: HashSet<usize> = kept.indices().iter().copied().collect();
                let is_other = |row: &usize| !kept_rows.contains(row) && all.rows().label(*row).is_some();
                let others = full.indices().iter().copied().filter(is_other).collect();
                (kept, all.select(others))
            }
        };
        let without = full.indices().iter().filter(|&&row| all.rows().label(row).is_none()).count();
        if without > 0 {
            notes.push(format!("left out: {} without a label", counted(without, "row")));
        }
        Self::parts(rest, test, count, config, &by, notes)
    }

    fn parts(
        rest: Dataset,
        test: Dataset,
        rows: usize,
        config: &SplitConfig,
        by: &By,
        mut notes: Vec<String>,
    ) -> Result<Self, DataError> {
        let (train, validation) = rest.cut(config.validation, config.seed, by);
        for (part, dataset, advice) in [
            ("test on", &test, "give more rows, or raise `data.test`"),
            ("validate on", &validation, "give more rows, or raise `data.validation`"),
            ("train on", &train, "give more rows, or lower `data.validation`"),
        ] {
            if dataset.indices().is_empty() {
                return Err(DataError::EmptySplit { rows, part, advice: advice.to_string() });
            }
        }
        notes.extend(duplicates(&rest, &test)?);
        Ok(Self { train, validation, test, notes })
    }
}

/// The rows with at least one value, and a note on the others.
fn not_blank(all: &Dataset) -> (Dataset, Vec<String>) {
    let full = all.without_blank();
    let blank = all.indices().len() - full.indices().len();
    let note = (blank > 0).then(|| format!("left out of every part: {} without any value", counted(blank, "row")));
    (full, note.into_iter().collect())
}

/// A note on the test rows that are equal to other rows; `None` if there are none, or too many rows to compare.
fn duplicates(rest: &Dataset, test: &Dataset) -> Result<Option<String>, DataError> {
    if rest.rows().store().is_some()
        || rest.indices().len() + test.indices().len() > COMPARED
        || rest.rows().width() != test.rows().width()
    {
        return Ok(None);
    }
    let hash = |dataset: &Dataset, row: usize| -> Result<u128, DataError> {
        // Two independent hashes, so that different rows practically never collide.
        let mut state = [0xcbf2_9ce4_8422_2325u64, 0x9e37_79b9_7f4a_7c15];
        dataset.rows().each_cell(row, |value| {
            let bits = if value == 0.0 { 0 } else { value.to_bits() };
            state[0] = (state[0] ^ bits).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
            state[1] = (state[1] ^ bits.rotate_left(32)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
        })?;
        Ok(u128::from(state[0]) << 64 | u128::from(state[1]))
    };
    let known: HashSet<u128> = rest.indices().iter().map(|&row| hash(rest, row)).collect::<Result<_, _>>()?;
    let mut count = 0;
    for &row in test.indices() {
        count += usize::from(known.contains(&hash(test, row)?));
    }
    let total = test.indices().len();
    Ok((count > 0).then(|| {
        let are = if count == 1 { "row is" } else { "rows are" };
        format!(
            "{count} of {total} test {are} equal to a training or validation row: `--group COLUMN` keeps related rows \
             in one part"
        )
    }))
}

impl Dataset {
    /// The rows of a class, by its name; `None` if the table has no such class.
    pub fn of_class(&self, class: &str) -> Option<Self> {
        let number = self.rows().classes().iter().position(|name| name == class)? as u32;
        Some(
            self.select(
                self.indices().iter().copied().filter(|&index| self.rows().label(index) == Some(number)).collect(),
            ),
        )
    }

    /// Splits off `fraction` of the rows: random ones, whole groups, or the last in time. Both parts keep the order of
    /// the rows.
    fn cut(&self, fraction: f64, seed: u64, by: &By) -> (Self, Self) {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let share = |rows: usize| (rows as f64 * fraction).round() as usize;
        let mut order = self.indices().to_vec();
        let mut held_out: Vec<usize> = match by {
            By::Random => {
                order.shuffle(&mut generator);
                order[..share(order.len())].to_vec()
            }
            By::Class(labels) => {
                order.shuffle(&mut generator);
                let mut classes: HashMap<Option<u32>, Vec<usize>> = HashMap::new();
                order.iter().for_each(|&row| classes.entry(labels[row]).or_default().push(row));
                classes.into_values().flat_map(|rows| rows[..share(rows.len())].to_vec()).collect()
            }
            By::Group(groups) => {
                let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
                order.iter().for_each(|&row| members.entry(groups[row]).or_default().push(row));
                let mut numbers: Vec<usize> = members.keys().copied().collect();
                numbers.sort_unstable();
                numbers.shuffle(&mut generator);
                let (wanted, mut taken) = (share(order.len()), Vec::new());
                // A group is taken if the size then comes closer to the wanted one.
                for rows in numbers.iter().map(|number| &members[number]) {
                    if taken.len() + rows.len() / 2 < wanted || taken.is_empty() && wanted > 0 && members.len() > 1 {
                        taken.extend(rows);
                    }
                }
                taken
            }
            By::Time(places) => {
                order.sort_by_key(|&row| std::cmp::Reverse(places[row]));
                order[..share(order.len())].to_vec()
            }
        };
        held_out.sort_unstable();
        let kept = self.indices().iter().copied().filter(|row| held_out.binary_search(row).is_err()).collect();
        (self.select(kept), self.select(held_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Rows, Values, source::from_table, table::InMemory};

    fn sets(count: usize) -> Sets {
        let rows = Rows::new(Values::U32((0..count as u32).collect()), 1);
        Sets { name: "numbers".into(), train: rows, test: None }
    }

    fn parts(split: &Split) -> [&[usize]; 3] {
        [split.train.indices(), split.validation.indices(), split.test.indices()]
    }

    #[test]
    fn parts_are_disjoint_complete_and_reproducible() {
        let config = SplitConfig { validation: 0.25, test: 0.2, seed: 3, ..SplitConfig::default() };
        let split = Split::new(sets(50), &config).unwrap();
        assert_eq!(parts(&split).map(<[usize]>::len), [30, 10, 10]);
        let mut all = parts(&split).concat();
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        assert_eq!(Split::new(sets(50), &config).unwrap().validation.indices(), split.validation.indices());
        let other = Split::new(sets(50), &SplitConfig { seed: 4, ..config }).unwrap();
        assert_ne!(other.validation.indices(), split.validation.indices());
        assert!(split.notes.is_empty());
    }

    #[test]
    fn one_class_learning_trains_on_half_of_the_class_and_tests_on_the_rest() {
        let mut sets = sets(50);
        sets.train.labels = Some((0..50).map(|row| (row != 49).then_some(u32::from(row % 5 == 0))).collect());
        sets.train.label_names = Some(vec!["good".into(), "bad".into()]);
        let config = SplitConfig { validation: 0.25, test: 0.2, seed: 3, ..SplitConfig::default() };
        let split = Split::one_class(sets.clone(), "good", &config).unwrap();
        assert_eq!(parts(&split).map(<[usize]>::len), [14, 5, 30]);
        assert!(split.train.indices().iter().chain(split.validation.indices()).all(|row| row % 5 != 0));
        assert_eq!(split.test.indices().iter().filter(|&row| row % 5 == 0).count(), 10);
        assert!(split.notes[0].contains("left out: 1 row without a label"), "{:?}", split.notes);
        let error = Split::one_class(sets, "fine", &config).unwrap_err().to_string();
        assert!(error.contains("`fine`") && error.contains("`good`, `bad`"), "{error}");
    }

    #[test]
    fn empty_parts_are_refused_and_blank_rows_left_out() {
        let error = Split::new(sets(1), &SplitConfig::default()).unwrap_err().to_string();
        assert!(error.contains("1 row leaves nothing to test on"), "{error}");
        let values = (0..20).map(|row| if row % 5 == 4 { f64::NAN } else { f64::from(row) }).collect();
        let blank = Sets { name: "b".into(), train: Rows::new(Values::F64(values), 1), test: None };
        let split = Split::new(blank, &SplitConfig::default()).unwrap();
        assert_eq!(parts(&split).map(<[usize]>::len).iter().sum::<usize>(), 16);
        assert!(split.notes[0].starts_with("left out of every part: 4 rows without any value"), "{:?}", split.notes);
        let nothing = Sets { name: "n".into(), train: Rows::new(Values::F64(vec![f64::NAN; 50]), 1), test: None };
        let error = Split::new(nothing, &SplitConfig::default()).unwrap_err().to_string();
        assert_eq!(
            error,
            "n: none of its 50 rows has any value to learn from: check the file, `--missing` and `--drop`"
        );
    }

    #[test]
    fn duplicates_across_parts_are_counted() {
        let rows = Rows::new(Values::U32((0..60).map(|row| row / 2).collect()), 1);
        let split =
            Split::new(Sets { name: "twice".into(), train: rows, test: None }, &SplitConfig::default()).unwrap();
        let twice = split.test.indices().iter().filter(|&&row| !split.test.indices().contains(&(row ^ 1))).count();
        assert!(
            twice > 0 && split.notes[0].starts_with(&format!("{twice} of 12 test rows are equal")),
            "{:?}",
            split.notes
        );
    }

    /// A split of a table of 60 rows: a number, 20 customers with three rows each, a day, a class.
    fn table(config: &SplitConfig) -> Split {
        cut(config).unwrap()
    }

    fn cut(config: &SplitConfig) -> Result<Split, DataError> {
        let text = |of: &dyn Fn(usize) -> String| (0..60).map(|row| Some(of(row))).collect::<Vec<_>>();
        let columns = vec![
            ("x", text(&|row| format!("{}.5", row * 7 % 60))),
            ("customer", text(&|row| format!("c{}", row % 20))),
            // Keys that are equal in double precision, each written in two ways.
            (
                "key",
                text(&|row| format!(" {}{}", 90_071_992_547_409_921_u64 + row as u64 % 20, [".0", ""][row / 20 % 2])),
            ),
            ("day", text(&|row| format!("{}.{}.2024", row % 28 + 1, row / 28 + 1))),
            ("some", text(&|row| if row % 2 == 0 { format!("s{}", row % 20) } else { String::new() })),
            ("one", text(&|_| "x".to_string())),
            ("class", text(&|row| (if row % 10 == 0 { "rare" } else { "usual" }).to_string())),
        ];
        let table = InMemory::texts("t".as_ref(), columns).unwrap();
        let options = Options {
            label: Some("class".into()),
            drop: ["customer", "key", "some", "one"].map(str::to_string).to_vec(),
            ..Options::default()
        };
        Split::new(from_table("t", std::sync::Arc::new(table), &options).unwrap(), config)
    }

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

    #[test]
    fn splits_by_group_time_and_class() {
        let one = cut(&SplitConfig { group: Some("one".into()), ..SplitConfig::default() });
        assert!(one.unwrap_err().to_string().contains("column `one`: has one group for all 60 rows"));
        for group in ["customer", "key"] {
            let by_group = table(&SplitConfig { group: Some(group.into()), ..SplitConfig::default() });
            let customers = parts(&by_group).map(|rows| rows.iter().map(|row| row % 20).collect::<HashSet<_>>());
            assert!([(0, 1), (0, 2), (1, 2)].iter().all(|&(a, b)| customers[a].is_disjoint(&customers[b])), "{group}");
            assert_eq!(parts(&by_group).map(<[usize]>::len), [42, 6, 12], "{group}");
        }
        assert!(
            table(&SplitConfig { group: Some("some".into()), ..SplitConfig::default() })
                .notes
                .iter()
                .any(|note| note == "30 of 60 rows have no `some`: each is a group of its own")
        );
        let both = SplitConfig { group: Some("customer".into()), stratify: true, ..SplitConfig::default() };
        assert!(cut(&both).unwrap_err().to_string().contains("leave out `--stratify` or `--group`"));
        let by_time = table(&SplitConfig { time: Some("day".into()), ..SplitConfig::default() });
        assert_eq!(
            (by_time.test.indices(), by_time.validation.indices()),
            (&(48..60).collect::<Vec<_>>()[..], &(43..48).collect::<Vec<_>>()[..])
        );
        let fair = table(&SplitConfig { stratify: true, test: 0.5, validation: 0.34, ..SplitConfig::default() });
        assert_eq!(parts(&fair).map(|rows| rows.iter().filter(|&row| row % 10 == 0).count()), [2, 1, 3]);
    }
}
