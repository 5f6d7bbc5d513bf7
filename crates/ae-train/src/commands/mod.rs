//! The commands, one file each.

mod config;
mod data;
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
        Command::Data(args) => data::run(&args),
        Command::Variants => variants::run(),
        Command::Datasets => datasets::run(),
        Command::Devices => devices::run(),
    }
}

/// The configuration of all layers.
fn configuration(args: &ConfigArgs) -> Result<Config> {
    let mut flags = Vec::new();
    flags.extend(args.data.clone().map(|data| ("data.source", Value::String(data))));
    let read = &args.read;
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let list = |values: &[String]| (!values.is_empty()).then(|| Value::Array(values.iter().cloned().map(Value::String).collect()));
    flags.extend(text(&read.label).map(|value| ("data.read.label", value)));
    flags.extend(text(&read.id).map(|value| ("data.read.id", value)));
    flags.extend(list(&read.drop).map(|value| ("data.read.drop", value)));
    flags.extend(list(&read.keep).map(|value| ("data.read.keep", value)));
    flags.extend(text(&read.tensor).map(|value| ("data.read.tensor", value)));
    flags.extend(read.resize.map(|size| ("data.read.resize", Value::Array(size.map(|side| Value::Integer(side as i64)).to_vec()))));
    flags.extend(read.grey.then_some(("data.read.grey", Value::Boolean(true))));
    flags.extend(args.code_dim.map(|value| ("model.code_dim", Value::Integer(value))));
    flags.extend(args.epochs.map(|value| ("training.epochs", Value::Integer(value))));
    flags.extend(args.seed.map(|value| ("seed", Value::Integer(value))));
    Config::from_layers(&Layers { variant: args.variant.as_deref(), file: args.config.as_deref(), set: &args.set, flags })
}
