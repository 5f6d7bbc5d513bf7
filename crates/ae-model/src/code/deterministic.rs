//! The encoder's output with an activation, `h = phi(z)`: identity for a plain autoencoder, sigmoid for the bounded
//! units of a contractive or sparse one (Rifai et al. 2011), ReLU for non-negative sparse codes (Glorot et al. 2011).

use burn::{
    module::Module,
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

use super::{AnyCode, CodeSettings, Plain};
use crate::{Activation, Code, Latent, Settings};

/// The encoder's output with an activation, `h = phi(z)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct DeterministicConfig {
    /// Activation `phi` of the code. Default: `identity`.
    pub activation: Activation,
}

impl DeterministicConfig {
    /// The code `h = phi(z)` with this activation.
    pub fn new(activation: Activation) -> Self {
        Self { activation }
    }
}

impl Default for DeterministicConfig {
    fn default() -> Self {
        Self { activation: Activation::Identity }
    }
}

impl Settings for DeterministicConfig {
    const NAME: &'static str = "deterministic";
}

impl CodeSettings for DeterministicConfig {
    fn activation(&self) -> Activation {
        self.activation
    }

    fn build(&self, d_code: usize, device: &Device) -> AnyCode {
        AnyCode::new(self.init(d_code, device))
    }
}

impl DeterministicConfig {
    /// The code, for `d_code` units.
    pub fn init(&self, _d_code: usize, _device: &Device) -> Deterministic {
        Deterministic { activation: self.activation }
    }
}

/// The code `h = phi(z)`.
#[derive(Module, Debug)]
pub struct Deterministic {
    /// The activation `phi`.
    #[module(skip)]
    pub activation: Activation,
}

impl Code for Deterministic {
    fn forward(&self, z: Tensor<2>) -> Latent {
        self.activation.forward(z).into()
    }

    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        Some(self.activation.jvp(z, t))
    }

    fn is_diagonal(&self) -> bool {
        true
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn plain(&self) -> Option<Plain> {
        Some(Plain::Activation)
    }
}
