//! The command line, as clap reads it: types only.

use std::path::PathBuf;

use crate::Which;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Autoencoders for Burn: train one and see what it learned. Without a command, trains the default on handwritten
/// digits.
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
    /// Measure everything about a run on some rows: errors beside PCA, code, robustness, classes, copying.
    Evaluate(EvaluateArgs),
    /// Put runs side by side, with PCA among them; with --variants, train what is missing first.
    Compare(CompareArgs),
    /// Write the page of a run, or of several: pictures, curves, and everything that was measured.
    Report(ReportArgs),
    /// Write the code of each row.
    Encode(OutArgs),
    /// Write what the decoder makes of codes.
    Decode(DecodeArgs),
    /// Write what comes back of each row; with --corrupt of each row corrupted first.
    Reconstruct(ReconstructArgs),
    /// Fill in the missing values of rows, and nothing else.
    Impute(ImputeArgs),
    /// Walk from one row to another through the code.
    Interpolate(InterpolateArgs),
    /// Draw new rows like the data: codes from a density, and what the decoder makes of them.
    Sample(SampleArgs),
    /// Score how odd each row is, and which column makes it so.
    Score(ScoreArgs),
    /// Write the model for other programs: safetensors for PyTorch with the lines that load it, ONNX, Burn's record.
    Export(ExportArgs),
    /// Make a run of weights that were trained elsewhere, under the names that export writes.
    Import(ImportArgs),
    /// List the variants.
    Variants,
    /// List the built-in data sets.
    Datasets,
    /// List the devices of the backends that were built in, and why some cannot be used.
    Devices,
    /// Look for devices, or test one, and be allowed to crash.
    #[command(hide = true)]
    Probe(ProbeArgs),
}

/// What to look for.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// Device to test, as `ae` says it to itself.
    #[arg(value_name = "JSON")]
    pub device: Option<String>,
}

/// Where a configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// TOML file of settings over the variant's defaults (see `ae config`).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A single setting over the file's, such as training.batch_size=128; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    #[arg(long, value_name = "NAME|PATH")]
    pub data: Option<String>,
    /// How to read it.
    #[command(flatten)]
    pub read: ReadArgs,
    #[arg(long)]
    pub normal_only: bool,
    #[arg(long, value_name = "CLASS", allow_hyphen_values = true)]
    pub normal: Option<String>,
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub code_dim: Option<i64>,
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub epochs: Option<i64>,
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub split_seed: Option<i64>,
    #[arg(long)]
    pub stratify: bool,
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, conflicts_with = "time")]
    pub group: Option<String>,
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub time: Option<String>,
}

/// How data is read.
#[derive(Debug, Clone, Default, Args)]
pub struct ReadArgs {
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub label: Option<String>,
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub id: Option<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true)]
    pub drop: Vec<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true)]
    pub keep: Vec<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true)]
    pub categorical: Vec<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true)]
    pub boolean: Vec<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true)]
    pub numeric: Vec<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true)]
    pub integer: Vec<String>,
    #[arg(long, value_name = "TEXT,...", allow_hyphen_values = true)]
    pub missing: Vec<String>,
    #[arg(long, value_enum, value_name = "WHAT")]
    pub unknown: Option<UnknownChoice>,
    /// How the file is laid out.
    #[command(flatten)]
    pub file: FileArgs,
    #[arg(long)]
    pub stream: bool,
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<ae_data::Size>,
    /// Size that images are brought to, such as 28x28.
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = size)]
    pub resize: Option<[usize; 2]>,
    #[arg(long)]
    pub grey: bool,
}

/// How a file is laid out.
#[derive(Debug, Clone, Default, Args)]
pub struct FileArgs {
    #[arg(long, value_name = "CHARACTER", allow_hyphen_values = true, value_parser = character)]
    pub delimiter: Option<char>,
    #[arg(long, value_name = ". or ,", value_parser = decimal)]
    pub decimal: Option<char>,
    /// The first line of a text table names the columns.
    #[arg(long, conflicts_with = "no_header")]
    pub header: bool,
    /// The first line of a text table is a row.
    #[arg(long)]
    pub no_header: bool,
    #[arg(long, value_name = "CHARACTER", allow_hyphen_values = true, value_parser = character)]
    pub comment: Option<char>,
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,
    #[arg(long, value_name = "NAME")]
    pub tensor: Option<String>,
}

/// What becomes of a category's value that training did not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnknownChoice {
    /// It is read as none of the known ones, and scored as the anomaly that it is.
    Score,
    /// An error that names the row.
    Refuse,
}

