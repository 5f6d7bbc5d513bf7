//! A table as it was read: named columns of numbers, truth values or texts; and what becomes of it once a person's choices are known.

use std::{collections::BTreeSet, path::Path};

use crate::{
    Column, DataError, Encoding, Kind, Rows, Values,
    source::Options,
    stored_table::{Classes, Survey},
};

/// Most levels of a category: more are names or identifiers, which no network learns from.
pub const MOST_LEVELS: usize = 256;

/// The cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Numbers; `NaN` is missing.
    Numbers(Vec<f32>),
    /// 0, 1 or `NaN`.
    Booleans(Vec<f32>),
    /// Texts; none is missing.
    Texts(Vec<Option<String>>),
    /// Dates and times: recognised, so that they can be refused with advice. One of them, and how many.
    Dates(String, usize),
}

impl Cells {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(values) | Self::Booleans(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Dates(_, count) => *count,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "numbers",
            Self::Booleans(_) => "truth values",
            Self::Texts(_) => "texts",
            Self::Dates(..) => "dates",
        }
    }

    /// Whether nothing was observed: such a column can be of any kind.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Numbers(values) | Self::Booleans(values) => values.iter().all(|value| value.is_nan()),
            Self::Texts(values) => values.iter().all(Option::is_none),
            Self::Dates(..) => false,
        }
    }

    /// Each cell as text, as an identifier or a class is written.
    pub(crate) fn texts(&self) -> Vec<Option<String>> {
        let number = |value: &f32| (!value.is_nan()).then(|| value.to_string());
        match self {
            Self::Numbers(values) => values.iter().map(number).collect(),
            Self::Booleans(values) => values.iter().map(|value| (!value.is_nan()).then(|| (*value == 1.0).to_string())).collect(),
            Self::Texts(values) => values.clone(),
            Self::Dates(example, count) => vec![Some(example.clone()); *count],
        }
    }
}

/// A table as it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    /// Names and cells of the columns.
    pub columns: Vec<(String, Cells)>,
}

impl Frame {
    /// Rows of the table.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, cells)| cells.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A table from features in the units of the data, row by row, such as reconstructions: truth values and levels by what is likelier, the
    /// columns in their own order, and what identifies each row first.
    ///
    /// # Panics
    /// Features that do not fill whole rows, or identifiers for another number of rows.
    pub fn from_features(encoding: &Encoding, features: &[f32], ids: Option<(&str, &[String])>) -> Self {
        let width = encoding.width();
        assert!(features.len().is_multiple_of(width), "{} features do not fill rows of {width}", features.len());
        let rows: Vec<Vec<f32>> = features.chunks_exact(width).map(|row| encoding.decode(row)).collect();
        let mut columns = Vec::new();
        if let Some((name, ids)) = ids {
            assert_eq!(ids.len(), rows.len(), "an identifier for each row");
            columns.push((name.to_string(), Cells::Texts(ids.iter().cloned().map(Some).collect())));
        }
        for (index, column) in encoding.columns().iter().enumerate() {
            let cells = rows.iter().map(|row| row[index]);
            let cells = match column.kind {
                Kind::Number => Cells::Numbers(cells.collect()),
                Kind::Boolean => Cells::Booleans(cells.collect()),
                Kind::Category => {
                    Cells::Texts(cells.map(|level| (!level.is_nan()).then(|| column.levels[level as usize].clone())).collect())
                }
            };
            columns.push((column.name.clone(), cells));
        }
        Self { columns }
    }

