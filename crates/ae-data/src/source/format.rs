//! What a format of files is, and what a file or a folder of it holds.

use std::{path::Path, sync::Arc};

use crate::{DataError, Options, Rows, array::Labels, table::Table};

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

/// What an array of rows is called, but for the part of the data that it is.
const ROWS: [&str; 6] = ["x", "X", "images", "data", "features", "arr_0"];
/// What an array of labels is called, but for the part.
const LABELS: [&str; 5] = ["y", "Y", "labels", "label", "target"];
/// The parts of the data, as names of arrays have them behind (`x_test`) or in front (`test_images`).
const PARTS: [&str; 6] = ["train", "test", "val", "valid", "validation", "dev"];

/// Names with a part.
fn with_part<'a>(names: &'a [&str], part: &'a str) -> impl Iterator<Item = String> + 'a {
    names.iter().flat_map(move |name| [format!("{name}_{part}"), format!("{part}_{name}")])
}

/// What the labels of an array of rows can be called; nothing where its name does not tell.
fn labels_of(rows: &str) -> Vec<String> {
    let plain = || LABELS.iter().map(|name| name.to_string());
    match PARTS.into_iter().find(|part| with_part(&ROWS, part).any(|name| name == rows)) {
        Some("train") => with_part(&LABELS, "train").chain(plain()).collect(),
        Some(part) => with_part(&LABELS, part).collect(),
        None if ROWS.contains(&rows) => plain().chain(with_part(&LABELS, "train")).collect(),
        None => Vec::new(),
    }
}

/// Whether an array is called like labels of any part.
fn is_labels(name: &str) -> bool {
    LABELS.contains(&name) || PARTS.into_iter().any(|part| with_part(&LABELS, part).any(|other| other == name))
}

/// How many times as large the values of a test set may be as those of the training set, or as small, without a word.
const ALIKE: f64 = 10.0;

/// The mean size of the values of rows in memory.
fn mean_size(rows: &Rows) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for row in 0..if rows.store().is_some() { 0 } else { rows.len() } {
        let mut add = |value: f64| {
            if !value.is_nan() {
                (sum, count) = (sum + value.abs(), count + 1.0);
            }
        };
        rows.each_cell(row, &mut add).ok()?;
    }
    (sum > 0.0).then(|| sum / count)
}

