//! An affine layer: `y = x W + b` with `W` of `[d_in, d_out]`.
//!
//! An encoder and a decoder of one such layer each, an identity output and squared error span the subspace of the first
//! `d_code` principal components at their optimum (Bourlard and Kamp 1988; Baldi and Hornik 1989).

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
    /// Features that it reads, at least 1.
    pub d_input: usize,
    /// Features that it gives, at least 1.
    pub d_output: usize,
    /// How the weight is drawn; the bias is uniform in `+-1/sqrt(d_input)` whatever it says. Default: as the bias,
    /// which is how Burn's and PyTorch's linear layers begin.
    #[config(default = "UNIFORM")]
    pub initializer: Initializer,
}

impl AffineConfig {
    /// The layer, with parameters from the device's generator, drawn when they are first asked for.
    pub fn init(&self, device: &Device) -> Affine {
        let (d_input, d_output) = (self.d_input, self.d_output);
        Affine {
            weight: self.initializer.init_with([d_input, d_output], Some(d_input), Some(d_output), device),
            bias: bias(d_input, d_output, device),
        }
    }
}

/// `x W + b`.
#[derive(Module, Debug)]
pub struct Affine {
    /// `[d_in, d_out]`.
    pub weight: Param<Tensor<2>>,
    /// `[d_out]`.
    pub bias: Param<Tensor<1>>,
}

/// A bias of a layer `d_in -> d_out`.
pub(super) fn bias(d_in: usize, d_out: usize, device: &Device) -> Param<Tensor<1>> {
    UNIFORM.init_with([d_out], Some(d_in), Some(d_out), device)
}

/// `phi(x W + b)`, in one pass where there is a kernel for it, and by the active features of `x` alone where they are
/// known: `[batch, d_in] -> [batch, d_out]`.
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

    /// `phi(x W + b)`, in one pass where there is a kernel for it: `[batch, d_in] -> [batch, d_out]`.
    pub fn activated(&self, x: Tensor<2>, activation: Activation) -> Tensor<2> {
        self.activated_by(x, None, activation)
    }

    /// The same of an input `x` whose `active` features are known to be all that are not 0.
    pub(super) fn activated_by(&self, x: Tensor<2>, active: Option<&Sparse>, activation: Activation) -> Tensor<2> {
        activated(x, active, self.weight.val(), self.bias.val(), activation)
    }
}

/// `weight` with what `project` makes of it in its place, trained as before.
pub(super) fn projected(weight: Param<Tensor<2>>, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Param<Tensor<2>> {
    weight.map(|weight| {
        let (trains, is_tracked) = (weight.device().is_autodiff(), weight.is_require_grad());
        let inner = project(weight.without_autodiff());
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
