//! Additive isotropic Gaussian noise: `x~ = x + e`, `e ~ N(0, std^2 I)` (Vincent et al. 2010, section 3.3).

use burn::{
    serde::{Deserialize, Serialize},
    tensor::{Distribution, Tensor},
};

use crate::ConfigError;

/// Settings of Gaussian noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct Gaussian {
    /// Standard deviation, in the units of the scaled data, greater than 0. Default: 0.3.
    pub std: f64,
}

impl Default for Gaussian {
    fn default() -> Self {
        Self { std: 0.3 }
    }
}

impl Gaussian {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.std > 0.0 && self.std.is_finite() {
            true => Ok(()),
            false => Err(ConfigError::new("std", self.std, "greater than 0")),
        }
    }

    /// `x~`, of the shape of `x`.
    pub fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let noise = x.random_like(Distribution::Normal(0.0, self.std));
        x + noise
    }
}
