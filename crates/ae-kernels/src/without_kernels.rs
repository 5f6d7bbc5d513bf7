//! What this crate gives without the feature `flex`: the same functions, by Burn's operations, and none where only a
//! kernel would do.

use burn::{nn::Linear, tensor::Tensor};

use crate::Activation;
pub use crate::by_burn::{
    batch_mean, bernoulli, bernoulli_like, conv_transpose2d, conv2d, linear, normal_like, signs_like, squared_error,
    squared_error_of_logits, step, uniform_like, units,
};

/// `phi(z)`, element by element.
pub fn activate<const D: usize>(activation: Activation, z: Tensor<D>) -> Tensor<D> {
    activation.by_burn(z)
}

/// `phi` of one of Burn's own layers.
pub fn dense<const D: usize>(layer: &Linear, x: Tensor<D>, activation: Activation) -> Tensor<D> {
    activation.by_burn(layer.forward(x))
}

/// `a b`: `[m, k]` and `[k, n]` to `[m, n]`.
pub fn matmul(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    a.matmul(b)
}

/// None: there is no kernel for it.
pub fn jvp<const D: usize>(_: Activation, _: &Tensor<D>, _: &Tensor<D>) -> Option<(Tensor<D>, Tensor<D>)> {
    None
}

/// None: there is no kernel for it.
pub fn layer_jacobian_norm2(_: &Tensor<2>, _: &Tensor<2>, _: Activation) -> Option<Tensor<1>> {
    None
}

/// Codes of few active units, of which there are none without a kernel.
#[derive(Debug, Clone)]
pub enum Sparse {}

impl Sparse {
    /// None: there is no kernel for it.
    pub fn top_k(_: &Tensor<2>, _: usize, _: Activation) -> Option<Self> {
        None
    }

    /// None: there is no kernel for it.
    pub fn of(_: &Tensor<2>, _: usize) -> Option<Self> {
        None
    }

    /// All numbers.
    pub fn dense(&self) -> Tensor<2> {
        match *self {}
    }

    /// A layer of them.
    pub fn linear(&self, _: Tensor<2>, _: Tensor<1>, _: Activation) -> Tensor<2> {
        match *self {}
    }
}
