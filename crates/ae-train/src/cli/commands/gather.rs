//! `ae gather`: averages the gradients of a training in several processes.

use std::time::Duration;

use ae_model::Registry;
use clap::Args;

use crate::{
    Result,
    cli::{
        entry::{Entry, Group},
        listening::ListenArgs,
        output::status,
    },
    remote::{Gathering, gather},
};

/// Which processes to serve.
#[derive(Debug, Clone, Args)]
pub struct GatherArgs {
    /// Address to listen on; only this machine can reach 127.0.0.1, and port 0 is any free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7100")]
    pub listen: String,
    /// Number of processes of the training.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub of: u16,
    /// Seconds that the processes wait for each other in a step, at least 1; longer than a validation takes.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..))]
    pub patience: u64,
    #[command(flatten)]
    pub who: ListenArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae gather --of 2", "for two processes on this machine"),
        ("AE_TOKEN=... ae gather --listen 0.0.0.0:7100 --of 4", "for four machines of a network that is trusted"),
        ("AE_TOKEN=... ae gather --listen 0.0.0.0:7100 --of 4 --iroh here.key", "over any network: encrypted by Iroh"),
    ];
    Entry::new(Group::Train, "gather", "Average the gradients of a training in several processes", examples, run)
}

/// Serves one training.
fn run(args: &GatherArgs, _registry: &Registry) -> Result<()> {
    let (listener, token) = args.who.listen(&args.listen)?;
    let of = args.of;
    let at = listener.reached();
    status(&format!("each process: `ae train ... --join {at} --rank R --of {of}`, with R from 0 to {}", of - 1));
    gather(Gathering { listener, of: of.into(), patience: Duration::from_secs(args.patience), token })?;
    status("all processes have finished");
    Ok(())
}
