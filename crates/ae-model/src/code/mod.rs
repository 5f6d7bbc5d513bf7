//! What is done to the encoder's output before it is the code `h`.
//!
//! Every code here acts on each unit by itself or switches units off, so that its derivative is diagonal: along a tangent of ones it is the
//! slope of each unit.

pub mod deterministic;
pub mod lifetime;
pub mod top_k;

use ae_kernels::Sparse;
use burn::{
    module::Module,
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};

pub use deterministic::{Deterministic, DeterministicConfig};
pub use lifetime::{Lifetime, LifetimeConfig};
pub use top_k::{TopK, TopKConfig};

use crate::{Activation, ConfigError};

/// Which code to build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", tag = "kind", rename_all = "snake_case")]
pub enum CodeConfig {
    /// An activation of the encoder's output: [`deterministic`].
    Deterministic(DeterministicConfig),
    /// The `k` largest units of each example: [`top_k`].
    TopK(TopKConfig),
    /// The largest values of each unit over the batch: [`lifetime`].
    Lifetime(LifetimeConfig),
}

impl Default for CodeConfig {
    fn default() -> Self {
        Self::Deterministic(DeterministicConfig::default())
    }
}

impl From<Activation> for Code {
    /// `h = phi(z)`.
    fn from(activation: Activation) -> Self {
        Self::Deterministic(DeterministicConfig { activation }.init())
    }
}

impl From<Activation> for CodeConfig {
    /// `h = phi(z)`.
    fn from(activation: Activation) -> Self {
        Self::Deterministic(DeterministicConfig { activation })
    }
}

impl CodeConfig {
    /// Whether the settings suit a code of `d_code` units.
    ///
    /// # Errors
    /// A field outside its range.
    pub fn check(&self, d_code: usize) -> Result<(), ConfigError> {
        match self {
            Self::Deterministic(_) => Ok(()),
            Self::TopK(config) => config.check(d_code),
            Self::Lifetime(config) => config.check(),
        }
    }

    /// The activation of the units.
    pub fn activation(&self) -> Activation {
        match self {
            Self::Deterministic(config) => config.activation,
            Self::TopK(config) => config.activation,
            Self::Lifetime(config) => config.activation,
        }
    }

    /// The code part, for `d_code` units.
    pub fn init(&self, d_code: usize, device: &Device) -> Code {
        match self {
            Self::Deterministic(config) => Code::Deterministic(config.init()),
            Self::TopK(config) => Code::TopK(config.init()),
            Self::Lifetime(config) => Code::Lifetime(config.init(d_code, device)),
        }
    }
}

/// The part between encoder and decoder.
#[derive(Module, Debug)]
pub enum Code {
    /// See [`deterministic`].
    Deterministic(Deterministic),
    /// See [`top_k`].
    TopK(TopK),
    /// See [`lifetime`].
    Lifetime(Lifetime),
}

impl Code {
    /// `h` from the encoder's output `z`; both `[batch, d_code]`.
    pub fn forward(&self, z: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Deterministic(code) => code.forward(z),
            Self::TopK(code) => code.forward(z),
            Self::Lifetime(code) => code.forward(z),
        }
    }

    /// `h` by its active units alone, where they are few and there is a kernel for it.
    pub fn sparse(&self, z: &Tensor<2>) -> Option<Sparse> {
        match self {
            Self::TopK(code) => code.sparse(z),
            Self::Deterministic(_) | Self::Lifetime(_) => None,
        }
    }

    /// A given code by its active units alone, where they are few and there is a kernel for it.
    pub fn sparse_of(&self, h: &Tensor<2>) -> Option<Sparse> {
        match self {
            Self::TopK(code) => code.sparse_of(h),
            Self::Deterministic(_) | Self::Lifetime(_) => None,
        }
    }

    /// `h`, and its derivative along the tangent `t` of `z`.
    pub fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match self {
            Self::Deterministic(code) => code.jvp(z, t),
            Self::TopK(code) => code.jvp(z, t),
            Self::Lifetime(code) => code.jvp(z, t),
        }
    }

    /// The activation of the units.
    pub fn activation(&self) -> Activation {
        match self {
            Self::Deterministic(code) => code.activation,
            Self::TopK(code) => code.activation,
            Self::Lifetime(code) => code.activation,
        }
    }

    /// Tells a code that changes while it is trained which share of the training, in `[0, 1]`, is over.
    pub fn anneal(&mut self, progress: f64) {
        if let Self::TopK(code) = self {
            code.anneal(progress);
        }
    }
}
