//! The header of a NumPy array.

use std::{io::Read, path::Path};

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};

use crate::{DataError, Element, caught::caught};

/// The header of an array.
pub(super) struct Header {
    pub(super) element: Element,
    pub(super) big_endian: bool,
    pub(super) dims: Vec<usize>,
    pub(super) order: Order,
}

/// Maximum size of a header in bytes, and maximum depth of its brackets.
const LONGEST_HEADER: usize = 1 << 16;
const DEEPEST: usize = 8;

/// Reads and parses the start of an array, up to its numbers.
pub(super) fn start(input: &mut impl Read, path: &Path) -> Result<NpyHeader, DataError> {
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

/// Reads the header of an array, if its type is supported.
pub(super) fn header(input: &mut impl Read, path: &Path) -> Result<Header, DataError> {
    understood(&start(input, path)?, path)
}

/// The header, if its type is supported.
pub(super) fn understood(header: &NpyHeader, path: &Path) -> Result<Header, DataError> {
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

/// The shape of an array.
pub(super) fn dims_of(header: &NpyHeader, path: &Path) -> Result<Vec<usize>, DataError> {
    sizes(header.shape().iter().map(|&size| usize::try_from(size).ok())).ok_or_else(|| DataError::Malformed {
        path: path.to_owned(),
        problem: format!("claims an impossible shape {:?}: its header is damaged", header.shape()),
    })
}

/// The sizes, if they and the size of the array in bytes do not overflow.
pub(in crate::source) fn sizes(sizes: impl Iterator<Item = Option<usize>>) -> Option<Vec<usize>> {
    let sizes: Vec<usize> = sizes.collect::<Option<_>>()?;
    // A size of 0 must not hide that the others overflow.
    sizes.iter().try_fold(8usize, |bytes, &size| bytes.checked_mul(size.max(1)))?;
    Some(sizes)
}
