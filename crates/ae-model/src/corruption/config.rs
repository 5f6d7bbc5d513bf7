//! The settings of the corruptions.

use std::{borrow::Cow, fmt::Debug, sync::Arc};

use burn::serde::{Serialize, Serializer};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::{Corrupt, Corruption, Emphasis};
use crate::{
    ConfigError, Inputs,
    registry::{
        part::{Named, Part, find, put},
        read::{Kind, ReadError, read_at, read_named},
        settings::Settings,
    },
};

/// Settings of a corruption that a [`Recipe`](crate::Recipe) can name. A [`Corrupt`] with [`Settings`] that does not
/// depend on the data implements this trait by itself.
pub trait CorruptSettings: Debug + Send + Sync {
    /// Checks the settings.
    ///
    /// # Errors
    /// A field is outside its range.
    fn check(&self) -> Result<(), ConfigError>;

    /// The corruption for data like `inputs`.
    fn init(&self, inputs: &Inputs) -> Arc<dyn Corrupt>;
}

impl<C: Corrupt + Clone + 'static> CorruptSettings for C {
    fn check(&self) -> Result<(), ConfigError> {
        Corrupt::check(self)
    }

    fn init(&self, _inputs: &Inputs) -> Arc<dyn Corrupt> {
        Arc::new(self.clone())
    }
}

/// The corruptions in training, applied one after the other; none by default. In TOML it is a table with an entry for
/// each corruption by name, and an optional `emphasis`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CorruptionConfig {
    parts: Vec<Part<dyn CorruptSettings>>,
    /// Weights of the loss on changed and on unchanged features; all weights are 1 if `None`.
    pub emphasis: Option<Emphasis>,
}

impl<C: CorruptSettings + Settings> From<C> for CorruptionConfig {
    fn from(corruption: C) -> Self {
        Self::default().with(corruption)
    }
}

impl Serialize for CorruptionConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(crate = "burn::serde")]
        struct Written<'a> {
            #[serde(flatten)]
            parts: Named<'a, dyn CorruptSettings>,
            #[serde(skip_serializing_if = "Option::is_none")]
            emphasis: Option<Emphasis>,
        }
        Written { parts: Named(&self.parts), emphasis: self.emphasis }.serialize(serializer)
    }
}

/// Only the part of the schema that does not depend on a registry.
impl JsonSchema for CorruptionConfig {
    fn schema_name() -> Cow<'static, str> {
        "CorruptionConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "properties": { "emphasis": generator.subschema_for::<Emphasis>() } })
    }
}

impl CorruptionConfig {
    /// Adds a corruption after the others, or replaces the one of the same name.
    pub fn with<C: CorruptSettings + Settings>(mut self, corruption: C) -> Self {
        self.put(corruption.into());
        self
    }

    /// As [`with`](Self::with), for a corruption of any type.
    pub fn put(&mut self, corruption: Part<dyn CorruptSettings>) {
        put(&mut self.parts, corruption);
    }

    /// Sets the weights of the loss on changed and on unchanged features.
    pub fn with_emphasis(mut self, emphasis: Emphasis) -> Self {
        self.emphasis = Some(emphasis);
        self
    }

    /// The corruption of this type, if there is one.
    pub fn get<C: Settings>(&self) -> Option<&C> {
        find(&self.parts)
    }

    /// The settings of the corruption with this name, as they are written to a configuration; `None` if there is none.
    pub fn settings(&self, name: &str) -> Option<Value> {
        serde_json::to_value(Named(&self.parts)).ok()?.get(name).cloned()
    }

    /// Reads a table of corruptions by name, of the kinds of a registry
    /// ([`Registry::corruptions`](crate::Registry::corruptions)).
    ///
    /// # Errors
    /// There is no such corruption or field, or a value has the wrong type.
    pub fn read(mut value: Value, corruptions: &[Kind<dyn CorruptSettings>]) -> Result<Self, ReadError> {
        let emphasis = value.as_object_mut().and_then(|table| table.remove("emphasis"));
        let emphasis = emphasis.map(|emphasis| read_at("corruption.emphasis", emphasis)).transpose()?;
        Ok(Self { parts: read_named(corruptions, "corruption", value)?, emphasis })
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A field is outside its range, or there is an emphasis but no corruption that it applies to.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.parts.iter().try_for_each(|part| part.check().map_err(|error| error.within(part.name())))?;
        let Some(Emphasis { changed, intact }) = self.emphasis else { return Ok(()) };
        if !(changed >= 0.0 && changed.is_finite()) {
            return Err(ConfigError::new("emphasis.changed", changed, "0 or more"));
        }
        if !(intact >= 0.0 && intact.is_finite() && changed + intact > 0.0) {
            return Err(ConfigError::new(
                "emphasis.intact",
                intact,
                "0 or more, and more than 0 if `emphasis.changed` is 0",
            ));
        }
        if !self.init(&Inputs::real(1)).parts.iter().any(|part| part.replaces()) {
            let allowed = "left out unless a corruption replaces or hides values, as salt_and_pepper and masking do: \
                           without one all weights are the same";
            return Err(ConfigError::new("emphasis", "set", allowed));
        }
        Ok(())
    }

    /// The corruption for data like `inputs`.
    pub fn init(&self, inputs: &Inputs) -> Corruption {
        Corruption { parts: self.parts.iter().map(|part| part.init(inputs)).collect(), emphasis: self.emphasis }
    }

    /// Whether there is no corruption.
    pub fn is_none(&self) -> bool {
        self.parts.is_empty()
    }
}
