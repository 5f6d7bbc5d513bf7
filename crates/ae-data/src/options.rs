//! Options for reading data.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Column, DataError, Kind, Missing, Size,
    words::{did_you_mean, few, quoted},
};

/// Options for reading data. Lists of columns hold names; an entry that is not the name of a column is split at its
/// commas.
///
/// ```
/// use ae_data::{Options, open_with};
///
/// let path = std::env::temp_dir().join("ae-data-options.csv");
/// std::fs::write(&path, "id,weight,kind\n1,0.5,a\n2,1.5,b\n3,2.5,a\n")?;
/// let options = Options { id: Some("id".into()), label: Some("kind".into()), ..Options::default() };
/// let rows = open_with(path.to_str().unwrap(), &options)?.train;
/// assert_eq!((rows.len(), rows.width(), rows.classes()), (3, 1, vec!["a".to_string(), "b".to_string()]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Column of a table with the class of each row. It is used for evaluation and not learned from. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Column of a table that identifies each row. It is copied to the results and not learned from. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Columns of a table that are not learned from, but copied to the results; '' is the column without a name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Columns that the data is split by (group or time). They are not learned from.
    #[serde(skip)]
    pub cut_by: Vec<String>,
    /// Whether the data is only described: a column of strings with too many levels is left out, with a note that says
    /// what to do, instead of an error. Default: false.
    #[serde(skip)]
    pub describe: bool,
    /// Columns of a table to learn from; by default all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Columns to read as categories, even if their cells look like numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categorical: Vec<String>,
    /// Columns to read as booleans; each has two different values, such as 0 and 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boolean: Vec<String>,
    /// Columns to read as numbers; a cell that is not a number is an error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numeric: Vec<String>,
    /// Columns to read as integers: imputed values are rounded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub integer: Vec<String>,
    /// How to treat a categorical value that did not occur in training: `score` it as an unseen level, or `refuse` the
    /// file. Default: score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Unknown>,
    /// Strings and numbers that stand for a missing value, such as -999; an entry may be several, separated by commas.
    /// In a text table they replace the default list (NA, ?, null, #N/A and similar); an empty cell is always missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Name of the array to read from a file with several arrays. By default the one called x, x_train, data or
    /// similar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
    /// Array of rows to predict from those of the data, as many and in the same order: the target of a transcoder.
    /// Default: none, and the rows themselves are reconstructed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Name of the array to read from a target with several arrays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_tensor: Option<String>,
    /// Height and width in pixels that image files are resized to, each from 1 to 16384. By default they keep their
    /// size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<[usize; 2]>,
    /// Read image files in grayscale. Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grey: bool,
    /// Character that separates the cells of a text table, such as `;` or a tab; a space stands for one or more spaces.
    /// By default it is detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Decimal mark of a text table, `.` or `,`. By default it is detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<char>,
    /// Whether the first line of a text table has the names of the columns. By default this is detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Character that starts a comment line of a text table; comment lines are ignored. By default only lines above the
    /// table that begin with # are ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// Character encoding of a text table, such as latin1. By default UTF-8, or UTF-16 if it is detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Whether the rows stay in their npy, safetensors, Parquet or Arrow file and are read block by block. By default
    /// they do so if they are larger than 256 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Maximum memory that one input may take at a time, such as 8GB. By default 90% of the free memory; then a file
    /// that would become more than 100 times its size and more than 1 GiB is refused as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<Size>,
}

/// How to treat a categorical value that did not occur in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Read it as an unseen level: its column then gets a high anomaly score.
    #[default]
    Score,
    /// Refuse the file with an error that names the row.
    Refuse,
}

impl Options {
    /// The strings that stand for a missing value in a text table or in typed data.
    pub(crate) fn missing(&self, is_text: bool) -> Missing {
        match (is_text, self.missing.as_slice()) {
            (_, [_, ..]) => Missing::These(
                self.missing.iter().flat_map(|entry| entry.split(',').map(|text| text.trim().to_string())).collect(),
            ),
            (true, []) => Missing::Usual,
            (false, []) => Missing::Nothing,
        }
    }

    /// Whether rows with this many bytes stay in their file.
    pub(crate) fn streams(&self, bytes: u64) -> bool {
        self.stream.unwrap_or(bytes > crate::store::LARGE)
    }

