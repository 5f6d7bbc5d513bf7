//! KL rate: `Omega = sum_j rho log(rho / m_j) + (1 - rho) log((1 - rho) / (1 - m_j))`, where `m_j` is the mean of unit
//! `j` over the batch (Ng 2011, Sparse autoencoder, CS294A).
//!
//! Each unit, in `[0, 1]`, is penalized for being active more or less often than the rate `rho`. The penalty is one
//! number for the batch. Every example gets this number, so that the mean of the objective over the batch is right.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::{Shape, Tensor},
};
use schemars::JsonSchema;

use super::{Context, Penalty};
use crate::{ConfigError, Settings, Weight};

/// KL rate: divergence of the mean activation of each unit over the batch from a target rate (Ng 2011).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct KlRate {
    /// Factor of the penalty in the loss, 0 or more; with 0 it is only measured. Default: 0.1.
    pub weight: Weight,
    /// Target `rho` of the mean activation, in `(0, 1)`. Default: 0.05.
    pub rate: f64,
}

crate::macros::setters! {
    KlRate {
        with_weight(weight: impl Into<Weight>),
    }
}

impl KlRate {
    /// The penalty towards this rate, in `(0, 1)`.
    pub fn new(rate: f64) -> Self {
        Self { rate, ..Self::default() }
    }
}

impl Default for KlRate {
    fn default() -> Self {
        Self { weight: 0.1.into(), rate: 0.05 }
    }
}

impl Settings for KlRate {
    const NAME: &'static str = "kl_rate";
}

impl Penalty for KlRate {
    fn weight(&self, progress: f64) -> f64 {
        self.weight.at(progress)
    }

    fn compares_rows(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.rate > 0.0 && self.rate < 1.0 {
            return self.weight.check("weight");
        }
        Err(ConfigError::new("rate", self.rate, "greater than 0 and less than 1"))
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        let [batch, _] = context.latent.code.dims();
        // The divergence is infinite at 0 and 1, and a clamped unit has no gradient. So the bounds are as close to 0
        // and 1 as the precision allows: a dead sigmoid unit still has a mean above the lower one, and a gradient that
        // revives it.
        let dtype = context.latent.code.dtype();
        let (least, most) = (crate::precision::tiny(dtype), 1.0 - crate::precision::epsilon(dtype));
        let mean = context.latent.code.clone().mean_dim(0).clamp(least, most); // [1, d_code]
        let rho = self.rate;
        let entropy = rho * rho.ln() + (1.0 - rho) * (1.0 - rho).ln();
        let cross = mean.clone().log().mul_scalar(rho) + mean.neg().add_scalar(1.0).log().mul_scalar(1.0 - rho);
        // A `Shape`, because an array of sizes must not contain 0.
        cross.neg().add_scalar(entropy).sum().expand(Shape::new([batch]))
    }
}
