//! Who may connect: those who know the token.

use std::{env, fs, path::Path};

use burn::server::{RemoteServer, TokenAuthorizer};

use crate::{Error, Result};

/// The environment variable with the token.
pub const TOKEN: &str = "AE_TOKEN";

/// The token of a file, or else of [`TOKEN`]; `None` without a file and if that is not set or empty. It is never an
/// argument, which everybody on a machine can read.
///
/// # Errors
/// A file that cannot be read or is empty, or a variable that is not text.
pub fn token(file: Option<&Path>) -> Result<Option<String>> {
    if let Some(file) = file {
        let text = fs::read_to_string(file).map_err(|error| Error::at("read", file, error))?;
        let token = text.trim().to_string();
        return match token.is_empty() {
            true => Err(Error::Usage(format!("{}: the file of the token is empty", file.display()))),
            false => Ok(Some(token)),
        };
    }
    match env::var(TOKEN) {
        Ok(token) => Ok(Some(token).filter(|token| !token.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(Error::Usage(format!("the environment variable {TOKEN}: {error}"))),
    }
}

/// The server for those who know the token; for all if it is `None`.
pub(super) fn guarded(server: RemoteServer, token: Option<String>) -> Result<RemoteServer> {
    let Some(token) = token else { return Ok(server) };
    let authorizer = TokenAuthorizer::new(token).map_err(|error| Error::Usage(format!("the token: {error}")))?;
    Ok(server.with_authorizer(authorizer))
}