    /// These options, overridden by those that are set in `over`. The lists of columns to drop are joined.
    pub fn overruled_by(&self, over: Self) -> Self {
        let list = |over: Vec<String>, own: &[String]| if over.is_empty() { own.to_vec() } else { over };
        Self {
            label: over.label.or_else(|| self.label.clone()),
            id: over.id.or_else(|| self.id.clone()),
            drop: [self.drop.clone(), over.drop].concat(),
            cut_by: self.cut_by.clone(),
            describe: self.describe,
            keep: list(over.keep, &self.keep),
            categorical: list(over.categorical, &self.categorical),
            boolean: list(over.boolean, &self.boolean),
            numeric: list(over.numeric, &self.numeric),
            integer: list(over.integer, &self.integer),
            missing: list(over.missing, &self.missing),
            unknown: over.unknown.or(self.unknown),
            tensor: over.tensor.or_else(|| self.tensor.clone()),
            target: over.target.or_else(|| self.target.clone()),
            target_tensor: over.target_tensor.or_else(|| self.target_tensor.clone()),
            resize: over.resize.or(self.resize),
            grey: over.grey || self.grey,
            delimiter: over.delimiter.or(self.delimiter),
            decimal: over.decimal.or(self.decimal),
            header: over.header.or(self.header),
            comment: over.comment.or(self.comment),
            encoding: over.encoding.or_else(|| self.encoding.clone()),
            stream: over.stream.or(self.stream),
            max_memory: over.max_memory.or(self.max_memory),
        }
    }
}

impl Options {
    /// Checks that the options for columns are possible for later rows of a run: the columns exist, and are used as in
    /// training. `learned` are the columns of the run; `names` are the columns of the rows, `None` for an array.
    ///
    /// # Errors
    /// A column that does not exist, or an option that would have to be set before training.
    pub fn check_later(&self, learned: &[Column], names: Option<&[String]>, origin: &Path) -> Result<(), DataError> {
        let problem = |problem: String| DataError::Malformed { path: origin.to_owned(), problem };
        let one = |name: &Option<String>| name.iter().cloned().collect::<Vec<_>>();
        let (label, id) = (one(&self.label), one(&self.id));
        let lists = [
            ("label", &label),
            ("id", &id),
            ("drop", &self.drop),
            ("keep", &self.keep),
            ("numeric", &self.numeric),
            ("integer", &self.integer),
            ("boolean", &self.boolean),
            ("categorical", &self.categorical),
        ];
        for (option, said) in lists.into_iter().filter(|(_, said)| !said.is_empty()) {
            let names = names.ok_or_else(|| {
                problem(format!("has no named columns, so `--{option}` does not apply: leave it out"))
            })?;
            let chosen = match option {
                // A single name, which may have commas.
                "label" | "id" => said
                    .iter()
                    .map(|name| names.iter().position(|other| other == name).ok_or_else(|| name.clone()))
                    .collect(),
                _ => places(said, names),
            };
            let chosen: Vec<&String> = chosen
                .map_err(|name| no_column(option, &name, names, origin))?
                .iter()
                .map(|&place| &names[place])
                .collect();
            let other = contradiction(option, &chosen, learned);
            if let Some((name, what)) = other {
                return Err(problem(format!(
                    "column `{name}` is {what} in this run, and `--{option}` cannot change that: leave the option \
                     out, or train a new run with it"
                )));
            }
        }
        Ok(())
    }
}

/// The first column that is not used in a run as the option says, and how it is used.
fn contradiction<'a>(option: &str, chosen: &[&'a String], learned: &'a [Column]) -> Option<(&'a String, &'static str)> {
    let column = |name: &String| learned.iter().find(|column| column.name == *name);
    let is_of = |name: &String, kind: Kind| column(name).is_some_and(|column| column.kind == kind);
    let first = |is_wrong: &dyn Fn(&String) -> bool, what: &'static str| {
        chosen.iter().find(|name| is_wrong(name)).map(|name| (*name, what))
    };
    match option {
        "drop" => first(&|name| column(name).is_some(), "learned from"),
        "keep" => first(&|name| column(name).is_none(), "not learned from").or_else(|| {
            let other = learned.iter().find(|column| !chosen.contains(&&column.name));
            other.map(|column| (&column.name, "also learned from"))
        }),
        "numeric" => first(&|name| !is_of(name, Kind::Number), "not numeric"),
        "integer" => first(&|name| !column(name).is_some_and(|column| column.integer), "not an integer column"),
        "boolean" => first(&|name| !is_of(name, Kind::Boolean), "not boolean"),
        "categorical" => first(&|name| !is_of(name, Kind::Category), "not categorical"),
        _ => None,
    }
}

