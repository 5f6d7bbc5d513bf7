//! Reads NumPy files: `.npy` (one array) and `.npz` (several arrays by name), with any numeric type, byte order and
//! memory order.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, Write},
    path::Path,
};

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};
use zip::ZipArchive;

use super::format::{Content, Format, Named};
use crate::{
    Array, DataError, Element, Options, Rows,
    array::{Labels, Layout, Replace, row_major, shape_of_rows},
    caught::caught,
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

/// Copies an array and replaces its missing numbers.
pub(super) fn fill_npy(
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
pub(super) fn fill_npz(
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

/// The header of an array.
struct Header {
    element: Element,
    big_endian: bool,
    dims: Vec<usize>,
    order: Order,
}

/// How much memory an array may take.
struct Room {
    limit: Limit,
    /// Size of its file in bytes.
    held: u64,
    /// Maximum size of the uncompressed contents in bytes.
    most: u64,
}

/// Maximum size of a header in bytes, and maximum depth of its brackets.
const LONGEST_HEADER: usize = 1 << 16;
const DEEPEST: usize = 8;

/// Reads and parses the start of an array, up to its numbers.
fn start(input: &mut impl Read, path: &Path) -> Result<NpyHeader, DataError> {
    let damaged = |error: &dyn std::fmt::Display| DataError::Malformed {
        path: path.to_owned(),
        problem: format!("is not a NumPy array, or damaged: {error}"),
    };
    // The magic number, the version, and the length of the header, with two bytes in version 1 and four later. They are
    // checked first, because the parser allocates the whole header and recurses into every bracket.
    let mut start = vec![0; 10];
    input.read_exact(&mut start).map_err(|error| damaged(&error))?;
    let mut length = usize::from(u16::from_le_bytes([start[8], start[9]]));
    if start[6] > 1 {
        let mut more = [0; 2];
        input.read_exact(&mut more).map_err(|error| damaged(&error))?;
        length += usize::from(u16::from_le_bytes(more)) << 16;
        start.extend(more);
    }
    if length > LONGEST_HEADER {
        return Err(damaged(&"its header is too long"));
    }
    input.by_ref().take(length as u64).read_to_end(&mut start).map_err(|error| damaged(&error))?;
    // Each level of nested brackets without an end doubles the time until the parser fails.
    let mut depth = 0usize;
    let deepest = start.iter().map(|byte| {
        depth = match byte {
            b'(' | b'[' | b'{' => depth + 1,
            b')' | b']' | b'}' => depth.saturating_sub(1),
            _ => depth,
        };
        depth
    });
    if deepest.max().unwrap_or(0) > DEEPEST {
        return Err(damaged(&"its header has too many nested brackets"));
    }
    // Some headers make the parser panic; the file is reported as damaged.
    match caught(|| NpyHeader::from_reader(&mut start.as_slice())) {
        Some(header) => header.map_err(|error| damaged(&error)),
        None => Err(damaged(&"its header is invalid")),
    }
}

fn header(input: &mut impl Read, path: &Path) -> Result<Header, DataError> {
    understood(&start(input, path)?, path)
}

/// The header, if its type is supported.
fn understood(header: &NpyHeader, path: &Path) -> Result<Header, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
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
                (kind, _) => {
                    let advice = match kind {
                        TypeChar::Object | TypeChar::ByteStr | TypeChar::UnicodeStr => {
                            "that is, strings or objects: save numbers, or save the table as CSV or Parquet"
                        }
                        _ => "which are not supported: save it as numbers, such as `array.astype(\"float32\")`",
                    };
                    return Err(malformed(format!("holds values of type {plain}, {advice}")));
                }
            };
            (element, plain.endianness() == Endianness::Big)
        }
        _ => {
            return Err(malformed(
                "is a structured array, which is not supported: save its numbers as a plain array, or the table as \
                 CSV or Parquet"
                    .to_string(),
            ));
        }
    };
    Ok(Header { element, big_endian, dims: dims_of(header, path)?, order: header.order() })
}

