//! Safetensors: one or several tensors by name.

use std::{fs, path::Path};

use safetensors::{Dtype, SafeTensors};

use super::{Content, Format, Named, Options, numpy::sizes};
use crate::{Array, DataError, Element};

pub(super) const FORMAT: Format = Format { name: "safetensors", extensions: &["safetensors"], read };

fn read(path: &Path, options: &Options) -> Result<Content, DataError> {
    let bytes = fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    parse(&bytes, path, options)
}

fn parse(bytes: &[u8], path: &Path, options: &Options) -> Result<Content, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| malformed(format!("is no safetensors file, or damaged: {error}")))?;
    let names = tensors.names().into_iter().map(|name| name.to_string()).collect();
    let load = |name: &str| {
        let tensor = tensors.tensor(name).map_err(|error| malformed(error.to_string()))?;
        let element = match tensor.dtype() {
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
            other => return Err(malformed(format!("tensor `{name}` is of type {other:?}: save it as float32"))),
        };
        let dims =
            sizes(tensor.shape().iter().copied().map(Some)).ok_or_else(|| malformed(format!("tensor `{name}` is impossibly large")))?;
        Ok(Array { dims, values: element.decode(tensor.data(), false) })
    };
    Named { names, path, options }.content(load)
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
        let Content::Rows(rows, _) = parse(&file(), Path::new("s"), &Options::default()).unwrap() else { panic!("rows") };
        assert_eq!((rows.row(1), rows.labels), (vec![3.0, 4.0], Some(vec![0, 1])));
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
