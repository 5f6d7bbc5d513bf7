//! What a person says about how to read.

use serde::{Deserialize, Serialize};

use crate::{DataError, Missing};

/// What a person says about how to read. Lists of columns hold names; an entry that is no column's name is split at its commas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Column of a table that holds each row's class: not learned from, but shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Column of a table that identifies each row: not learned from, but carried along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Columns not to learn from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Columns that the data is cut by, by group or by time: not learned from.
    #[serde(skip)]
    pub cut_by: Vec<String>,
    /// Columns to learn from, if not all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Columns whose cells are names, even where they look like numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categorical: Vec<String>,
    /// Columns with two different values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boolean: Vec<String>,
    /// Columns of numbers; a cell that is none is an error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numeric: Vec<String>,
    /// Columns of whole numbers: what is filled in is rounded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub integer: Vec<String>,
    /// What becomes of a category's value that training did not have.
    #[serde(skip_serializing_if = "Unknown::is_default")]
    pub unknown: Unknown,
    /// Texts and numbers that stand for a missing value, in text tables in place of the usual ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Name of the array, where a file holds several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
    /// Height and width that images are brought to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<[usize; 2]>,
    /// Whether images are read in shades of grey.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grey: bool,
    /// What separates the cells of text tables (a space stands for any number of spaces); found out if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// The decimal mark of text tables, `.` or `,`; found out if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<char>,
    /// Whether the first line of text tables names the columns; found out if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Lines of text tables that begin with this character are left out, wherever they stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// Encoding of text tables, such as `latin1`; UTF-8, or UTF-16 where the file shows it, if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Whether rows stay in their file and are read block by block; those of large files do if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

/// What becomes of a category's value that training did not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It is none of the known levels: the row is read, and its column scores as the anomaly that it is.
    #[default]
    Score,
    /// An error that names the row.
    Refuse,
}

impl Unknown {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Options {
    /// What stands for a missing value, in a table of text or in data with types.
    pub(crate) fn missing(&self, is_text: bool) -> Missing {
        match (is_text, self.missing.as_slice()) {
            (_, [_, ..]) => {
                Missing::These(self.missing.iter().flat_map(|entry| entry.split(',').map(|text| text.trim().to_string())).collect())
            }
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
            unknown: if over.unknown == Unknown::Refuse { over.unknown } else { self.unknown },
            tensor: over.tensor.or_else(|| self.tensor.clone()),
            resize: over.resize.or(self.resize),
            grey: over.grey || self.grey,
            delimiter: over.delimiter.or(self.delimiter),
            decimal: over.decimal.or(self.decimal),
            header: over.header.or(self.header),
            comment: over.comment.or(self.comment),
            encoding: over.encoding.or_else(|| self.encoding.clone()),
            stream: over.stream.or(self.stream),
        }
    }
}

/// The places among `names` of the columns that `said` names: an entry that is a column's name is that column, any other is several names with
/// commas between.
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
    (!texts.is_empty()).then(|| format!("nothing that is learned from is {}, which `--missing` names", texts.join(" or ")))
}

/// The name of a column as it is typed after an option in a shell.
pub(crate) fn typed(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || "_-.:/".contains(character));
    if plain && !name.starts_with('-') { name.to_string() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

/// `name` as an error and the list of the names that there are.
pub(crate) fn no_column(option: &str, name: &str, names: &[String], origin: &std::path::Path) -> DataError {
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
        assert_eq!((typed("a_b"), typed(""), typed("it's"), typed("-x")), ("a_b".into(), "''".into(), "'it'\\''s'".into(), "'-x'".into()));
    }
}
