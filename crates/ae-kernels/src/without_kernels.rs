//! The public functions of this crate without the feature `flex`: they use Burn's operations, and return `None` where
//! only a kernel would do.

use burn::{nn::Linear, tensor::Tensor};

pub use crate::burn_ops::{
    batch_mean, bernoulli, bernoulli_like, conv_transpose2d, conv2d, linear, normal_like, signs_like, squared_error,
    squared_error_of_logits, step, uniform_like, units,
};
use crate::{Activation, Rule};

/// `phi(z)`, element-wise.
pub fn activate<const D: usize>(activation: Activation, z: Tensor<D>) -> Tensor<D> {
    activation.with_burn(z)
}

/// `phi(layer.forward(x))` for one of Burn's own layers.
pub fn dense<const D: usize>(layer: &Linear, x: Tensor<D>, activation: Activation) -> Tensor<D> {
    activation.with_burn(layer.forward(x))
}

/// `a b`: `[m, k]` and `[k, n]` to `[m, n]`.
pub fn matmul(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    a.matmul(b)
}

/// Always `None`: there is no kernel without the feature `flex`.
pub fn jvp<const D: usize>(_: Activation, _: &Tensor<D>, _: &Tensor<D>) -> Option<(Tensor<D>, Tensor<D>)> {
    None
}

/// Always `None`: there is no kernel without the feature `flex`.
pub fn linear_jvp(_: &Tensor<2>, _: &Tensor<2>, _: &Tensor<1>, _: Activation) -> Option<Tensor<2>> {
    None
}

/// Always `None`: there is no kernel without the feature `flex`.
pub fn layer_jacobian_norm2(_: &Tensor<2>, _: &Tensor<2>, _: Activation) -> Option<Tensor<1>> {
    None
}

/// Which running averages an optimizer loses in a step. Without the feature `flex` there is no optimizer that reads it.
#[derive(Debug, Default)]
pub struct Forgotten;

impl Forgotten {
    /// Returns itself.
    pub fn with<const D: usize>(self, _: Tensor<D>, _: Tensor<D>) -> Self {
        self
    }

    /// Runs `step`.
    pub fn during<T>(self, step: impl FnOnce() -> T) -> T {
        step()
    }
}

/// A code with few active units. Without the feature `flex` there are none: the type has no values.
#[derive(Debug, Clone)]
pub enum Sparse {}

impl Sparse {
    /// Always `None`: there is no kernel without the feature `flex`.
    pub fn select(_: &Tensor<2>, _: Rule, _: Option<&Tensor<1>>, _: Option<&[u32]>, _: Activation) -> Option<Self> {
        None
    }

    /// Always `None`: there is no kernel without the feature `flex`.
    pub fn top_k(_: &Tensor<2>, _: usize, _: Activation) -> Option<Self> {
        None
    }

    /// Always `None`: there is no kernel without the feature `flex`.
    pub fn of(_: &Tensor<2>, _: usize) -> Option<Self> {
        None
    }

    /// The number of entries.
    pub fn entries(&self) -> usize {
        match *self {}
    }

    /// The values of the entries.
    pub fn values(&self) -> Tensor<1> {
        match *self {}
    }

    /// The code as a dense tensor.
    pub fn dense(&self) -> Tensor<2> {
        match *self {}
    }

    /// The smallest value greater than 0.
    pub fn least_positive(&self, _: Option<&Tensor<1>>) -> Option<f32> {
        match *self {}
    }

    /// 1 for each column with a value other than 0, and 0 for the others.
    pub fn active(&self) -> Tensor<1> {
        match *self {}
    }

    /// `phi(h W + b)` of this code `h`.
    pub fn linear(&self, _: Tensor<2>, _: Tensor<1>, _: Activation) -> Tensor<2> {
        match *self {}
    }

    /// `phi(h W + b)` of the first columns of this code `h`, for each of some widths.
    pub fn prefixes(&self, _: Tensor<2>, _: Tensor<1>, _: &[usize], _: Activation) -> Tensor<2> {
        match *self {}
    }
}
