//! Tanh: a smooth number of active units, `Omega = sum_j tanh(s |h_j|)`, per example (Conerly et al. 2025). It
//! penalizes that a unit is active, but hardly how much, so that large activations shrink less than under L1.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Context, Penalty};
use crate::{ConfigError, Settings, Weight};

/// Tanh: a smooth number of active units, `sum_j tanh(scale |h_j|)`; of a dictionary, of `h_j |d_j|` (Conerly et al.
/// 2025).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct Tanh {
    /// Factor of the penalty in the loss, 0 or more; with 0 it is only measured. Default: 0.1.
    pub weight: Weight,
    /// Factor of the magnitude, in inverse units of the code, greater than 0. Default: 4.
    pub scale: f64,
}

impl Tanh {
    /// The penalty with this factor in the loss, 0 or more.
    pub fn new(weight: impl Into<Weight>) -> Self {
        Self { weight: weight.into(), ..Self::default() }
    }
}

impl Default for Tanh {
    fn default() -> Self {
        Self { weight: 0.1.into(), scale: 4.0 }
    }
}

impl Settings for Tanh {
    const NAME: &'static str = "tanh";
}

impl Penalty for Tanh {
    fn weight(&self, progress: f64) -> f64 {
        self.weight.at(progress)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.weight.check("weight")?;
        if self.scale > 0.0 && self.scale.is_finite() {
            return Ok(());
        }
        Err(ConfigError::new("scale", self.scale, "greater than 0"))
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        context.contributions().mul_scalar(self.scale).tanh().sum_dim(1).squeeze_dim(1)
    }
}
