//! CPU kernels for Burn's tensors, each equal to Burn's own operations to rounding, and faster on Burn's Flex backend.
//!
//! Every function here takes and gives ordinary Burn tensors. Where all of them are `f32` on the Flex backend, with or without autodiff, a
//! kernel runs; anywhere else the same result comes from Burn's operations, which fuse on a GPU. Nothing has to be chosen.
//!
//! - [`linear`]: `phi(x W + b)` in one operation, with a backward pass that skips what is zero; [`dense`]: the same of Burn's own layers;
//! - [`activate`]: an activation by itself, and [`jvp`] with a tangent beside it;
//! - [`squared_error`] and [`bernoulli`]: the loss of each row;
//! - [`Sparse`]: the `k` largest units of each row, and products with them whose cost grows with `k`;
//! - [`conv2d`] and [`conv_transpose2d`]: small convolutions as matrix products;
//! - [`layer_jacobian_norm2`]: the contractive penalty of one layer;
//! - [`normal_like`]: Gaussian noise;
//! - [`units`]: what the units of a code do, for metrics;
//! - [`Adam`] and [`AdamW`]: one pass over memory a step.
//!
//! With the feature `wgpu` there is also `adapter_memory`, what `wgpu` does not say of a GPU.
//!
//! Large buffers of results are kept for a second after Burn has dropped them, for the next result: with an allocator
//! that returns memory to the system, page faults would take longer than a step's arithmetic.
//!
//! The instructions are chosen when the program runs: AVX-512, AVX2 or NEON where the machine has them, plain code elsewhere.

mod activation;
mod adam;
#[cfg(feature = "wgpu")]
mod adapter;
mod buffer;
mod contraction;
mod conv;
mod cpu;
mod gemm;
#[cfg(feature = "gpu")]
mod gpu;
mod linear;
mod loss;
mod math;
mod noise;
mod simd;
mod sparse;
#[cfg(test)]
mod tests;
mod threads;
#[cfg(test)]
mod timings;
mod units;

pub use activation::{Activation, activate, jvp};
pub use adam::{Adam, AdamW, Kept, step};
#[cfg(feature = "wgpu")]
pub use adapter::adapter_memory;
pub use contraction::layer_jacobian_norm2;
pub use conv::{conv_transpose2d, conv2d};
pub use linear::{dense, linear, matmul};
pub use loss::{batch_mean, bernoulli, squared_error, squared_error_of_logits};
pub use noise::{normal_like, signs_like};
pub use sparse::Sparse;
pub use units::{Units, units};