fn character(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (text, characters.next(), characters.next()) {
        ("\\t" | "tab", ..) => Ok('\t'),
        (_, Some(character), None) if character.is_ascii() => Ok(character),
        _ => Err("one plain character, such as ; or \\t".to_string()),
    }
}

fn decimal(text: &str) -> Result<char, String> {
    text.chars()
        .next()
        .filter(|mark| text.len() == 1 && matches!(mark, '.' | ','))
        .ok_or_else(|| "`.` or `,`".to_string())
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let sides =
        text.split_once(['x', 'X']).and_then(|(height, width)| Some([height.parse().ok()?, width.parse().ok()?]));
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
    /// Continue the run in this folder; with --epochs to that many in all, also if it has ended.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["variant", "config", "set", "data", "label", "id", "drop", "keep", "categorical", "boolean", "numeric", "integer", "missing", "unknown", "delimiter", "decimal", "header", "no_header", "comment", "encoding", "stream", "tensor", "resize", "grey", "normal_only", "normal", "code_dim", "seed", "split_seed", "stratify", "group", "time", "out"])]
    pub resume: Option<PathBuf>,
    /// Folder of event files for TensorBoard: each run gets a folder of its name in it.
    #[arg(long, value_name = "FOLDER")]
    pub tensorboard: Option<PathBuf>,
}

/// A run, and rows to use it on.
#[derive(Debug, Clone, Args)]
pub struct RowsArgs {
    /// Folder of the run.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Rows like those of the run: a built-in set, file, folder, pattern, or - for CSV on standard input; by default
    /// the run's own data.
    #[arg(long, value_name = "NAME|PATH")]
    pub data: Option<String>,
    /// Which rows of it; by default every row of --data, or the held-out rows of the run's own data.
    #[arg(long, value_enum, default_value_t = RowsChoice::Unseen)]
    pub rows: RowsChoice,
    /// How to read it, over what the run says.
    #[command(flatten)]
    pub read: ReadArgs,
    /// Device to compute on, one that `ae devices` lists; by default the CPU, whatever the run was trained on.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
}

/// Which rows of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowsChoice {
    /// Every row of --data; without it the rows of the run's own data that were held out.
    Unseen,
    /// The rows that were trained on; of other data the official training set.
    Train,
    /// The rows that the best epoch was chosen by.
    Validation,
    /// The rows that were held out; of other data the official test set.
    Test,
    /// Every row.
    All,
}

impl From<RowsChoice> for Which {
    fn from(choice: RowsChoice) -> Self {
        match choice {
            RowsChoice::Unseen => Self::Unseen,
            RowsChoice::Train => Self::Train,
            RowsChoice::Validation => Self::Validation,
            RowsChoice::Test => Self::Test,
            RowsChoice::All => Self::All,
        }
    }
}

