//! What is done to the encoder's output before it is the code `h`.

pub mod deterministic;

use burn::{
    module::Module,
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};

pub use deterministic::{Deterministic, DeterministicConfig};

/// Which code to build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", tag = "kind", rename_all = "snake_case")]
pub enum CodeConfig {
    /// An activation of the encoder's output: [`deterministic`].
    Deterministic(DeterministicConfig),
}

impl Default for CodeConfig {
    fn default() -> Self {
        Self::Deterministic(DeterministicConfig::default())
    }
}

impl CodeConfig {
    /// The code part.
    pub fn init(&self) -> Code {
        match self {
            Self::Deterministic(config) => Code::Deterministic(config.init()),
        }
    }
}

/// The part between encoder and decoder.
#[derive(Module, Debug)]
pub enum Code {
    /// See [`deterministic`].
    Deterministic(Deterministic),
}

impl Code {
    /// `h` from the encoder's output `z`; both `[batch, d_code]`.
    pub fn forward(&self, z: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Deterministic(code) => code.forward(z),
        }
    }

    /// `h`, and its derivative along the tangent `t` of `z`.
    pub fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match self {
            Self::Deterministic(code) => code.jvp(z, t),
        }
    }
}
