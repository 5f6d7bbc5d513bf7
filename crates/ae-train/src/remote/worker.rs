//! A device of another machine, by Burn's remote backend. What is computed there is computed with Burn's operations.

use std::net::TcpListener;

use burn::{
    remote::{ConnectError, RemoteHost},
    server::{RemoteServer, WebSocketTransport},
    tensor::Device,
};

use super::{TOKEN, cannot_serve, runtime, token, token::guarded};
use crate::{Error, Result};

/// What to serve.
#[derive(Debug)]
pub struct Worker {
    /// Where programs connect.
    pub listener: TcpListener,
    /// The device, without autodiff.
    pub device: Device,
    /// What they must know to connect; nothing if `None`.
    pub token: Option<String>,
}

/// Serves a device until the program is ended.
///
/// # Errors
/// An address or a device that cannot be served.
pub fn work(worker: Worker) -> Result<()> {
    let server = guarded(RemoteServer::new([worker.device]), worker.token)?;
    let served = runtime()?.block_on(server.serve_async(WebSocketTransport::from_listener(worker.listener)));
    served.map_err(|error| cannot_serve(&error))
}

/// The device of this index at `address`, such as `ws://10.0.0.7:7101`, with the token of the environment.
///
/// # Errors
/// Nobody listens there, or with another token.
pub fn device(address: &str, index: usize) -> Result<Device> {
    let mut host = RemoteHost::websocket(address);
    if let Some(token) = token(None)? {
        host = host.with_credential(token);
    }
    Device::remote_options(&host)
        .device_index(index)
        .init()
        .map_err(|error| Error::Failed(refusal(address, "worker", &error)))
}

/// Why a server could not be reached, in a sentence; `command` is that of `ae` which serves there.
pub(super) fn refusal(address: &str, command: &str, error: &ConnectError) -> String {
    match error {
        ConnectError::Unauthorized => format!(
            "{address} refused this process: set the environment variable {TOKEN} to the token of `ae {command}`"
        ),
        ConnectError::Unreachable { .. } => {
            format!("nobody listens at {address}: start `ae {command}` there, or correct the address")
        }
        ConnectError::NoSuchDevice { device_count } => {
            format!("{address} serves {device_count} device(s), numbered from 0")
        }
        ConnectError::IncompatibleProtocol { .. } | ConnectError::Handshake { .. } => {
            format!("{address} is no `ae {command}` of this version: {error}")
        }
        error => format!("cannot connect to {address}: {error}"),
    }
}
