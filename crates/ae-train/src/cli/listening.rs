//! Where a server of this program listens.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
};

use crate::{
    Error, Result,
    remote::{self, TOKEN},
};

/// A socket on this address, where it is, and the token; only this machine may be without one.
pub fn listen(address: &str, token_file: Option<&Path>) -> Result<(TcpListener, SocketAddr, Option<String>)> {
    let token = remote::token(token_file)?;
    let cannot = |error: std::io::Error| Error::Failed(format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(cannot)?;
    let found = listener.local_addr().map_err(cannot)?;
    if token.is_none() && !found.ip().is_loopback() {
        return Err(Error::Usage(format!(
            "others can reach {found}, so it needs a token: set the environment variable {TOKEN}, or \
             `--token-file FILE`"
        )));
    }
    Ok((listener, found, token))
}

/// What others write for this address.
pub fn reached(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("HOST:{}", address.port()),
        false => address.to_string(),
    }
}
