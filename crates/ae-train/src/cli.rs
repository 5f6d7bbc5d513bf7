//! The command line, as clap reads it: types only.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Autoencoders for Burn: train one and see what it learned. Without a command, trains the default on handwritten digits.
#[derive(Debug, Parser)]
#[command(name = "ae", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to train, without a command.
    #[command(flatten)]
    pub train: TrainArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model, or continue a run.
    Train(TrainArgs),
    /// Print every field of a run's configuration as TOML, with its meaning.
    Config(ConfigArgs),
    /// Describe data before training: rows, columns, ranges, what is missing, what would be chosen.
    Data(DataArgs),
    /// List the variants.
    Variants,
    /// List the built-in data sets.
    Datasets,
    /// List the devices of the backends that were built in.
    Devices,
}

/// Where a configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// Variant to start from (see `ae variants`).
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// TOML file of settings over the variant's defaults (see `ae config`).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A single setting over the file's, such as training.batch_size=128; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Built-in data set, file, folder, pattern such as 'part-*.csv', or - for CSV on standard input.
    #[arg(long, value_name = "NAME|PATH")]
    pub data: Option<String>,
    /// How to read it.
    #[command(flatten)]
    pub read: ReadArgs,
    /// Units of the code.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub code_dim: Option<i64>,
    /// Passes over the training rows.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub epochs: Option<i64>,
    /// Seed of weights, splits and order.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
}

/// How data is read.
#[derive(Debug, Clone, Default, Args)]
pub struct ReadArgs {
    /// Column of a table with each row's class: shown, not learned from.
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// Column of a table that identifies each row: carried along, not learned from.
    #[arg(long, value_name = "COLUMN")]
    pub id: Option<String>,
    /// Columns of a table to leave out, with commas between.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub drop: Vec<String>,
    /// Columns of a table to learn from, if not all, with commas between.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub keep: Vec<String>,
    /// Name of the array, where a file holds several.
    #[arg(long, value_name = "NAME")]
    pub tensor: Option<String>,
    /// Size that images are brought to, such as 28x28.
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = size)]
    pub resize: Option<[usize; 2]>,
    /// Read images in shades of grey.
    #[arg(long)]
    pub grey: bool,
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let sides = text.split_once(['x', 'X']).and_then(|(height, width)| Some([height.parse().ok()?, width.parse().ok()?]));
    sides.filter(|sides| !sides.contains(&0)).ok_or_else(|| "a height and a width in pixels, such as 28x28".to_string())
}

/// What to describe.
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// Built-in data set, file, folder, pattern, or - for CSV on standard input.
    #[arg(value_name = "NAME|PATH")]
    pub data: String,
    /// How to read it.
    #[command(flatten)]
    pub read: ReadArgs,
    /// Write the first images as one picture.
    #[arg(long, value_name = "FILE.png")]
    pub sheet: Option<PathBuf>,
}

/// What to train, and where.
#[derive(Debug, Clone, Default, Args)]
pub struct TrainArgs {
    /// Settings.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Device to train on: auto, or one that `ae devices` lists.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,
    /// Folder of the run; by default a new one under runs/.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Continue the run in this folder.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["variant", "config", "set", "data", "label", "id", "drop", "keep", "tensor", "resize", "grey", "code_dim", "epochs", "seed", "out"])]
    pub resume: Option<PathBuf>,
}
