//! What a format of files is, and what a file or a folder of it holds.

use std::{path::Path, sync::Arc};

use crate::{Array, DataError, Options, Rows, table::Table};

/// A built-in set.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Where it comes from and under which licence.
    pub licence: &'static str,
    /// Whether it is compiled in, rather than fetched on first use.
    pub embedded: bool,
}

/// A format of files.
#[derive(Clone, Copy)]
pub struct Format {
    /// Its name.
    pub name: &'static str,
    /// Endings of its files, in lower case.
    pub extensions: &'static [&'static str],
    pub(super) read: fn(&Path, &Options) -> Result<Content, DataError>,
}

/// What a source holds: rows to train on and, if it has one, its official test set.
#[derive(Debug, Clone)]
pub struct Sets {
    /// A short name, for run folders and tables.
    pub name: String,
    /// Rows to train and validate on.
    pub train: Rows,
    /// The official test set.
    pub test: Option<Rows>,
}

/// What one file holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// A table, of which a person may choose columns.
    Table(Arc<dyn Table>),
    /// Rows of numbers or images, and the official test set that came with them.
    Rows(Box<Rows>, Option<Box<Rows>>),
}

/// Arrays by name, in one file.
pub(super) struct Named<'a> {
    pub(super) names: Vec<String>,
    pub(super) path: &'a Path,
    pub(super) options: &'a Options,
}

impl Named<'_> {
    /// The array that holds the rows: the one that a person names; else the only one, or the one called `x` or its like.
    pub(super) fn chosen(&self) -> Result<String, DataError> {
        let malformed = |problem: String| DataError::Malformed { path: self.path.to_owned(), problem };
        let mut names: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
        names.sort();
        let listed = names.join(", ");
        let known = || {
            let candidates = ["x", "X", "x_train", "X_train", "train_images", "data", "images", "features", "arr_0"];
            candidates.iter().find(|name| self.names.iter().any(|other| other == *name)).map(|name| name.to_string())
        };
        match (&self.options.tensor, self.names.as_slice()) {
            (Some(name), names) if names.contains(name) => Ok(name.clone()),
            (Some(name), _) => Err(malformed(format!("has no array `{name}`; it has {listed}: name one with `--tensor`"))),
            (None, []) => Err(malformed("holds no array".to_string())),
            (None, [only]) => Ok(only.clone()),
            (None, _) => known().ok_or_else(|| malformed(format!("holds several arrays, {listed}: name one with `--tensor`"))),
        }
    }

    /// The array that a person names; else the only one, or the one called `x` or its like. Labels are called `y` or its like, and an official
    /// test set `x_test` and `y_test`.
    pub(super) fn content(
        mut self,
        load_rows: impl Fn(&str) -> Result<Rows, DataError>,
        load_labels: impl Fn(&str) -> Result<Array, DataError>,
    ) -> Result<Content, DataError> {
        let malformed = |problem: String| DataError::Malformed { path: self.path.to_owned(), problem };
        self.names.sort();
        let any =
            |candidates: &[&str]| candidates.iter().find(|name| self.names.iter().any(|other| other == *name)).map(|name| name.to_string());
        if self.options.tensor.is_none() && ["format", "shape", "data"].iter().all(|part| self.names.iter().any(|name| name == part)) {
            return Err(malformed(
                "is a sparse matrix of scipy's, which is not read: save it in full with `numpy.save(\"x.npy\", m.toarray())`".to_string(),
            ));
        }
        let name = self.chosen()?;
        let part = |name: &str, labels: Option<String>| -> Result<Rows, DataError> {
            let mut rows = load_rows(name)?;
            let Some(label_name) = labels else { return Ok(rows) };
            let labels = match load_labels(&label_name) {
                Ok(labels) => labels,
                Err(error) => {
                    rows.notes.push(format!("`{label_name}` is no list of classes that can be read, and left out ({error})"));
                    return Ok(rows);
                }
            };
            match labels.into_classes() {
                Err(why) => rows.notes.push(format!("`{label_name}` {why}: left out")),
                Ok((labels, _)) if labels.len() != rows.len() => {
                    return Err(malformed(format!("`{name}` has {} rows, but `{label_name}` has {} labels", rows.len(), labels.len())));
                }
                Ok((labels, names)) => rows.identify(None, Some(labels), Some(names)),
            }
            Ok(rows)
        };
        let mut rows = part(
            &name,
            any(&["y", "Y", "y_train", "Y_train", "train_labels", "labels", "label", "target"]).filter(|labels| *labels != name),
        )?;
        let base = name.strip_suffix("_train").unwrap_or(&name);
        let test_name = format!("{base}_test");
        let test = match any(&[&test_name, "x_test", "X_test", "test_images"]).filter(|test| *test != name && self.options.tensor.is_none())
        {
            Some(test) => {
                let rows_of_test = part(&test, any(&["y_test", "Y_test", "test_labels", "labels_test", "label_test", "target_test"]))?;
                if (rows_of_test.width(), rows_of_test.geometry) != (rows.width(), rows.geometry) {
                    let (found, expected) = (rows_of_test.width(), rows.width());
                    return Err(malformed(format!(
                        "`{test}` has rows of {found} values, but `{name}` of {expected}, or images of another shape"
                    )));
                }
                Some((test, rows_of_test))
            }
            None => None,
        };
        let used = |other: &String| {
            let labels = [
                "y",
                "Y",
                "y_train",
                "Y_train",
                "labels",
                "label",
                "target",
                "train_labels",
                "test_labels",
                "y_test",
                "Y_test",
                "labels_test",
                "label_test",
                "target_test",
            ];
            *other == name || test.as_ref().is_some_and(|(test, _)| test == other) || labels.contains(&other.as_str())
        };
        let unused: Vec<String> = self.names.iter().filter(|name| !used(name)).map(|name| format!("`{name}`")).collect();
        if !unused.is_empty() && self.options.tensor.is_none() {
            rows.notes.push(format!("`{name}` is read; left out: {} (`--tensor` names another)", unused.join(", ")));
        }
        Ok(Content::Rows(Box::new(rows), test.map(|(_, test)| Box::new(test))))
    }
}

/// The last part of a path without its extensions.
pub(super) fn short_name(path: &Path) -> String {
    let name = path.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "data".to_string());
    name.split('.').find(|part| !part.is_empty()).unwrap_or("data").to_string()
}
