//! Opens data: a built-in data set by its name, a path, a pattern of paths, or standard input.
//!
//! A new format is one file in this folder and one line in [`FORMATS`].

mod arrow;
mod builtin;
mod claims;
mod endings;
mod folder;
mod foreign;
mod format;
mod idx_files;
mod images;
mod left_out;
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
use flate2::read::MultiGzDecoder;

pub use builtin::BUILTIN;
use folder::What;
pub use format::{BuiltIn, Format, Sets};
use format::{Content, short_name};
use left_out::LeftOut;

use crate::{
    Column, DataError, Geometry, Missing, Options, Rows,
    array::Replace,
    limit::Limit,
    options,
    table::{InMemory, Joined, Table, rows as rows_in},
    tabular::{Known, rows_of},
};

/// All file formats, in the order in which they are listed. A file with another extension is read as text or IDX,
/// whichever its contents look like.
pub const FORMATS: &[Format] = &[
    text::FORMAT,
    arrow::PARQUET,
    arrow::ARROW,
    numpy::NPY,
    numpy::NPZ,
    safetensors_file::FORMAT,
    Format { name: "image", extensions: &endings::IMAGES, read: images::file },
];

/// Maximum ratio between the values of later images and of the training images, in either direction, without a note.
const UNLIKE: f64 = 10.0;

/// Checks that `rows` match the training rows. Images are converted to the same bit depth, gray images to RGB if
/// needed, and plain rows with the right number of values become images.
fn check(known: &Known, rows: &mut Rows, origin: &Path) -> Result<(), DataError> {
    let image = |geometry: Option<Geometry>| {
        geometry.map_or("rows that are not images".to_string(), |geometry| format!("images of {geometry}"))
    };
    if let (Some(white), Some(found)) = (known.white, rows.white)
        && white != found
    {
        rows.rescale(f64::from(white) / f64::from(found));
        rows.notes.push(format!("white is {found} here and was {white} in training: the values are scaled to that"));
    }
    let (element, is_images) = (rows.element().name(), known.white.is_some() && rows.white.is_some());
    if rows.geometry.is_some() && !known.element.is_empty() && known.element != element && !is_images {
        rows.notes.push(format!(
            "the values are {element} here and were {} in training: their range must be the same, or every row gets a \
             high anomaly score",
            known.element
        ));
    } else if let (Some([low, high]), Some(largest)) = (known.range, rows.largest())
        && rows.geometry.is_some()
        && !(1.0 / UNLIKE..UNLIKE).contains(&(largest / low.abs().max(high.abs())))
    {
        rows.notes.push(format!(
            "the values reach {largest} here and were between {low} and {high} in training: their range must be the \
             same, or every row gets a high anomaly score"
        ));
    }
    if let (Some(wanted), Some(found)) = (known.geometry, rows.geometry)
        && (wanted.channels, wanted.height, wanted.width) == (3, found.height, found.width)
        && found.channels == 1
        && rows.white.is_some()
    {
        rows.gray_to_rgb();
        rows.notes.push("the images are gray: the gray level is used for red, green and blue".to_string());
    }
    // Images that were written as an array or as a table of numbers are images again.
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
                format!(": convert them with `--grey`{size}")
            }
            (Some(known), Some(_)) if rows.white.is_some() => {
                format!(": convert them with `--resize {}x{}`", known.height, known.width)
            }
            _ => String::new(),
        };
        format!("holds {}, but the model was trained on {}{advice}", image(rows.geometry), image(known.geometry))
    } else if rows.width() != known.width {
        format!("has rows of {} values, but the model was trained on rows of {}", rows.width(), known.width)
    } else {
        return Ok(());
    };
    Err(DataError::Malformed { path: origin.to_owned(), problem })
}

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
    open_as(name, options, None)
}

/// Opens data for a model that is already trained. The columns must be the `known` ones, in any order; the labels and
/// the identifiers may be absent.
///
/// # Errors
/// As [`open_with`], and if the rows do not match the known ones; the message says which columns differ.
pub fn open_known(name: &str, options: &Options, known: &Known) -> Result<Sets, DataError> {
    let mut sets = open_as(name, options, Some(known))?;
    for rows in std::iter::once(&mut sets.train).chain(&mut sets.test) {
        check(known, rows, Path::new(name))?;
    }
    Ok(sets)
}

