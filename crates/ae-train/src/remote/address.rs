//! Where a server is, as a person writes it.

use std::net::ToSocketAddrs;

use burn::remote::{ConnectError, EndpointId, IrohHost, IrohRelays, RemoteHost};

use super::TOKEN;
use crate::{Error, Result};

/// What begins the address of a server that is reached over Iroh.
pub(super) const IROH: &str = "iroh://";

/// The server at `address`, which this token is for:
///
/// - `HOST:PORT` or `ws://HOST:PORT`, over a WebSocket;
/// - `iroh://ID@HOST:PORT`, directly over Iroh;
/// - `iroh://ID@public` through Iroh's public relays, `iroh://ID@URL` through the relay at this URL.
///
/// Nothing is connected yet.
///
/// # Errors
/// An address that is none.
pub(super) fn host(address: &str, token: Option<&str>) -> Result<RemoteHost> {
    let host = match address.strip_prefix(IROH) {
        Some(rest) => RemoteHost::iroh(iroh_host(address, rest)?),
        None if address.starts_with("ws://") => RemoteHost::websocket(address),
        None => RemoteHost::websocket(&format!("ws://{address}")),
    };
    Ok(match token {
        Some(token) => host.with_credential(token),
        None => host,
    })
}

/// The server of Iroh at `rest` of this address.
fn iroh_host(address: &str, rest: &str) -> Result<IrohHost> {
    let wrong = |reason: &str| {
        Error::Usage(format!(
            "{address} is no address over Iroh: {reason}; it is {IROH}ID@HOST:PORT as the server prints it, or \
             ID@public or ID@URL of a relay"
        ))
    };
    let (id, way) = rest.split_once('@').ok_or_else(|| wrong("it has no `@`"))?;
    let id: EndpointId = id.parse().map_err(|_| wrong("what is before the `@` is no identity"))?;
    let host = IrohHost::new(id);
    if way == "public" || way.contains("://") {
        let relays: IrohRelays = way.parse().map_err(|_| wrong("what follows the `@` is no URL"))?;
        return Ok(host.with_relays(relays));
    }
    let all = way.to_socket_addrs().map_err(|error| wrong(&format!("{way}: {error}")))?;
    Ok(all.fold(host.with_relays(IrohRelays::Disabled), IrohHost::with_address))
}

/// Why a server could not be reached, in a sentence; `command` is that of `ae` which serves there.
pub(super) fn refusal(address: &str, command: &str, error: &ConnectError) -> String {
    match error {
        ConnectError::Unauthorized => format!(
            "{address} refused this process: set the environment variable {TOKEN} to the token of `ae {command}`"
        ),
        ConnectError::Unreachable { .. } if address.starts_with(IROH) => format!(
            "nobody with this identity answers at {address}: start `ae {command} --iroh KEYFILE` there, or take the \
             address that it prints"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_servers_print_them_and_relays_are_only_used_if_named() {
        let id = burn::remote::IrohIdentity::from_bytes([7; 32]).id();
        let direct = IrohHost::new(id).with_relays(IrohRelays::Disabled).with_address(([127, 0, 0, 1], 7100).into());
        let read = |rest: &str| iroh_host("", rest).unwrap();
        assert_eq!(read(&format!("{id}@127.0.0.1:7100")), direct);
        assert_eq!(read(&format!("{id}@public")), IrohHost::new(id).with_relays(IrohRelays::Public));
        let url = "https://relay.example.org";
        let relays = IrohRelays::Private { url: url.parse().unwrap() };
        assert_eq!(read(&format!("{id}@{url}")), IrohHost::new(id).with_relays(relays));
        for wrong in [id.to_string(), format!("{id}@"), format!("{id}@127.0.0.1"), "guess@127.0.0.1:1".to_string()] {
            let error = iroh_host("iroh://...", &wrong).unwrap_err().to_string();
            assert!(error.contains("no address over Iroh") && error.lines().count() == 1, "{wrong}: {error}");
        }
    }
}
