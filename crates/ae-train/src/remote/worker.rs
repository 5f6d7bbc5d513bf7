//! A device of another machine, by Burn's remote backend. What is computed there is computed with Burn's operations.

use burn::{server::RemoteServer, tensor::Device};

use super::{Listener, address, token, token::guarded};
use crate::{Error, Result};

/// What to serve.
#[derive(Debug)]
pub struct Worker {
    /// Where programs connect.
    pub listener: Listener,
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
    Err(worker.listener.serve(server)?.wait())
}

/// The device of this index at `address`, such as `ws://10.0.0.7:7101` or `iroh://ID@10.0.0.7:7101`, with the token of
/// the environment.
///
/// # Errors
/// Nobody listens there, or with another token.
pub fn device(address: &str, index: usize) -> Result<Device> {
    let host = address::host(address, token(None)?.as_deref())?;
    let device = Device::remote_options(&host).device_index(index).init();
    device.map_err(|error| Error::Failed(address::refusal(address, "worker", &error)))
}