/// The positions among `names` of the columns named in `said`. An entry that is the name of a column is that column;
/// any other entry is a list of names separated by commas.
///
/// # Errors
/// The first name that is not a column.
pub(crate) fn places(said: &[String], names: &[String]) -> Result<Vec<usize>, String> {
    let place = |name: &str| names.iter().position(|other| other == name);
    let mut found = Vec::new();
    for entry in said {
        match place(entry) {
            Some(place) => found.push(place),
            None => {
                for name in entry.split(',') {
                    found.push(place(name).or_else(|| place(name.trim())).ok_or_else(|| name.to_string())?);
                }
            }
        }
    }
    Ok(found)
}

/// The note on strings for missing values that do not occur; `None` if there are none.
pub(crate) fn nowhere<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let texts: Vec<String> = texts.map(quoted).collect();
    (!texts.is_empty()).then(|| format!("`--missing`: no learned cell is {}", texts.join(" or ")))
}

/// The name of a column as it must be typed after an option in a shell, with quotes if needed.
pub(crate) fn typed(name: &str) -> String {
    let plain =
        !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || "_-.:/".contains(character));
    if plain && !name.starts_with('-') { name.to_string() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

/// The error for a column `name` that does not exist, with the existing names.
pub(crate) fn no_column(option: &str, name: &str, names: &[String], origin: &Path) -> DataError {
    let meant = did_you_mean(name, names.iter().map(String::as_str));
    let meant = meant.map(|question| question + " ").unwrap_or_default();
    let problem = format!("has no column `{name}` (option `{option}`); {meant}its columns are {}", few(names, 20));
    DataError::Malformed { path: origin.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_first_a_name_and_then_a_list() {
        let names = ["a", "b, c", "", "d"].map(str::to_string);
        let find = |said: &[&str]| places(&said.iter().map(|said| said.to_string()).collect::<Vec<_>>(), &names);
        assert_eq!(find(&["a,d"]).unwrap(), [0, 3]);
        assert_eq!(find(&["b, c", ""]).unwrap(), [1, 2]);
        assert_eq!(find(&["a, d"]).unwrap(), [0, 3]);
        assert_eq!(find(&["a,x"]).unwrap_err(), "x");
        assert_eq!(
            (typed("a_b"), typed(""), typed("it's"), typed("-x")),
            ("a_b".into(), "''".into(), "'it'\\''s'".into(), "'-x'".into())
        );
    }

    #[test]
    fn options_cannot_change_what_a_run_has_decided() {
        let columns = [
            Column::number("a"),
            Column { integer: true, ..Column::number("n") },
            Column::new("kind", Kind::Category, vec!["x".into()]),
            Column::new("ok", Kind::Boolean, Vec::new()),
        ];
        let names = ["a", "n", "kind", "ok", "key"].map(str::to_string);
        let list = |names: &str| vec![names.to_string()];
        let check = |said: Options| {
            let checked = said.check_later(&columns, Some(&names), "t".as_ref());
            checked.map_err(|error| error.to_string()).err().unwrap_or_default()
        };
        for said in [
            Options { drop: list("key"), id: Some("key".into()), categorical: list("kind"), ..Options::default() },
            Options {
                keep: list("ok,kind,n,a"),
                numeric: list("a,n"),
                integer: list("n"),
                boolean: list("ok"),
                ..Options::default()
            },
        ] {
            assert_eq!(check(said), "");
        }
        for (said, part) in [
            (Options { drop: list("b"), ..Options::default() }, "no column `b` (option `drop`)"),
            (Options { id: Some("b".into()), ..Options::default() }, "no column `b` (option `id`)"),
            (
                Options { drop: list("a"), ..Options::default() },
                "`a` is learned from in this run, and `--drop` cannot change that",
            ),
            (Options { keep: list("a"), ..Options::default() }, "`n` is also learned from"),
            (Options { categorical: list("n"), ..Options::default() }, "`n` is not categorical"),
            (Options { integer: list("a"), ..Options::default() }, "`a` is not an integer column"),
            (Options { boolean: list("key"), ..Options::default() }, "`key` is not boolean"),
        ] {
            assert!(check(said).contains(part), "{part}");
        }
        let array = Options { drop: list("a"), ..Options::default() }.check_later(&columns, None, "t".as_ref());
        assert!(array.unwrap_err().to_string().contains("no named columns, so `--drop`"));
        let refuse = Options { unknown: Some(Unknown::Refuse), ..Options::default() };
        let score = Options { unknown: Some(Unknown::Score), ..Options::default() };
        assert_eq!(refuse.overruled_by(score).unknown, Some(Unknown::Score));
        assert_eq!(refuse.overruled_by(Options::default()).unknown, Some(Unknown::Refuse));
    }
}
