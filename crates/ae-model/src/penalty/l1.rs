//! L1: `Omega = sum_j |h_j|`, per example. A Laplace prior on the code (Olshausen and Field 1996): most units are drawn to zero.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};

use super::{Context, check_weight};
use crate::{ConfigError, Decoder, Encoder};

/// Settings of the L1 penalty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct L1 {
    /// Factor of the penalty in the loss, at least 0; with 0 it is measured alone. Default: 0.01.
    pub weight: f64,
}

impl Default for L1 {
    fn default() -> Self {
        Self { weight: 0.01 }
    }
}

impl L1 {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_weight(self.weight)
    }

    pub(super) fn value<E: Encoder, D: Decoder>(&self, context: &Context<E, D>) -> Tensor<1> {
        context.code.clone().abs().sum_dim(1).squeeze_dim(1)
    }
}
