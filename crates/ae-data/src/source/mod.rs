//! Where rows come from: a name, a path, a pattern, or standard input.
//!
//! A new format is one file here and one line in [`FORMATS`].

mod arrow;
mod builtin;
mod folder;
mod foreign;
mod idx_files;
mod images;
mod numpy;
mod safetensors_file;
mod text;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::RecordBatch;

pub use builtin::BUILTIN;
use folder::{LeftOut, What};

use crate::{
    Array, Column, DataError, Geometry, Options, Rows,
    array::Replace,
    table::{InMemory, Joined, Table, rows as rows_in},
    tabular::{Known, rows_of},
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

/// Every format of files, in the order in which they are listed to people. A file of any other ending is IDX or text, whatever it looks like.
pub const FORMATS: &[Format] = &[
    text::FORMAT,
    arrow::PARQUET,
    arrow::ARROW,
    numpy::NPY,
    numpy::NPZ,
    safetensors_file::FORMAT,
    Format { name: "image", extensions: &images::EXTENSIONS, read: images::file },
];

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
struct Named<'a> {
    names: Vec<String>,
    path: &'a Path,
    options: &'a Options,
}

impl Named<'_> {
    /// The array that holds the rows: the one that a person names; else the only one, or the one called `x` or its like.
    fn chosen(&self) -> Result<String, DataError> {
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
    fn content(
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

/// Whether `rows` are like those that are known; pictures are brought to the same depth, grey ones to colours, and plain rows of as many numbers are
/// taken for images.
fn check(known: &Known, rows: &mut Rows, origin: &Path) -> Result<(), DataError> {
    let image =
        |geometry: Option<Geometry>| geometry.map_or("rows that are no images".to_string(), |geometry| format!("images of {geometry}"));
    if let (Some(white), Some(found)) = (known.white, rows.white)
        && white != found
    {
        rows.rescale(f64::from(white) / f64::from(found));
        rows.notes.push(format!("white is {found} here and was {white} in training: the values are brought to that"));
    }
    if let (Some(wanted), Some(found)) = (known.geometry, rows.geometry)
        && (wanted.channels, wanted.height, wanted.width) == (3, found.height, found.width)
        && found.channels == 1
        && rows.white.is_some()
    {
        rows.colour();
        rows.notes.push("grey pictures: the grey level is taken for red, green and blue".to_string());
    }
    // What was written as an array or a table of numbers comes back as the images that it is.
    let is_plain = rows.encoding().is_none_or(|encoding| encoding.layout().numbers == rows.width());
    if rows.geometry.is_none() && known.geometry.is_some() && rows.width() == known.width && is_plain {
        rows.geometry = known.geometry;
    }
    let problem = if rows.geometry != known.geometry {
        let advice = match (known.geometry, rows.geometry) {
            (Some(known), Some(found)) if rows.white.is_some() && known.channels == 1 && found.channels > 1 => {
                let size = if (known.height, known.width) == (found.height, found.width) {
                    String::new()
                } else {
                    format!(" and `--resize {}x{}`", known.height, known.width)
                };
                format!(": `--grey`{size} brings them there")
            }
            (Some(known), Some(_)) if rows.white.is_some() => format!(": `--resize {}x{}` brings them there", known.height, known.width),
            _ => String::new(),
        };
        format!("holds {}, but {} were trained on{advice}", image(rows.geometry), image(known.geometry))
    } else if rows.width() != known.width {
        format!("has rows of {} values, but rows of {} were trained on", rows.width(), known.width)
    } else {
        return Ok(());
    };
    Err(DataError::Malformed { path: origin.to_owned(), problem })
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
    let mut sets = open_as(name, options, Some(known))?;
    for rows in std::iter::once(&mut sets.train).chain(&mut sets.test) {
        check(known, rows, Path::new(name))?;
    }
    Ok(sets)
}

/// The rows that `options` make of a table, as sets of this name.
///
/// # Errors
/// As [`rows_of`].
pub fn from_table(name: &str, table: Arc<dyn Table>, options: &Options) -> Result<Sets, DataError> {
    Content::Table(table).into_sets(name.to_string(), options, None, Path::new(name))
}

/// The same of Arrow record batches.
///
/// # Errors
/// As [`rows_of`], and batches of different columns.
pub fn from_batches(name: &str, batches: Vec<RecordBatch>, options: &Options) -> Result<Sets, DataError> {
    let schema = batches.first().map(RecordBatch::schema);
    let none = || DataError::Malformed { path: name.into(), problem: "holds no rows".to_string() };
    from_table(name, Arc::new(InMemory::new(Path::new(name), schema.ok_or_else(none)?, batches)?), options)
}

fn open_as(name: &str, options: &Options, known: Option<&Known>) -> Result<Sets, DataError> {
    if let Some(sets) = builtin::open(name) {
        return sets;
    }
    if name == "-" {
        return text::standard_input(options)?.into_sets("stdin".to_string(), options, known, Path::new("standard input"));
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
    /// The rows, as those that are `known`, if any are.
    fn into_rows(self, options: &Options, known: Option<&Known>, origin: &Path) -> Result<(Rows, Option<Rows>), DataError> {
        let columns = known.map(|known| known.columns).unwrap_or_default();
        let (rows, test) = match self {
            Self::Table(table) => {
                let width = table.schema().fields().len() as u64;
                let in_file = options.streams((rows_in(table.as_ref()) as u64).saturating_mul(width).saturating_mul(4));
                return Ok((rows_of(table, options, known.filter(|_| !columns.is_empty()), in_file)?, None));
            }
            Self::Rows(rows, test) => (rows, test),
        };
        let lists = [&options.drop, &options.keep, &options.categorical, &options.boolean, &options.numeric, &options.integer];
        let named = lists.iter().zip(["drop", "keep", "categorical", "boolean", "numeric", "integer"]);
        let chosen = [("label", options.label.is_some()), ("id", options.id.is_some())].into_iter();
        if known.is_none() && rows.white.is_none() && (options.resize.is_some() || options.grey) {
            let problem = "holds an array, which `--resize` and `--grey` do not change: they are for picture files".to_string();
            return Err(DataError::Malformed { path: origin.to_owned(), problem });
        }
        let mut chosen = chosen.chain(named.map(|(list, option)| (option, !list.is_empty())));
        match chosen.find(|(_, given)| *given && known.is_none()) {
            Some((option, _)) => {
                let problem = format!("has no named columns, which `--{option}` chooses among: it holds an array or images");
                Err(DataError::Malformed { path: origin.to_owned(), problem })
            }
            // An array of numbers stands for a table's columns in their order, if there are as many and all are numbers.
            None if !columns.is_empty() && columns.len() == rows.width() && columns.iter().all(|column| column.width() == 1) => {
                Ok((rows.with_columns(columns.to_vec()), test.map(|test| test.with_columns(columns.to_vec()))))
            }
            None => Ok((*rows, test.map(|test| *test))),
        }
    }

    fn into_sets(self, name: String, options: &Options, known: Option<&Known>, origin: &Path) -> Result<Sets, DataError> {
        let (train, test) = self.into_rows(options, known, origin)?;
        Ok(Sets { name, train, test })
    }
}

/// The ending of a file in lower case, without the `.gz` of a compressed one.
fn extension(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map(|(_, extension)| extension.to_string())
}

/// The format of a file, by its ending; none if that says nothing.
fn format(path: &Path) -> Option<&'static Format> {
    let extension = extension(path)?;
    let format = FORMATS.iter().find(|format| format.extensions.contains(&extension.as_str()))?;
    // Tables of text alone are read while they are compressed.
    let is_compressed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    (!is_compressed || format.name == text::FORMAT.name).then_some(format)
}

/// Whether the file is an array of numbers in a format that [`fill_array`] copies.
pub fn is_array(path: &Path) -> bool {
    format(path).is_some_and(|format| ARRAYS.iter().any(|(array, _)| array.name == format.name))
}

/// What copies an array.
type Fill = fn(&Path, &Options, &mut dyn std::io::Write, &mut Replace) -> Result<(), DataError>;

/// Formats of arrays, and what copies them.
const ARRAYS: &[(Format, Fill)] =
    &[(numpy::NPY, numpy::fill_npy), (numpy::NPZ, numpy::fill_npz), (safetensors_file::FORMAT, safetensors_file::fill)];

/// Writes the array at `path` to `output` with its missing numbers replaced by what `replace` gives for their row and feature, and every other byte as
/// it was.
///
/// # Errors
/// A file that is no array, or can no longer be read; a place that cannot be written; whatever `replace` fails with.
pub fn fill_array(path: &Path, options: &Options, output: &mut dyn std::io::Write, replace: &mut Replace) -> Result<(), DataError> {
    let fill = format(path).and_then(|format| ARRAYS.iter().find(|(array, _)| array.name == format.name));
    let (_, fill) = fill.ok_or_else(|| DataError::Malformed { path: path.to_owned(), problem: "is no array of numbers".to_string() })?;
    fill(path, options, output, replace)
}

/// Whether the file is a table of text, by its ending or its contents.
pub fn is_text_table(path: &Path) -> bool {
    format(path).map_or_else(|| looks_like_text(path), |format| format.name == text::FORMAT.name)
}

/// Whether a file begins with text: no zero bytes, and mostly letters, digits and marks.
fn looks_like_text(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut start));
    let printable = start.iter().filter(|&&byte| byte >= 32 || matches!(byte, b'\n' | b'\r' | b'\t')).count();
    read.is_ok() && !start.is_empty() && printable == start.len()
}

