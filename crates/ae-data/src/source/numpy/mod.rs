//! Reads NumPy files: `.npy` (one array) and `.npz` (several arrays by name), with any numeric type, byte order and
//! memory order.

mod fill;
mod header;
mod values;

use std::{
    cell::RefCell,
    fs::File,
    io::{BufReader, Read, Seek},
    path::Path,
};

use npyz::Order;
use zip::ZipArchive;

pub(super) use self::{
    fill::{fill_npy, fill_npz},
    header::sizes,
};
use self::{
    header::header,
    values::{Room, array, labels},
};
use super::{content::Content, format::Format, named_arrays::Named};
use crate::{
    DataError, Element, Options, Rows,
    array::shape_of_rows,
    limit::Limit,
    store::{RawFile, Store},
};

pub(super) const NPY: Format = Format { name: "NumPy array", extensions: &["npy"], read: read_npy };
pub(super) const NPZ: Format = Format { name: "NumPy arrays", extensions: &["npz"], read: read_npz };

fn read_npy(path: &Path, options: &Options) -> Result<Content, DataError> {
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if options.streams(bytes) {
        let header = header(&mut file, path)?;
        let (width, geometry, channels_last) = shape_of_rows(&header.dims, path)?;
        // Arrays that must be reordered are read as a whole, however large.
        if header.order == Order::C && !channels_last {
            let offset = file.stream_position().map_err(failed)?;
            let element = header.element;
            let blocks =
                RawFile::new(path.to_owned(), file, (element, header.big_endian), offset, header.dims[0], width)?;
            let floats = matches!(element, Element::F16 | Element::BF16 | Element::F32 | Element::F64);
            let mut rows = Rows::stored(Store::new(Box::new(blocks), width), width, floats);
            rows.geometry = geometry;
            return Ok(Content::Rows(Box::new(rows), None));
        }
        file.rewind().map_err(failed)?;
    }
    let room = Room { limit: Limit::of(options), held: bytes, most: bytes };
    let array = array(BufReader::new(file), path, &room)?;
    Ok(Content::Rows(Box::new(array.into_rows(path)?), None))
}

fn read_npz(path: &Path, options: &Options) -> Result<Content, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let held = file.metadata().map_err(failed)?.len();
    let damaged =
        |error: zip::result::ZipError| malformed(format!("is not an archive of NumPy arrays, or damaged: {error}"));
    let archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let entries = archive.file_names().filter_map(Result::ok);
    let names: Vec<String> = entries.filter_map(|name| name.strip_suffix(".npy").map(str::to_string)).collect();
    let archive = RefCell::new(archive);
    let room = Room { limit: Limit::of(options), held, most: u64::MAX };
    Named { names, path, options }.content(
        |name| member(&archive, name, path, |entry| array(entry, path, &room))?.into_rows(path),
        |name| member(&archive, name, path, |entry| labels(entry, path, &room)),
    )
}

type Archive = ZipArchive<BufReader<File>>;

/// The result of `read` for an array in an archive, after its checksum is verified.
fn member<T>(
    archive: &RefCell<Archive>,
    name: &str,
    path: &Path,
    read: impl FnOnce(&mut dyn Read) -> Result<T, DataError>,
) -> Result<T, DataError> {
    let damaged = |error: &dyn std::fmt::Display| DataError::Malformed {
        path: path.to_owned(),
        problem: format!("its array `{name}` is damaged: {error}"),
    };
    let mut archive = archive.borrow_mut();
    let mut entry = archive.by_name(&format!("{name}.npy")).map_err(|error| damaged(&error))?;
    let made = read(&mut entry)?;
    // The checksum is compared at the end of the entry.
    std::io::copy(&mut entry, &mut std::io::sink()).map_err(|error| damaged(&error))?;
    Ok(made)
}