/// Makes rows of a table, with options; `name` is the name of the sets.
///
/// # Errors
/// As [`rows_of`].
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
/// As [`rows_of`], and if the batches have different columns.
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

impl Content {
    /// Makes rows, matched to the `known` ones if there are any.
    fn into_rows(
        self,
        options: &Options,
        known: Option<&Known>,
        origin: &Path,
    ) -> Result<(Rows, Option<Rows>), DataError> {
        let columns = known.map(|known| known.columns).unwrap_or_default();
        let (rows, test) = match self {
            Self::Table(_) if known.is_none() && (options.resize.is_some() || options.grey) => {
                let problem = "is a table, but `--resize` and `--grey` are for image files: leave them out".to_string();
                return Err(DataError::Malformed { path: origin.to_owned(), problem });
            }
            Self::Table(table) => {
                let width = table.schema().fields().len() as u64;
                let in_file = options.streams((rows_in(table.as_ref()) as u64).saturating_mul(width).saturating_mul(4));
                return Ok((rows_of(table, options, known.filter(|_| !columns.is_empty()), in_file)?, None));
            }
            Self::Rows(rows, test) => (rows, test),
        };
        let lists =
            [&options.drop, &options.keep, &options.categorical, &options.boolean, &options.numeric, &options.integer];
        let named = lists.iter().zip(["drop", "keep", "categorical", "boolean", "numeric", "integer"]);
        let chosen = [("label", options.label.is_some()), ("id", options.id.is_some())].into_iter();
        if known.is_none() && rows.white.is_none() && (options.resize.is_some() || options.grey) {
            let problem = "holds an array, but `--resize` and `--grey` are for image files: leave them out".to_string();
            return Err(DataError::Malformed { path: origin.to_owned(), problem });
        }
        let mut chosen = chosen.chain(named.map(|(list, option)| (option, !list.is_empty())));
        match chosen.find(|(_, given)| *given && known.is_none()) {
            Some((option, _)) => {
                let problem = format!(
                    "holds an array or images without named columns, so `--{option}` does not apply: leave it out"
                );
                Err(DataError::Malformed { path: origin.to_owned(), problem })
            }
            None => {
                let (rows, test) =
                    (gaps(*rows, options, known.is_none()), test.map(|test| gaps(*test, options, known.is_none())));
                // An array of numbers has the known columns, in their order, if there are as many and all are numeric.
                let is_table = !columns.is_empty()
                    && columns.len() == rows.width()
                    && columns.iter().all(|column| column.width() == 1);
                let named = |rows: Rows| if is_table { rows.with_columns(columns.to_vec()) } else { rows };
                Ok((named(rows), test.map(named)))
            }
        }
    }

    fn into_sets(
        self,
        name: String,
        options: &Options,
        known: Option<&Known>,
        origin: &Path,
    ) -> Result<Sets, DataError> {
        let (train, test) = self.into_rows(options, known, origin)?;
        Ok(Sets { name, train, test })
    }
}

/// Rows of an array in which the numbers given by the options stand for a missing value. Their counts are reported if
/// the data `is_new`, that is, for training.
fn gaps(rows: Rows, options: &Options, is_new: bool) -> Rows {
    let Missing::These(texts) = options.missing(false) else { return rows };
    let missing = Missing::These(texts.clone()).numbers();
    let (mut rows, counts) = rows.with_gaps(&missing);
    let counts = counts.filter(|_| is_new);
    let of = |text: &str| -> Option<usize> {
        let own = Missing::These(vec![text.to_string()]).numbers();
        Some(
            missing
                .iter()
                .zip(counts.as_ref()?)
                .filter(|(number, _)| own.contains(number))
                .map(|(_, count)| count)
                .sum(),
        )
    };
    let shown: Vec<String> = texts
        .iter()
        .filter_map(|text| Some((text, of(text)?)))
        .filter(|(_, count)| *count > 0)
        .map(|(text, count)| format!("{count} x `{text}`"))
        .collect();
    if !shown.is_empty() {
        rows.notes.push(format!("read as missing: {}", shown.join(", ")));
    }
    rows.notes.extend(options::nowhere(texts.iter().map(String::as_str).filter(|text| of(text) == Some(0))));
    rows
}

