//! Where a server of this program listens.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::{
    Error, Result,
    cli::output::{print, status},
    remote::{self, Iroh, IrohRelays, Listener, TOKEN},
};

/// Who may connect, and over what.
#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// File with the token that clients must have; by default that of the environment variable AE_TOKEN.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,
    /// Serve over Iroh, which encrypts, with the identity in this file; it is created if there is none.
    #[arg(long, value_name = "KEYFILE", value_hint = ValueHint::FilePath)]
    iroh: Option<PathBuf>,
    /// Let clients connect through a relay of Iroh: its URL, or `public` for the public ones of n0. Default: none.
    #[arg(long, value_name = "URL", requires = "iroh")]
    relays: Option<IrohRelays>,
}

impl ListenArgs {
    /// Listens on this address and says where. Returns the token, too, which only this machine may be without.
    pub fn listen(&self, address: &str) -> Result<(Listener, Option<String>)> {
        let token = remote::token(self.token_file.as_deref())?;
        let relays = self.relays.clone().unwrap_or(IrohRelays::Disabled);
        let guarded = |is_local: bool, address: &str| match token.is_none() && !is_local {
            true => Err(Error::Usage(format!(
                "others can reach {address}, so it needs a token: set the environment variable {TOKEN}, or \
                 `--token-file FILE`"
            ))),
            false => Ok(()),
        };
        guarded(relays == IrohRelays::Disabled, "a server with relays")?;
        if relays != IrohRelays::Disabled {
            status(&format!("connecting to a relay (`{relays}`)"));
        }
        let listener = Listener::open(address, self.iroh.clone().map(|key| Iroh { key, relays }).as_ref())?;
        guarded(listener.is_local(), &listener.address())?;
        print(&format!("listening on {}\n", listener.address()))?;
        Ok((listener, token))
    }
}
