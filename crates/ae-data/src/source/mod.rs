//! Opens data: a built-in data set by its name, a path, a pattern of paths, or standard input.
//!
//! A new format is one file in this folder and one line in [`FORMATS`].

mod arrow;
mod builtin;
mod claims;
mod content;
mod dataset_folder;
mod endings;
mod file;
mod folder;
mod foreign;
mod format;
mod idx_files;
mod images;
mod known;
mod left_out;
mod named_arrays;
mod numpy;
mod safetensors_file;
mod section;
mod sets;
mod shards;
mod target;
mod text;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::RecordBatch;

pub use self::{
    builtin::BUILTIN,
    file::{FORMATS, fill_array, is_array, is_text_table},
    format::Format,
    numpy::Arrays,
    sets::{BuiltIn, Sets},
};
use self::{
    content::Content,
    file::{file, format_of},
    folder::What,
    known::check,
    left_out::LeftOut,
    sets::short_name,
};
use crate::{
    Column, DataError, Options, Rows,
    limit::Limit,
    table::{InMemory, Joined, Table},
    tabular::Known,
};

/// Opens the built-in data set, path or pattern `name`, or standard input for `-`.
///
/// ```
/// let digits = ae_data::open("digits")?;
/// assert_eq!((digits.train.len(), digits.train.width()), (3823, 64));
/// # Ok::<(), ae_data::DataError>(())
/// ```
///
/// # Errors
/// If the name is unknown, or a file cannot be read or is invalid.
pub fn open(name: &str) -> Result<Sets, DataError> {
    open_with(name, &Options::default())
}

/// Opens data as [`open`] does, with options.
///
/// # Errors
/// As [`open`], and if the options do not fit the data.
pub fn open_with(name: &str, options: &Options) -> Result<Sets, DataError> {
    target::attached(name, options, open_as(name, options, None)?, None)
}

/// Opens data for a model that is already trained. The columns must be the `known` ones, in any order; the labels and
/// the identifiers may be absent.
///
/// # Errors
/// As [`open_with`], and if the rows do not match the known ones; the message says which columns differ.
pub fn open_known(name: &str, options: &Options, known: &Known) -> Result<Sets, DataError> {
    let mut sets = target::attached(name, options, open_as(name, options, Some(known))?, Some(known))?;
    for rows in std::iter::once(&mut sets.train).chain(&mut sets.test) {
        check(known, rows, Path::new(name))?;
    }
    Ok(sets)
}

/// Makes rows of a table, with options; `name` is the name of the sets.
///
/// # Errors
/// As [`rows_of`](crate::tabular::rows_of).
pub fn from_table(name: &str, table: Arc<dyn Table>, options: &Options) -> Result<Sets, DataError> {
    Content::Table(table).into_sets(name.to_string(), options, None, Path::new(name))
}

/// Makes rows of Arrow record batches, with options.
///
/// ```
/// use std::sync::Arc;
///
/// use ae_data::{Options, source::from_batches};
/// use arrow_array::{ArrayRef, Float64Array, RecordBatch};
///
/// let weights = Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5])) as ArrayRef;
/// let batch = RecordBatch::try_from_iter([("weight", weights)])?;
/// let sets = from_batches("fruit", vec![batch], &Options::default())?;
/// assert_eq!((sets.train.len(), sets.train.width()), (3, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`rows_of`](crate::tabular::rows_of), and if the batches have different columns.
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
        return text::standard_input(options)?.into_sets(
            "stdin".to_string(),
            options,
            known,
            Path::new("standard input"),
        );
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
        let found = glob::glob(name).map_err(|error| malformed(format!("is not a valid pattern of files: {error}")))?;
        let mut paths: Vec<PathBuf> = found.filter_map(Result::ok).filter(|path| path.is_file()).collect();
        paths.sort();
        if paths.is_empty() {
            return Err(malformed("no file matches this pattern".to_string()));
        }
        let mut sets = shards(&paths, options)?.into_sets(short_name(&paths[0]), options, known, &paths[0])?;
        sets.train.notes.extend(folder::partitions(&paths));
        return Ok(sets);
    }
    let known: Vec<_> = BUILTIN.iter().map(|set| set.name).collect();
    Err(DataError::Unknown { name: name.to_string(), known: known.join(", ") })
}

/// The options for several files: arrays that are large together stay in their files, however small each is.
fn together(paths: &[PathBuf], options: &Options) -> Options {
    if paths.len() < 2 || !paths.iter().all(|path| is_array(path)) {
        return options.clone();
    }
    let bytes = paths.iter().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum();
    Options { stream: Some(options.streams(bytes)), ..options.clone() }
}

