//! KL rate: `Omega = sum_j rho log(rho / m_j) + (1 - rho) log((1 - rho) / (1 - m_j))`, where `m_j` is the mean of unit `j` over the batch.
//!
//! Each unit, in `[0, 1]`, is drawn to be active at the rate `rho` on average (Ng 2011, Sparse autoencoder, CS294A). One number a batch; here
//! every example carries it, so that the objective's mean over the batch is that number.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};

use super::{Context, check_weight};
use crate::{ConfigError, Decoder, Encoder};

/// Means are kept this far from 0 and 1, where the divergence is infinite.
const MARGIN: f64 = 1e-6;

/// Settings of the KL-rate penalty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct KlRate {
    /// Factor of the penalty in the loss, at least 0; with 0 it is measured alone. Default: 0.1.
    pub weight: f64,
    /// Target rate `rho`, in `(0, 1)`. Default: 0.05.
    pub rate: f64,
}

impl Default for KlRate {
    fn default() -> Self {
        Self { weight: 0.1, rate: 0.05 }
    }
}

impl KlRate {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.rate > 0.0 && self.rate < 1.0 {
            true => check_weight(self.weight),
            false => Err(ConfigError::new("rate", self.rate, "greater than 0 and less than 1")),
        }
    }

    pub(super) fn value<E: Encoder, D: Decoder>(&self, context: &Context<E, D>) -> Tensor<1> {
        let [batch, _] = context.code.dims();
        let mean = context.code.clone().mean_dim(0).clamp(MARGIN, 1.0 - MARGIN); // [1, d_code]
        let rho = self.rate;
        let entropy = rho * rho.ln() + (1.0 - rho) * (1.0 - rho).ln();
        let cross = mean.clone().log().mul_scalar(rho) + mean.neg().add_scalar(1.0).log().mul_scalar(1.0 - rho);
        cross.neg().add_scalar(entropy).sum().expand([batch])
    }
}
