//! Masking: a random part of each example's columns is hidden, that is, set to 0 and marked as missing (Vincent et al.
//! 2008).
//!
//! Zero is the mean under standard scaling and the minimum under min-max scaling. With `mask_input` the network also
//! reads which inputs are visible, and can distinguish a hidden value from a true zero.
//!
//! Values that are missing from the data stay missing. A category is hidden with all its levels: visible ones would
//! reveal the hidden one.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Change, Corrupt};
use crate::{ConfigError, Layout, Settings};

/// Masking: a random part of the values is hidden from the network, which must fill them in (Vincent et al. 2008).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct Masking {
    /// Fraction of the values that is hidden, in `(0, 1)`; the smallest fraction if `rate_max` is set. Default: 0.25.
    pub rate: f64,
    /// Largest fraction, less than 1: each example draws its own from `rate` to `rate_max`; 0 for always `rate`.
    /// Default: 0.
    pub rate_max: f64,
}

crate::macros::setters! {
    Masking {
        with_rate_max(rate_max: f64),
    }
}

impl Masking {
    /// Masking of this fraction of the values, in `(0, 1)`.
    pub fn new(rate: f64) -> Self {
        Self { rate, ..Self::default() }
    }
}

impl Default for Masking {
    fn default() -> Self {
        Self { rate: 0.25, rate_max: 0.0 }
    }
}

impl Masking {
    /// 1 where a value is hidden and 0 elsewhere, of the shape of `x`, which has one value for each column.
    fn draw(&self, x: &Tensor<2>) -> Tensor<2> {
        if self.rate_max <= self.rate {
            return ae_kernels::bernoulli_like(x, self.rate);
        }
        let [batch, _] = x.dims();
        let uniform = ae_kernels::uniform_like(&x.clone().slice([0..batch, 0..1]));
        let rate = uniform.mul_scalar(self.rate_max - self.rate).add_scalar(self.rate); // [batch, 1]
        let hidden = ae_kernels::uniform_like(x).lower(rate.expand(x.shape()));
        x.zeros_like().mask_fill(hidden, 1.0)
    }
}

impl Settings for Masking {
    const NAME: &'static str = "masking";
}

impl Corrupt for Masking {
    fn check(&self) -> Result<(), ConfigError> {
        if !(self.rate > 0.0 && self.rate < 1.0) {
            return Err(ConfigError::new("rate", self.rate, "greater than 0 and less than 1"));
        }
        match self.rate_max == 0.0 || (self.rate_max >= self.rate && self.rate_max < 1.0) {
            true => Ok(()),
            false => Err(ConfigError::new(
                "rate_max",
                self.rate_max,
                format!("0 (no range), or `rate` ({}) to less than 1", self.rate),
            )),
        }
    }

    fn apply(&self, x: Tensor<2>, columns: &Layout) -> Change {
        let hidden = if columns.categories.is_empty() {
            self.draw(&x)
        } else {
            columns.spread(self.draw(&x.clone().slice([0..x.dims()[0], 0..columns.columns()])))
        };
        Change { x, replaced: None, hidden: Some(hidden) }
    }
}
