//! The settings of a reconstruction loss.

use std::ops::Deref;

use burn::serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Loss, SquaredError};
use crate::registry::{
    part::Part,
    read::{Kind, ReadError, read_tagged},
    settings::Settings,
};

/// The loss of numeric features: its name, or a table with its name as `kind` and its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct LossConfig(Part<dyn Loss>);

impl Deref for LossConfig {
    type Target = Part<dyn Loss>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Default for LossConfig {
    fn default() -> Self {
        SquaredError.into()
    }
}

impl<S: Loss + Settings> From<S> for LossConfig {
    fn from(settings: S) -> Self {
        Self(settings.into())
    }
}

impl Serialize for LossConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_plain() { serializer.serialize_str(self.0.name()) } else { self.0.serialize_tagged(serializer) }
    }
}

impl LossConfig {
    /// Reads a name, or a table with a `kind`.
    pub(crate) fn read(value: Value, losses: &[Kind<dyn Loss>]) -> Result<Self, ReadError> {
        read_tagged(losses, "reconstruction", value).map(Self)
    }
}
