//! `h = phi(z)`: the encoder's output through an activation. Identity for a plain autoencoder, sigmoid for the bounded units of a
//! contractive or sparse one (Rifai et al. 2011), ReLU for non-negative sparse codes (Glorot et al. 2011).

use burn::{
    module::Module,
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};

use crate::Activation;

/// Settings of a deterministic code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct DeterministicConfig {
    /// The activation `phi`. Default: `identity`.
    pub activation: Activation,
}

impl Default for DeterministicConfig {
    fn default() -> Self {
        Self { activation: Activation::Identity }
    }
}

impl DeterministicConfig {
    /// The code part.
    pub fn init(&self) -> Deterministic {
        Deterministic { activation: self.activation }
    }
}

/// `h = phi(z)`.
#[derive(Module, Debug)]
pub struct Deterministic {
    /// The activation `phi`.
    #[module(skip)]
    pub activation: Activation,
}

impl Deterministic {
    /// `phi(z)`, `[batch, d_code]`.
    pub fn forward(&self, z: Tensor<2>) -> Tensor<2> {
        self.activation.forward(z)
    }

    /// `(phi(z), phi'(z) * t)`.
    pub fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        self.activation.jvp(z, t)
    }
}
