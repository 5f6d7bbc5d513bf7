//! Reads NumPy files: `.npy` (one array) and `.npz` (several arrays by name), with any numeric type, byte order and
//! memory order.

mod fill;
mod header;
mod values;

use std::{
    cell::RefCell,
    fs::File,
    io::{BufReader, Read, Seek},
    path::{Path, PathBuf},
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
    Array, DataError, Element, Options, Rows,
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
    let arrays = Arrays::open(path, options)?;
    Named { names: arrays.names(), path, options }.content(
        |name| arrays.read(name)?.into_rows(path),
        |name| member(&arrays.archive, name, path, |entry| labels(entry, path, &arrays.room)),
    )
}

/// The arrays of a `.npz` file by their names, each of which is read when it is asked for.
pub struct Arrays {
    path: PathBuf,
    archive: RefCell<Archive>,
    room: Room,
}

impl Arrays {
    /// Opens a file.
    ///
    /// # Errors
    /// The file cannot be read, or is not an archive.
    pub fn open(path: &Path, options: &Options) -> Result<Self, DataError> {
        let failed = |source| DataError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let held = file.metadata().map_err(failed)?.len();
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| DataError::Malformed {
            path: path.to_owned(),
            problem: format!("is not an archive of NumPy arrays, or damaged: {error}"),
        })?;
        let room = Room { limit: Limit::of(options), held, most: u64::MAX };
        Ok(Self { path: path.to_owned(), archive: RefCell::new(archive), room })
    }

    /// The names.
    pub fn names(&self) -> Vec<String> {
        let archive = self.archive.borrow();
        let entries = archive.file_names().filter_map(Result::ok);
        entries.filter_map(|name| name.strip_suffix(".npy").map(str::to_string)).collect()
    }

    /// Reads an array, with any number of dimensions.
    ///
    /// # Errors
    /// There is no array of this name, it is damaged or does not consist of numbers, or it would take more memory than
    /// the options allow.
    pub fn read(&self, name: &str) -> Result<Array, DataError> {
        member(&self.archive, name, &self.path, |entry| array(entry, &self.path, &self.room))
    }
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
