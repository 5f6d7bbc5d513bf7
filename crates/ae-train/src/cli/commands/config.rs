//! `ae config`: prints a configuration, every field with its meaning.

use ae_model::Registry;
use clap::Args;

use crate::{
    Result,
    cli::{
        args::ConfigArgs,
        entry::{Entry, Group},
        json::document,
        output::print,
    },
};

/// Which configuration.
#[derive(Debug, Clone, Args)]
pub struct PrintArgs {
    /// Print JSON: the values without their meanings.
    #[arg(long)]
    pub json: bool,
    /// Settings.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae config --variant sparse > run.toml", "every setting of a variant, to be edited"),
        ("ae train --config run.toml --epochs 20", "train what the file says"),
    ];
    let about = "Print every field of a run's configuration as TOML, with its meaning, unit and range";
    Entry::new(Group::LookUp, "config", about, examples, run)
}

/// Prints the configuration that `ae train` would use with the same flags.
fn run(args: &PrintArgs, registry: &Registry) -> Result<()> {
    let config = super::configuration(&args.config, registry)?;
    match args.json {
        true => document(&config),
        false => print(&crate::cli::renamed(&config.to_toml())),
    }
}
