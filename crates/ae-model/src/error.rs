//! The error for a setting that cannot be used.

use std::fmt;

/// A setting outside its range. The message names the field, its value and the allowed range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Dotted path of the field inside the configuration, such as `network.hidden`.
    pub field: String,
    /// The refused value, as it was written.
    pub value: String,
    /// What is allowed instead.
    pub allowed: String,
}

impl ConfigError {
    /// An error for `field`, which has the value `value` and only allows `allowed`.
    pub fn new(field: impl Into<String>, value: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self { field: field.into(), value: value.to_string(), allowed: allowed.into() }
    }

    /// The same error for the table that contains this configuration: `field` becomes `table.field`.
    pub fn within(mut self, table: &str) -> Self {
        self.field = format!("{table}.{}", self.field);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}, but must be {}", self.field, self.value, self.allowed)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_field_value_and_range() {
        let error = ConfigError::new("code_dim", 0, "at least 1").within("model");
        assert_eq!(error.to_string(), "`model.code_dim` is 0, but must be at least 1");
    }
}