fn file(path: &Path, options: &Options) -> Result<Content, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let mut start = Vec::new();
    if path.is_file() {
        let read = fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
        read.map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    }
    let text = || (text::FORMAT.read)(path, options);
    match format(path) {
        Some(format) if format.name == text::FORMAT.name => match foreign::disguised(&start) {
            Some(problem) => Err(malformed(problem)),
            None => text(),
        },
        Some(format) => (format.read)(path, options),
        None => {
            let foreign = extension(path).and_then(|extension| foreign::about(&extension));
            match foreign.or_else(|| foreign::disguised(&start)) {
                Some(problem) => Err(malformed(problem)),
                None if looks_like_text(path) => text(),
                None => idx_files::file(path).map(|rows| Content::Rows(Box::new(rows), None)),
            }
        }
    }
}

/// Several files of one format, as one.
fn shards(paths: &[PathBuf], options: &Options) -> Result<Content, DataError> {
    if paths.iter().all(|path| images::is_picture(path)) {
        return images::several(paths, options); // together, as they decide together on depth and colours
    }
    let mut tables: Vec<Arc<dyn Table>> = Vec::new();
    let mut arrays: Vec<Rows> = Vec::new();
    for path in paths {
        let malformed = |problem: String| DataError::Malformed { path: path.clone(), problem };
        let content = file(path, options)?;
        if paths.len() == 1 {
            return Ok(content);
        }
        match content {
            Content::Table(table) if arrays.is_empty() => tables.push(table),
            Content::Rows(rows, None) if tables.is_empty() => {
                if rows.store().is_some() {
                    return Err(malformed("is too large to be joined with other files in memory: join them into one file".to_string()));
                }
                if let Some(first) = arrays.first()
                    && (rows.width(), rows.geometry, rows.labels.is_some()) != (first.width(), first.geometry, first.labels.is_some())
                {
                    let (found, expected) = (rows.width(), first.width());
                    return Err(malformed(format!(
                        "has rows of {found} values, the files before it of {expected}, or another shape or labels"
                    )));
                }
                arrays.push(*rows);
            }
            _ => return Err(malformed("is of another format than the files before it: name files of one format".to_string())),
        }
    }
    if arrays.is_empty() {
        return Ok(Content::Table(Arc::new(Joined::new(tables)?)));
    }
    let mut whole = arrays.remove(0);
    for more in arrays {
        whole.append(more)?;
    }
    Ok(Content::Rows(Box::new(whole), None))
}

