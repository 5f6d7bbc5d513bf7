//! Reads safetensors files: one or several tensors by name.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use safetensors::{Dtype, SafeTensors, tensor::Metadata};

use super::{content::Content, format::Format, named_arrays::Named, numpy::sizes};
use crate::{
    Array, DataError, Element, Options, Rows,
    array::{Labels, Layout, Replace, shape_of_rows},
    limit::Limit,
    store::{RawFile, Store},
};

pub(super) const FORMAT: Format = Format { name: "safetensors", extensions: &["safetensors"], read };

fn read(path: &Path, options: &Options) -> Result<Content, DataError> {
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if options.streams(length) {
        return streamed(file, path, options);
    }
    // The file, and the numbers decoded from it.
    Limit::of(options).check(path, "the file", length.saturating_mul(2), length)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    parse(&bytes, path, options)
}

/// Reads a large file: tensors of rows stay in the file, tensors of labels are read into memory.
fn streamed(mut file: File, path: &Path, options: &Options) -> Result<Content, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let damaged = |error: &dyn std::fmt::Display| malformed(format!("is not a safetensors file, or damaged: {error}"));
    let length = file.metadata().map_err(|source| DataError::Io { path: path.to_owned(), source })?.len();
    let (size, metadata) = header(&mut file, path)?;
    let info = |name: &str| metadata.info(name).ok_or_else(|| malformed(format!("has no tensor `{name}`")));
    let names = metadata.tensors().into_keys().collect();
    let named = Named { names, path, options };
    let load = |name: &str| -> Result<Array, DataError> {
        let info = info(name)?;
        let (element, dims) = typed(name, info.dtype, &info.shape, path)?;
        let mut file = File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
        let offset = 8 + size + info.data_offsets.0 as u64;
        let expected = dims.iter().product::<usize>() * element.bytes();
        Limit::of(options).check(
            path,
            format!("its tensor `{name}`"),
            length.min(expected as u64).saturating_mul(3),
            length,
        )?;
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(expected as u64).read_to_end(&mut bytes));
        read.map_err(|error| damaged(&error))?;
        if bytes.len() < expected {
            return Err(malformed(format!("truncated: tensor `{name}` needs {expected} bytes, found {}", bytes.len())));
        }
        Ok(Array { dims, values: element.decode(&bytes, false) })
    };
    let store = |name: &str| -> Result<Option<Rows>, DataError> {
        let info = info(name)?;
        let (element, dims) = typed(name, info.dtype, &info.shape, path)?;
        let (width, geometry, channels_last) = shape_of_rows(&dims, path)?;
        if channels_last {
            return Ok(None); // must be reordered as a whole, however large
        }
        let file = File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
        let offset = 8 + size + info.data_offsets.0 as u64;
        let blocks = RawFile::new(path.to_owned(), file, (element, false), offset, dims[0], width)?;
        let floats = matches!(element, Element::F16 | Element::BF16 | Element::F32 | Element::F64);
        let mut rows = Rows::stored(Store::new(Box::new(blocks), width), width, floats);
        rows.geometry = geometry;
        Ok(Some(rows))
    };
    named.content(
        |name| match store(name)? {
            Some(rows) => Ok(rows),
            None => load(name)?.into_rows(path),
        },
        |name| load(name).map(Labels::Numbers),
    )
}

/// Copies a file and replaces the missing numbers in its tensors of rows. Every other byte stays the same.
pub(super) fn fill(
    path: &Path,
    options: &Options,
    output: &mut dyn Write,
    replace: &mut Replace,
) -> Result<(), DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let written = |error: std::io::Error| DataError::Write { path: path.to_owned(), reason: error.to_string() };
    let mut file = File::open(path).map_err(failed)?;
    let (size, metadata) = header(&mut file, path)?;
    let names = metadata.tensors().into_keys().collect();
    // `replace` is called in the order of the rows, whatever the order of the tensors in the file.
    let (mut filled, mut before) = (Vec::new(), 0);
    for name in (Named { names, path, options }).rows()? {
        let info = metadata.info(&name).ok_or_else(|| malformed(format!("has no tensor `{name}`")))?;
        let (element, dims) = typed(&name, info.dtype, &info.shape, path)?;
        let start = 8 + size + info.data_offsets.0 as u64;
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        let mut scratch = BufWriter::new(tempfile::tempfile().map_err(written)?);
        let layout =
            Layout { element, big_endian: false, dims, column_major: false, missing: options.missing(false).numbers() };
        layout
            .fill(&mut BufReader::new(&file), &mut scratch, path, &mut |row, feature| replace(before + row, feature))?;
        before += layout.dims[0];
        let mut scratch = scratch.into_inner().map_err(|error| written(error.into_error()))?;
        let length = scratch.stream_position().map_err(written)?;
        scratch.rewind().map_err(written)?;
        filled.push((start, length, scratch));
    }
    filled.sort_by_key(|(start, ..)| *start);
    file.rewind().map_err(failed)?;
    let (mut file, mut place) = (BufReader::new(file), 0);
    for (start, length, mut scratch) in filled {
        std::io::copy(&mut Read::by_ref(&mut file).take(start - place), output).map_err(written)?;
        std::io::copy(&mut scratch, output).map_err(written)?;
        file.seek_relative(length as i64).map_err(failed)?;
        place = start + length;
    }
    std::io::copy(&mut file, output).map(drop).map_err(written)
}

