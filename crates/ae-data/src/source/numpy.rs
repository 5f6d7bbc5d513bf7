//! NumPy's `.npy` (one array) and `.npz` (several, by name), of any numeric type and byte order, in row- or column-major order.

use std::{
    cell::RefCell,
    fs::File,
    io::{BufReader, Read, Seek, Write},
    path::Path,
};

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};
use zip::ZipArchive;

use super::format::{Content, Format, Named};
use crate::{
    Array, DataError, Element, Options, Rows,
    array::{Layout, Replace, row_major, shape_of_rows},
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
        let (width, geometry, colours_last) = shape_of_rows(&header.dims, path)?;
        // Rows that must be put in order first are read as a whole, however large.
        if header.order == Order::C && !colours_last {
            let offset = file.stream_position().map_err(failed)?;
            let element = header.element;
            let blocks = RawFile::new(path.to_owned(), file, (element, header.big_endian), offset, header.dims[0], width)?;
            let floats = matches!(element, Element::F16 | Element::BF16 | Element::F32 | Element::F64);
            let mut rows = Rows::stored(Store::new(Box::new(blocks), width), width, floats);
            rows.geometry = geometry;
            return Ok(Content::Rows(Box::new(rows), None));
        }
        file.rewind().map_err(failed)?;
    }
    let array = array(BufReader::new(file), path)?;
    Ok(Content::Rows(Box::new(array.into_rows(path)?), None))
}

fn read_npz(path: &Path, options: &Options) -> Result<Content, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let file = File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let damaged = |error: zip::result::ZipError| malformed(format!("is no archive of NumPy arrays, or damaged: {error}"));
    let archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let entries = archive.file_names().filter_map(Result::ok);
    let names: Vec<String> = entries.filter_map(|name| name.strip_suffix(".npy").map(str::to_string)).collect();
    let archive = RefCell::new(archive);
    let load = |name: &str| {
        let mut archive = archive.borrow_mut();
        let entry = archive.by_name(&format!("{name}.npy")).map_err(damaged)?;
        array(entry, path)
    };
    Named { names, path, options }.content(|name| load(name)?.into_rows(path), load)
}

/// Copies an array with its missing numbers replaced.
pub(super) fn fill_npy(path: &Path, _: &Options, output: &mut dyn Write, replace: &mut Replace) -> Result<(), DataError> {
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    fill(&mut file, output, path, replace)
}

fn fill(input: &mut dyn Read, output: &mut dyn Write, path: &Path, replace: &mut Replace) -> Result<(), DataError> {
    let mut start = Recorded { input, read: Vec::new() };
    let Header { element, big_endian, dims, order } = header(&mut start, path)?;
    let Recorded { input, read } = start;
    let written = |error: std::io::Error| DataError::Write { path: path.to_owned(), reason: error.to_string() };
    output.write_all(&read).map_err(written)?;
    Layout { element, big_endian, dims, column_major: order == Order::Fortran }.fill(input, output, path, replace)?;
    std::io::copy(input, output).map(drop).map_err(written)
}

/// What was read, beside what is still to come.
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

/// Copies an archive with the missing numbers of the array that is read from it replaced; every other entry stays as it is.
pub(super) fn fill_npz(path: &Path, options: &Options, output: &mut dyn Write, replace: &mut Replace) -> Result<(), DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let damaged = |error: zip::result::ZipError| malformed(format!("is no archive of NumPy arrays, or damaged: {error}"));
    let written = |error: zip::result::ZipError| DataError::Write { path: path.to_owned(), reason: error.to_string() };
    let file = File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let names: Vec<String> =
        archive.file_names().filter_map(Result::ok).filter_map(|name| name.strip_suffix(".npy").map(str::to_string)).collect();
    let chosen = Named { names, path, options }.chosen()?;
    // The format has its index at the end, so that it is written elsewhere first.
    let scratch = tempfile::tempfile().map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let mut copy = zip::ZipWriter::new(std::io::BufWriter::new(scratch));
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        let (name, method) = (entry.name().map_err(damaged)?.to_string(), entry.compression());
        if name != format!("{chosen}.npy") {
            copy.raw_copy_file(entry).map_err(written)?;
            continue;
        }
        drop(entry);
        let options = zip::write::SimpleFileOptions::default().compression_method(method).large_file(true);
        copy.start_file(name, options).map_err(written)?;
        let mut entry = archive.by_index(index).map_err(damaged)?;
        fill(&mut entry, &mut copy, path, replace)?;
    }
    let failed = |error: std::io::Error| DataError::Write { path: path.to_owned(), reason: error.to_string() };
    let mut scratch = copy.finish().map_err(written)?.into_inner().map_err(|error| failed(error.into_error()))?;
    scratch.rewind().map_err(failed)?;
    std::io::copy(&mut scratch, output).map(drop).map_err(failed)
}

