//! Additive isotropic Gaussian noise: `x~ = x + e`, `e ~ N(0, std^2 I)` (Vincent et al. 2010, section 3.3).
//!
//! A sum has no meaning for booleans and categories. They are replaced as often as such noise would move them across
//! the middle: a boolean is flipped if `e > 1/2`, a category gets a random level if `|e| > 1/2`.

use std::{borrow::Cow, fmt, sync::Arc};

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Change, Corrupt, CorruptSettings};
use crate::{ConfigError, Inputs, Layout, Settings};

/// Additive Gaussian noise, `x + e` with `e ~ N(0, std^2 I)` (Vincent et al. 2010).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct GaussianConfig {
    /// Standard deviation of the noise, in the units of the scaled data, greater than 0; `auto` is 0.3 for data in
    /// `[0, 1]` and 1 for other data. Default: `auto`.
    pub std: Level,
}

/// A standard deviation in the units of the scaled data.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(crate = "burn::serde", untagged, expecting = "expected `auto` or a number greater than 0")]
pub enum Level {
    /// About as strong as the data itself: 0.3 for data in `[0, 1]`, and 1 for other data.
    #[default]
    #[serde(with = "auto")]
    Auto,
    /// This standard deviation, greater than 0.
    Fixed(f64),
}

impl JsonSchema for Level {
    fn schema_name() -> Cow<'static, str> {
        "Level".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "auto" }, { "type": "number", "exclusiveMinimum": 0.0 }] })
    }
}

/// Serializes the word `auto`.
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
    /// The standard deviation; `unit_range` is whether the data lie in `[0, 1]`.
    pub fn value(self, unit_range: bool) -> f64 {
        match self {
            Self::Auto if unit_range => 0.3,
            Self::Auto => 1.0,
            Self::Fixed(std) => std,
        }
    }
}

impl GaussianConfig {
    /// Noise with this standard deviation, greater than 0.
    pub fn new(std: f64) -> Self {
        Self { std: Level::Fixed(std) }
    }
}

impl Settings for GaussianConfig {
    const NAME: &'static str = "gaussian";
}

impl CorruptSettings for GaussianConfig {
    fn check(&self) -> Result<(), ConfigError> {
        match self.std {
            Level::Fixed(std) if !(std > 0.0 && std.is_finite()) => {
                Err(ConfigError::new("std", std, "auto, or greater than 0"))
            }
            _ => Ok(()),
        }
    }

    fn init(&self, inputs: &Inputs) -> Arc<dyn Corrupt> {
        Arc::new(Gaussian { std: self.std.value(inputs.unit_range) })
    }
}

/// Additive Gaussian noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaussian {
    /// Standard deviation in the units of the scaled data, greater than 0.
    pub std: f64,
}

impl Corrupt for Gaussian {
    fn name(&self) -> Cow<'static, str> {
        "gaussian".into()
    }

    fn apply(&self, x: Tensor<2>, columns: &Layout) -> Change {
        if columns.is_numbers() {
            let noise = ae_kernels::normal_like(&x, self.std);
            return Change { x: x + noise, replaced: None, hidden: None };
        }
        let ([batch, _], single) = (x.dims(), columns.numbers + columns.booleans);
        let noise = ae_kernels::normal_like(&x.clone().slice([0..batch, 0..columns.columns()]), self.std);
        let mut parts = Vec::new();
        if columns.numbers > 0 {
            let numbers = [0..batch, 0..columns.numbers];
            parts.push(x.clone().slice(numbers.clone()) + noise.clone().slice(numbers));
        }
        if columns.booleans > 0 {
            let truths = [0..batch, columns.numbers..single];
            let (old, flipped) = (x.clone().slice(truths.clone()), noise.clone().slice(truths).greater_elem(0.5));
            parts.push(old.clone().mask_where(flipped, old.neg().add_scalar(1.0)));
        }
        if let Some(levels) = columns.random_levels(&x) {
            let old = x.slice([0..batch, single..columns.width()]);
            let moved = columns.spread(noise).slice([0..batch, single..columns.width()]).abs().greater_elem(0.5);
            parts.push(old.mask_where(moved, levels));
        }
        Change { x: Tensor::cat(parts, 1), replaced: None, hidden: None }
    }

    fn replaces(&self) -> bool {
        false
    }
}
