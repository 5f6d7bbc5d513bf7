//! Detects the format of a file, and reads it.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use flate2::read::MultiGzDecoder;

use super::{
    arrow, content::Content, endings, foreign, format::Format, idx_files, images, numpy, safetensors_file, text,
};
use crate::{DataError, Options, array::Replace, limit::Limit};

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

/// The extension of a file in lower case; `.gz` is ignored.
fn extension(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map(|(_, extension)| extension.to_string())
}

/// The format of a file by its extension; `None` if the extension is unknown.
pub(super) fn format_of(path: &Path) -> Option<&'static Format> {
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
type Fill = fn(&Path, &Options, &mut dyn Write, &mut Replace) -> Result<(), DataError>;

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
    output: &mut dyn Write,
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
pub(super) fn file(path: &Path, options: &Options) -> Result<Content, DataError> {
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
