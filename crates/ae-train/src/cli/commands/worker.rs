//! `ae worker`: serves a device of this machine to programs of another one.

use ae_model::Registry;
use clap::Args;

use crate::{
    Result,
    cli::{
        devices,
        entry::{Entry, Group},
        listening::ListenArgs,
        output::status,
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
    #[command(flatten)]
    pub who: ListenArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae worker", "the best device of this machine, for programs on it"),
        ("AE_TOKEN=... ae worker --listen 0.0.0.0:7101 --device wgpu", "a GPU, for a network that is trusted"),
        ("AE_TOKEN=... ae worker --listen 0.0.0.0:7101 --iroh gpu.key", "over any network: encrypted by Iroh"),
    ];
    Entry::new(Group::Train, "worker", "Serve a device of this machine to others", examples, run)
}

/// Serves until it is ended.
fn run(args: &WorkerArgs, _registry: &Registry) -> Result<()> {
    let device = devices::choose(&args.device)?.open()?;
    let (listener, token) = args.who.listen(&args.listen)?;
    let reached = listener.reached();
    let reached = if reached.contains("://") { reached } else { format!("ws://{reached}") };
    status(&format!("{} for `ae train --device {reached}`, until Ctrl-C", device.name));
    work(Worker { listener, device: device.device, token })
}
