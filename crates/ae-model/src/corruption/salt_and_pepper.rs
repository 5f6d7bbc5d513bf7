//! Salt-and-pepper noise: a random part of each example's values is set to the minimum or the maximum, with equal
//! probability (Vincent et al. 2010). A boolean becomes false or true, a category gets a random level.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Change, Corrupt};
use crate::{ConfigError, Layout, Settings};

/// Salt-and-pepper noise: a random part of the values is set to the minimum or the maximum, with equal probability
/// (Vincent et al. 2010).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct SaltAndPepper {
    /// Fraction of the values that is replaced, in `(0, 1)`. Default: 0.1.
    pub rate: f64,
    /// The minimum, in the units of the scaled data. Default: 0.
    pub low: f64,
    /// The maximum, in the units of the scaled data, greater than `low`. Default: 1.
    pub high: f64,
}

crate::macros::setters! {
    SaltAndPepper {
        with_low(low: f64),
        with_high(high: f64),
    }
}

impl SaltAndPepper {
    /// Noise that replaces this fraction of the values, in `(0, 1)`.
    pub fn new(rate: f64) -> Self {
        Self { rate, ..Self::default() }
    }
}

impl Default for SaltAndPepper {
    fn default() -> Self {
        Self { rate: 0.1, low: 0.0, high: 1.0 }
    }
}

impl Settings for SaltAndPepper {
    const NAME: &'static str = "salt_and_pepper";
}

impl Corrupt for SaltAndPepper {
    fn check(&self) -> Result<(), ConfigError> {
        if !(self.rate > 0.0 && self.rate < 1.0) {
            return Err(ConfigError::new("rate", self.rate, "greater than 0 and less than 1"));
        }
        if self.low < self.high && self.low.is_finite() && self.high.is_finite() {
            return Ok(());
        }
        Err(ConfigError::new("high", self.high, format!("more than `low` ({}), both finite", self.low)))
    }

    fn apply(&self, x: Tensor<2>, columns: &Layout) -> Change {
        let (batch, single) = (x.dims()[0], columns.numbers + columns.booleans);
        let draw = columns.spread(ae_kernels::uniform_like(&x.clone().slice([0..batch, 0..columns.columns()])));
        let (pepper, salt) = (draw.clone().lower_elem(self.rate / 2.0), draw.lower_elem(self.rate));
        let replaced = x.zeros_like().mask_fill(salt.clone(), 1.0);
        let extremes = |from: usize, to: usize, low: f64, high: f64| {
            let part = [0..batch, from..to];
            // Pepper after salt: its positions are a subset of those of salt.
            let salted = x.clone().slice(part.clone()).mask_fill(salt.clone().slice(part.clone()), high);
            salted.mask_fill(pepper.clone().slice(part), low)
        };
        let mut parts = Vec::new();
        if columns.numbers > 0 {
            parts.push(extremes(0, columns.numbers, self.low, self.high));
        }
        if columns.booleans > 0 {
            parts.push(extremes(columns.numbers, single, 0.0, 1.0));
        }
        if let Some(levels) = columns.random_levels(&x) {
            let part = [0..batch, single..columns.width()];
            parts.push(x.clone().slice(part.clone()).mask_where(salt.clone().slice(part), levels));
        }
        Change { x: Tensor::cat(parts, 1), replaced: Some(replaced), hidden: None }
    }
}