/// Rows, and where their result goes.
#[derive(Debug, Clone, Args)]
pub struct OutArgs {
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// File to write: .csv, .tsv, .parquet, .arrow, .npy, .npz or .safetensors; by default CSV on standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What to decode.
#[derive(Debug, Clone, Args)]
pub struct DecodeArgs {
    /// Folder of the run.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Codes, as `ae encode` writes them: a table with columns h0, h1, ... or an array.
    #[arg(value_name = "CODES")]
    pub codes: String,
    /// How they are laid out.
    #[command(flatten)]
    pub read: FileArgs,
    /// File to write: a table, or for images .png; by default CSV on standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Device to compute on, one that `ae devices` lists; by default the CPU, whatever the run was trained on.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
}

/// What to reconstruct.
#[derive(Debug, Clone, Args)]
pub struct ReconstructArgs {
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// Corrupt the rows first: gaussian=STD, masking=RATE, salt_and_pepper=RATE, with commas between; without a
    /// number, or without anything, as in the run's training.
    #[arg(long, value_name = "HOW", num_args = 0..=1, default_missing_value = "", require_equals = true)]
    pub corrupt: Option<String>,
    /// File to write: a table, or for images .png; by default CSV on standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Draw the first images above what comes back of them.
    #[arg(long, value_name = "FILE.png")]
    pub sheet: Option<PathBuf>,
}

/// Between which rows to walk.
#[derive(Debug, Clone, Args)]
pub struct InterpolateArgs {
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// Row to begin at, from 1.
    #[arg(long, value_name = "ROW", default_value_t = 1)]
    pub from: usize,
    /// Row to end at, from 1.
    #[arg(long, value_name = "ROW", default_value_t = 2)]
    pub to: usize,
    /// Steps, both ends included.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=100_000))]
    pub steps: usize,
    /// File to write: a table, or for images .png; by default CSV on standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What to draw.
#[derive(Debug, Clone, Args)]
pub struct SampleArgs {
    /// Folder of the run.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Rows to draw. Numbers stay within the range of the training rows.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000_000))]
    pub rows: usize,
    /// Rows to fit a mixture and ranges to, in place of the run's own training rows.
    #[arg(long, value_name = "NAME|PATH", conflicts_with = "measure")]
    pub data: Option<String>,
    /// Where the codes come from.
    #[arg(long, value_enum, default_value_t = DensityChoice::Mixture)]
    pub density: DensityChoice,
    /// Gaussians of a mixture.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub components: usize,
    /// Seed of the draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Say how like the test rows 1,000 of them are (more if --rows is more), beside training rows and a mixture of
    /// Gaussians on the rows themselves.
    #[arg(long)]
    pub measure: bool,
    /// File to write: a table, or for images .png; by default CSV on standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Device to compute on, one that `ae devices` lists; by default the CPU, whatever the run was trained on.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
}

/// Where sampled codes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DensityChoice {
    /// The prior of a stochastic code: `variational`, `beta`.
    Prior,
    /// A mixture of Gaussians that is fitted to the codes of the training rows, for any code.
    Mixture,
}

/// What to score.
#[derive(Debug, Clone, Args)]
pub struct ScoreArgs {
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// Share of normal rows that may be flagged by mistake, in (0, 1); by default the run's: 0.05, or 1 in m + 1 with
    /// fewer than 19 validation rows. A row is flagged if its p-value is no greater.
    #[arg(long, value_name = "SHARE", value_parser = share, visible_alias = "contamination")]
    pub false_alarms: Option<f64>,
    /// Keep --false-alarms with the run.
    #[arg(long, requires = "false_alarms")]
    pub save: bool,
    /// Write the N columns that score highest in each row, rather than the score of every column.
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub top: Option<usize>,
    /// Name of the normal class, if the rows have labels; by default the run's, or the one called 0, normal, inlier,
    /// false or the like.
    #[arg(long, value_name = "CLASS", allow_hyphen_values = true)]
    pub normal: Option<String>,
    /// Table to write, with the score of each row and of each of its columns; by default CSV on standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the summary as JSON on standard output, and write no rows unless --out is given.
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "a share greater than 0 and less than 1, such as 0.05".to_string())
}

/// What to fill in.
#[derive(Debug, Clone, Args)]
pub struct ImputeArgs {
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// File to write; a text table keeps every byte but its blanks. By default CSV on standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print how well values are filled in as JSON, and write no rows unless --out is given.
    #[arg(long)]
    pub json: bool,
}

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to compare.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Folders of runs.
    #[arg(value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Variants to train, with commas between.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub variants: Vec<String>,
    /// Seeds to train each with.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub seeds: usize,
    /// What to train them on and how.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Folder of the trained runs; those that are there already are used. By default runs/compare-DATA.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Device to train on: auto, or one that `ae devices` lists.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to write for other programs.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Folder of the run.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// One format; by default all.
    #[arg(long, value_enum)]
    pub format: Option<ExportFormat>,
    /// Folder to write to; by default the folder export of the run.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}

/// A format for other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Weights under PyTorch's names, and the lines that load them.
    Safetensors,
    /// Burn's own record.
    Burn,
    /// Encoder, decoder and both, scaling included.
    Onnx,
}

/// What to import.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// safetensors file with encoder.0.weight, decoder.0.weight and so on, as `ae export` writes it and PyTorch's
    /// `state_dict` has it.
    #[arg(value_name = "WEIGHTS")]
    pub weights: PathBuf,
    /// The data, and what the weights do not tell: the activations (--set model.network.activation=relu), the stride
    /// of convolutions.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Folder of the run; by default a new one under runs/.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Device to compute on, one that `ae devices` lists; by default the CPU, whatever the run was trained on.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
}

/// What to show.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Folders of runs.
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// File to write; by default report.html in the run's folder, or here for several runs.
    #[arg(long, value_name = "FILE.html")]
    pub out: Option<PathBuf>,
    /// Device to compute on, one that `ae devices` lists; by default the CPU, whatever the run was trained on.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
}
