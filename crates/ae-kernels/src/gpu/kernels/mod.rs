//! The GPU kernels, in CubeCL.
//!
//! Every launch is unchecked. Each kernel compares its position with the lengths that are passed to it, and the buffers
//! have these lengths because the operations in `gpu/mod.rs` allocate tensors of those shapes.

mod activation;
mod adam;
mod contraction;
mod loss;

pub(super) use activation::{activation_gradient, bias_activation};
pub(super) use adam::adam;
pub(super) use contraction::{column_norms, contraction, contraction_gradient, scaled_columns};
pub(super) use loss::{loss_gradient, row_loss};

use burn::tensor::{DType, Shape};
use burn_cubecl::{cubecl, kernel::into_contiguous, ops::numeric::empty_device_contiguous_dtype, tensor::CubeTensor};
use cubecl::prelude::*;

/// Columns and rows of the workgroups that reduce over rows.
const COLUMNS: u32 = 32;

const ROWS: u32 = 8;

/// Threads that share a row in the kernels that reduce over columns.
const LANES: u32 = 64;

/// A new tensor on the device of `like`.
fn empty(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape.into(), DType::F32)
}

fn elements(tensor: &CubeTensor) -> usize {
    tensor.meta.num_elements()
}

/// A gradient of each row, and the stride between two of its entries: 0 where all rows share one entry, as behind a
/// mean.
fn row_gradient(upstream: CubeTensor) -> (CubeTensor, usize) {
    match upstream.meta.strides()[0] {
        stride @ 0..=1 => (upstream, stride),
        _ => (into_contiguous(upstream), 1),
    }
}

/// Converts a vector to an array whose length is known.
trait MapToArray {
    fn map_to<const N: usize>(self, f: impl Fn(CubeTensor) -> CubeTensor) -> [CubeTensor; N];
}

impl MapToArray for Vec<CubeTensor> {
    fn map_to<const N: usize>(self, f: impl Fn(CubeTensor) -> CubeTensor) -> [CubeTensor; N] {
        let mapped: Vec<_> = self.into_iter().map(f).collect();
        mapped.try_into().unwrap_or_else(|_| unreachable!("{N} tensors"))
    }
}

/// The sum of `part` over the threads in this thread's column of the workgroup, which is [`COLUMNS`] wide and [`ROWS`]
/// high.
#[cube]
fn column_total(part: f32) -> f32 {
    let mut parts = Shared::<[f32]>::new_slice(comptime!((COLUMNS * ROWS) as usize));
    parts[UNIT_POS as usize] = part;
    sync_cube();
    let mut total = 0.0f32;
    for row in 0..ROWS {
        total += parts[(row * COLUMNS + UNIT_POS_X) as usize];
    }
    total
}

/// The sum of `part` over the [`LANES`] threads of the workgroup.
#[cube]
fn row_total(part: f32) -> f32 {
    let mut parts = Shared::<[f32]>::new_slice(comptime!(LANES as usize));
    parts[UNIT_POS as usize] = part;
    sync_cube();
    let mut total = 0.0f32;
    for lane in 0..LANES {
        total += parts[lane as usize];
    }
    total
}

#[cube]
fn sigmoid(z: f32) -> f32 {
    1.0f32 / (1.0f32 + (-z).exp())
}
