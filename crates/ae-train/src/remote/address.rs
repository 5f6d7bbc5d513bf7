//! Who may join.

use crate::{Error, Result};

/// The environment variable with the token of a training in several processes.
pub const TOKEN: &str = "AE_TOKEN";

/// The token of [`TOKEN`]; `None` if it is not set or empty. It is never an argument, which everybody on a machine can
/// read.
///
/// # Errors
/// It is not text.
pub fn token() -> Result<Option<String>> {
    match std::env::var(TOKEN) {
        Ok(token) => Ok(Some(token).filter(|token| !token.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(Error::Usage(format!("the environment variable {TOKEN}: {error}"))),
    }
}
