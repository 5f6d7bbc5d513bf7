//! The computation of every kernel with Burn's own operations: the fallback for tensors without a kernel, and the whole
//! implementation without the feature `flex`.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::{
    lr_scheduler::module_lr_scheduler::ModuleLearningRate,
    module::Module,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{
        Bool, Distribution, ExecutionError, Tensor, activation, module,
        ops::{ConvOptions, ConvTransposeOptions},
    },
};

/// An element-wise activation `phi`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `z`.
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `z` above zero, and this multiple of `z` below. The multiple must be positive: the slope is derived from the
    /// sign of the value.
    LeakyRelu(f64),
    /// `z` above zero, `e^z - 1` below (Clevert et al. 2016). The slope below zero is computed as the value plus 1,
    /// with an absolute error of 6e-8, not a relative one.
    Elu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-z)`.
    Sigmoid,
    /// `ln(1 + e^z)`.
    Softplus,
    /// `z Phi(z)` with the normal distribution function `Phi` (Hendrycks and Gimpel 2016); not the approximation with a
    /// hyperbolic tangent.
    Gelu,
    /// `z / (1 + e^-z)` (Elfwing et al. 2018).
    Silu,
}

impl Activation {
    /// `phi(z)` with Burn's operations.
    pub(crate) fn with_burn<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Identity => z,
            Self::Relu => activation::relu(z),
            Self::LeakyRelu(below) => activation::leaky_relu(z, below),
            // Burn's own ELU lets `exp` overflow on the side that it masks out, so that the backward pass gets inf * 0.
            Self::Elu => activation::relu(z.clone()) + z.clamp_max(0.0).exp().sub_scalar(1.0),
            Self::Tanh => activation::tanh(z),
            Self::Sigmoid => activation::sigmoid(z),
            Self::Softplus => activation::softplus(z, 1.0),
            // Composed here: Burn's own backward pass is that of an approximation, with errors of up to 1e-3.
            Self::Gelu => z.clone() * z.mul_scalar(FRAC_1_SQRT_2).erf().add_scalar(1.0).mul_scalar(0.5),
            Self::Silu => activation::silu(z),
        }
    }
}

/// `phi(x W + b)`: `x` `[batch, d_in]`, `weight` `[d_in, d_out]`, `bias` `[d_out]`, to `[batch, d_out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
    activation.with_burn(module::linear(x, weight, Some(bias)))
}

/// `phi(w * x + b)`, a convolution with zero padding.
///
/// `x` is `[batch, channels_in, height, width]`, `weight` `[channels_out, channels_in, k, k]`, `bias`
/// `[channels_out]`.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
    activation: Activation,
) -> Tensor<4> {
    activation.with_burn(module::conv2d(x, weight, bias, ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1)))
}

/// `phi` of a transposed convolution.
///
/// `x` is `[batch, channels_in, height, width]`, `weight` `[channels_in, channels_out, k, k]`, `bias`
/// `[channels_out]`. The result has `stride (side - 1) + k - 2 padding` rows or columns, and `rest` more at the end.
pub fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
    rest: [usize; 2],
    activation: Activation,
) -> Tensor<4> {
    let options = ConvTransposeOptions::new([stride; 2], [padding; 2], rest, [1, 1], 1);
    activation.with_burn(module::conv_transpose2d(x, weight, bias, options))
}

/// Half the squared error of each row, `1/2 sum_i w_i (x_i - r_i)^2`: `[batch]`.
///
/// The inputs `x`, their reconstructions `r` and the weights `w` are `[batch, d]`. Without weights each is 1.
pub fn squared_error(x: Tensor<2>, r: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    row_sums((x - r).square().mul_scalar(0.5), weights)
}

