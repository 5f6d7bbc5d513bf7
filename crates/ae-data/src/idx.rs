//! The IDX format of the MNIST family: two zero bytes, a type code, the number of dimensions, each dimension as a
//! big-endian `u32`, and the values in row-major order, big-endian. Files may be gzipped, regardless of their name.
//!
//! Reference: the format's description on the MNIST page of LeCun, Cortes and Burges.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use crate::{Array, DataError, Rows, limit::Limit, values::Element};

/// First two bytes of a gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Maximum number of dimensions. No image data set has more.
const MAX_DIMENSIONS: usize = 4;

/// The element type that a type code stands for.
fn element(code: u8) -> Option<Element> {
    Some(match code {
        0x08 => Element::U8,
        0x09 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        _ => return None,
    })
}

/// Reads the IDX file at `path`, plain or gzipped.
///
/// # Errors
/// If the file cannot be read, is not an IDX file, is truncated, is longer than its header says, or would take more
/// memory than `limit`.
pub(crate) fn read(path: &Path, limit: Limit) -> Result<Array, DataError> {
    let file = File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let length = file.metadata().map_err(|source| DataError::Io { path: path.to_owned(), source })?.len();
    parse(BufReader::new(file), path, Some((limit, length)))
}

/// Reads IDX from bytes, plain or gzipped; `origin` names them in errors. `limit` is the memory limit and the size of
/// the file in bytes.
///
/// # Errors
/// As [`read`].
pub(crate) fn parse(mut input: impl BufRead, origin: &Path, limit: Option<(Limit, u64)>) -> Result<Array, DataError> {
    let start = input.fill_buf().map_err(|source| DataError::Io { path: origin.to_owned(), source })?;
    match start.starts_with(&GZIP_MAGIC) {
        true => parse_plain(MultiGzDecoder::new(input), origin, limit.map(|(limit, length)| (limit, length, u64::MAX))),
        false => parse_plain(input, origin, limit.map(|(limit, length)| (limit, length, length))),
    }
}

/// `limit` is the memory limit, the size of the file, and the maximum size of its uncompressed contents, in bytes.
fn parse_plain(mut input: impl Read, origin: &Path, limit: Option<(Limit, u64, u64)>) -> Result<Array, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: origin.to_owned(), problem };
    let mut read = |bytes: &mut Vec<u8>, count: u64| {
        input.by_ref().take(count).read_to_end(bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                malformed(format!("damaged gzip stream ({error}): download or write the file again"))
            }
            _ => DataError::Io { path: origin.to_owned(), source: error },
        })
    };

    let mut magic = Vec::new();
    read(&mut magic, 4)?;
    let &[zero_a, zero_b, code, dimensions] = magic.as_slice() else {
        return Err(malformed(format!(
            "has {} bytes, too few for an IDX header: the file is empty or truncated",
            magic.len()
        )));
    };
    if (zero_a, zero_b) != (0, 0) {
        return Err(malformed(format!(
            "not an IDX file: it begins with {zero_a:#04x} {zero_b:#04x} instead of two zero bytes"
        )));
    }
    let kind = element(code)
        .ok_or_else(|| malformed(format!("not an IDX file: unknown type code {code:#04x} (0x08 is unsigned bytes)")))?;
    let dimensions = usize::from(dimensions);
    if dimensions == 0 || dimensions > MAX_DIMENSIONS {
        return Err(malformed(format!("has {dimensions} dimensions, but 1 to {MAX_DIMENSIONS} are supported")));
    }

    let mut sizes = Vec::new();
    read(&mut sizes, 4 * dimensions as u64)?;
    if sizes.len() < 4 * dimensions {
        return Err(malformed("truncated inside its header: download or write the file again".to_string()));
    }
    let dims: Vec<usize> =
        sizes.chunks_exact(4).map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize).collect();
    if dims.contains(&0) {
        return Err(malformed(format!("is empty: its dimensions are {dims:?}")));
    }
    let expected = dims
        .iter()
        .try_fold(kind.bytes(), |bytes, &size| bytes.checked_mul(size))
        .ok_or_else(|| malformed(format!("claims impossible dimensions {dims:?}: its header is damaged")))?;

    if let Some((limit, length, most)) = limit {
        // The bytes, and the numbers decoded from them.
        limit.check(origin, format!("its array of {dims:?}"), most.min(expected as u64).saturating_mul(2), length)?;
    }
    // The claimed size limits the read, but no memory is reserved for it: a damaged header must not allocate more than
    // the file has.
    let mut bytes = Vec::new();
    read(&mut bytes, expected as u64)?;
    if bytes.len() < expected {
        return Err(malformed(format!(
            "truncated: {dims:?} needs {expected} bytes after the header, found {}: download or write the file again",
            bytes.len()
        )));
    }
    let mut rest = Vec::new();
    read(&mut rest, 1)?;
    if !rest.is_empty() {
        return Err(malformed(format!(
            "is longer than its dimensions {dims:?} say: its header is damaged, or it is not an IDX file"
        )));
    }

    let values = kind.decode(&bytes, true);
    Ok(Array { dims, values })
}

