//! Half the squared error.

use std::f64::consts::TAU;

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::Loss;
use crate::Settings;

/// Half the squared error, `1/2 sum_i (x_i - r_i)^2`: a Gaussian of unit variance, up to a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde")]
pub struct SquaredError;

impl Settings for SquaredError {
    const NAME: &'static str = "squared_error";
}

impl Loss for SquaredError {
    fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        ae_kernels::squared_error(x, output, weights)
    }

    fn is_half_squared_error(&self) -> bool {
        true
    }

    fn constant(&self) -> f64 {
        TAU.ln() / 2.0
    }
}
