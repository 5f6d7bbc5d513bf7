//! The arguments of a training in several processes.

use std::{path::PathBuf, sync::Arc};

use burn::train::Interrupter;
use clap::{Args, ValueHint};

use crate::{
    Error, Result,
    peers::Peers,
    remote::{self, Client},
};

/// How a training is divided among processes.
#[derive(Debug, Clone, Default, Args)]
pub struct PeerArgs {
    /// Train in this many processes on this machine, each with its part of every batch.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(conflicts_with_all = ["join", "rank", "of"])]
    pub processes: Option<u16>,
    /// Train in a process for each of these devices, separated by commas: names of `ae devices`, or the
    /// address that an `ae worker` prints, such as ws://HOST:PORT.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    #[arg(conflicts_with_all = ["join", "rank", "of", "processes", "device"])]
    pub devices: Vec<String>,
    /// Train with the other processes that `ae gather` serves at this address, as it prints it.
    #[arg(long, value_name = "ADDRESS", requires_all = ["rank", "of"])]
    pub join: Option<String>,
    /// The number of this process, from 0; the first one writes the run, the others write nothing.
    #[arg(long, value_name = "R", requires = "join")]
    pub rank: Option<u16>,
    /// Number of processes.
    #[arg(long, value_name = "N", requires = "join", value_parser = clap::value_parser!(u16).range(1..))]
    pub of: Option<u16>,
    /// Seconds that the processes of --processes or --devices wait for each other in a step. Default: 60.
    #[arg(long, value_name = "SECONDS", conflicts_with = "join", value_parser = clap::value_parser!(u64).range(1..))]
    pub patience: Option<u64>,
    /// File with the token of `ae gather`; by default that of the environment variable AE_TOKEN.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "join")]
    pub token_file: Option<PathBuf>,
}

impl PeerArgs {
    /// In how many processes to train, if this one only starts them.
    pub fn launches(&self) -> Option<u16> {
        match self.devices.len() {
            0 => self.processes,
            count => u16::try_from(count).ok(),
        }
    }

    /// Whether this process is not the first one, which writes the run.
    pub fn is_helper(&self) -> bool {
        self.rank.is_some_and(|rank| rank > 0)
    }

    /// The connection to the other processes, if there are any.
    pub fn connect(&self, interrupter: &Interrupter) -> Result<Option<Peers>> {
        let (Some(address), Some(rank), Some(of)) = (&self.join, self.rank, self.of) else { return Ok(None) };
        if rank >= of {
            return Err(Error::Usage(format!(
                "`--rank {rank}` of {of} processes: the ranks are 0 to {}",
                of.saturating_sub(1)
            )));
        }
        let token = remote::token(self.token_file.as_deref())?;
        let client = Client::connect(address, token.as_deref(), interrupter.clone())?;
        Ok(Some(Peers { rank: rank.into(), of: of.into(), connection: Arc::new(client) }))
    }
}
