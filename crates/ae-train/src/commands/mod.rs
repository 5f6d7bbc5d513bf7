//! The commands, one file each.

mod config;
mod datasets;
mod devices;
mod train;
mod variants;

use ae_train::{Config, Result, config::Layers};
use toml::Value;

use crate::cli::{Cli, Command, ConfigArgs};

/// Does what the command line asks for.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command.unwrap_or(Command::Train(cli.train)) {
        Command::Train(args) => train::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Variants => variants::run(),
        Command::Datasets => datasets::run(),
        Command::Devices => devices::run(),
    }
}

/// The configuration of all layers.
fn configuration(args: &ConfigArgs) -> Result<Config> {
    let mut flags = Vec::new();
    flags.extend(args.data.clone().map(|data| ("data.source", Value::String(data))));
    flags.extend(args.code_dim.map(|value| ("model.code_dim", Value::Integer(value))));
    flags.extend(args.epochs.map(|value| ("training.epochs", Value::Integer(value))));
    flags.extend(args.seed.map(|value| ("seed", Value::Integer(value))));
    Config::from_layers(&Layers { variant: args.variant.as_deref(), file: args.config.as_deref(), set: &args.set, flags })
}
