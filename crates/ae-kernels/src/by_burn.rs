//! What every kernel computes, by Burn's own operations: for tensors that there is no kernel for, and all there is
//! without the feature `flex`.

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

/// An activation `phi`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `z`.
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `z` above zero, this multiple of it below, which is positive: the slope follows from the value's sign.
    LeakyRelu(f64),
    /// `z` above zero, `e^z - 1` below (Clevert et al. 2016). Its slope there, the value plus 1, is exact to 6e-8, not
    /// to so small a share of itself.
    Elu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-z)`.
    Sigmoid,
    /// `ln(1 + e^z)`.
    Softplus,
    /// `z Phi(z)` with the normal distribution function `Phi` (Hendrycks and Gimpel 2016), not its approximation by a
    /// hyperbolic tangent.
    Gelu,
    /// `z / (1 + e^-z)` (Elfwing et al. 2018).
    Silu,
}

impl Activation {
    /// `phi` by Burn's operations.
    pub(crate) fn by_burn<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Identity => z,
            Self::Relu => activation::relu(z),
            Self::LeakyRelu(below) => activation::leaky_relu(z, below),
            // Burn's own ELU lets exp overflow on the side that it masks out, and the backward pass then meets inf * 0.
            Self::Elu => activation::relu(z.clone()) + z.clamp_max(0.0).exp().sub_scalar(1.0),
            Self::Tanh => activation::tanh(z),
            Self::Sigmoid => activation::sigmoid(z),
            Self::Softplus => activation::softplus(z, 1.0),
            // Composed here: the backward pass of Burn's own is that of an approximation, which is off by up to 1e-3.
            Self::Gelu => z.clone() * z.mul_scalar(FRAC_1_SQRT_2).erf().add_scalar(1.0).mul_scalar(0.5),
            Self::Silu => activation::silu(z),
        }
    }
}

/// `phi(x W + b)`: `x` `[batch, d_in]`, `weight` `[d_in, d_out]`, `bias` `[d_out]`, to `[batch, d_out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
    activation.by_burn(module::linear(x, weight, Some(bias)))
}

/// `phi(w * x + b)`: `x` `[batch, channels_in, height, width]`, `weight` `[channels_out, channels_in, k, k]`, `bias`
/// `[channels_out]`.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
    activation: Activation,
) -> Tensor<4> {
    activation.by_burn(module::conv2d(x, weight, bias, ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1)))
}

/// The transpose of a convolution: `x` `[batch, channels_in, height, width]`, `weight` `[channels_in, channels_out, k,
/// k]`, `bias`
/// `[channels_out]`, and `rest` rows and columns more at the end of the result than `stride (side - 1) + k - 2
/// padding`.
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
    activation.by_burn(module::conv_transpose2d(x, weight, bias, options))
}

/// `1/2 sum_i w_i (x_i - r_i)^2` of each row, `[batch]`, of the inputs `x` and their reconstructions `r`, both `[batch,
/// d]`; every weight is 1 if there are none.
pub fn squared_error(x: Tensor<2>, r: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    row_sums((x - r).square().mul_scalar(0.5), weights)
}

/// `-sum_i w_i (x_i log s(l_i) + (1 - x_i) log(1 - s(l_i)))` of each row, `[batch]`, with the logistic function `s`, of
/// the inputs `x` and the logits `l`, both `[batch, d]`.
pub fn bernoulli(x: Tensor<2>, logits: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    // log(1 + exp(l)) - x l, with the exponent kept from overflowing.
    row_sums(logits.clone().clamp_min(0.0) - x * logits.clone() + logits.abs().neg().exp().log1p(), weights)
}

/// [`squared_error`] of the probabilities `s(l)` that the logits `l` stand for.
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

/// The mean over the batch of `values`, `[batch]` to `[1]`.
pub fn batch_mean(values: Tensor<1>) -> Tensor<1> {
    values.mean()
}

/// Draws from `N(0, std^2)`, in the shape of `x` and on its device.
pub fn normal_like<const D: usize>(x: &Tensor<D>, std: f64) -> Tensor<D> {
    x.random_like(Distribution::Normal(0.0, std))
}

/// Draws from `[0, 1)`, in the shape of `x` and on its device.
pub fn uniform_like<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.random_like(Distribution::Uniform(0.0, 1.0))
}

/// Draws of 1, with this chance, and 0, in the shape of `x` and on its device.
pub fn bernoulli_like<const D: usize>(x: &Tensor<D>, chance: f64) -> Tensor<D> {
    x.random_like(Distribution::Bernoulli(chance))
}

/// Draws of 1 and -1 with equal chances, in the shape of `x` and on its device.
pub fn signs_like<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.random_like(Distribution::Bernoulli(0.5)).mul_scalar(2.0).sub_scalar(1.0)
}

/// Figures of a code, over its batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Units {
    /// Values whose size is above that of an inactive unit.
    pub active: f64,
    /// Sum of the sizes.
    pub size: f64,
    /// Values at a bound.
    pub saturated: f64,
    /// Largest size of each unit.
    pub peak: Vec<f32>,
}

/// The figures of `code`, `[batch, d_code]`, with one reading of the sums and one of the peaks. A value is active if
/// its size is above `inactive`, and saturated at or below the first of the bounds or at or above the second.
///
/// # Errors
/// A device that fails to give its results back.
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
#[cfg_attr(feature = "gpu", allow(dead_code))] // there the steps of all parameters are joined
pub fn step<M: Module>(
    optimizer: &mut ModuleOptimizer,
    rate: impl Into<ModuleLearningRate>,
    module: M,
    gradients: GradientsParams,
) -> M {
    optimizer.step(rate, module, gradients)
}
