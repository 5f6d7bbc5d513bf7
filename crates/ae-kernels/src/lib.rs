//! Fast kernels for Burn's tensors. Each computes the same as Burn's own operations, up to rounding.
//!
//! Every function takes and returns ordinary Burn tensors, and chooses the implementation by itself. A CPU kernel runs
//! where all tensors are `f32` on Burn's Flex backend, with or without autodiff. On any other backend or type, the
//! function uses Burn's operations, which fuse on a GPU.
//!
//! - [`linear`]: `phi(x W + b)` in one operation, with a backward pass that skips zeros; [`dense`]: the same for Burn's
//!   own layers; [`matmul`]: a matrix product;
//! - [`activate`]: an activation by itself; [`jvp`]: an activation with a tangent; [`linear_jvp`]: a layer with one;
//! - [`squared_error`], [`bernoulli`]: the loss of each row;
//! - [`Sparse`]: the largest units of each row or of a batch, and products with them that cost in proportion to their
//!   number;
//! - [`conv2d`], [`conv_transpose2d`]: small convolutions as matrix products;
//! - [`layer_jacobian_norm2`]: the contractive penalty of one layer;
//! - [`normal_like`], [`uniform_like`], [`bernoulli_like`], [`signs_like`]: random tensors; [`seeded`]: the same ones
//!   again;
//! - [`units`]: activity statistics of the units of a code;
//! - `Adam`, `AdamW`: optimizers with one pass over memory per step; `Forgotten`: running averages that begin anew.
//!
//! ```
//! use ae_kernels::{Activation, dense, linear};
//! use burn::{
//!     nn::LinearConfig,
//!     tensor::{Device, Tensor},
//! };
//!
//! let device = Device::default();
//! let x = Tensor::<2>::from_floats([[1.0, -2.0]], &device);
//! let weight = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device);
//! let y = linear(x.clone(), weight, Tensor::zeros([2], &device), Activation::Relu);
//! assert_eq!(y.into_data().iter::<f32>().collect::<Vec<_>>(), [1.0, 0.0]);
//!
//! // The same for a layer of Burn's own: one changed line in its module.
//! let layer = LinearConfig::new(2, 3).init(&device);
//! assert_eq!(dense(&layer, x, Activation::Tanh).dims(), [1, 3]);
//! ```
//!
//! # Features
//!
//! - `flex` (default): the CPU kernels, and the Flex backend whose tensors they read. Without it every function uses
//!   Burn's operations on any backend; [`jvp`], [`linear_jvp`], [`layer_jacobian_norm2`] and the constructors of
//!   [`Sparse`] return `None`, and `Adam` and `AdamW` are missing: use Burn's own.
//! - `gpu`: GPU kernels for layers, losses, the contractive penalty and Adam. `wgpu`, `cuda` and `rocm` turn it on
//!   together with the backend. `wgpu` also adds `adapter_memory`, which reports the memory of a GPU.
//!
//! # Memory and instructions
//!
//! Large result buffers are kept for a second after Burn has dropped them, and reused. With an allocator that returns
//! memory to the system, page faults would otherwise take longer than the arithmetic of a step.
//!
//! The instructions are selected at run time: AVX-512, AVX2 or NEON where the CPU has them, and plain code elsewhere.
//! On a CPU without fused multiply-add, the functions use Burn's operations.

#[cfg(feature = "flex")]
mod activation;
#[cfg(feature = "flex")]
mod adam;
#[cfg(feature = "wgpu")]
mod adapter;
#[cfg(feature = "flex")]
mod buffer;
mod burn_ops;
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
mod rule;
#[cfg(feature = "flex")]
mod simd;
#[cfg(feature = "flex")]
mod sparse;
#[cfg(feature = "flex")]
mod tangent;
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
pub use burn_ops::{Activation, Units};
pub use random::{alone, seeded};
pub use rule::Rule;
#[cfg(not(feature = "flex"))]
pub use without_kernels::{
    Forgotten, Sparse, activate, batch_mean, bernoulli, bernoulli_like, conv_transpose2d, conv2d, dense, jvp,
    layer_jacobian_norm2, linear, linear_jvp, matmul, normal_like, signs_like, squared_error, squared_error_of_logits,
    step, uniform_like, units,
};
#[cfg(feature = "flex")]
pub use {
    activation::{activate, jvp},
    adam::{Adam, AdamW, Forgotten, Kept, step},
    contraction::layer_jacobian_norm2,
    conv::{conv_transpose2d, conv2d},
    linear::{dense, linear, matmul},
    loss::{batch_mean, bernoulli, squared_error, squared_error_of_logits},
    noise::{bernoulli_like, normal_like, signs_like, uniform_like},
    sparse::Sparse,
    tangent::linear_jvp,
    units::units,
};

/// Compiles and runs the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
