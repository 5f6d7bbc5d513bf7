//! Salt and pepper: a random share of each example is set to the least or the largest value, by a fair coin (Vincent et al. 2010).

use burn::{
    serde::{Deserialize, Serialize},
    tensor::{Distribution, Tensor},
};

use crate::ConfigError;

/// Settings of salt-and-pepper noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct SaltAndPepper {
    /// Share of the values changed, in `(0, 1)`. Default: 0.1.
    pub rate: f64,
    /// The least value, in the units of the scaled data. Default: 0.
    pub low: f64,
    /// The largest value, more than `low`. Default: 1.
    pub high: f64,
}

impl Default for SaltAndPepper {
    fn default() -> Self {
        Self { rate: 0.1, low: 0.0, high: 1.0 }
    }
}

impl SaltAndPepper {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(self.rate > 0.0 && self.rate < 1.0) {
            return Err(ConfigError::new("rate", self.rate, "greater than 0 and less than 1"));
        }
        match self.low < self.high && self.low.is_finite() && self.high.is_finite() {
            true => Ok(()),
            false => Err(ConfigError::new("high", self.high, format!("more than `low` ({}), both finite", self.low))),
        }
    }

    /// `x~`, and 1 where it was changed; both of the shape of `x`.
    pub fn apply(&self, x: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let draw = x.random_like(Distribution::Uniform(0.0, 1.0));
        let (pepper, salt) = (draw.clone().lower_elem(self.rate / 2.0), draw.lower_elem(self.rate));
        let changed = x.zeros_like().mask_fill(salt.clone(), 1.0);
        // Pepper second: its draws are among those of salt.
        (x.mask_fill(salt, self.high).mask_fill(pepper, self.low), changed)
    }
}
