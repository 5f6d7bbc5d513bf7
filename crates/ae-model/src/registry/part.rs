//! A part of a model together with its settings.

use std::{any::Any, fmt, ops::Deref, sync::Arc};

use burn::serde::{Serialize, Serializer};
use serde_json::Value;

use super::settings::Settings;

/// [`Settings`] of any type.
trait AnySettings: Any + erased_serde::Serialize + fmt::Debug + Send + Sync {}

impl<S: Settings> AnySettings for S {}

/// A part of a model: its name, its settings, and the part itself (`dyn Penalty`, `dyn Loss` and so on), to which it
/// dereferences.
pub struct Part<T: ?Sized> {
    name: &'static str,
    settings: Arc<dyn AnySettings>,
    part: Arc<T>,
}

impl<T: ?Sized> Part<T> {
    pub(super) fn new<S: Settings>(settings: S, erase: fn(Arc<S>) -> Arc<T>) -> Self {
        let settings = Arc::new(settings);
        Self { name: S::NAME, part: erase(settings.clone()), settings }
    }

    /// Name in configurations.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Shared ownership of the part itself.
    pub fn shared(&self) -> Arc<T> {
        self.part.clone()
    }

    /// The settings, if they are of type `S`.
    pub fn get<S: Settings>(&self) -> Option<&S> {
        let settings: &dyn Any = &*self.settings;
        settings.downcast_ref()
    }

    /// The settings, to be serialized.
    fn settings(&self) -> &dyn erased_serde::Serialize {
        &*self.settings
    }

    /// The settings as a JSON value.
    fn value(&self) -> Value {
        serde_json::to_value(self.settings()).unwrap_or_default()
    }

    /// Whether there are no settings.
    pub(crate) fn is_plain(&self) -> bool {
        match self.value() {
            Value::Null => true,
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        }
    }

    /// Serializes the part as a table with its name as `kind`.
    pub(crate) fn serialize_tagged<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(crate = "burn::serde")]
        struct Tagged<'a> {
            kind: &'static str,
            #[serde(flatten)]
            settings: &'a dyn erased_serde::Serialize,
        }
        Tagged { kind: self.name, settings: self.settings() }.serialize(serializer)
    }
}

impl<T: ?Sized> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.part
    }
}

impl<T: ?Sized> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self { name: self.name, settings: self.settings.clone(), part: self.part.clone() }
    }
}

impl<T: ?Sized> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

/// Equal if name and settings are equal.
impl<T: ?Sized> PartialEq for Part<T> {
    fn eq(&self, other: &Self) -> bool {
        // Compared as they are printed: a JSON value has no infinite numbers.
        self.name == other.name && format!("{self:?}") == format!("{other:?}")
    }
}

/// Adds a part to a list, or replaces the one of the same name.
pub(crate) fn put<T: ?Sized>(parts: &mut Vec<Part<T>>, part: Part<T>) {
    match parts.iter_mut().find(|other| other.name == part.name) {
        Some(other) => *other = part,
        None => parts.push(part),
    }
}

/// The settings of type `S` among the parts, if there are any.
pub(crate) fn find<T: ?Sized, S: Settings>(parts: &[Part<T>]) -> Option<&S> {
    parts.iter().find_map(Part::get)
}

/// Serializes parts as a map from names to settings.
pub(crate) struct Named<'a, T: ?Sized>(pub &'a [Part<T>]);

impl<T: ?Sized> Serialize for Named<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// A part without settings is an empty table, whatever its type is.
        struct Table<'a, T: ?Sized>(&'a Part<T>);

        impl<T: ?Sized> Serialize for Table<'_, T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if self.0.is_plain() {
                    serializer.collect_map([("", ""); 0])
                } else {
                    self.0.settings().serialize(serializer)
                }
            }
        }
        serializer.collect_map(self.0.iter().map(|part| (part.name, Table(part))))
    }
}
