//! What is done to the encoder's output before it is the code `h`.
//!
//! A [`Code`] says everything about itself. Another crate brings its own as the third parameter of
//! [`Autoencoder`](crate::Autoencoder); those that a [`Recipe`](crate::Recipe) can name are one file with its
//! [`Settings`], and one line in a [`Registry`].

pub mod any;
pub mod deterministic;
pub mod gaussian;
pub mod lifetime;
pub mod top_k;

use std::{borrow::Cow, fmt::Debug, ops::Deref};

use burn::{
    serde::{Serialize, Serializer},
    tensor::{Device, Tensor},
};
use serde_json::Value;

pub use any::AnyCode;
pub use deterministic::{Deterministic, DeterministicConfig};
pub use gaussian::{Gaussian, GaussianConfig};
pub use lifetime::{Lifetime, LifetimeConfig};
pub use top_k::{TopK, TopKConfig};

use crate::{
    Activation, ConfigError, Latent, Registry, Settings, Term,
    registry::{self, Part, ReadError},
};

/// The part between encoder and decoder. A module with parameters, running statistics or a training flag of its own,
/// where it needs them.
pub trait Code {
    /// Whether the settings of a code that has no parameters suit `d_code` units.
    ///
    /// # Errors
    /// A field outside its range.
    fn check(&self, d_code: usize) -> Result<(), ConfigError> {
        let _ = d_code;
        Ok(())
    }

    /// Numbers that it reads of the encoder for `d_code` units: as many by default.
    fn reads(&self, d_code: usize) -> usize {
        d_code
    }

    /// What it makes of the encoder's output, `[batch, reads] -> [batch, d_code]`. What belongs to training alone acts
    /// where the tensor is on an autodiff device and the module's own training flag, if it has one, is on.
    fn forward(&self, z: Tensor<2>) -> Latent;

    /// The latent of a code that is given, `[batch, d_code]`, as a decoder is to read it.
    fn given(&self, h: Tensor<2>) -> Latent {
        h.into()
    }

    /// `h`, and its derivative along the tangent `t` of `z`, of the code as it is after training. None by default:
    /// central differences are then taken.
    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let _ = (z, t);
        None
    }

    /// Whether each unit depends on its own number of `z` alone: the derivative along a tangent of ones is then the
    /// slope of each unit, and the norm of the whole derivative has a closed form for one affine layer.
    fn is_diagonal(&self) -> bool {
        false
    }

    /// Whether the code is its [activation](Self::activation) and nothing else, `h = phi(z)`: the closed form then
    /// needs `h` alone.
    fn is_elementwise(&self) -> bool {
        false
    }

    /// The activation of the units: their bounds, and when one counts as inactive.
    fn activation(&self) -> Activation {
        Activation::Identity
    }

    /// Whether training reads samples of the code rather than the code itself. Such a code implements
    /// [`draw`](Self::draw), [`log_ratio`](Self::log_ratio) and [`divergence`](Self::divergence) as well.
    fn is_stochastic(&self) -> bool {
        false
    }

    /// A fresh sample of the code of each row, on whatever device, of a stochastic one; else the code.
    fn draw(&self, z: Tensor<2>) -> Latent {
        self.forward(z)
    }

    /// `log p(h) - log q(h | x)` of a latent that was [drawn](Self::draw), per example (`[batch]`, nats): how much less
    /// likely the sample is under the prior than under what the encoder says. None where the code is not
    /// stochastic.
    fn log_ratio(&self, latent: &Latent) -> Option<Tensor<1>> {
        let _ = latent;
        None
    }

    /// The divergence of `q(h | x)` from the prior in closed form, per example (`[batch]`, nats). None where the code
    /// is not stochastic.
    fn divergence(&self, latent: &Latent) -> Option<Tensor<1>> {
        let _ = latent;
        None
    }

    /// What it adds to the loss; `progress` is the share of the training that is over, in `[0, 1]`.
    fn terms(&self, latent: &Latent, progress: f64) -> Vec<Term> {
        let _ = (latent, progress);
        Vec::new()
    }

    /// The names of those terms, in their order.
    fn term_names(&self) -> Vec<Cow<'static, str>> {
        Vec::new()
    }

    /// `count` codes of its prior, `[count, d_code]`; none by default, where it has none.
    fn sample(&self, count: usize, d_code: usize, device: &Device) -> Option<Tensor<2>> {
        let _ = (count, d_code, device);
        None
    }

    /// What it is after training, in words that another program can follow. None by default: such a code is not
    /// exported.
    fn plain(&self) -> Option<Plain> {
        None
    }

    /// Told which share of the training, in `[0, 1]`, is over: before the first step and after each, for what changes
    /// with it.
    fn after_step(&mut self, progress: f64) {
        let _ = progress;
    }
}

