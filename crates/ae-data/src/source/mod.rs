//! Where rows come from: a name, a path, a pattern, or standard input.
//!
//! A new format is one file here and one line in [`FORMATS`].

mod arrow;
mod builtin;
mod csv;
mod idx_files;
mod images;
mod numpy;
mod safetensors_file;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use builtin::BUILTIN;
pub use csv::fill_text;

use crate::{
    Array, Column, DataError, Geometry, Rows,
    frame::Frame,
    store::LARGE,
    stored_table::{Parts, stored},
};

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
    read: fn(&Path, &Options) -> Result<Content, DataError>,
}

/// Every format of files, in the order in which they are listed to people. A file of any other ending is read as IDX.
pub const FORMATS: &[Format] = &[
    csv::FORMAT,
    arrow::PARQUET,
    arrow::ARROW,
    numpy::NPY,
    numpy::NPZ,
    safetensors_file::FORMAT,
    Format { name: "image", extensions: &images::EXTENSIONS, read: images::file },
];

/// What a person says about how to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Column of a table that holds each row's class: not learned from, but shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Column of a table that identifies each row: not learned from, but carried along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Columns to leave out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Columns to learn from, if not all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Name of the array, where a file holds several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
    /// Height and width that images are brought to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<[usize; 2]>,
    /// Whether images are read in shades of grey.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grey: bool,
    /// What separates the cells of text tables; found out if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Whether the first line of text tables names the columns; found out if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Whether rows stay in their file and are read block by block; those of large files do if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

impl Options {
    /// Whether rows of so many bytes stay in their file.
    fn streams(&self, bytes: u64) -> bool {
        self.stream.unwrap_or(bytes > LARGE)
    }
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
    Frame(Frame),
    /// A table that stays in its file.
    Parts(Box<dyn Parts>),
    /// Rows of numbers or images, and the official test set that came with them.
    Rows(Box<Rows>, Option<Box<Rows>>),
}

/// Arrays by name, in one file.
struct Named<'a> {
    names: Vec<String>,
    path: &'a Path,
    options: &'a Options,
}

impl Named<'_> {
    /// The array that a person names; else the only one, or the one called `x` or its like. Labels are called `y` or its like, and an official
    /// test set `x_test` and `y_test`.
    fn content(
        mut self,
        load_rows: impl Fn(&str) -> Result<Rows, DataError>,
        load_labels: impl Fn(&str) -> Result<Array, DataError>,
    ) -> Result<Content, DataError> {
        let malformed = |problem: String| DataError::Malformed { path: self.path.to_owned(), problem };
        self.names.sort();
        let listed = self.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let any =
            |candidates: &[&str]| candidates.iter().find(|name| self.names.iter().any(|other| other == *name)).map(|name| name.to_string());
        let known = || any(&["x", "X", "x_train", "X_train", "data", "images", "features", "arr_0"]);
        let name = match (&self.options.tensor, self.names.as_slice()) {
            (Some(name), names) if names.contains(name) => name.clone(),
            (Some(name), _) => return Err(malformed(format!("has no array `{name}`; it has {listed}: name one with `--tensor`"))),
            (None, []) => return Err(malformed("holds no array".to_string())),
            (None, [only]) => only.clone(),
            (None, _) => known().ok_or_else(|| malformed(format!("holds several arrays, {listed}: name one with `--tensor`")))?,
        };
        let part = |name: &str, labels: Option<String>| -> Result<Rows, DataError> {
            let mut rows = load_rows(name)?;
            if let Some(label_name) = labels {
                let labels = load_labels(&label_name)?.into_labels(self.path)?;
                if labels.len() != rows.len() {
                    return Err(malformed(format!("`{name}` has {} rows, but `{label_name}` has {} labels", rows.len(), labels.len())));
                }
                rows.labels = Some(labels);
            }
            Ok(rows)
        };
        let rows = part(&name, any(&["y", "Y", "y_train", "Y_train", "labels", "label", "target"]).filter(|labels| *labels != name))?;
        let test = match any(&["x_test", "X_test"]).filter(|_| name.ends_with("_train")) {
            Some(test) => Some(Box::new(part(&test, any(&["y_test", "Y_test"]))?)),
            None => None,
        };
        Ok(Content::Rows(Box::new(rows), test))
    }
}

/// What is known about rows that were trained on: what later rows must be like.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Their columns; empty if they have none.
    pub columns: &'a [Column],
    /// Features of a row.
    pub width: usize,
    /// Shape of the images, if they are images.
    pub geometry: Option<Geometry>,
}