/// Reads several files of one format as one.
fn shards(paths: &[PathBuf], options: &Options) -> Result<Content, DataError> {
    if paths.iter().all(|path| endings::is_image(path)) {
        return images::several(paths, options); // together, because depth and color are decided for all of them
    }
    let mut tables: Vec<Arc<dyn Table>> = Vec::new();
    let mut arrays: Vec<Rows> = Vec::new();
    let options = &together(paths, options);
    for path in paths {
        let malformed = |problem: String| DataError::Malformed { path: path.clone(), problem };
        let content = file(path, options)?;
        if paths.len() == 1 {
            return Ok(content);
        }
        match content {
            Content::Table(table) if arrays.is_empty() => tables.push(table),
            Content::Rows(rows, None) if tables.is_empty() => {
                if arrays.first().is_some_and(|first| first.store().is_some() != rows.store().is_some()) {
                    let problem = "can only be read as a whole, and other files are too large for that: save all of \
                                   them in one layout, such as `numpy.save`";
                    return Err(malformed(problem.to_string()));
                }
                if let Some(first) = arrays.first()
                    && (rows.width(), rows.geometry, rows.labels.is_some())
                        != (first.width(), first.geometry, first.labels.is_some())
                {
                    let (found, expected) = (rows.width(), first.width());
                    return Err(malformed(format!(
                        "has rows of {found} values, but the files before it have {expected}, or its shape or labels \
                         differ: name files that match"
                    )));
                }
                arrays.push(*rows);
            }
            _ => {
                return Err(malformed(
                    "has another format than the files before it: name files of one format".to_string(),
                ));
            }
        }
    }
    if arrays.is_empty() {
        return Ok(Content::Table(Arc::new(Joined::new(tables)?)));
    }
    if arrays[0].store().is_some() {
        return Ok(Content::Rows(Box::new(shards::join(arrays, &paths[0])?), None));
    }
    let mut whole = arrays.remove(0);
    for more in arrays {
        whole.append(more)?;
    }
    Ok(Content::Rows(Box::new(whole), None))
}

/// Reads a folder: IDX files with the names of MNIST; or images, a `train` and a `test` file, or shards of one format,
/// whichever most of its files are.
fn folder(path: &Path, options: &Options, known: Option<&Known>) -> Result<Sets, DataError> {
    if idx_files::is_folder(path) {
        return idx_files::folder(path, Limit::of(options));
    }
    if let Some(files) = dataset_folder::files(path, options)? {
        let rows = Content::Rows(Box::new(dataset_folder::rows(&files, options)?), None);
        return rows.into_sets(short_name(path), options, known, path);
    }
    let all = folder::listing(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let mut chosen = match folder::what(&all, &|path| format_of(path).map(|format| format.name)) {
        What::Images => return images::folder(path, options),
        What::Tables(chosen) => chosen,
        What::Mixed(formats) => {
            let problem =
                format!("holds files of several formats ({}): name one file or a pattern", formats.join(", "));
            return Err(DataError::Malformed { path: path.to_owned(), problem });
        }
        What::Nothing => {
            return Err(match folder::below(path, &all, &|path| format_of(path).map(|format| format.name)) {
                Some(problem) => DataError::Malformed { path: path.to_owned(), problem },
                None => DataError::NoData { path: path.to_owned() },
            });
        }
    };
    let stem =
        |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let named = |name: &str| chosen.iter().find(|path| stem(path) == name).cloned();
    let name = short_name(path);
    let mut sets = match (named("train"), named("test")) {
        (Some(train), Some(test)) => {
            chosen = vec![train.clone(), test.clone()];
            let (train_path, test_path) = (path.join(train), path.join(test));
            let mut sets = file(&train_path, options)?.into_sets(name, options, known, &train_path)?;
            let columns: Vec<Column> =
                sets.train.encoding().map(|encoding| encoding.columns().to_vec()).unwrap_or_default();
            let carried = sets.train.carried_names();
            let (width, geometry) = (sets.train.width(), sets.train.geometry);
            let train = Known {
                columns: &columns,
                carried: &carried,
                width,
                geometry,
                white: None,
                element: "",
                range: None,
                target: None,
            };
            let (test, _) = file(&test_path, options)?.into_rows(options, Some(known.unwrap_or(&train)), &test_path)?;
            if test.width() != sets.train.width() || test.geometry != sets.train.geometry {
                let problem = format!(
                    "has rows of {} values, but the training file has {}: the two must match",
                    test.width(),
                    sets.train.width()
                );
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
