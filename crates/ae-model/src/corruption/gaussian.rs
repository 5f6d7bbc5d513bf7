//! Additive isotropic Gaussian noise: `x~ = x + e`, `e ~ N(0, std^2 I)` (Vincent et al. 2010, section 3.3).

use std::fmt;

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};

use crate::ConfigError;

/// Settings of Gaussian noise.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct Gaussian {
    /// How strong it is. Default: auto.
    pub std: Level,
}

/// A standard deviation in the units of the scaled data.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(crate = "burn::serde", untagged, expecting = "expected `auto` or a number greater than 0")]
pub enum Level {
    /// About as strong as the data itself: 0.3 where it lies in `[0, 1]`, else 1.
    #[default]
    #[serde(with = "auto")]
    Auto,
    /// This one, greater than 0.
    Fixed(f64),
}

/// `auto`, the word.
mod auto {
    use burn::serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("auto")
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "auto" => Ok(()),
            _ => Err(D::Error::custom("expected `auto` or a number")),
        }
    }
}

impl From<f64> for Level {
    fn from(std: f64) -> Self {
        Self::Fixed(std)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(std) => std.fmt(f),
        }
    }
}

impl Level {
    /// The standard deviation for data that lies in `[0, 1]` or not.
    pub fn value(self, unit_range: bool) -> f64 {
        match self {
            Self::Auto if unit_range => 0.3,
            Self::Auto => 1.0,
            Self::Fixed(std) => std,
        }
    }
}

impl Gaussian {
    /// Noise of this standard deviation.
    pub fn new(std: f64) -> Self {
        Self { std: Level::Fixed(std) }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.std {
            Level::Fixed(std) if !(std > 0.0 && std.is_finite()) => Err(ConfigError::new("std", std, "auto, or greater than 0")),
            _ => Ok(()),
        }
    }

    /// `x~`, of the shape of `x`; a level that follows the data is that of data outside `[0, 1]`, unless it was
    /// [resolved](super::Corruption::for_inputs).
    pub fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let noise = ae_kernels::normal_like(&x, self.std.value(false));
        x + noise
    }
}
