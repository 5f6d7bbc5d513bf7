//! `ae worker`: serves a device of this machine to programs of another one.

use std::path::PathBuf;

use ae_model::Registry;
use clap::{Args, ValueHint};

use crate::{
    Result,
    cli::{
        devices,
        entry::{Entry, Group},
        listening::{listen, reached},
        output::{print, status},
    },
    remote::{Worker, work},
};

/// Which device to serve, and where.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// Address to listen on; only this machine can reach 127.0.0.1, and port 0 is any free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7101")]
    pub listen: String,
    /// Device to serve: auto, or one that `ae devices` lists.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,
    /// File with the token that programs must have; by default that of the environment variable AE_TOKEN.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae worker", "the best device of this machine, for programs on it"),
        ("AE_TOKEN=... ae worker --listen 0.0.0.0:7101 --device wgpu", "a GPU, for a network that is trusted"),
    ];
    Entry::new(Group::Train, "worker", "Serve a device of this machine to others", examples, run)
}

/// Serves until it is ended.
fn run(args: &WorkerArgs, _registry: &Registry) -> Result<()> {
    let (listener, address, token) = listen(&args.listen, args.token_file.as_deref())?;
    let device = devices::choose(&args.device)?.open()?;
    print(&format!("listening on {address}\n"))?;
    status(&format!("{} for `ae train --device ws://{}`, until Ctrl-C", device.name, reached(address)));
    work(Worker { listener, device: device.device, token })
}
