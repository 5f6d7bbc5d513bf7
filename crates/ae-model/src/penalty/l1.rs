//! L1: `Omega = sum_j |h_j|`, per example: a Laplace prior on the code (Olshausen and Field 1996), which pulls most
//! units towards 0.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Context, Penalty};
use crate::{ConfigError, Settings, Weight};

/// L1: sum of the magnitudes of the units, `sum_j |h_j|`, which pulls most of them towards 0 (Olshausen and Field
/// 1996); of a dictionary, of `h_j |d_j|`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct L1 {
    /// Factor of the penalty in the loss, 0 or more; with 0 it is only measured. Default: 0.01.
    pub weight: Weight,
}

impl L1 {
    /// The penalty with this factor in the loss, 0 or more.
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
        context.contributions().sum_dim(1).squeeze_dim(1)
    }
}
