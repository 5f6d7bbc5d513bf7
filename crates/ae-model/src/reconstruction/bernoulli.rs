//! The cross-entropy of Bernoulli variables.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::Loss;
use crate::{Activation, Settings};

/// The cross-entropy of a Bernoulli variable for each feature, from logits, for targets in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde")]
pub struct Bernoulli;

impl Settings for Bernoulli {
    const NAME: &'static str = "bernoulli";
}

impl Loss for Bernoulli {
    fn mean(&self, output: Tensor<2>) -> Tensor<2> {
        Activation::Sigmoid.forward(output)
    }

    fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        ae_kernels::bernoulli(x, output, weights)
    }

    fn reads_logits(&self) -> bool {
        true
    }

    fn half_squared_error(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        ae_kernels::squared_error_of_logits(x, output, weights)
    }
}
