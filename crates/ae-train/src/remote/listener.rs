//! Where a server of this program listens.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use burn::server::{BURN_REMOTE_ALPN, IrohIdentity, IrohRelays, RemoteServer, WebSocketTransport};
use iroh::{
    Endpoint, RelayMode, SecretKey,
    endpoint::{QuicTransportConfig, presets},
    protocol::Router,
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::timeout,
};

use super::address::IROH;
use crate::{Error, Result};

/// How long a connection over Iroh may be silent before it counts as lost. Nobody closes the connections of a process
/// that is killed.
const SILENCE: Duration = Duration::from_secs(10);
/// How often a connection over Iroh that has nothing to say shows that it is alive.
const ALIVE: Duration = Duration::from_secs(2);
/// How long it may take to reach a relay.
const RELAY: Duration = Duration::from_secs(15);
/// How long it may take to close connections.
const CLOSING: Duration = Duration::from_secs(1);

/// How a server is reached over Iroh, which encrypts what is sent and proves to clients that this is the server that
/// they mean.
#[derive(Debug, Clone)]
pub struct Iroh {
    /// The file of its identity; it is created if there is none. Who can read it can pass as this server.
    pub key: PathBuf,
    /// What forwards connections from where the server cannot be reached directly.
    pub relays: IrohRelays,
}

/// An address on which a server can be reached from now on.
pub struct Listener {
    runtime: Runtime,
    socket: Socket,
    /// Where it is.
    found: SocketAddr,
    /// What clients need before the address.
    before: String,
    /// What clients need instead of the address.
    relays: Option<String>,
}

enum Socket {
    WebSocket(TcpListener),
    Iroh(Endpoint),
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Listener {
    /// Listens on this address, such as `127.0.0.1:7100`; port 0 is any free one. With `iroh` over Iroh, otherwise as a
    /// WebSocket, which is not encrypted.
    ///
    /// # Errors
    /// An address that is taken or none of this machine, a key file that is none, or a relay that cannot be reached.
    pub fn open(address: &str, iroh: Option<&Iroh>) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| cannot_serve(&error))?;
        let cannot = |error: &dyn fmt::Display| Error::Failed(format!("cannot listen on {address}: {error}"));
        let Some(iroh) = iroh else {
            let listener = TcpListener::bind(address).map_err(|error| cannot(&error))?;
            let found = listener.local_addr().map_err(|error| cannot(&error))?;
            let socket = Socket::WebSocket(listener);
            return Ok(Self { runtime, socket, found, before: String::new(), relays: None });
        };
        let nowhere = || io::Error::new(io::ErrorKind::NotFound, "this is no address");
        let wanted = address.to_socket_addrs().and_then(|mut all| all.next().ok_or_else(nowhere));
        let wanted = wanted.map_err(|error| cannot(&error))?;
        let identity = IrohIdentity::load_or_create(&iroh.key);
        let identity = identity.map_err(|error| Error::at("read or create", &iroh.key, error))?;
        let endpoint = runtime.block_on(bind(&identity, &iroh.relays, wanted)).map_err(|error| cannot(&error))?;
        let before = format!("{IROH}{}@", identity.id());
        let relays = (iroh.relays != IrohRelays::Disabled).then(|| iroh.relays.to_string());
        if relays.is_some() && runtime.block_on(async { timeout(RELAY, endpoint.online()).await }).is_err() {
            return Err(Error::Failed(format!(
                "no relay could be reached within {} seconds (`{}`): check the network, or leave out `--relays`",
                RELAY.as_secs(),
                iroh.relays
            )));
        }
        let found = endpoint.bound_sockets().first().copied().unwrap_or(wanted);
        Ok(Self { runtime, socket: Socket::Iroh(endpoint), found, before, relays })
    }

    /// Where it listens, such as `127.0.0.1:7100` or `iroh://ID@127.0.0.1:7100`.
    pub fn address(&self) -> String {
        format!("{}{}", self.before, self.relays.clone().unwrap_or_else(|| self.found.to_string()))
    }

    /// What others write for this address: where it is any of this machine's, with `HOST` for its name.
    pub fn reached(&self) -> String {
        match self.found.ip().is_unspecified() && self.relays.is_none() {
            true => format!("{}HOST:{}", self.before, self.found.port()),
            false => self.address(),
        }
    }

    /// Whether only programs of this machine can connect.
    pub fn is_local(&self) -> bool {
        self.found.ip().is_loopback() && self.relays.is_none()
    }

    /// Begins to serve.
    ///
    /// # Errors
    /// A server that cannot be one of Iroh.
    pub(super) fn serve(self, server: RemoteServer) -> Result<Serving> {
        let serving = match self.socket {
            Socket::WebSocket(listener) => {
                let served = server.serve_async(WebSocketTransport::from_listener(listener));
                let task = self.runtime.spawn(async { served.await.map_err(|error| cannot_serve(&error)) });
                Serving { runtime: self.runtime, task, endpoint: None }
            }
            Socket::Iroh(endpoint) => {
                let protocol = server.into_protocol(&endpoint).map_err(|error| cannot_serve(&error))?;
                let (closed, open) = (endpoint.closed(), endpoint.clone());
                let task = self.runtime.spawn(async {
                    let _router = Router::builder(open).accept(BURN_REMOTE_ALPN, protocol).spawn();
                    closed.await;
                    Ok(())
                });
                Serving { runtime: self.runtime, task, endpoint: Some(endpoint) }
            }
        };
        Ok(serving)
    }
}

/// An endpoint of this identity on this address and no other one.
async fn bind(
    identity: &IrohIdentity,
    relays: &IrohRelays,
    address: SocketAddr,
) -> std::result::Result<Endpoint, Box<dyn std::error::Error>> {
    let builder = match relays {
        IrohRelays::Public => Endpoint::builder(presets::N0),
        IrohRelays::Private { url } => Endpoint::builder(presets::Minimal).relay_mode(RelayMode::custom([url.clone()])),
        IrohRelays::Disabled => Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Disabled),
    };
    let transport = QuicTransportConfig::builder()
        // As Burn does for its own endpoints: with it connections of this version can stall.
        .enable_segmentation_offload(false)
        .keep_alive_interval(ALIVE)
        .max_idle_timeout(Some(SILENCE.try_into()?))
        .build();
    let builder = builder.secret_key(SecretKey::from_bytes(&identity.to_bytes())).transport_config(transport);
    Ok(builder.clear_ip_transports().bind_addr(address)?.bind().await?)
}

/// A server that serves.
pub(super) struct Serving {
    runtime: Runtime,
    task: JoinHandle<Result<()>>,
    endpoint: Option<Endpoint>,
}

impl Serving {
    /// Whether it no longer serves.
    pub(super) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits until it no longer serves, and says why.
    pub(super) fn wait(self) -> Error {
        match self.runtime.block_on(self.task) {
            Ok(Err(error)) => error,
            Ok(Ok(())) => cannot_serve(&"the address was closed"),
            Err(error) => cannot_serve(&error),
        }
    }

    /// Ends it. Clients over Iroh are told.
    pub(super) fn stop(self) {
        if let Some(endpoint) = self.endpoint {
            let _ = self.runtime.block_on(async { timeout(CLOSING, endpoint.close()).await });
        }
        self.runtime.shutdown_background();
    }
}

fn cannot_serve(error: &dyn fmt::Display) -> Error {
    Error::Failed(format!("cannot serve: {error}"))
}
