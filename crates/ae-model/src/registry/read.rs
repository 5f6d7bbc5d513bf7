//! Reads parts and their settings from a configuration.

use std::fmt;

use burn::serde::{Deserialize, Deserializer};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::{part::Part, settings::Settings};

/// An error in a part of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// Dotted path of the table or field inside the recipe, such as `penalty.l1`.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

impl ReadError {
    pub(crate) fn new(place: impl Into<String>, what: impl fmt::Display) -> Self {
        let what = what.to_string();
        let what = what.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("cannot be read");
        Self { place: place.into(), what: what.to_string() }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for ReadError {}

/// A type of part in a registry.
pub struct Kind<T: ?Sized> {
    /// Name in configurations.
    pub name: &'static str,
    /// Returns the schema of its settings, with the doc comments of the type and of each field.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    pub(super) read: fn(&str, Value) -> Result<Part<T>, ReadError>,
}

impl<T: ?Sized> Kind<T> {
    /// The part with its default settings.
    pub fn default_part(&self) -> Part<T> {
        (self.read)(self.name, Value::Object(Map::new())).expect("a registry only has parts with defaults")
    }
}

impl<T: ?Sized> Clone for Kind<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Kind<T> {}

/// Equal if the names are equal.
impl<T: ?Sized> PartialEq for Kind<T> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<T: ?Sized> fmt::Debug for Kind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Reads a value of a recipe; `place` is its path.
pub(crate) fn read_at<'de, T: Deserialize<'de>, D: Deserializer<'de>>(place: &str, value: D) -> Result<T, ReadError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place =
            [place, path.as_str()].into_iter().filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join(".");
        ReadError::new(place, error.inner())
    })
}

/// Reads settings. A part without settings may be a unit struct.
pub(super) fn read_settings<S: Settings>(place: &str, value: Value) -> Result<S, ReadError> {
    let is_empty = value.as_object().is_some_and(Map::is_empty);
    read_at(place, value)
        .or_else(|error| if is_empty { read_at(place, Value::Null).map_err(|_: ReadError| error) } else { Err(error) })
}

/// Reads the part called `name`, with settings from a table.
pub(crate) fn read_part<T: ?Sized>(
    kinds: &[Kind<T>],
    name: &str,
    place: &str,
    value: Value,
) -> Result<Part<T>, ReadError> {
    let kind = kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names: Vec<_> = kinds.iter().map(|kind| format!("`{}`", kind.name)).collect();
        let advice = "a run with custom parts can only be opened by the program that trained it";
        ReadError::new(place, format!("there is no `{name}`, only {}; {advice}", names.join(", ")))
    })?;
    let Value::Object(settings) = &value else {
        return Err(ReadError::new(place, format!("it is {value}, but must be a table of settings")));
    };
    let default = kind.default_part();
    match settings.keys().next() {
        Some(field) if default.is_plain() => {
            Err(ReadError::new(format!("{place}.{field}"), format!("`{name}` has no settings")))
        }
        _ => (kind.read)(place, value),
    }
}

/// Reads a part from a table with a `kind`, or from its name.
pub(crate) fn read_tagged<T: ?Sized>(kinds: &[Kind<T>], place: &str, value: Value) -> Result<Part<T>, ReadError> {
    match value {
        Value::String(name) => read_part(kinds, &name, place, Value::Object(Map::new())),
        Value::Object(mut table) => match table.remove("kind") {
            Some(Value::String(name)) => read_part(kinds, &name, place, Value::Object(table)),
            Some(other) => {
                Err(ReadError::new(format!("{place}.kind"), format!("it is {other}, but must be a name in quotes")))
            }
            None => Err(ReadError::new(
                place,
                format!("`kind` is missing, for example kind = \"{}\"", kinds.first().map_or("", |kind| kind.name)),
            )),
        },
        other => Err(ReadError::new(place, format!("it is {other}, but must be a table with a `kind`"))),
    }
}

/// Reads parts from a map of names to settings, and returns them in the order of `kinds`.
pub(crate) fn read_named<T: ?Sized>(kinds: &[Kind<T>], place: &str, value: Value) -> Result<Vec<Part<T>>, ReadError> {
    let Value::Object(table) = value else {
        return Err(ReadError::new(place, format!("it is {value}, but must be a table")));
    };
    let read = |(name, value): (String, Value)| read_part(kinds, &name, &format!("{place}.{name}"), value);
    let mut parts = table.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    parts.sort_by_key(|part| kinds.iter().position(|kind| kind.name == part.name()));
    Ok(parts)
}