impl Known<'_> {
    /// Whether `rows` are alike.
    fn check(&self, rows: &Rows, origin: &Path) -> Result<(), DataError> {
        let image =
            |geometry: Option<Geometry>| geometry.map_or("rows that are no images".to_string(), |geometry| format!("images of {geometry}"));
        let problem = if rows.geometry != self.geometry {
            let resize =
                self.geometry.map_or(String::new(), |known| format!(": `--resize {}x{}` brings them there", known.height, known.width));
            format!("holds {}, but {} were trained on{resize}", image(rows.geometry), image(self.geometry))
        } else if rows.width() != self.width {
            format!("has rows of {} values, but rows of {} were trained on", rows.width(), self.width)
        } else {
            return Ok(());
        };
        Err(DataError::Malformed { path: origin.to_owned(), problem })
    }
}

/// Opens the built-in set, path or pattern `name`, or standard input for `-`.
///
/// # Errors
/// An unknown name, or a file that is not what it should be.
pub fn open(name: &str) -> Result<Sets, DataError> {
    open_with(name, &Options::default())
}

/// The same, with what a person says about how to read.
///
/// # Errors
/// As [`open`], and a choice that the data does not have.
pub fn open_with(name: &str, options: &Options) -> Result<Sets, DataError> {
    open_as(name, options, None)
}

/// The same for rows that come after those that a model was trained on: their columns may be in another order, and the label and the
/// identifiers may be absent.
///
/// # Errors
/// As [`open_with`], and rows that are not like the known ones: the message says which columns differ.
pub fn open_known(name: &str, options: &Options, known: &Known) -> Result<Sets, DataError> {
    let sets = open_as(name, options, Some(known))?;
    for rows in std::iter::once(&sets.train).chain(&sets.test) {
        known.check(rows, Path::new(name))?;
    }
    Ok(sets)
}

/// Whether the file is a text table, by its ending.
pub fn is_text_table(path: &Path) -> bool {
    format(path).is_some_and(|format| format.name == csv::FORMAT.name)
}

/// The table that a file holds, with every column, as it was read.
///
/// # Errors
/// As [`open`], and a file that holds no table.
pub fn table(path: &Path, options: &Options) -> Result<Frame, DataError> {
    let malformed = |problem: &str| DataError::Malformed { path: path.to_owned(), problem: problem.to_string() };
    match file(path, &Options { stream: Some(false), ..options.clone() })? {
        Content::Frame(frame) => Ok(frame),
        Content::Parts(_) | Content::Rows(..) => Err(malformed("holds no table with named columns")),
    }
}

fn open_as(name: &str, options: &Options, known: Option<&Known>) -> Result<Sets, DataError> {
    if let Some(sets) = builtin::open(name) {
        return sets;
    }
    if name == "-" {
        return csv::standard_input(options)?.into_sets("stdin".to_string(), options, known, Path::new("standard input"));
    }
    let path = Path::new(name);
    if path.is_dir() {
        return folder(path, options, known);
    }
    if path.exists() {
        return file(path, options)?.into_sets(short_name(path), options, known, path);
    }
    if name.contains(['*', '?', '[']) {
        let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
        let found = glob::glob(name).map_err(|error| malformed(format!("is no pattern of files: {error}")))?;
        let mut paths: Vec<PathBuf> = found.filter_map(Result::ok).filter(|path| path.is_file()).collect();
        paths.sort();
        if paths.is_empty() {
            return Err(malformed("no file matches this pattern".to_string()));
        }
        return shards(&paths, options)?.into_sets(short_name(&paths[0]), options, known, &paths[0]);
    }
    let known: Vec<_> = BUILTIN.iter().map(|set| set.name).collect();
    Err(DataError::Unknown { name: name.to_string(), known: known.join(", ") })
}

impl Content {
    /// The rows, with the columns that are `known`, if any are.
    fn into_rows(self, options: &Options, known: Option<&[Column]>, origin: &Path) -> Result<(Rows, Option<Rows>), DataError> {
        let (rows, test) = match self {
            Self::Frame(frame) => return Ok((frame.into_rows(options, known, origin)?, None)),
            Self::Parts(parts) => return Ok((stored(parts, options, known, origin)?, None)),
            Self::Rows(rows, test) => (rows, test),
        };
        let chosen = [
            ("label", options.label.is_some()),
            ("id", options.id.is_some()),
            ("drop", !options.drop.is_empty()),
            ("keep", !options.keep.is_empty()),
        ];
        match chosen.iter().find(|(_, given)| *given && known.is_none()) {
            Some((option, _)) => {
                let problem = format!("has no named columns, which `{option}` chooses among: it holds an array or images");
                Err(DataError::Malformed { path: origin.to_owned(), problem })
            }
            // An array of numbers stands for a table's columns in their order, if there are as many and all are numbers.
            None => match known.filter(|known| known.len() == rows.width() && known.iter().all(|column| column.width() == 1)) {
                Some(known) => Ok((rows.with_columns(known.to_vec()), test.map(|test| test.with_columns(known.to_vec())))),
                None => Ok((*rows, test.map(|test| *test))),
            },
        }
    }

