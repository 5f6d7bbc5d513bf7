//! The numbers of NumPy arrays, and arrays of labels.

use std::{io::Read, path::Path};

use npyz::{DType, Endianness, Order, TypeChar};

use super::header::{Header, dims_of, header, start, understood};
use crate::{
    Array, DataError,
    array::{Labels, row_major, shape_of_rows},
    limit::Limit,
};

/// How much memory an array may take.
pub(super) struct Room {
    pub(super) limit: Limit,
    /// Size of its file in bytes.
    pub(super) held: u64,
    /// Maximum size of the uncompressed contents in bytes.
    pub(super) most: u64,
}

/// Bytes that are read at a time, a multiple of the size of every number.
const CHUNK: usize = 4 << 20;

/// Reads an array of this shape, with values of `size` bytes each, which `kind` names in messages: calls `take` with
/// its bytes, in chunks of whole values. `copies` is how often the array is in memory at the end.
fn values(
    input: &mut impl Read,
    dims: &[usize],
    (size, kind): (usize, &str),
    (path, room, copies): (&Path, &Room, u64),
    mut take: impl FnMut(&[u8]),
) -> Result<(), DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let expected = dims.iter().product::<usize>().saturating_mul(size);
    room.limit.check(
        path,
        format!("its array of {dims:?} {kind}"),
        room.most.min(expected as u64).saturating_mul(copies),
        room.held,
    )?;
    // The claimed size limits the read, but no memory is reserved for it: a damaged header must not allocate more than
    // the file has.
    let (mut bytes, mut found) = (Vec::new(), 0);
    while found < expected {
        bytes.clear();
        let wanted = (CHUNK / size).max(1).saturating_mul(size).min(expected - found);
        let read = input.by_ref().take(wanted as u64).read_to_end(&mut bytes);
        read.map_err(|error| malformed(format!("is damaged, or cannot be read to its end: {error}")))?;
        found += bytes.len();
        if bytes.len() < wanted {
            return Err(malformed(format!("truncated: {dims:?} {kind} needs {expected} bytes, found {found}")));
        }
        take(&bytes);
    }
    Ok(())
}

/// Reads an array of labels: numbers, or strings of fixed width, which are padded with zeros.
pub(super) fn labels(mut input: impl Read, path: &Path, room: &Room) -> Result<Labels, DataError> {
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
    let mut bytes = Vec::new();
    values(&mut input, &dims, (size, "strings"), (path, room, 2), |chunk| bytes.extend_from_slice(chunk))?;
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
pub(super) fn array(mut input: impl Read, path: &Path, room: &Room) -> Result<Array, DataError> {
    let header = header(&mut input, path)?;
    rest(&mut input, header, path, room)
}

/// Reads the numbers of an array after its header.
fn rest(input: &mut impl Read, header: Header, path: &Path, room: &Room) -> Result<Array, DataError> {
    let Header { element, big_endian, dims, order } = header;
    let mut read = element.decode(&[], big_endian);
    // Growing step by step would copy what was read; a damaged header reserves no more than the size of the file.
    let numbers = dims.iter().product::<usize>();
    read.reserve(numbers.min(usize::try_from(room.held).unwrap_or(usize::MAX) / element.bytes()));
    // What is stored in another order is reordered: here, or for images whose channels come last by `into_rows`.
    let is_reordered = order == Order::Fortran || matches!(shape_of_rows(&dims, path), Ok((_, _, true)));
    let copies = if is_reordered { 2 } else { 1 };
    values(input, &dims, (element.bytes(), element.name()), (path, room, copies), |chunk| {
        read.append(element.decode(chunk, big_endian));
    })?;
    let values = if order == Order::Fortran { row_major(&read, &dims) } else { read };
    Ok(Array { dims, values })
}

#[cfg(test)]
mod tests {
    use npyz::WriterBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::{Options, Values};

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
    fn an_array_that_is_reordered_counts_twice() {
        // 1.2 MB: within 2 MB once, but not twice.
        let options = Options { max_memory: Some("2MB".parse().unwrap()), ..Options::default() };
        let room = Room { limit: Limit::of(&options), held: 0, most: u64::MAX };
        let is_read = |shape: &[u64], order| {
            let values = vec![0u8; shape.iter().product::<u64>() as usize];
            array(npy(shape, order, &values).as_slice(), Path::new("x.npy"), &room).is_ok()
        };
        assert!(is_read(&[100, 3, 64, 64], Order::C) && is_read(&[100, 12_288], Order::C));
        assert!(!is_read(&[100, 64, 64, 3], Order::C), "the channels come last");
        assert!(!is_read(&[100, 12_288], Order::Fortran));
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
