//! An affine layer: `y = x W + b` with `W` of `[d_in, d_out]`.
//!
//! An encoder and a decoder of one such layer each, an identity output and squared error span the subspace of the first `d_code` principal
//! components at their optimum (Bourlard and Kamp 1988; Baldi and Hornik 1989).

use ae_kernels::Sparse;
use burn::{
    module::{Module, Param},
    nn::Initializer,
    tensor::{Device, Tensor},
};

use crate::Activation;

/// `x W + b`.
#[derive(Module, Debug)]
pub struct Affine {
    /// `[d_in, d_out]`.
    pub weight: Param<Tensor<2>>,
    /// `[d_out]`.
    pub bias: Param<Tensor<1>>,
}

/// Uniform in `+-1/sqrt(d_in)`, like Burn's and PyTorch's linear layers.
const UNIFORM: Initializer = Initializer::KaimingUniform { gain: 0.577_350_269_189_625_8, fan_out_only: false };

/// A bias of a layer `d_in -> d_out`.
pub(super) fn bias(d_in: usize, d_out: usize, device: &Device) -> Param<Tensor<1>> {
    UNIFORM.init_with([d_out], Some(d_in), Some(d_out), device)
}

impl Affine {
    /// A layer `d_in -> d_out`, uniform in `+-1/sqrt(d_in)` like Burn's and PyTorch's linear layers.
    pub fn init(d_in: usize, d_out: usize, device: &Device) -> Self {
        Self { weight: UNIFORM.init_with([d_in, d_out], Some(d_in), Some(d_out), device), bias: bias(d_in, d_out, device) }
    }

    /// A layer with the given weight (`[d_in, d_out]`) and bias (`[d_out]`).
    pub fn from_tensors(weight: Tensor<2>, bias: Tensor<1>) -> Self {
        Self { weight: Param::from_tensor(weight), bias: Param::from_tensor(bias) }
    }

    /// `x W + b`: `[batch, d_in] -> [batch, d_out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.activated(x, Activation::Identity)
    }

    /// `phi(x W + b)`, in one pass where there is a kernel for it.
    pub fn activated(&self, x: Tensor<2>, activation: Activation) -> Tensor<2> {
        let (fused, rest) = activation.fused();
        rest.forward(ae_kernels::linear(x, self.weight.val(), self.bias.val(), fused))
    }

    /// The same of an input of which few features are active.
    pub fn activated_sparse(&self, x: &Sparse, activation: Activation) -> Tensor<2> {
        let (fused, rest) = activation.fused();
        rest.forward(x.linear(self.weight.val(), self.bias.val(), fused))
    }
}

/// The weight with what `project` makes of it in its place, trained as before.
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
        let layer = Affine::from_tensors(Tensor::from_floats([[1.0, 2.0], [3.0, 4.0]], &device), Tensor::from_floats([0.5, -0.5], &device));
        let y = layer.forward(Tensor::from_floats([[1.0, 10.0]], &device));
        y.into_data().assert_eq(&[[31.5f32, 41.5]].into(), true);
    }
}