/// What stands before the numbers of an array.
struct Header {
    element: Element,
    big_endian: bool,
    dims: Vec<usize>,
    order: Order,
}

fn header(input: &mut impl Read, path: &Path) -> Result<Header, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let header = NpyHeader::from_reader(input).map_err(|error| malformed(format!("is no NumPy array, or damaged: {error}")))?;
    let (element, big_endian) = match header.dtype() {
        DType::Plain(plain) => {
            let element = match (plain.type_char(), plain.size_field()) {
                (TypeChar::Bool, _) | (TypeChar::Uint, 1) => Element::U8,
                (TypeChar::Uint, 2) => Element::U16,
                (TypeChar::Uint, 4) => Element::U32,
                (TypeChar::Uint, 8) => Element::U64,
                (TypeChar::Int, 1) => Element::I8,
                (TypeChar::Int, 2) => Element::I16,
                (TypeChar::Int, 4) => Element::I32,
                (TypeChar::Int, 8) => Element::I64,
                (TypeChar::Float, 2) => Element::F16,
                (TypeChar::Float, 4) => Element::F32,
                (TypeChar::Float, 8) => Element::F64,
                _ => {
                    let problem = format!("holds values of type {plain}: save it as numbers, such as `array.astype(\"float32\")`");
                    return Err(malformed(problem));
                }
            };
            (element, plain.endianness() == Endianness::Big)
        }
        _ => {
            return Err(malformed("is an array of records: save its numbers as a plain array, or the table as CSV or Parquet".to_string()));
        }
    };
    let dims = sizes(header.shape().iter().map(|&size| usize::try_from(size).ok()))
        .ok_or_else(|| malformed(format!("claims an impossible shape {:?}: its header is damaged", header.shape())))?;
    Ok(Header { element, big_endian, dims, order: header.order() })
}

/// The array that `input` holds.
fn array(mut input: impl Read, path: &Path) -> Result<Array, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let Header { element, big_endian, dims, order } = header(&mut input, path)?;
    let expected = dims.iter().product::<usize>() * element.bytes();
    // The claimed size bounds the read but reserves nothing: a damaged header must not allocate what the file does not hold.
    let mut bytes = Vec::new();
    let read = input.by_ref().take(expected as u64).read_to_end(&mut bytes);
    read.map_err(|error| malformed(format!("cannot be read to its end: {error}")))?;
    if bytes.len() < expected {
        return Err(malformed(format!("truncated: {dims:?} {} needs {expected} bytes, found {}", element.name(), bytes.len())));
    }
    let values = element.decode(&bytes, big_endian);
    let values = if order == Order::Fortran { row_major(&values, &dims) } else { values };
    Ok(Array { dims, values })
}

/// The sizes, if all of them and the bytes of their product can be counted.
pub(super) fn sizes(sizes: impl Iterator<Item = Option<usize>>) -> Option<Vec<usize>> {
    let sizes: Vec<usize> = sizes.collect::<Option<_>>()?;
    sizes.iter().try_fold(8usize, |bytes, &size| bytes.checked_mul(size))?;
    Some(sizes)
}

#[cfg(test)]
mod tests {
    use npyz::WriterBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::Values;

    fn npy<T: npyz::AutoSerialize + Copy>(shape: &[u64], order: Order, values: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new().default_dtype().order(order).shape(shape).writer(&mut bytes).begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn parsed(bytes: &[u8]) -> Result<Array, String> {
        array(bytes, Path::new("some.npy")).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_of_any_width_and_order_are_read() {
        let array = parsed(&npy(&[2, 3], Order::C, &[1i64, 2, 3, 4, 5, 6])).unwrap();
        assert_eq!((array.dims, array.values), (vec![2, 3], Values::I64(vec![1, 2, 3, 4, 5, 6])));
        let fortran = parsed(&npy(&[2, 3], Order::Fortran, &[1.0f32, 4.0, 2.0, 5.0, 3.0, 6.0])).unwrap();
        assert_eq!(fortran.values, Values::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    }

    #[test]
    fn damaged_files_are_refused() {
        let whole = npy(&[2, 3], Order::C, &[1.0f64; 6]);
        assert!(parsed(&whole[..whole.len() - 1]).unwrap_err().contains("truncated"));
        assert!(parsed(b"\x93NUMPY").unwrap_err().contains("no NumPy array"));
        assert!(parsed(b"").unwrap_err().contains("no NumPy array"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn no_damage_panics(place in 0usize..200, byte in any::<u8>(), cut in 0usize..200) {
            let mut bytes = npy(&[2, 3], Order::C, &[1.0f32; 6]);
            let place = place % bytes.len();
            bytes[place] = byte;
            let _ = parsed(&bytes);
            bytes.truncate(cut);
            let _ = parsed(&bytes);
        }
    }
}
