//! A factor in the loss: constant, or changing during training.

use std::fmt;

use burn::serde::{Deserialize, Serialize};
use schemars::JsonSchema;

use crate::ConfigError;

/// A factor in the loss, 0 or more. A term with weight 0 is only measured. `0.1.into()` is a constant one. In TOML it
/// is a number, or `{ from = 0.0, to = 0.1, over = 0.2 }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", untagged, expecting = "must be a number, or { from = 0.0, to = 0.1, over = 0.2 }")]
pub enum Weight {
    /// Constant throughout training.
    Constant(f64),
    /// Changes linearly over the first part of the training, and is constant afterwards.
    Ramp(Ramp),
}

/// A linear change of a weight during training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", deny_unknown_fields)]
pub struct Ramp {
    /// The factor at the start of training, 0 or more.
    pub from: f64,
    /// The final factor, 0 or more.
    pub to: f64,
    /// The fraction of the training after which the final factor is reached, in `(0, 1]`.
    pub over: f64,
}

impl Weight {
    /// The factor when the fraction `progress` of the training, in `[0, 1]`, is done.
    pub fn at(&self, progress: f64) -> f64 {
        match *self {
            Self::Constant(weight) => weight,
            Self::Ramp(Ramp { from, to, over }) => from + (to - from) * (progress / over).clamp(0.0, 1.0),
        }
    }

    /// Checks the range; `field` is the name of the field.
    ///
    /// # Errors
    /// A factor is negative or not finite, or the fraction is outside `(0, 1]`.
    pub fn check(&self, field: &str) -> Result<(), ConfigError> {
        let is_factor = |value: f64| value >= 0.0 && value.is_finite();
        match *self {
            Self::Constant(weight) if !is_factor(weight) => Err(ConfigError::new(field, weight, "0 or more")),
            Self::Ramp(Ramp { from, .. }) if !is_factor(from) => {
                Err(ConfigError::new("from", from, "0 or more").within(field))
            }
            Self::Ramp(Ramp { to, .. }) if !is_factor(to) => Err(ConfigError::new("to", to, "0 or more").within(field)),
            Self::Ramp(Ramp { over, .. }) if !(over > 0.0 && over <= 1.0) => {
                Err(ConfigError::new("over", over, "greater than 0 and at most 1").within(field))
            }
            _ => Ok(()),
        }
    }
}

impl From<f64> for Weight {
    fn from(weight: f64) -> Self {
        Self::Constant(weight)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(weight) => weight.fmt(f),
            Self::Ramp(Ramp { from, to, over }) => write!(f, "{from} to {to} over {over} of the training"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_rises_and_stays() {
        let ramp = Weight::Ramp(Ramp { from: 1.0, to: 3.0, over: 0.5 });
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|progress| ramp.at(progress)), [1.0, 2.0, 3.0, 3.0]);
        assert_eq!(Weight::from(0.2).at(0.7), 0.2);
        let refused = |from, to, over| Weight::Ramp(Ramp { from, to, over }).check("weight").unwrap_err().field;
        assert_eq!(refused(-1.0, 1.0, 0.5), "weight.from");
        assert_eq!(refused(0.0, f64::NAN, 0.5), "weight.to");
        assert_eq!(refused(0.0, 1.0, 0.0), "weight.over");
        assert_eq!(Weight::from(-1.0).check("weight").unwrap_err().field, "weight");
    }
}