/// The size of the header in bytes, and its contents.
fn header(file: &mut File, path: &Path) -> Result<(u64, Metadata), DataError> {
    let damaged = |error: &dyn std::fmt::Display| DataError::Malformed {
        path: path.to_owned(),
        problem: format!("is not a safetensors file, or damaged: {error}"),
    };
    let length = file.metadata().map_err(|source| DataError::Io { path: path.to_owned(), source })?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|error| damaged(&error))?;
    let size = u64::from_le_bytes(size);
    if size > length.min(100 << 20) {
        return Err(damaged(&"its header claims to be longer than the file or than 100 MiB"));
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact(&mut bytes).map_err(|error| damaged(&error))?;
    Ok((size, serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?))
}

/// The type and the sizes of a tensor.
fn typed(name: &str, dtype: Dtype, shape: &[usize], path: &Path) -> Result<(Element, Vec<usize>), DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let element = match dtype {
        Dtype::BOOL | Dtype::U8 => Element::U8,
        Dtype::I8 => Element::I8,
        Dtype::U16 => Element::U16,
        Dtype::I16 => Element::I16,
        Dtype::U32 => Element::U32,
        Dtype::I32 => Element::I32,
        Dtype::U64 => Element::U64,
        Dtype::I64 => Element::I64,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::BF16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        other => {
            return Err(malformed(format!("tensor `{name}` has the unsupported type {other:?}: save it as float32")));
        }
    };
    let dims = sizes(shape.iter().copied().map(Some))
        .ok_or_else(|| malformed(format!("tensor `{name}` claims an impossible size: its header is damaged")))?;
    Ok((element, dims))
}

/// Reads the tensors of a file in memory.
fn parse(bytes: &[u8], path: &Path, options: &Options) -> Result<Content, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|error| malformed(format!("is not a safetensors file, or damaged: {error}")))?;
    let names = tensors.names().into_iter().map(|name| name.to_string()).collect();
    let load = |name: &str| {
        let tensor = tensors.tensor(name).map_err(|error| malformed(error.to_string()))?;
        let (element, dims) = typed(name, tensor.dtype(), tensor.shape(), path)?;
        Ok(Array { dims, values: element.decode(tensor.data(), false) })
    };
    Named { names, path, options }.content(|name| load(name)?.into_rows(path), |name| load(name).map(Labels::Numbers))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use safetensors::tensor::TensorView;

    use super::*;

    fn file() -> Vec<u8> {
        let values: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let labels = [0u8, 1];
        let tensors = [
            ("x", TensorView::new(Dtype::F32, vec![2, 2], &values).unwrap()),
            ("y", TensorView::new(Dtype::U8, vec![2], &labels).unwrap()),
        ];
        safetensors::serialize(tensors, None).unwrap()
    }

    #[test]
    fn tensors_are_found_by_name() {
        let Content::Rows(rows, _) = parse(&file(), Path::new("s"), &Options::default()).unwrap() else {
            panic!("rows")
        };
        assert_eq!((rows.row(1).unwrap(), rows.labels), (vec![3.0, 4.0], Some(vec![Some(0), Some(1)])));
        let missing = Options { tensor: Some("z".into()), ..Options::default() };
        let error = parse(&file(), Path::new("s"), &missing).err().unwrap().to_string();
        assert!(error.contains("`z`") && error.contains("`x`, `y`"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn no_damage_panics(place in 0usize..200, byte in any::<u8>(), cut in 0usize..200) {
            let mut bytes = file();
            let place = place % bytes.len();
            bytes[place] = byte;
            let _ = parse(&bytes, Path::new("s"), &Options::default());
            bytes.truncate(cut);
            let _ = parse(&bytes, Path::new("s"), &Options::default());
        }
    }
}