    /// Appends the rows of a table with the same columns, in any order.
    ///
    /// # Errors
    /// Other columns, or a column of another kind.
    pub fn append(&mut self, mut other: Self, origin: &Path) -> Result<(), DataError> {
        let malformed = |problem: String| DataError::Malformed { path: origin.to_owned(), problem };
        let names = |frame: &Self| frame.columns.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
        let (known, found) = (names(self), names(&other));
        if known != found {
            return Err(malformed(differences(&known, &found, "the files before it")));
        }
        for (name, cells) in &mut self.columns {
            let place = other.columns.iter().position(|(other, _)| other == name).expect("the names are the same");
            let more = other.columns.swap_remove(place).1;
            let count = more.len();
            match (&mut *cells, more) {
                (Cells::Numbers(cells), Cells::Numbers(more)) | (Cells::Booleans(cells), Cells::Booleans(more)) => cells.extend(more),
                (Cells::Texts(cells), Cells::Texts(more)) => cells.extend(more),
                (Cells::Dates(_, sum), Cells::Dates(..)) => *sum += count,
                (cells, more) if more.is_blank() => match cells {
                    Cells::Numbers(cells) | Cells::Booleans(cells) => cells.extend(vec![f32::NAN; count]),
                    Cells::Texts(cells) => cells.extend(vec![None; count]),
                    Cells::Dates(_, sum) => *sum += count,
                },
                (cells, more) if cells.is_blank() => {
                    let before = cells.len();
                    *cells = match more {
                        Cells::Numbers(more) => Cells::Numbers([vec![f32::NAN; before], more].concat()),
                        Cells::Booleans(more) => Cells::Booleans([vec![f32::NAN; before], more].concat()),
                        Cells::Texts(more) => Cells::Texts([vec![None; before], more].concat()),
                        Cells::Dates(example, more) => Cells::Dates(example, before + more),
                    };
                }
                (cells, more) => {
                    return Err(malformed(format!(
                        "column `{name}` holds {} here, but {} in the files before it",
                        more.name(),
                        cells.name()
                    )));
                }
            }
        }
        Ok(())
    }

    /// The rows that a person's choices make of the table. With `known` columns, those of a run, exactly these, whatever their order here.
    ///
    /// # Errors
    /// A chosen column that is not there, dates, texts of too many kinds, no column or no row left; columns that differ from the known ones,
    /// or a level that is none of theirs.
    pub fn into_rows(mut self, options: &Options, known: Option<&[Column]>, origin: &Path) -> Result<Rows, DataError> {
        let (labels, ids) = self.choose(options, known.is_some(), origin)?;
        if self.is_empty() {
            return Err(DataError::Malformed { path: origin.to_owned(), problem: "holds no rows".to_string() });
        }
        let columns = match known {
            Some(known) => known.to_vec(),
            None => {
                let mut survey = Survey::default();
                survey.add(&self, origin)?;
                survey.columns
            }
        };
        let values = self.cells(&columns, 0, origin)?;
        let mut rows = Rows::table(Values::F32(values), columns);
        rows.ids = ids.map(|ids| ids.texts().into_iter().map(Option::unwrap_or_default).collect());
        if let Some(labels) = labels {
            let mut classes = Classes::default();
            classes.add(&labels, origin)?;
            let (labels, names) = classes.finish();
            (rows.labels, rows.label_names) = (Some(labels), Some(names));
        }
        Ok(rows)
    }

    /// Takes out the labels and the identifiers, and leaves the columns to learn from. In `later` data, labels and identifiers may be absent.
    pub(crate) fn choose(&mut self, options: &Options, later: bool, origin: &Path) -> Result<(Option<Cells>, Option<Cells>), DataError> {
        let malformed = |problem: String| DataError::Malformed { path: origin.to_owned(), problem };
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let listed = || names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let absent =
            |option: &str, name: &str| malformed(format!("has no column `{name}`, which `{option}` names; its columns are {}", listed()));
        let mut take = |option: &str, name: &Option<String>| -> Result<Option<Cells>, DataError> {
            let Some(name) = name else { return Ok(None) };
            match self.columns.iter().position(|(other, _)| other == name) {
                Some(place) => Ok(Some(self.columns.remove(place).1)),
                None if later => Ok(None),
                None => Err(absent(option, name)),
            }
        };
        let labels = take("label", &options.label)?;
        let ids = take("id", &options.id)?;
        for name in options.drop.iter().chain(&options.keep) {
            if !names.contains(name) && !later {
                let option = if options.drop.contains(name) { "drop" } else { "keep" };
                return Err(absent(option, name));
            }
        }
        self.columns.retain(|(name, _)| !options.drop.contains(name) && (options.keep.is_empty() || options.keep.contains(name)));
        if self.columns.is_empty() {
            return Err(malformed("has no column left to learn from: drop or keep others".to_string()));
        }
        Ok((labels, ids))
    }

