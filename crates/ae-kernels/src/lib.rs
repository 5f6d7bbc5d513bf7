//! CPU kernels for Burn's tensors, each equal to Burn's own operations to rounding, and faster on Burn's Flex backend.
//!
//! Every function here takes and gives ordinary Burn tensors. Where all of them are `f32` on the Flex backend, with or
//! without autodiff, a kernel runs; anywhere else the same result comes from Burn's operations, which fuse on a GPU.
//! Nothing has to be chosen.
//!
//! - [`linear`]: `phi(x W + b)` in one operation, with a backward pass that skips what is zero; [`dense`]: the same of
//!   Burn's own layers;
//! - [`activate`]: an activation by itself, and [`jvp`] with a tangent beside it;
//! - [`squared_error`] and [`bernoulli`]: the loss of each row;
//! - [`Sparse`]: the `k` largest units of each row, and products with them whose cost grows with `k`;
//! - [`conv2d`] and [`conv_transpose2d`]: small convolutions as matrix products;
//! - [`layer_jacobian_norm2`]: the contractive penalty of one layer;
//! - [`normal_like`]: Gaussian noise;
//! - [`units`]: what the units of a code do, for metrics;
//! - `Adam` and `AdamW`: one pass over memory a step.
//!
//! The kernels are there with the feature `flex`, which is on by default and brings that backend. Without it every
//! function is by Burn's operations, whatever the backend, [`jvp`], [`layer_jacobian_norm2`] and [`Sparse`] give none,
//! and Adam is Burn's own to take. With the feature `wgpu` there is also `adapter_memory`, what `wgpu` does not say of
//! a GPU.
//!
//! Large buffers of results are kept for a second after Burn has dropped them, for the next result: with an allocator
//! that returns memory to the system, page faults would take longer than a step's arithmetic.
//!
//! The instructions are chosen when the program runs: AVX-512, AVX2 or NEON where the machine has them, plain code
//! elsewhere.

#[cfg(feature = "flex")]
mod activation;
#[cfg(feature = "flex")]
mod adam;
#[cfg(feature = "wgpu")]
mod adapter;
#[cfg(feature = "flex")]
mod buffer;
mod by_burn;
#[cfg(feature = "flex")]
mod contraction;
#[cfg(feature = "flex")]
mod conv;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "flex")]
mod gemm;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "flex")]
mod linear;
#[cfg(feature = "flex")]
mod loss;
#[cfg(feature = "flex")]
mod math;
#[cfg(feature = "flex")]
mod noise;
mod random;
#[cfg(feature = "flex")]
mod simd;
#[cfg(feature = "flex")]
mod sparse;
#[cfg(all(test, feature = "flex"))]
mod tests;
#[cfg(feature = "flex")]
mod threads;
#[cfg(all(test, feature = "flex"))]
mod timings;
#[cfg(feature = "flex")]
mod units;
#[cfg(not(feature = "flex"))]
mod without_kernels;

#[cfg(feature = "wgpu")]
pub use adapter::adapter_memory;
pub use by_burn::{Activation, Units};
pub use random::{alone, seeded};
#[cfg(not(feature = "flex"))]
pub use without_kernels::{
    Sparse, activate, batch_mean, bernoulli, bernoulli_like, conv_transpose2d, conv2d, dense, jvp,
    layer_jacobian_norm2, linear, matmul, normal_like, signs_like, squared_error, squared_error_of_logits, step,
    uniform_like, units,
};
#[cfg(feature = "flex")]
pub use {
    activation::{activate, jvp},
    adam::{Adam, AdamW, Kept, step},
    contraction::layer_jacobian_norm2,
    conv::{conv_transpose2d, conv2d},
    linear::{dense, linear, matmul},
    loss::{batch_mean, bernoulli, squared_error, squared_error_of_logits},
    noise::{bernoulli_like, normal_like, signs_like, uniform_like},
    sparse::Sparse,
    units::units,
};
