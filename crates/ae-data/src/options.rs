//! What a person says about how to read.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Column, DataError, Kind, Missing, Size};

/// What a person says about how to read. Lists of columns hold names; an entry that is no column's name is split at its
/// commas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Column of a table with each row's class: shown, not learned from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Column of a table that identifies each row: carried along, not learned from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Columns of a table not to learn from; '' is the column without a name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Columns that the data is cut by, by group or by time: not learned from.
    #[serde(skip)]
    pub cut_by: Vec<String>,
    /// Columns of a table to learn from, if not all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Columns whose cells are names, even where they look like numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categorical: Vec<String>,
    /// Columns with two different values, such as 0 and 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boolean: Vec<String>,
    /// Columns of numbers; a cell that is none is an error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numeric: Vec<String>,
    /// Columns of whole numbers: what is filled in is rounded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub integer: Vec<String>,
    /// What becomes of a category's value that training did not have: `score` it as an anomaly, or `refuse` the file.
    /// Default: score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Unknown>,
    /// Texts and numbers that stand for a missing value, such as -999; in a text table in place of NA, ? and the like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Name of the array, where a file holds several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
    /// Height and width in pixels that images are brought to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<[usize; 2]>,
    /// Read images in shades of grey. Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grey: bool,
    /// What separates the cells of a text table, such as ;, or a tab; a space stands for any number of spaces. Found
    /// out by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// The decimal mark of a text table, `.` or `,`. Found out by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<char>,
    /// Whether the first line of a text table names the columns. Found out by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Lines of a text table that begin with this character are left out, wherever they stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// Encoding of a text table, such as latin1. By default UTF-8, or UTF-16 where the file shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Leave rows in their npy, safetensors, Parquet or Arrow file and read them block by block. By default those of
    /// large files stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Memory that one input may take at a time, such as 8GB. By default what the machine has free; and a file that
    /// would become 100 times as large as it is, and larger than 1 GB, is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<Size>,
}

/// What becomes of a category's value that training did not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It is none of the known levels: the row is read, and its column scores as the anomaly that it is.
    #[default]
    Score,
    /// An error that names the row.
    Refuse,
}

impl Options {
    /// What stands for a missing value, in a table of text or in data with types.
    pub(crate) fn missing(&self, is_text: bool) -> Missing {
        match (is_text, self.missing.as_slice()) {
            (_, [_, ..]) => Missing::These(
                self.missing.iter().flat_map(|entry| entry.split(',').map(|text| text.trim().to_string())).collect(),
            ),
            (true, []) => Missing::Usual,
            (false, []) => Missing::Nothing,
        }
    }

    /// Whether rows of so many bytes stay in their file.
    pub(crate) fn streams(&self, bytes: u64) -> bool {
        self.stream.unwrap_or(bytes > crate::store::LARGE)
    }