    /// Whether the table has the `known` columns and no others.
    pub(crate) fn conforms(&self, known: &[Column], origin: &Path) -> Result<(), DataError> {
        let found: BTreeSet<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let expected: BTreeSet<String> = known.iter().map(|column| column.name.clone()).collect();
        match expected == found {
            true => Ok(()),
            false => Err(DataError::Malformed {
                path: origin.to_owned(),
                problem: differences(&expected, &found, "the rows that were trained on"),
            }),
        }
    }

    /// The cells of the `known` columns, row by row; `first` is the number of the first row in its file, from 0.
    pub(crate) fn cells(mut self, known: &[Column], first: usize, origin: &Path) -> Result<Vec<f32>, DataError> {
        let malformed = |problem: String| DataError::Malformed { path: origin.to_owned(), problem };
        self.conforms(known, origin)?;
        let count = self.len();
        let mut values = Vec::new();
        for column in known {
            let place = self.columns.iter().position(|(name, _)| *name == column.name).expect("the names are the same");
            let cells = self.columns.swap_remove(place).1;
            let name = &column.name;
            values.push(match (column.kind, cells) {
                (_, cells) if cells.is_blank() => vec![f32::NAN; cells.len()],
                (Kind::Number, Cells::Numbers(cells)) | (Kind::Boolean, Cells::Booleans(cells)) => cells,
                (Kind::Category, Cells::Texts(texts)) => {
                    let cell = |(row, text): (usize, &Option<String>)| {
                        level(&column.levels, text.as_deref()).ok_or_else(|| {
                            let (seen, levels) = (text.as_deref().unwrap_or_default(), column.levels.join("`, `"));
                            let place = format!("row {}, column `{name}`", first + row + 1);
                            malformed(format!("{place}: `{seen}` was never seen in training, where it was one of `{levels}`"))
                        })
                    };
                    texts.iter().enumerate().map(cell).collect::<Result<_, _>>()?
                }
                (kind, cells) => {
                    let expected = match kind {
                        Kind::Number => "numbers",
                        Kind::Boolean => "truth values",
                        Kind::Category => "texts",
                    };
                    return Err(malformed(format!("column `{name}` holds {}, but {expected} were trained on", cells.name())));
                }
            });
        }
        Ok((0..count).flat_map(|row| values.iter().map(move |column| column[row])).collect())
    }
}

/// The number of a level; `NaN` for a missing one, none for an unknown one.
fn level(levels: &[String], text: Option<&str>) -> Option<f32> {
    match text {
        None => Some(f32::NAN),
        Some(text) => levels.iter().position(|level| level == text).map(|level| level as f32),
    }
}

