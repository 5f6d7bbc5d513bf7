//! The activation of the decoder's last layer.

use std::{borrow::Cow, fmt};

use burn::serde::{Deserialize, Serialize};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::Activation;

/// The activation of the decoder's last layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(crate = "burn::serde", try_from = "String", into = "String")]
pub enum Output {
    /// Depends on the data: sigmoid for data in `[0, 1]`, and identity for other data, for logits and for dictionaries.
    #[default]
    Auto,
    /// This activation.
    Fixed(Activation),
}

impl TryFrom<String> for Output {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.as_str() {
            "auto" => Ok(Self::Auto),
            name => name.parse().map(Self::Fixed).map_err(|error: String| format!("{error}, auto")),
        }
    }
}

impl From<Output> for String {
    fn from(output: Output) -> Self {
        output.to_string()
    }
}

impl JsonSchema for Output {
    fn schema_name() -> Cow<'static, str> {
        "Output".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = std::iter::once("auto").chain(Activation::ALL.map(Activation::name)).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(activation) => activation.fmt(f),
        }
    }
}
