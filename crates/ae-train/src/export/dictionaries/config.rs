//! Configurations in JSON, of which nothing is guessed: a value of another type is refused, not replaced.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::{Error, Result, export::Numbers};

/// A table of a JSON file.
#[derive(Debug)]
pub(super) struct Config {
    origin: String,
    table: Value,
}

impl Config {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| Error::at("read", path, error))?;
        let origin = path.display().to_string();
        match serde_json::from_str(&text) {
            Ok(table) => Ok(Self { origin, table }),
            Err(error) => Err(Error::Failed(format!("{origin} is not JSON: {error}"))),
        }
    }

    /// An error in this file.
    pub(super) fn wrong(&self, what: &str) -> Error {
        Error::Failed(format!("{}: {what}", self.origin))
    }

    /// The table at `key`; an empty one if there is none.
    pub(super) fn table(&self, key: &str) -> Self {
        Self { origin: self.origin.clone(), table: self.table[key].clone() }
    }

    /// The value at `key`, read by `get`; `None` if there is none.
    fn get<'a, T>(&'a self, key: &str, kind: &str, get: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>> {
        match &self.table[key] {
            Value::Null => Ok(None),
            value => match get(value) {
                Some(value) => Ok(Some(value)),
                None => Err(self.wrong(&format!("`{key}` is {value}, but must be {kind}"))),
            },
        }
    }

    /// The text at `key`.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>> {
        self.get(key, "a text", Value::as_str)
    }

    /// The integer at `key`.
    pub(super) fn integer(&self, key: &str) -> Result<Option<usize>> {
        self.get(key, "an integer from 0", |value| value.as_u64().and_then(|value| value.try_into().ok()))
    }

    /// The truth value at `key`.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.get(key, "true or false", Value::as_bool)
    }

    /// Checks the sizes that the file names, under these keys, against those of the weights. A size of 0 stands for one
    /// that is computed from others.
    pub(super) fn agrees(&self, keys: [&str; 2], tensors: &BTreeMap<&'static str, Numbers>) -> Result<()> {
        let [width, units] = [tensors["W_enc"].shape[0], tensors["W_enc"].shape[1]];
        for (key, found) in keys.into_iter().zip([width, units]) {
            match self.integer(key)? {
                Some(said) if said != found && said != 0 => {
                    return Err(self.wrong(&format!(
                        "`{key}` is {said}, but the weights are for {width} features and {units} units: the two files \
                         do not belong together"
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
