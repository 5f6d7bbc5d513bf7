//! Reading the numbers of tensors.

use burn::tensor::{DType, ExecutionError, Tensor};

use crate::{Error, Result};

/// Number of examples that go through the model at a time.
pub(crate) const BATCH: usize = 1024;

/// Copies the numbers of a tensor from the device.
///
/// # Errors
/// A device that fails to return its results.
pub fn numbers<const R: usize>(tensor: Tensor<R>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(failed)?;
    // Numbers in single precision need no conversion.
    match data.dtype() {
        DType::F32 => data.try_into_vec().map_err(|error| Error::Failed(format!("the device failed: {error:?}"))),
        _ => Ok(data.iter::<f32>().collect()),
    }
}

pub(crate) fn failed(error: ExecutionError) -> Error {
    Error::Failed(format!("the device failed: {error:?}"))
}

/// Numbers as bytes of a file.
pub(crate) fn bytes_of(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|value| value.to_le_bytes()).collect()
}
