//! The settings of the penalties.

use std::{borrow::Cow, sync::Arc};

use burn::{
    serde::{Serialize, Serializer},
    tensor::Tensor,
};
use serde_json::Value;

use super::{Context, Penalty};
use crate::{
    ConfigError, Parts,
    registry::{
        part::{Named, Part, find, put},
        read::{Kind, ReadError, read_named},
        settings::Settings,
    },
};

/// The penalties of the loss; none by default. In TOML it is a table with an entry for each penalty by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PenaltyConfig(Vec<Part<dyn Penalty>>);

impl<P: Penalty + Settings> From<P> for PenaltyConfig {
    fn from(penalty: P) -> Self {
        Self::default().with(penalty)
    }
}

impl Serialize for PenaltyConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Named(&self.0).serialize(serializer)
    }
}

impl PenaltyConfig {
    /// Adds a penalty, or replaces the one of the same name.
    pub fn with<P: Penalty + Settings>(mut self, penalty: P) -> Self {
        put(&mut self.0, penalty.into());
        self
    }

    /// The penalty of this type, if there is one.
    pub fn get<P: Settings>(&self) -> Option<&P> {
        find(&self.0)
    }

    /// Whether there is no penalty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a table of penalties by name.
    pub(crate) fn read(value: Value, penalties: &[Kind<dyn Penalty>]) -> Result<Self, ReadError> {
        read_named(penalties, "penalty", value).map(Self)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A field is outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.0.iter().try_for_each(|part| part.check().map_err(|error| error.within(part.name())))
    }

    /// The name of a penalty that needs a decoder of a single layer without activation, if there is one.
    pub fn needing_atoms(&self) -> Option<&'static str> {
        self.0.iter().find(|part| part.needs_atoms()).map(|part| part.name())
    }

    /// The names of the penalties for which the rows of a batch depend on each other.
    pub fn comparing_rows(&self) -> Vec<&'static str> {
        self.0.iter().filter(|part| part.compares_rows()).map(|part| part.name()).collect()
    }

    /// The penalties, with their names in the configuration.
    pub fn init(&self) -> Vec<Arc<dyn Penalty>> {
        self.0
            .iter()
            .map(|part| Arc::new(Renamed { name: part.name(), penalty: part.shared() }) as Arc<dyn Penalty>)
            .collect()
    }
}

/// A penalty with the name of its settings instead of that of its type.
#[derive(Debug)]
struct Renamed {
    name: &'static str,
    penalty: Arc<dyn Penalty>,
}

impl Penalty for Renamed {
    fn name(&self) -> Cow<'static, str> {
        self.name.into()
    }

    fn weight(&self, progress: f64) -> f64 {
        self.penalty.weight(progress)
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        self.penalty.value(context)
    }

    fn direction(&self, model: &Parts, input: &Tensor<2>) -> Option<Tensor<2>> {
        self.penalty.direction(model, input)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.penalty.check()
    }

    fn reads_z(&self) -> bool {
        self.penalty.reads_z()
    }

    fn reads_activity(&self) -> bool {
        self.penalty.reads_activity()
    }

    fn needs_atoms(&self) -> bool {
        self.penalty.needs_atoms()
    }

    fn compares_rows(&self) -> bool {
        self.penalty.compares_rows()
    }
}
