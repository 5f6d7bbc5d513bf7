//! L1: `Omega = sum_j |h_j|`, per example. A Laplace prior on the code (Olshausen and Field 1996): most units are
//! pulled to zero.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Context, Penalty};
use crate::{ConfigError, Settings, Weight};

/// Sum of the sizes of the units, `sum_j |h_j|`: most of them are pulled to 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct L1 {
    /// Factor of the penalty in the loss, at least 0; with 0 it is only measured. Default: 0.01.
    pub weight: Weight,
}

impl L1 {
    /// The penalty with this factor in the loss, at least 0.
    pub fn new(weight: impl Into<Weight>) -> Self {
        Self { weight: weight.into() }
    }
}

impl Default for L1 {
    fn default() -> Self {
        Self { weight: 0.01.into() }
    }
}

impl Settings for L1 {
    const NAME: &'static str = "l1";
}

impl Penalty for L1 {
    fn weight(&self, progress: f64) -> f64 {
        self.weight.at(progress)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.weight.check("weight")
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        context.latent.code.clone().abs().sum_dim(1).squeeze_dim(1)
    }
}