    fn into_sets(self, name: String, options: &Options, known: Option<&Known>, origin: &Path) -> Result<Sets, DataError> {
        let columns = known.map(|known| known.columns).filter(|columns| !columns.is_empty());
        let (train, test) = self.into_rows(options, columns, origin)?;
        Ok(Sets { name, train, test })
    }
}

/// The format of a file, by its ending; none for IDX.
fn format(path: &Path) -> Option<&'static Format> {
    let extension = path.extension()?.to_string_lossy().to_ascii_lowercase();
    FORMATS.iter().find(|format| format.extensions.contains(&extension.as_str()))
}

fn file(path: &Path, options: &Options) -> Result<Content, DataError> {
    match format(path) {
        Some(format) => (format.read)(path, options),
        None => idx_files::file(path).map(|rows| Content::Rows(Box::new(rows), None)),
    }
}

/// Several files of one format, as one.
fn shards(paths: &[PathBuf], options: &Options) -> Result<Content, DataError> {
    let mut whole = file(&paths[0], options)?;
    for path in &paths[1..] {
        let malformed = |problem: String| DataError::Malformed { path: path.clone(), problem };
        match (&mut whole, file(path, options)?) {
            (Content::Frame(frame), Content::Frame(more)) => frame.append(more, path)?,
            (Content::Rows(rows, None), Content::Rows(more, None)) if rows.store().is_none() && more.store().is_none() => {
                if (rows.width(), rows.geometry, rows.labels.is_some()) != (more.width(), more.geometry, more.labels.is_some()) {
                    let (found, expected) = (more.width(), rows.width());
                    return Err(malformed(format!(
                        "has rows of {found} values, the files before it of {expected}, or another shape or labels"
                    )));
                }
                rows.append(*more);
            }
            (Content::Rows(..) | Content::Parts(_), Content::Rows(..) | Content::Parts(_)) => {
                return Err(malformed("is too large to be joined with other files in memory: join them into one file".to_string()));
            }
            _ => return Err(malformed("is of another format than the files before it: name files of one format".to_string())),
        }
    }
    Ok(whole)
}

/// A folder: of IDX files with the names of MNIST, of images, of a `train` and a `test` file, or of shards of one format.
fn folder(path: &Path, options: &Options, known: Option<&Known>) -> Result<Sets, DataError> {
    if idx_files::is_folder(path) {
        return idx_files::folder(path);
    }
    let entries = fs::read_dir(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    paths.retain(|path| format(path).is_some_and(|format| format.name != "image"));
    paths.sort();
    let formats: BTreeSet<&str> = paths.iter().filter_map(|path| format(path)).map(|format| format.name).collect();
    if formats.len() > 1 {
        let problem =
            format!("holds files of several formats ({}): name one file, or a pattern", formats.into_iter().collect::<Vec<_>>().join(", "));
        return Err(DataError::Malformed { path: path.to_owned(), problem });
    }
    if paths.is_empty() {
        return match images::is_folder_of_images(path) {
            true => images::folder(path, options),
            false => Err(DataError::NoData { path: path.to_owned() }),
        };
    }
    let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let named = |name: &str| paths.iter().find(|path| stem(path) == name);
    let name = short_name(path);
    match (named("train"), named("test")) {
        (Some(train_path), Some(test_path)) => {
            let mut sets = file(train_path, options)?.into_sets(name, options, known, train_path)?;
            let columns: Option<Vec<Column>> = sets.train.encoding().map(|encoding| encoding.columns().to_vec());
            let (test, _) = file(test_path, options)?.into_rows(options, columns.as_deref(), test_path)?;
            if test.width() != sets.train.width() || test.geometry != sets.train.geometry {
                let problem = format!("has rows of {} values, the training file of {}", test.width(), sets.train.width());
                return Err(DataError::Malformed { path: test_path.clone(), problem });
            }
            sets.test = Some(test);
            Ok(sets)
        }
        _ => shards(&paths, options)?.into_sets(name, options, known, path),
    }
}

/// The last part of a path without its extensions.
fn short_name(path: &Path) -> String {
    let name = path.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "data".to_string());
    name.split('.').find(|part| !part.is_empty()).unwrap_or("data").to_string()
}
