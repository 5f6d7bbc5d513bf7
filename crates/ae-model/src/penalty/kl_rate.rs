//! KL rate: `Omega = sum_j rho log(rho / m_j) + (1 - rho) log((1 - rho) / (1 - m_j))`, where `m_j` is the mean of unit
//! `j` over the batch.
//!
//! Each unit, in `[0, 1]`, is penalised for being active more or less often than the rate `rho` (Ng 2011, Sparse
//! autoencoder, CS294A). One number a batch; here every example carries it, so that the objective's mean over the batch
//! is that number.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::{Shape, Tensor},
};
use schemars::JsonSchema;

use super::{Context, Penalty};
use crate::{ConfigError, Settings, Weight};

/// Divergence of the mean activity of each unit from a rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct KlRate {
    /// Factor of the penalty in the loss, at least 0; with 0 it is only measured. Default: 0.1.
    pub weight: Weight,
    /// Target rate `rho`, in `(0, 1)`. Default: 0.05.
    pub rate: f64,
}

crate::macros::setters! {
    KlRate {
        with_weight(weight: impl Into<Weight>),
    }
}

impl KlRate {
    /// The penalty towards this rate of activity, in `(0, 1)`.
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

    fn check(&self) -> Result<(), ConfigError> {
        if self.rate > 0.0 && self.rate < 1.0 {
            return self.weight.check("weight");
        }
        Err(ConfigError::new("rate", self.rate, "greater than 0 and less than 1"))
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        let [batch, _] = context.latent.code.dims();
        // The divergence is infinite at 0 and 1. A unit there learns nothing, so that they are cut off as late as the
        // precision allows: a dead unit of a sigmoid still has a mean above that, and a gradient that revives
        // it.
        let dtype = context.latent.code.dtype();
        let (least, most) = (crate::precision::tiny(dtype), 1.0 - crate::precision::epsilon(dtype));
        let mean = context.latent.code.clone().mean_dim(0).clamp(least, most); // [1, d_code]
        let rho = self.rate;
        let entropy = rho * rho.ln() + (1.0 - rho) * (1.0 - rho).ln();
        let cross = mean.clone().log().mul_scalar(rho) + mean.neg().add_scalar(1.0).log().mul_scalar(1.0 - rho);
        cross.neg().add_scalar(entropy).sum().expand(Shape::new([batch])) // an array of sizes would be refused where it is 0
    }
}