/// The extension of a file in lower case; `.gz` is ignored.
fn extension(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map(|(_, extension)| extension.to_string())
}

/// The format of a file by its extension; `None` if the extension is unknown.
fn format_of(path: &Path) -> Option<&'static Format> {
    let extension = extension(path)?;
    let format = FORMATS.iter().find(|format| format.extensions.contains(&extension.as_str()))?;
    // Only text tables can be compressed.
    let is_compressed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    (!is_compressed || format.name == text::FORMAT.name).then_some(format)
}

/// Whether the file is an array of numbers in a format that [`fill_array`] can copy.
pub fn is_array(path: &Path) -> bool {
    format_of(path).is_some_and(|format| ARRAYS.iter().any(|(array, _)| array.name == format.name))
}

/// A function that copies an array and replaces its missing numbers.
type Fill = fn(&Path, &Options, &mut dyn std::io::Write, &mut Replace) -> Result<(), DataError>;

/// The array formats, each with the function that copies it.
const ARRAYS: &[(Format, Fill)] =
    &[(numpy::NPY, numpy::fill_npy), (numpy::NPZ, numpy::fill_npz), (safetensors_file::FORMAT, safetensors_file::fill)];

/// Copies the array at `path` to `output` and replaces its missing numbers by what `replace` gives for their row and
/// feature. Every other byte stays the same.
///
/// # Errors
/// If the file is not an array or can no longer be read, if the output cannot be written, or an error of `replace`.
pub fn fill_array(
    path: &Path,
    options: &Options,
    output: &mut dyn std::io::Write,
    replace: &mut Replace,
) -> Result<(), DataError> {
    let fill = format_of(path).and_then(|format| ARRAYS.iter().find(|(array, _)| array.name == format.name));
    let (_, fill) = fill.ok_or_else(|| DataError::Malformed {
        path: path.to_owned(),
        problem: "is not an array of numbers: choose an npy, npz or safetensors file".to_string(),
    })?;
    fill(path, options, output, replace)
}

/// Whether the file is a text table, by its extension or its contents.
pub fn is_text_table(path: &Path) -> bool {
    format_of(path).map_or_else(|| looks_like_text(path), |format| format.name == text::FORMAT.name)
}

/// Whether a file begins with text, compressed or not: it has no control characters but line ends and tabs.
fn looks_like_text(path: &Path) -> bool {
    let read = fs::File::open(path).and_then(|file| beginning(file, 4096)).and_then(|start| {
        match start.starts_with(&[0x1f, 0x8b]) {
            // A damaged gzip file is reported when it is read.
            true => fs::File::open(path).and_then(|file| beginning(MultiGzDecoder::new(file), 4096)),
            false => Ok(start),
        }
    });
    let start = read.unwrap_or_default();
    let printable = start.iter().filter(|&&byte| byte >= 32 || matches!(byte, b'\n' | b'\r' | b'\t')).count();
    !start.is_empty() && printable == start.len()
}

/// The first bytes, at most `most`.
fn beginning(input: impl Read, most: u64) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    input.take(most).read_to_end(&mut start).map(|_| start)
}

/// Reads a file of any format.
fn file(path: &Path, options: &Options) -> Result<Content, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let mut start = Vec::new();
    if path.is_file() {
        let read = fs::File::open(path).and_then(|file| beginning(file, 64));
        start = read.map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    }
    let text = || (text::FORMAT.read)(path, options);
    match format_of(path) {
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
                None => idx_files::file(path, Limit::of(options)).map(|rows| Content::Rows(Box::new(rows), None)),
            }
        }
    }
}

/// Reads several files of one format as one.
fn shards(paths: &[PathBuf], options: &Options) -> Result<Content, DataError> {
    if paths.iter().all(|path| endings::is_image(path)) {
        return images::several(paths, options); // together, because depth and color are decided for all of them
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
                    return Err(malformed(
                        "is too large to be joined with other files in memory: merge the files into one".to_string(),
                    ));
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
            let train =
                Known { columns: &columns, carried: &carried, width, geometry, white: None, element: "", range: None };
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