/// Rows from IDX images (any number of dimensions) and, optionally, IDX labels (integers in one dimension).
///
/// # Errors
/// If the labels are not integers, or their number differs from the number of images.
pub fn rows(images: Array, image_path: &Path, labels: Option<(Array, &Path)>) -> Result<Rows, DataError> {
    let mut rows = images.into_rows(image_path)?;
    if let Some((labels, label_path)) = labels {
        let labels = labels.into_labels(label_path)?;
        if labels.len() != rows.len() {
            return Err(DataError::Mismatch {
                image_path: image_path.to_owned(),
                images: rows.len(),
                label_path: label_path.to_owned(),
                labels: labels.len(),
            });
        }
        rows.identify(None, Some(labels), None);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;
    use crate::Values;

    fn idx(code: u8, dims: &[u32], payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, code, dims.len() as u8];
        dims.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(payload);
        bytes
    }

    fn parsed(bytes: &[u8]) -> Result<Array, String> {
        parse(bytes, Path::new("some.idx"), None).map_err(|error| error.to_string())
    }

    #[test]
    fn plain_and_gzipped_files_are_read() {
        let plain = idx(0x08, &[2, 1, 2], &[1, 2, 3, 4]);
        let expected = Array { dims: vec![2, 1, 2], values: Values::U8(vec![1, 2, 3, 4]) };
        assert_eq!(parsed(&plain), Ok(expected.clone()));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&plain).unwrap();
        assert_eq!(parsed(&gzip.finish().unwrap()), Ok(expected));
        let floats = idx(0x0d, &[2], &[1.5f32.to_be_bytes(), (-2.0f32).to_be_bytes()].concat());
        assert_eq!(parsed(&floats).unwrap().values, Values::F32(vec![1.5, -2.0]));
        let shorts = idx(0x0b, &[1], &(-3i16).to_be_bytes());
        assert_eq!(parsed(&shorts).unwrap().values, Values::I16(vec![-3]));
    }

    #[test]
    fn malformed_files_are_refused_with_the_reason() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&idx(0x08, &[4], &[1, 2, 3, 4])).unwrap();
        let gzip = gzip.finish().unwrap();
        let cases: [(Vec<u8>, &str); 9] = [
            (vec![], "too few for an IDX header"),
            (b"\x89PNG\r\n".to_vec(), "not an IDX file"),
            (idx(0x07, &[1], &[1]), "unknown type code 0x07"),
            (idx(0x08, &[], &[]), "0 dimensions"),
            (idx(0x08, &[1; 5], &[1]), "5 dimensions"),
            (idx(0x08, &[0, 3], &[]), "is empty"),
            (idx(0x08, &[3], &[1, 2]), "truncated"),
            (idx(0x08, &[3], &[1, 2, 3, 4]), "longer than its dimensions"),
            (gzip[..gzip.len() / 2].to_vec(), "damaged gzip"),
        ];
        for (bytes, reason) in cases {
            let message = parsed(&bytes).unwrap_err();
            assert!(message.starts_with("some.idx: ") && message.contains(reason), "{reason}: {message}");
        }
        let infinite = parsed(&idx(0x0d, &[2], &[1.0f32.to_be_bytes(), f32::INFINITY.to_be_bytes()].concat())).unwrap();
        assert!(infinite.into_rows(Path::new("i")).unwrap_err().to_string().contains("infinite value in row 1"));
        let huge = idx(0x0e, &[u32::MAX; 4], &[]);
        assert!(parsed(&huge).unwrap_err().contains("impossible dimensions"));
    }

    #[test]
    fn labels_must_match_their_images() {
        let images = parsed(&idx(0x08, &[2, 1, 1], &[1, 2])).unwrap();
        let labels = parsed(&idx(0x08, &[3], &[0, 1, 2])).unwrap();
        let error = rows(images, Path::new("i"), Some((labels, Path::new("l")))).unwrap_err();
        assert!(error.to_string().contains("2 images") && error.to_string().contains("3 labels"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parsed(&bytes);
        }

        #[test]
        fn no_damaged_header_panics(
            code in 0u8..16,
            dims in proptest::collection::vec(any::<u32>(), 0..6),
            payload in proptest::collection::vec(any::<u8>(), 0..32),
        ) {
            let _ = parsed(&idx(code, &dims, &payload));
        }
    }
}