impl Named<'_> {
    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|other| other == name)
    }

    /// The array that holds the rows: the one that a person names; else the only one, or the one called `x` or its
    /// like.
    fn chosen(&self) -> Result<String, DataError> {
        let malformed = |problem: String| DataError::Malformed { path: self.path.to_owned(), problem };
        let mut names: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
        names.sort();
        let listed = names.join(", ");
        let known = || {
            let candidates = ["x", "X", "x_train", "X_train", "train_images", "data", "images", "features", "arr_0"];
            candidates.iter().find(|name| self.has(name)).map(|name| name.to_string())
        };
        match (&self.options.tensor, self.names.as_slice()) {
            (Some(name), names) if names.contains(name) => Ok(name.clone()),
            (Some(name), _) => {
                Err(malformed(format!("has no array `{name}`; it has {listed}: name one with `--tensor`")))
            }
            (None, []) => Err(malformed("holds no array".to_string())),
            (None, [only]) => Ok(only.clone()),
            (None, _) => {
                known().ok_or_else(|| malformed(format!("holds several arrays, {listed}: name one with `--tensor`")))
            }
        }
    }

    /// The arrays that hold rows, in the order of the rows: the chosen one, and the official test set, unless one array
    /// is named alone.
    pub(super) fn rows(&self) -> Result<Vec<String>, DataError> {
        let name = self.chosen()?;
        let own = format!("{}_test", name.strip_suffix("_train").unwrap_or(&name));
        let test =
            [own.as_str(), "x_test", "X_test", "test_images"].into_iter().find(|test| *test != name && self.has(test));
        let test = test.filter(|_| self.options.tensor.is_none()).map(str::to_string);
        Ok(std::iter::once(name).chain(test).collect())
    }

    /// The labels of an array of rows: by their names, or the only labels beside the only rows.
    fn labels(&self, rows: &str) -> Option<String> {
        let mut candidates = labels_of(rows);
        if candidates.is_empty() && self.names.iter().all(|name| name == rows || is_labels(name)) {
            candidates = labels_of("x");
        }
        candidates.into_iter().find(|name| name != rows && self.has(name))
    }

    /// The rows of the chosen array with their labels, and of the official test set. Labels are called `y` or its like,
    /// and those of `x_test` `y_test`.
    pub(super) fn content(
        mut self,
        load_rows: impl Fn(&str) -> Result<Rows, DataError>,
        load_labels: impl Fn(&str) -> Result<Labels, DataError>,
    ) -> Result<Content, DataError> {
        let malformed = |problem: String| DataError::Malformed { path: self.path.to_owned(), problem };
        self.names.sort();
        if self.options.tensor.is_none() && ["format", "shape", "data"].iter().all(|part| self.has(part)) {
            return Err(malformed(
                "is a sparse matrix of scipy's, which is not read: save it in full with `numpy.save(\"x.npy\", m.toarray())`".to_string(),
            ));
        }
        let mut used = self.rows()?;
        let part = |name: &str, label_name: Option<&String>| -> Result<Rows, DataError> {
            let mut rows = load_rows(name)?;
            let Some(label_name) = label_name else { return Ok(rows) };
            let labels = match load_labels(label_name) {
                Ok(labels) => labels,
                Err(error) => {
                    rows.notes
                        .push(format!("`{label_name}` is no list of classes that can be read, and left out ({error})"));
                    return Ok(rows);
                }
            };
            match labels.into_classes() {
                Err(why) => rows.notes.push(format!("`{label_name}` {why}: left out")),
                Ok((labels, _)) if labels.len() != rows.len() => {
                    return Err(malformed(format!(
                        "`{name}` has {} rows, but `{label_name}` has {} labels",
                        rows.len(),
                        labels.len()
                    )));
                }
                Ok((labels, names)) => rows.identify(None, Some(labels), Some(names)),
            }
            Ok(rows)
        };
        let labels: Vec<Option<String>> = used.iter().map(|name| self.labels(name)).collect();
        let mut rows = part(&used[0], labels[0].as_ref())?;
        let name = used[0].clone();
        let test = match used.get(1) {
            None => None,
            Some(test) => {
                let rows_of_test = part(test, labels[1].as_ref())?;
                if (rows_of_test.width(), rows_of_test.geometry) != (rows.width(), rows.geometry) {
                    let (found, expected) = (rows_of_test.width(), rows.width());
                    return Err(malformed(format!(
                        "`{test}` has rows of {found} values, but `{name}` of {expected}, or images of another shape"
                    )));
                }
                let (types, sizes) =
                    ([rows_of_test.element(), rows.element()], [mean_size(&rows_of_test), mean_size(&rows)]);
                let ratio = sizes[0].zip(sizes[1]).map(|(test, train)| test / train);
                let is_other = ratio
                    .map_or(types[0].is_float() != types[1].is_float(), |ratio| !(1.0 / ALIKE..ALIKE).contains(&ratio));
                if is_other {
                    let [test_size, train_size] =
                        sizes.map(|size| size.map_or(String::new(), |size| format!(" of mean size {size:.3}")));
                    rows.notes.push(format!(
                        "`{test}` holds {}{test_size}, `{name}` {}{train_size}: bring both to one scale, or the test measures nothing",
                        types[0].name(),
                        types[1].name()
                    ));
                }
                Some(rows_of_test)
            }
        };
        used.extend(labels.iter().flatten().cloned());
        let unused: Vec<&String> = self.names.iter().filter(|name| !used.contains(name)).collect();
        let listed = |names: &[&String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match &self.options.tensor {
            None if unused.is_empty() => {}
            None => {
                rows.notes.push(format!("`{name}` is read; left out: {} (`--tensor` names another)", listed(&unused)))
            }
            // Whoever names an array knows of the others, but may take their labels for its own.
            Some(_) if labels[0].is_none() && !is_labels(&name) => {
                let others: Vec<&String> = unused.into_iter().filter(|name| is_labels(name)).collect();
                if !others.is_empty() {
                    let own = labels_of(&name).into_iter().next();
                    let advice = own.map_or(String::new(), |own| format!("; its own would be called `{own}`"));
                    let verb = if others.len() == 1 { "belongs" } else { "belong" };
                    rows.notes
                        .push(format!("`{name}` has no labels: {} {verb} to other rows{advice}", listed(&others)));
                }
            }
            Some(_) => {}
        }
        Ok(Content::Rows(Box::new(rows), test.map(Box::new)))
    }
}

