//! Training, validation and test sets. An official test set is kept; the other rows are split at random, by group, or
//! by time. For one-class learning they are split by class: half of the normal rows are for training, the other half
//! and all anomalies for testing.

mod by;
mod config;
mod norms;
mod time;

use std::collections::HashSet;

use self::by::{By, cut};
pub use self::{config::SplitConfig, norms::OUTLIER};
use crate::{DataError, Dataset, Sets, words::counted};

/// Maximum number of rows that are checked for duplicates.
const COMPARED: usize = 200_000;

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
            None => cut(&full, config.test, config.seed ^ 0x7e57, &by),
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
                let (kept, _) = cut(&normals, 0.5, config.seed ^ 0x7e57, &by);
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
        let (train, validation) = cut(&rest, config.validation, config.seed, by);
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
        split_of(config).unwrap()
    }

    fn split_of(config: &SplitConfig) -> Result<Split, DataError> {
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
    fn splits_by_group_time_and_class() {
        let one = split_of(&SplitConfig { group: Some("one".into()), ..SplitConfig::default() });
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
        assert!(split_of(&both).unwrap_err().to_string().contains("leave out `--stratify` or `--group`"));
        let by_time = table(&SplitConfig { time: Some("day".into()), ..SplitConfig::default() });
        assert_eq!(
            (by_time.test.indices(), by_time.validation.indices()),
            (&(48..60).collect::<Vec<_>>()[..], &(43..48).collect::<Vec<_>>()[..])
        );
        let fair = table(&SplitConfig { stratify: true, test: 0.5, validation: 0.34, ..SplitConfig::default() });
        assert_eq!(parts(&fair).map(|rows| rows.iter().filter(|&row| row % 10 == 0).count()), [2, 1, 3]);
    }
}