/// A folder: of IDX files with the names of MNIST, or what most of it is: images, or a `train` and a `test` file, or shards of one format.
fn folder(path: &Path, options: &Options, known: Option<&Known>) -> Result<Sets, DataError> {
    if idx_files::is_folder(path) {
        return idx_files::folder(path);
    }
    let all = folder::listing(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let mut chosen = match folder::what(&all) {
        What::Pictures => return images::folder(path, options),
        What::Tables(chosen) => chosen,
        What::Mixed(formats) => {
            let problem = format!("holds files of several formats ({}): name one file, or a pattern", formats.join(", "));
            return Err(DataError::Malformed { path: path.to_owned(), problem });
        }
        What::Nothing => return Err(DataError::NoData { path: path.to_owned() }),
    };
    let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let named = |name: &str| chosen.iter().find(|path| stem(path) == name).cloned();
    let name = short_name(path);
    let mut sets = match (named("train"), named("test")) {
        (Some(train), Some(test)) => {
            chosen = vec![train.clone(), test.clone()];
            let (train_path, test_path) = (path.join(train), path.join(test));
            let mut sets = file(&train_path, options)?.into_sets(name, options, known, &train_path)?;
            let columns: Vec<Column> = sets.train.encoding().map(|encoding| encoding.columns().to_vec()).unwrap_or_default();
            let carried = sets.train.carried_names();
            let (width, geometry) = (sets.train.width(), sets.train.geometry);
            let train = Known { columns: &columns, carried: &carried, width, geometry, white: None };
            let (test, _) = file(&test_path, options)?.into_rows(options, Some(known.unwrap_or(&train)), &test_path)?;
            if test.width() != sets.train.width() || test.geometry != sets.train.geometry {
                let problem = format!("has rows of {} values, the training file of {}", test.width(), sets.train.width());
                return Err(DataError::Malformed { path: test_path, problem });
            }
            sets.test = Some(test);
            sets
        }
        _ => {
            let paths: Vec<PathBuf> = chosen.iter().map(|chosen| path.join(chosen)).collect();
            shards(&paths, options)?.into_sets(name, options, known, path)?
        }
    };
    sets.train.notes.extend(LeftOut::beside_tables(&all, &chosen).note());
    Ok(sets)
}

/// The last part of a path without its extensions.
fn short_name(path: &Path) -> String {
    let name = path.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "data".to_string());
    name.split('.').find(|part| !part.is_empty()).unwrap_or("data").to_string()
}