fn dims_of(header: &NpyHeader, path: &Path) -> Result<Vec<usize>, DataError> {
    sizes(header.shape().iter().map(|&size| usize::try_from(size).ok())).ok_or_else(|| DataError::Malformed {
        path: path.to_owned(),
        problem: format!("claims an impossible shape {:?}: its header is damaged", header.shape()),
    })
}

/// Reads the bytes of an array of this shape, with values of `size` bytes each. `kind` names them in messages.
fn values(
    input: &mut impl Read,
    dims: &[usize],
    (size, kind): (usize, &str),
    path: &Path,
    room: &Room,
) -> Result<Vec<u8>, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let expected = dims.iter().product::<usize>().saturating_mul(size);
    // The bytes, the numbers decoded from them, and these in another order.
    room.limit.check(
        path,
        format!("its array of {dims:?} {kind}"),
        room.most.min(expected as u64).saturating_mul(3),
        room.held,
    )?;
    // The claimed size limits the read, but no memory is reserved for it: a damaged header must not allocate more than
    // the file has.
    let mut bytes = Vec::new();
    let read = input.by_ref().take(expected as u64).read_to_end(&mut bytes);
    read.map_err(|error| malformed(format!("is damaged, or cannot be read to its end: {error}")))?;
    match bytes.len() < expected {
        true => Err(malformed(format!("truncated: {dims:?} {kind} needs {expected} bytes, found {}", bytes.len()))),
        false => Ok(bytes),
    }
}

/// Reads an array of labels: numbers, or strings of fixed width, which are padded with zeros.
fn labels(mut input: impl Read, path: &Path, room: &Room) -> Result<Labels, DataError> {
    let start = start(&mut input, path)?;
    let text = match start.dtype() {
        DType::Plain(plain) => match plain.type_char() {
            TypeChar::ByteStr => Some((plain.size_field() as usize, None)),
            TypeChar::Object => {
                let problem = "holds Python objects: save strings with `y.astype(str)` or numbers with `y.astype(int)`"
                    .to_string();
                return Err(DataError::Malformed { path: path.to_owned(), problem });
            }
            TypeChar::UnicodeStr => {
                Some((plain.size_field() as usize * 4, Some(plain.endianness() == Endianness::Big)))
            }
            _ => None,
        },
        _ => None,
    };
    let Some((size, wide)) = text.filter(|(size, _)| *size > 0) else {
        return Ok(Labels::Numbers(rest(&mut input, understood(&start, path)?, path, room)?));
    };
    let dims = dims_of(&start, path)?;
    if dims.iter().skip(1).any(|&size| size != 1) {
        let problem = format!("has the shape {dims:?}, but classes have one dimension");
        return Err(DataError::Malformed { path: path.to_owned(), problem });
    }
    let bytes = values(&mut input, &dims, (size, "strings"), path, room)?;
    let text = |bytes: &[u8]| match wide {
        None => String::from_utf8_lossy(bytes).trim_end_matches('\0').to_string(),
        Some(big_endian) => {
            let codes = bytes.chunks_exact(4).map(|code| [code[0], code[1], code[2], code[3]]);
            let codes = codes.map(|code| if big_endian { u32::from_be_bytes(code) } else { u32::from_le_bytes(code) });
            let text: String = codes.map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            text.trim_end_matches('\0').to_string()
        }
    };
    Ok(Labels::Texts(bytes.chunks_exact(size).map(text).collect()))
}

/// Reads an array.
fn array(mut input: impl Read, path: &Path, room: &Room) -> Result<Array, DataError> {
    let header = header(&mut input, path)?;
    rest(&mut input, header, path, room)
}

