//! Copies NumPy files and replaces their missing numbers.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, Write},
    path::Path,
};

use npyz::Order;
use zip::ZipArchive;

use super::{
    super::named_arrays::Named,
    header::{Header, header},
};
use crate::{
    DataError, Options,
    array::{Layout, Replace},
};

/// Copies an array and replaces its missing numbers.
pub(in crate::source) fn fill_npy(
    path: &Path,
    options: &Options,
    output: &mut dyn Write,
    replace: &mut Replace,
) -> Result<(), DataError> {
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    fill(&mut file, options, output, path, replace).map(drop)
}

/// Copies an array and replaces its missing numbers. Returns its number of rows.
fn fill(
    input: &mut dyn Read,
    options: &Options,
    output: &mut dyn Write,
    path: &Path,
    replace: &mut Replace,
) -> Result<usize, DataError> {
    let mut start = Recorded { input, read: Vec::new() };
    let Header { element, big_endian, dims, order } = header(&mut start, path)?;
    let Recorded { input, read } = start;
    let written = |error: std::io::Error| DataError::Write { path: path.to_owned(), reason: error.to_string() };
    output.write_all(&read).map_err(written)?;
    let missing = options.missing(false).numbers();
    let layout = Layout { element, big_endian, dims, column_major: order == Order::Fortran, missing };
    layout.fill(input, output, path, replace)?;
    std::io::copy(input, output).map_err(written)?;
    Ok(layout.dims[0])
}

/// A reader that records what was read.
struct Recorded<'a> {
    input: &'a mut dyn Read,
    read: Vec<u8>,
}

impl Read for Recorded<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(bytes)?;
        self.read.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

/// Copies an archive and replaces the missing numbers in its arrays of rows. Every other entry stays the same.
pub(in crate::source) fn fill_npz(
    path: &Path,
    options: &Options,
    output: &mut dyn Write,
    replace: &mut Replace,
) -> Result<(), DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let damaged =
        |error: zip::result::ZipError| malformed(format!("is not an archive of NumPy arrays, or damaged: {error}"));
    let written = |error: zip::result::ZipError| DataError::Write { path: path.to_owned(), reason: error.to_string() };
    let failed = |error: std::io::Error| DataError::Write { path: path.to_owned(), reason: error.to_string() };
    let file = File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(Result::ok)
        .filter_map(|name| name.strip_suffix(".npy").map(str::to_string))
        .collect();
    // `replace` is called in the order of the rows, whatever the order of the entries.
    let (mut filled, mut before) = (HashMap::new(), 0);
    for name in (Named { names, path, options }).rows()? {
        let name = format!("{name}.npy");
        let mut scratch = BufWriter::new(tempfile::tempfile().map_err(failed)?);
        let mut entry = archive.by_name(&name).map_err(damaged)?;
        before += fill(&mut entry, options, &mut scratch, path, &mut |row, feature| replace(before + row, feature))?;
        let mut scratch = scratch.into_inner().map_err(|error| failed(error.into_error()))?;
        scratch.rewind().map_err(failed)?;
        filled.insert(name, scratch);
    }
    // Writing an archive needs seeking, so it goes to a temporary file first.
    let mut copy = zip::ZipWriter::new(BufWriter::new(tempfile::tempfile().map_err(failed)?));
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        let (name, method) = (entry.name().map_err(damaged)?.to_string(), entry.compression());
        let Some(mut scratch) = filled.remove(&name) else {
            copy.raw_copy_file(entry).map_err(written)?;
            continue;
        };
        let options = zip::write::SimpleFileOptions::default().compression_method(method).large_file(true);
        copy.start_file(name, options).map_err(written)?;
        std::io::copy(&mut scratch, &mut copy).map_err(failed)?;
    }
    let mut scratch = copy.finish().map_err(written)?.into_inner().map_err(|error| failed(error.into_error()))?;
    scratch.rewind().map_err(failed)?;
    std::io::copy(&mut scratch, output).map(drop).map_err(failed)
}
