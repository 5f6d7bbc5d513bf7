//! The same operations on a GPU.
//!
//! There the number of kernels that a step launches matters most: each operation is one kernel where Burn's fusion
//! leaves several. A kernel is queued among Burn's operations as one that fusion treats as opaque, so that nothing
//! waits for it.
//!
//! [`kernels`] holds the kernels; the other files apply them to Burn's tensors and define their gradients.

pub(crate) mod adam;
mod contraction;
mod kernels;
mod layer;
mod loss;
mod names;
mod tensor;

pub(crate) use contraction::layer_jacobian_norm2;
pub(crate) use layer::linear;
pub(crate) use loss::{batch_mean, loss};

use crate::Activation;

/// Whether there are GPU kernels for an activation. Softplus, GELU and SiLU are left to Burn's operations, which fuse.
fn has_kernel(activation: Activation) -> bool {
    !matches!(activation, Activation::Softplus | Activation::Gelu | Activation::Silu)
}
