//! A recipe: which parts a model is made of, as a person writes them down.

use std::fmt;

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Device,
};

use crate::{
    Activation, Autoencoder, ConfigError, Reconstruction,
    code::CodeConfig,
    network::{MlpConfig, Network, NetworkDecoder, NetworkEncoder},
};

/// The model that a [`Recipe`] builds.
pub type Model = Autoencoder<NetworkEncoder, NetworkDecoder>;

/// The decoder's last activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(crate = "burn::serde", try_from = "String", into = "String")]
pub enum Output {
    /// Follows the data: `sigmoid` where it lies in `[0, 1]`, else `identity`; `identity` for logits.
    #[default]
    Auto,
    /// This one.
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

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(activation) => activation.fmt(f),
        }
    }
}

/// The settings of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", deny_unknown_fields)]
pub struct Recipe {
    /// Units of the code, `d_code`. At least 1; a variant may set an upper bound.
    pub code_dim: usize,
    /// The reconstruction loss.
    pub reconstruction: Reconstruction,
    /// Activation of the decoder's last layer.
    pub output: Output,
    /// The networks `f` and `g`.
    pub network: Network,
    /// What is done to `f(x)` before it is the code.
    pub code: CodeConfig,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            code_dim: 10,
            reconstruction: Reconstruction::SquaredError,
            output: Output::Auto,
            network: Network::Mlp(MlpConfig::default()),
            code: CodeConfig::default(),
        }
    }
}

impl Recipe {
    /// Whether the settings can be built for data of any width.
    ///
    /// # Errors
    /// A field outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.code_dim == 0 {
            return Err(ConfigError::new("code_dim", 0, "at least 1"));
        }
        if let (Reconstruction::Bernoulli, Output::Fixed(output)) = (self.reconstruction, self.output)
            && output != Activation::Identity
        {
            return Err(ConfigError::new(
                "output",
                output,
                "`auto` or `identity` with a bernoulli reconstruction, whose decoder gives logits",
            ));
        }
        self.network.check().map_err(|error| error.within("network"))
    }

    /// The model for inputs of `d_input` features; `unit_range` says whether they lie in `[0, 1]`. Weights are drawn from the device's
    /// generator: seed it first for a repeatable start.
    pub fn init(&self, d_input: usize, unit_range: bool, device: &Device) -> Model {
        let output = match (self.output, self.reconstruction) {
            (Output::Fixed(activation), _) => activation,
            (Output::Auto, Reconstruction::SquaredError) if unit_range => Activation::Sigmoid,
            (Output::Auto, _) => Activation::Identity,
        };
        let (encoder, decoder) = self.network.init(d_input, self.code_dim, output, device);
        Autoencoder::new(encoder, decoder).with_code(self.code.init()).with_reconstruction(self.reconstruction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_and_a_squashing_output_exclude_each_other() {
        let recipe = Recipe { reconstruction: Reconstruction::Bernoulli, output: Output::Fixed(Activation::Sigmoid), ..Default::default() };
        assert_eq!(recipe.check().unwrap_err().field, "output");
    }
}
