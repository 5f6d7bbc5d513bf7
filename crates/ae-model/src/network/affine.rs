//! An affine layer: `y = x W + b` with `W` of `[d_in, d_out]`.
//!
//! An encoder and a decoder of one such layer each, with an identity output and squared error, span the subspace of the
//! first `d_code` principal components at their optimum (Bourlard and Kamp 1988; Baldi and Hornik 1989).

use ae_kernels::Sparse;
use burn::{
    config::Config,
    module::{Module, Param},
    nn::Initializer,
    tensor::{Device, Tensor},
};

use super::initialization::UNIFORM;
use crate::Activation;

/// Settings of an [`Affine`] layer.
#[derive(Config, Debug, PartialEq)]
pub struct AffineConfig {
    /// Number of inputs, at least 1.
    pub d_input: usize,
    /// Number of outputs, at least 1.
    pub d_output: usize,
    /// Distribution of the initial weight. Default: uniform in `+-1/sqrt(d_input)`, as in the linear layers of Burn and
    /// PyTorch. The bias always has this distribution.
    #[config(default = "UNIFORM")]
    pub initializer: Initializer,
}

impl AffineConfig {
    /// The layer. Its parameters are drawn from the device's generator when they are first used.
    pub fn init(&self, device: &Device) -> Affine {
        let (d_input, d_output) = (self.d_input, self.d_output);
        Affine {
            weight: self.initializer.init_with([d_input, d_output], Some(d_input), Some(d_output), device),
            bias: bias(d_input, d_output, device),
        }
    }
}

/// The layer `x W + b`.
#[derive(Module, Debug)]
pub struct Affine {
    /// The weight, `[d_in, d_out]`.
    pub weight: Param<Tensor<2>>,
    /// The bias, `[d_out]`.
    pub bias: Param<Tensor<1>>,
}

/// The bias of a layer `d_in -> d_out`.
pub(super) fn bias(d_in: usize, d_out: usize, device: &Device) -> Param<Tensor<1>> {
    UNIFORM.init_with([d_out], Some(d_in), Some(d_out), device)
}

/// `phi(x W + b)`: `[batch, d_in] -> [batch, d_out]`. In one pass where there is a kernel, and with the `active`
/// features of `x` only, if they are known.
pub(super) fn activated(
    x: Tensor<2>,
    active: Option<&Sparse>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    activation: Activation,
) -> Tensor<2> {
    match active {
        Some(active) => active.linear(weight, bias, activation.kernel()),
        None => ae_kernels::linear(x, weight, bias, activation.kernel()),
    }
}

impl Affine {
    /// A layer with the given weight (`[d_in, d_out]`) and bias (`[d_out]`).
    pub fn from_tensors(weight: Tensor<2>, bias: Tensor<1>) -> Self {
        Self { weight: Param::from_tensor(weight), bias: Param::from_tensor(bias) }
    }

    /// `x W + b`: `[batch, d_in] -> [batch, d_out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.activated(x, Activation::Identity)
    }

    /// `phi(x W + b)`: `[batch, d_in] -> [batch, d_out]`, in one pass where there is a kernel.
    pub fn activated(&self, x: Tensor<2>, activation: Activation) -> Tensor<2> {
        self.activated_by(x, None, activation)
    }

    /// As [`activated`](Self::activated), for an input whose features other than the `active` ones are known to be 0.
    pub(super) fn activated_by(&self, x: Tensor<2>, active: Option<&Sparse>, activation: Activation) -> Tensor<2> {
        activated(x, active, self.weight.val(), self.bias.val(), activation)
    }
}

/// A parameter replaced by a function of its value without autodiff; it is trained as before.
pub(crate) fn replaced<const D: usize>(
    parameter: Param<Tensor<D>>,
    change: &dyn Fn(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    parameter.map(|value| {
        let (trains, is_tracked) = (value.device().is_autodiff(), value.is_require_grad());
        let inner = change(value.without_autodiff());
        if trains { Tensor::from_inner(inner).set_require_grad(is_tracked) } else { inner }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_layer_worked_by_hand() {
        let device = Device::default();
        let layer = Affine::from_tensors(
            Tensor::from_floats([[1.0, 2.0], [3.0, 4.0]], &device),
            Tensor::from_floats([0.5, -0.5], &device),
        );
        let y = layer.forward(Tensor::from_floats([[1.0, 10.0]], &device));
        y.into_data().assert_eq(&[[31.5f32, 41.5]].into(), true);
    }
}