/// Reads the numbers of an array after its header.
fn rest(input: &mut impl Read, header: Header, path: &Path, room: &Room) -> Result<Array, DataError> {
    let Header { element, big_endian, dims, order } = header;
    let bytes = values(input, &dims, (element.bytes(), element.name()), path, room)?;
    let values = element.decode(&bytes, big_endian);
    let values = if order == Order::Fortran { row_major(&values, &dims) } else { values };
    Ok(Array { dims, values })
}

/// The sizes, if they and the size of the array in bytes do not overflow.
pub(super) fn sizes(sizes: impl Iterator<Item = Option<usize>>) -> Option<Vec<usize>> {
    let sizes: Vec<usize> = sizes.collect::<Option<_>>()?;
    // A size of 0 must not hide that the others overflow.
    sizes.iter().try_fold(8usize, |bytes, &size| bytes.checked_mul(size.max(1)))?;
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
        let mut writer =
            npyz::WriteOptions::new().default_dtype().order(order).shape(shape).writer(&mut bytes).begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn room() -> Room {
        Room { limit: Limit::of(&Options::default()), held: 1 << 20, most: u64::MAX }
    }

    fn parsed(bytes: &[u8]) -> Result<Array, String> {
        array(bytes, Path::new("some.npy"), &room()).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_of_every_type_and_order_are_read() {
        let array = parsed(&npy(&[2, 3], Order::C, &[1i64, 2, 3, 4, 5, 6])).unwrap();
        assert_eq!((array.dims, array.values), (vec![2, 3], Values::I64(vec![1, 2, 3, 4, 5, 6])));
        let fortran = parsed(&npy(&[2, 3], Order::Fortran, &[1.0f32, 4.0, 2.0, 5.0, 3.0, 6.0])).unwrap();
        assert_eq!(fortran.values, Values::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    }

    #[test]
    fn strings_of_fixed_width_are_classes() {
        let file = |kind: &str, shape: &str, bytes: Vec<u8>| {
            let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
            let padded = format!("{text:<117}\n");
            [b"\x93NUMPY\x01\x00".to_vec(), (padded.len() as u16).to_le_bytes().to_vec(), padded.into_bytes(), bytes]
                .concat()
        };
        let classes = |bytes: &[u8]| {
            labels(bytes, Path::new("y"), &room()).map_err(|error| error.to_string()).and_then(Labels::into_classes)
        };
        let wide = |text: &str, big: bool| {
            let codes = text.chars().chain(std::iter::repeat('\0')).take(3).map(|code| code as u32);
            codes.flat_map(|code| if big { code.to_be_bytes() } else { code.to_le_bytes() }).collect::<Vec<u8>>()
        };
        let expected = (vec![1, 0, 1], vec!["a b".to_string(), "ü".to_string()]);
        for (kind, big) in [("<U3", false), (">U3", true)] {
            let texts = ["ü", "a b", "ü"].map(|text| wide(text, big)).concat();
            assert_eq!(classes(&file(kind, "(3,)", texts)).unwrap(), expected, "{kind}");
        }
        assert_eq!(classes(&file("|S3", "(3, 1)", b"\xc3\xbc\0a b\xc3\xbc\0".to_vec())).unwrap(), expected);
        assert!(
            classes(&file("|S3", "(3,)", b"abc".to_vec()))
                .unwrap_err()
                .contains("truncated: [3] strings needs 9 bytes, found 3")
        );
        assert!(classes(&file("|S1", "(1, 2)", b"ab".to_vec())).unwrap_err().contains("classes have one dimension"));
        assert!(classes(&file("|O", "(1,)", b"ab".to_vec())).unwrap_err().contains("`y.astype(str)`"));
    }

    #[test]
    fn damaged_files_are_refused() {
        let whole = npy(&[2, 3], Order::C, &[1.0f64; 6]);
        assert!(parsed(&whole[..whole.len() - 1]).unwrap_err().contains("truncated"));
        assert!(parsed(b"\x93NUMPY").unwrap_err().contains("not a NumPy array"));
        assert!(parsed(b"").unwrap_err().contains("not a NumPy array"));
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