/// Which of the `known` columns are missing from the `found` ones, and which are extra, in a sentence.
pub fn differences(known: &BTreeSet<String>, found: &BTreeSet<String>, where_known: &str) -> String {
    let list = |names: Vec<&String>| names.iter().take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (missing, extra): (Vec<_>, Vec<_>) = (known.difference(found).collect(), found.difference(known).collect());
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("lacks {} of them ({})", missing.len(), list(missing)));
    }
    if !extra.is_empty() {
        parts.push(format!("has {} more ({})", extra.len(), list(extra)));
    }
    format!("its columns are not those of {where_known}: it {}", parts.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Cells {
        Cells::Texts(values.iter().map(|value| (!value.is_empty()).then(|| value.to_string())).collect())
    }

    fn fruit() -> Frame {
        Frame {
            columns: vec![
                ("name".into(), texts(&["a", "b", "c"])),
                ("weight".into(), Cells::Numbers(vec![1.0, f32::NAN, 3.0])),
                ("colour".into(), texts(&["red", "green", ""])),
                ("class".into(), Cells::Numbers(vec![10.0, 9.0, 10.0])),
            ],
        }
    }

    fn options() -> Options {
        Options { label: Some("class".into()), id: Some("name".into()), ..Options::default() }
    }

    #[test]
    fn labels_and_identifiers_are_no_features() {
        let rows = fruit().into_rows(&options(), None, Path::new("t")).unwrap();
        assert_eq!((rows.width(), rows.labels.clone(), rows.ids.clone().unwrap()[1].as_str()), (3, Some(vec![1, 0, 1]), "b"));
        assert_eq!(rows.label_names.as_deref().unwrap(), ["9", "10"]);
        assert_eq!(rows.row(0).unwrap(), [1.0, 0.0, 1.0]);
        assert!(rows.row(1).unwrap()[0].is_nan() && rows.row(2).unwrap()[1].is_nan() && rows.row(2).unwrap()[2].is_nan());
    }

    #[test]
    fn features_become_the_table_that_they_came_from() {
        let rows = fruit().into_rows(&options(), None, Path::new("t")).unwrap();
        let features: Vec<f32> = (0..3).flat_map(|row| rows.row(row).unwrap()).collect();
        let table = Frame::from_features(rows.encoding().unwrap(), &features, Some(("name", rows.ids.as_deref().unwrap())));
        let expected = fruit();
        assert_eq!(table.columns[0], expected.columns[0]);
        assert_eq!(table.columns[2], expected.columns[2]);
        assert_eq!(format!("{:?}", table.columns[1]), format!("{:?}", expected.columns[1]));
    }

    #[test]
    fn later_rows_must_have_the_columns_that_were_trained_on() {
        let trained = fruit().into_rows(&options(), None, Path::new("t")).unwrap();
        let known = trained.encoding().unwrap().columns();
        let later = |change: &dyn Fn(&mut Frame)| {
            let mut frame = fruit();
            change(&mut frame);
            frame.into_rows(&options(), Some(known), Path::new("later.csv")).map_err(|error| error.to_string())
        };
        let swapped = later(&|frame| frame.columns.reverse()).unwrap();
        assert_eq!(swapped.row(0).unwrap(), trained.row(0).unwrap());
        assert!(later(&|frame| drop(frame.columns.remove(3))).unwrap().labels.is_none());
        let lacking = later(&|frame| drop(frame.columns.remove(1))).unwrap_err();
        assert!(lacking.starts_with("later.csv: ") && lacking.contains("lacks 1 of them (`weight`)"), "{lacking}");
        let more = later(&|frame| frame.columns.push(("x".into(), Cells::Numbers(vec![0.0; 3])))).unwrap_err();
        assert!(more.contains("has 1 more (`x`)"), "{more}");
        let unseen = later(&|frame| frame.columns[2].1 = texts(&["red", "blue", "red"])).unwrap_err();
        assert!(unseen.contains("row 2, column `colour`: `blue` was never seen"), "{unseen}");
        let other = later(&|frame| frame.columns[1].1 = texts(&["x", "y", "z"])).unwrap_err();
        assert!(other.contains("`weight` holds texts, but numbers"), "{other}");
    }

    #[test]
    fn what_cannot_be_learned_from_is_refused_with_advice() {
        let refused = |cells: Cells| {
            let frame = Frame { columns: vec![("c".into(), cells)] };
            frame.into_rows(&Options::default(), None, Path::new("t.csv")).unwrap_err().to_string()
        };
        assert!(refused(Cells::Dates("2024-01-02".into(), 2)).contains("--drop c"));
        let many: Vec<String> = (0..300).map(|value| value.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(refused(texts(&many)).contains("--id c"));
        let missing = Options { label: Some("klass".into()), ..Options::default() };
        let error = fruit().into_rows(&missing, None, Path::new("t")).unwrap_err().to_string();
        assert!(error.contains("`klass`") && error.contains("`class`"), "{error}");
    }

    #[test]
    fn shards_are_joined_column_by_column() {
        let mut all = fruit();
        let mut more = fruit();
        more.columns.reverse();
        all.append(more, Path::new("2")).unwrap();
        assert_eq!(all.len(), 6);
        let mut other = fruit();
        other.columns[1].1 = Cells::Booleans(vec![1.0, 0.0, 1.0]);
        assert!(all.append(other, Path::new("3")).unwrap_err().to_string().contains("`weight` holds truth values here, but numbers"));
    }
}
