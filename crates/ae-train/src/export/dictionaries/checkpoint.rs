//! The tensors of a PyTorch checkpoint (`.pt`).

use std::{fmt::Display, fs, path::Path};

use ae_data::{Element, caught::caught};
use pytorch_reader::{DType, PickleValue, PytorchReader};

use super::tensors::Tensors;
use crate::{
    Error, Result,
    export::{Numbers, pytorch::State},
};

/// Maximum number of characters of a message of the reader, which may quote the file.
const LONGEST: usize = 200;

/// Reads the tensors, and the paths of what the file has beside them, sorted.
pub(super) fn read(path: &Path) -> Result<(Tensors, Vec<String>)> {
    let failed = |what: String| Error::Failed(format!("{}: {what}", path.display()));
    let damaged = |error: &dyn Display| {
        let reason: String = error.to_string().chars().take(LONGEST).flat_map(char::escape_debug).collect();
        failed(format!("not a checkpoint of PyTorch, or damaged ({reason}): write it again with `torch.save`"))
    };
    let held = fs::metadata(path).map_err(|error| Error::at("read", path, error))?.len();
    // The reader checks what it reads; a panic would be a bug of it.
    let inconsistent = || damaged(&"its contents are inconsistent");
    let root = caught(|| PytorchReader::read_pickle_data(path, None)).ok_or_else(inconsistent)?;
    let mut others = Vec::new();
    find_others(&root.map_err(|error| damaged(&error))?, "", &mut others);
    others.sort();
    let tensors = caught(|| PytorchReader::new(path)).ok_or_else(inconsistent)?.map_err(|error| damaged(&error))?;
    let tensors = tensors.into_tensors();
    // Views of one storage can claim any size.
    let claimed = tensors.values().fold(0u64, |sum, tensor| sum.saturating_add(tensor.byte_len() as u64));
    if claimed > held {
        return Err(failed(format!(
            "its tensors have {claimed} bytes, but the file only {held}: save contiguous copies of them, such as \
             `tensor.clone()`"
        )));
    }
    let mut state = State::new();
    for (name, tensor) in tensors {
        let bytes = caught(|| tensor.read()).ok_or_else(inconsistent)?.map_err(|error| damaged(&error))?;
        let values = element(tensor.dtype()).decode(&bytes, cfg!(target_endian = "big"));
        state.insert(name, Numbers::from_values(tensor.shape(), &values));
    }
    Ok((Tensors::new(path, state), others))
}

fn element(dtype: DType) -> Element {
    match dtype {
        DType::F64 => Element::F64,
        DType::F32 => Element::F32,
        DType::F16 => Element::F16,
        DType::BF16 => Element::BF16,
        DType::I64 => Element::I64,
        DType::I32 => Element::I32,
        DType::I16 => Element::I16,
        DType::I8 => Element::I8,
        DType::U64 => Element::U64,
        DType::U32 => Element::U32,
        DType::U16 => Element::U16,
        DType::U8 | DType::Bool => Element::U8,
    }
}

/// Appends the paths of the values that are neither tensors nor tables of tensors, each below `place`.
fn find_others(value: &PickleValue, place: &str, others: &mut Vec<String>) {
    match value {
        PickleValue::Unsupported(kind) if kind == "torch.Tensor" => {}
        PickleValue::Dict(entries) => {
            // A state dictionary has the versions of its modules as an attribute of this name.
            for (name, value) in entries.iter().filter(|(name, _)| *name != "_metadata") {
                find_others(value, &if place.is_empty() { name.clone() } else { format!("{place}.{name}") }, others);
            }
        }
        _ => others.push(place.to_string()),
    }
}