/// The last part of a path without its extensions.
pub(super) fn short_name(path: &Path) -> String {
    let name =
        path.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "data".to_string());
    name.split('.').find(|part| !part.is_empty()).unwrap_or("data").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Array, Values};

    /// Rows and test rows, or what is wrong.
    type Read = Result<(Rows, Option<Rows>), String>;

    fn content(arrays: &[(&str, usize)], tensor: Option<&str>) -> (Read, Vec<String>) {
        let options = Options { tensor: tensor.map(str::to_string), ..Options::default() };
        let names = arrays.iter().map(|(name, _)| name.to_string()).collect();
        let named = Named { names, path: Path::new("a.npz"), options: &options };
        let count = |name: &str| arrays.iter().find(|(other, _)| *other == name).unwrap().1;
        let load = |name: &str| Ok(Rows::new(Values::U8(vec![1; count(name)]), 1));
        // The labels of an array are all the number of its place among the arrays.
        let labels = |name: &str| {
            let place = arrays.iter().position(|(other, _)| *other == name).unwrap() as u8;
            Ok(Labels::Numbers(Array { dims: vec![count(name)], values: Values::U8(vec![place; count(name)]) }))
        };
        match named.content(load, labels) {
            Ok(Content::Rows(rows, test)) => {
                let notes = rows.notes.clone();
                (Ok((*rows, test.map(|test| *test))), notes)
            }
            Ok(Content::Table(_)) => panic!("arrays are no table"),
            Err(error) => (Err(error.to_string()), Vec::new()),
        }
    }

    #[test]
    fn labels_belong_to_the_rows_of_their_name() {
        let arrays = [("x", 4), ("y", 4), ("x_test", 4), ("y_test", 4), ("x_val", 4), ("val_labels", 4), ("latent", 4)];
        for (tensor, classes) in [(None, "1"), (Some("x"), "1"), (Some("x_test"), "3"), (Some("x_val"), "5")] {
            let (read, _) = content(&arrays, tensor);
            let (rows, test) = read.unwrap();
            assert_eq!(rows.classes(), [classes], "{tensor:?}");
            assert_eq!(test.map(|test| test.classes()), tensor.is_none().then(|| vec!["3".to_string()]), "{tensor:?}");
        }
        let (read, notes) = content(&arrays, Some("latent"));
        assert!(
            read.unwrap().0.labels.is_none()
                && notes == ["`latent` has no labels: `val_labels`, `y`, `y_test` belong to other rows"]
        );
        let (read, notes) = content(&[("x", 4), ("y", 4), ("x_test", 4)], Some("x_test"));
        let said = "`x_test` has no labels: `y` belongs to other rows; its own would be called `y_test`";
        assert!(read.unwrap().0.labels.is_none() && notes == [said], "{notes:?}");
        // The only labels beside the only rows are theirs, whatever those are called; rows of another length can be
        // read.
        assert_eq!(content(&[("latent", 4), ("y", 4)], Some("latent")).0.unwrap().0.classes(), ["1"]);
        assert_eq!(content(&[("x", 4), ("y", 4), ("z", 8)], Some("z")).0.unwrap().0.len(), 8);
        assert!(content(&[("x", 4), ("y", 3)], None).0.unwrap_err().contains("`x` has 4 rows, but `y` has 3 labels"));
    }

    #[test]
    fn what_is_not_read_is_named() {
        assert_eq!(
            content(&[("x", 4), ("y", 4), ("y_test", 2), ("ids", 4)], None).1,
            ["`x` is read; left out: `ids`, `y_test` (`--tensor` names another)"]
        );
        assert_eq!(
            content(&[("x_train", 4), ("y_train", 4), ("x_test", 2), ("y_test", 2)], None).1,
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_test_set_of_another_scale_is_said() {
        let test = |values: Values| {
            let options = Options::default();
            let named = Named { names: vec!["x".into(), "x_test".into()], path: Path::new("a.npz"), options: &options };
            let load =
                |name: &str| Ok(Rows::new(if name == "x" { Values::F32(vec![0.25, 0.75]) } else { values.clone() }, 1));
            let Ok(Content::Rows(rows, _)) = named.content(load, |_| unreachable!()) else { panic!("rows") };
            rows.notes
        };
        let said = "`x_test` holds uint8 of mean size 125.000, `x` float32 of mean size 0.500: bring both to one scale, or the test measures nothing";
        assert_eq!(test(Values::U8(vec![0, 250])), [said]);
        assert_eq!(test(Values::F64(vec![0.2, 0.9])), Vec::<String>::new());
    }
}