/// What a code is after training, for a program without this crate.
#[derive(Debug, Clone)]
pub enum Plain {
    /// Its activation of the encoder's output, `phi(z)`.
    Activation,
    /// The so many largest units of `phi(z)`; the others are 0.
    Largest(usize),
    /// The units of `phi(z)` that reach these values, `[d_code]`; the others are 0.
    AtLeast(Box<Tensor<1>>),
    /// The first `d_code` numbers of `z`.
    First,
}

/// Settings of a code that a [`Recipe`](crate::Recipe) can name.
pub trait CodeSettings: Debug + Send + Sync {
    /// Whether the settings suit a code of `d_code` units.
    ///
    /// # Errors
    /// A field outside its range.
    fn check(&self, d_code: usize) -> Result<(), ConfigError> {
        let _ = d_code;
        Ok(())
    }

    /// As [`Code::reads`].
    fn reads(&self, d_code: usize) -> usize {
        d_code
    }

    /// As [`Code::activation`].
    fn activation(&self) -> Activation {
        Activation::Identity
    }

    /// Whether it decides by itself how many units are active, whatever a penalty asks for.
    fn fixes_activity(&self) -> bool {
        false
    }

    /// The code part, for `d_code` units.
    fn build(&self, d_code: usize, device: &Device) -> AnyCode;
}

/// A code without parameters is its own settings.
impl<C: Code + Settings + Clone> CodeSettings for C {
    fn check(&self, d_code: usize) -> Result<(), ConfigError> {
        Code::check(self, d_code)
    }

    fn reads(&self, d_code: usize) -> usize {
        Code::reads(self, d_code)
    }

    fn activation(&self) -> Activation {
        Code::activation(self)
    }

    fn build(&self, _d_code: usize, _device: &Device) -> AnyCode {
        AnyCode::fixed(self.clone())
    }
}

/// Which code to build: a table with its name as `kind` and its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeConfig(Part<dyn CodeSettings>);

impl Deref for CodeConfig {
    type Target = Part<dyn CodeSettings>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S: CodeSettings + Settings> From<S> for CodeConfig {
    fn from(settings: S) -> Self {
        Self(settings.into())
    }
}

impl Serialize for CodeConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_tagged(serializer)
    }
}

impl CodeConfig {
    /// Every code that the registry knows, with its defaults.
    pub fn all(registry: &Registry) -> Vec<Self> {
        registry.codes().iter().map(|kind| Self(kind.default_part())).collect()
    }

    /// From a table with a `kind`.
    pub(crate) fn read(value: Value, registry: &Registry) -> Result<Self, ReadError> {
        registry::read_tagged(registry.codes(), "code", value).map(Self)
    }
}

impl Default for CodeConfig {
    fn default() -> Self {
        DeterministicConfig::default().into()
    }
}

impl From<Activation> for CodeConfig {
    /// `h = phi(z)`.
    fn from(activation: Activation) -> Self {
        DeterministicConfig { activation }.into()
    }
}
