//! The settings of a code.

use std::{fmt::Debug, ops::Deref};

use burn::{
    serde::{Serialize, Serializer},
    tensor::Device,
};
use serde_json::Value;

use super::{AnyCode, Code, deterministic::DeterministicConfig};
use crate::{
    Activation, ConfigError,
    registry::{
        part::Part,
        read::{Kind, ReadError, read_tagged},
        settings::Settings,
    },
};

/// Settings of a code that a [`Recipe`](crate::Recipe) can name.
pub trait CodeSettings: Debug + Send + Sync {
    /// Checks the settings, for a code of `d_code` units.
    ///
    /// # Errors
    /// A field is outside its range.
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

    /// Whether the code itself determines how many units are active, so that no penalty can. Default: false.
    fn fixes_activity(&self) -> bool {
        false
    }

    /// Whether the code [starts](Code::start) from rows, or is [calibrated](Code::calibrate) on them. Default: false.
    fn reads_rows(&self) -> bool {
        false
    }

    /// Whether the units of a row depend on the other rows of the batch in training, or on random numbers. Default:
    /// false.
    fn compares_rows(&self) -> bool {
        false
    }

    /// The code, for `d_code` units.
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

    fn compares_rows(&self) -> bool {
        Code::is_stochastic(self)
    }

    fn build(&self, _d_code: usize, _device: &Device) -> AnyCode {
        AnyCode::fixed(self.clone())
    }
}

/// The code to build: a table with its name as `kind`, and its settings.
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
    /// All codes of a registry ([`Registry::codes`](crate::Registry::codes)), with their default settings.
    pub fn all(codes: &[Kind<dyn CodeSettings>]) -> Vec<Self> {
        codes.iter().map(|kind| Self(kind.default_part())).collect()
    }

    /// Reads a table with a `kind`.
    pub(crate) fn read(value: Value, codes: &[Kind<dyn CodeSettings>]) -> Result<Self, ReadError> {
        read_tagged(codes, "code", value).map(Self)
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