/// The Bernoulli cross-entropy of each row, `-sum_i w_i (x_i log s(l_i) + (1 - x_i) log(1 - s(l_i)))`: `[batch]`.
///
/// `s` is the logistic function. The inputs `x` (in `[0, 1]`), the logits `l` and the weights `w` are `[batch, d]`.
/// Without weights each is 1.
pub fn bernoulli(x: Tensor<2>, logits: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    // log(1 + exp(l)) - x l, in a form whose exponent cannot overflow.
    row_sums(logits.clone().clamp_min(0.0) - x * logits.clone() + logits.abs().neg().exp().log1p(), weights)
}

/// [`squared_error`] of the probabilities `s(l)` that the logits `l` represent.
pub fn squared_error_of_logits(x: Tensor<2>, logits: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    squared_error(x, activation::sigmoid(logits), weights)
}

fn row_sums(error: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    let error = match weights {
        Some(weights) => error * weights,
        None => error,
    };
    error.sum_dim(1).squeeze_dim(1)
}

/// The mean of `values` over the batch: `[batch]` to `[1]`.
pub fn batch_mean(values: Tensor<1>) -> Tensor<1> {
    values.mean()
}

/// Samples from `N(0, std^2)`, with the shape and on the device of `x`.
pub fn normal_like<const D: usize>(x: &Tensor<D>, std: f64) -> Tensor<D> {
    x.random_like(Distribution::Normal(0.0, std))
}

/// Samples from `[0, 1)`, with the shape and on the device of `x`.
pub fn uniform_like<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.random_like(Distribution::Uniform(0.0, 1.0))
}

/// Samples of 1 with the probability `chance` and of 0 otherwise, with the shape and on the device of `x`.
pub fn bernoulli_like<const D: usize>(x: &Tensor<D>, chance: f64) -> Tensor<D> {
    x.random_like(Distribution::Bernoulli(chance))
}

/// Samples of 1 and -1 with equal probability, with the shape and on the device of `x`.
pub fn signs_like<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.random_like(Distribution::Bernoulli(0.5)).mul_scalar(2.0).sub_scalar(1.0)
}

/// Activity statistics of a code over a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Units {
    /// Number of values whose magnitude is above that of an inactive unit.
    pub active: f64,
    /// Sum of the magnitudes of all values.
    pub size: f64,
    /// Number of saturated values.
    pub saturated: f64,
    /// Largest magnitude of each unit, `[d_code]`.
    pub peak: Vec<f32>,
}

/// Activity statistics of `code` (`[batch, d_code]`), with one transfer from the device for the sums and one for the
/// peaks.
///
/// A value is active if its magnitude is above `inactive`, and saturated if it is at or below the first of the bounds,
/// or at or above the second.
///
/// # Errors
/// The device fails to return its results.
pub fn units(code: &Tensor<2>, inactive: f32, [low, high]: [Option<f32>; 2]) -> Result<Units, ExecutionError> {
    let size = code.clone().abs();
    let count = |which: Option<Tensor<2, Bool>>| match which {
        Some(which) => which.float().sum(),
        None => Tensor::zeros([1], &code.device()),
    };
    let sums = vec![
        count(Some(size.clone().greater_elem(inactive))),
        size.clone().sum(),
        count(low.map(|low| code.clone().lower_equal_elem(low))),
        count(high.map(|high| code.clone().greater_equal_elem(high))),
    ];
    let sums: Vec<f64> = Tensor::cat(sums, 0).try_into_data()?.iter::<f32>().map(f64::from).collect();
    let peak = size.max_dim(0).try_into_data()?.iter::<f32>().collect();
    Ok(Units { active: sums[0], size: sums[1], saturated: sums[2] + sums[3], peak })
}

/// `optimizer.step(rate, module, gradients)`.
#[cfg_attr(feature = "gpu", allow(dead_code, reason = "the GPU updates all parameters together"))]
pub fn step<M: Module>(
    optimizer: &mut ModuleOptimizer,
    rate: impl Into<ModuleLearningRate>,
    module: M,
    gradients: GradientsParams,
) -> M {
    optimizer.step(rate, module, gradients)
}