    /// The same, with what `over` says in place of what this says.
    pub fn overruled_by(&self, over: Self) -> Self {
        let list = |over: Vec<String>, own: &[String]| if over.is_empty() { own.to_vec() } else { over };
        Self {
            label: over.label.or_else(|| self.label.clone()),
            id: over.id.or_else(|| self.id.clone()),
            drop: [self.drop.clone(), over.drop].concat(),
            cut_by: self.cut_by.clone(),
            keep: list(over.keep, &self.keep),
            categorical: list(over.categorical, &self.categorical),
            boolean: list(over.boolean, &self.boolean),
            numeric: list(over.numeric, &self.numeric),
            integer: list(over.integer, &self.integer),
            missing: list(over.missing, &self.missing),
            unknown: over.unknown.or(self.unknown),
            tensor: over.tensor.or_else(|| self.tensor.clone()),
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
    /// Whether what a person says of columns can be said of later rows of a run: they are there, and are what the run
    /// has learned that they are. `names` are the columns of the rows; none of an array.
    ///
    /// # Errors
    /// A column that is not there, and a choice that would have to be made before training.
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
            let names =
                names.ok_or_else(|| problem(format!("has no named columns, which `--{option}` chooses among")))?;
            let chosen = match option {
                // A single name, whatever commas are in it.
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
            let column = |name: &String| learned.iter().find(|column| column.name == *name);
            let is_of = |name: &String, kind: Kind| column(name).is_some_and(|column| column.kind == kind);
            let other = match option {
                "drop" => chosen.iter().find(|name| column(name).is_some()).map(|name| (*name, "learned from")),
                "keep" => {
                    chosen.iter().find(|name| column(name).is_none()).map(|name| (*name, "not learned from")).or_else(
                        || {
                            learned
                                .iter()
                                .find(|column| !chosen.contains(&&column.name))
                                .map(|column| (&column.name, "also learned from"))
                        },
                    )
                }
                "numeric" => {
                    chosen.iter().find(|name| !is_of(name, Kind::Number)).map(|name| (*name, "not of numbers"))
                }
                "integer" => chosen
                    .iter()
                    .find(|name| !column(name).is_some_and(|column| column.integer))
                    .map(|name| (*name, "not of whole numbers")),
                "boolean" => {
                    chosen.iter().find(|name| !is_of(name, Kind::Boolean)).map(|name| (*name, "not of truth values"))
                }
                "categorical" => {
                    chosen.iter().find(|name| !is_of(name, Kind::Category)).map(|name| (*name, "not of names"))
                }
                _ => None,
            };
            if let Some((name, what)) = other {
                return Err(problem(format!(
                    "column `{name}` is {what} in this run, which `--{option}` cannot change any more: leave it out, or `ae train` anew with it"
                )));
            }
        }
        Ok(())
    }
}

/// The places among `names` of the columns that `said` names: an entry that is a column's name is that column, any
/// other is several names with commas between.
///
/// # Errors
/// The first name that is no column's.
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

/// What is said of what stands for a missing value, and is nowhere; nothing if there is none.
pub(crate) fn nowhere<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let texts: Vec<String> = texts.map(|text| format!("`{text}`")).collect();
    (!texts.is_empty())
        .then(|| format!("nothing that is learned from is {}, which `--missing` names", texts.join(" or ")))
}

/// The name of a column as it is typed after an option in a shell.
pub(crate) fn typed(name: &str) -> String {
    let plain =
        !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || "_-.:/".contains(character));
    if plain && !name.starts_with('-') { name.to_string() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

/// `name` as an error and the list of the names that there are.
pub(crate) fn no_column(option: &str, name: &str, names: &[String], origin: &Path) -> DataError {
    let shown: Vec<String> = names.iter().take(20).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > 20 { format!(" and {} more", names.len() - 20) } else { String::new() };
    let problem = format!("has no column `{name}`, which `{option}` names; its columns are {}{more}", shown.join(", "));
    DataError::Malformed { path: origin.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_commas_are_names_first() {
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
    fn what_a_run_has_decided_is_not_changed_any_more() {
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
            (Options { drop: list("b"), ..Options::default() }, "no column `b`, which `drop` names"),
            (Options { id: Some("b".into()), ..Options::default() }, "no column `b`, which `id` names"),
            (
                Options { drop: list("a"), ..Options::default() },
                "`a` is learned from in this run, which `--drop` cannot change",
            ),
            (Options { keep: list("a"), ..Options::default() }, "`n` is also learned from"),
            (Options { categorical: list("n"), ..Options::default() }, "`n` is not of names"),
            (Options { integer: list("a"), ..Options::default() }, "`a` is not of whole numbers"),
            (Options { boolean: list("key"), ..Options::default() }, "`key` is not of truth values"),
        ] {
            assert!(check(said).contains(part), "{part}");
        }
        let array = Options { drop: list("a"), ..Options::default() }.check_later(&columns, None, "t".as_ref());
        assert!(array.unwrap_err().to_string().contains("no named columns, which `--drop`"));
        let refuse = Options { unknown: Some(Unknown::Refuse), ..Options::default() };
        let score = Options { unknown: Some(Unknown::Score), ..Options::default() };
        assert_eq!(refuse.overruled_by(score).unknown, Some(Unknown::Score));
        assert_eq!(refuse.overruled_by(Options::default()).unknown, Some(Unknown::Refuse));
    }
}
