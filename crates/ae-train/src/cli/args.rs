//! Arguments that several commands share, as clap reads them: types only. Those of one command are in its file, in
//! front of the shared ones: a heading of the help holds for every argument behind it.

use std::path::PathBuf;

use clap::{Args, ColorChoice, ValueEnum, ValueHint, builder::RangedU64ValueParser};

use crate::Which;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ProgressChoice {
    /// The dashboard for a training on a terminal that can show it, else a bar on a terminal, else lines.
    #[default]
    Auto,
    /// Burn's dashboard for a training, a bar for everything else.
    Dashboard,
    /// A bar with the time that is left.
    Bar,
    /// A line for each epoch, and one every two seconds of other work.
    Lines,
    /// Nothing.
    None,
}

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct OutputArgs {
    /// Print only results, warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Also print what Burn logs, paths and times.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// How progress is shown.
    #[arg(long, global = true, value_enum, value_name = "HOW", default_value_t, hide_short_help = true)]
    pub progress: ProgressChoice,
    /// When to use color; NO_COLOR and TERM=dumb turn it off, too.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t, hide_short_help = true)]
    pub color: ColorChoice,
}

/// Where a configuration comes from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// TOML file of settings over the variant's defaults (see `ae config`).
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// A single setting over the file's, such as training.batch_size=128; repeatable.
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    #[arg(short, long, value_name = "NAME|PATH", value_hint = ValueHint::AnyPath)]
    pub data: Option<String>,
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub code_dim: Option<i64>,
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    pub epochs: Option<i64>,
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// How it is split.
    #[command(flatten)]
    pub split: SplitArgs,
    /// How it is read.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// How rows are split into training, validation and test set.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Splitting data")]
pub struct SplitArgs {
    #[arg(long, value_name = "N", allow_negative_numbers = true, hide_short_help = true)]
    pub split_seed: Option<i64>,
    #[arg(long, hide_short_help = true)]
    pub stratify: bool,
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, conflicts_with = "time", hide_short_help = true)]
    pub group: Option<String>,
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, hide_short_help = true)]
    pub time: Option<String>,
    #[arg(long, value_name = "TIMES")]
    pub max_norm: Option<f64>,
    #[arg(long)]
    pub normal_only: bool,
    #[arg(long, value_name = "CLASS", allow_hyphen_values = true)]
    pub normal: Option<String>,
}

/// How data is read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Reading data")]
pub struct ReadArgs {
    #[arg(short, long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub label: Option<String>,
    #[arg(short, long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub id: Option<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true)]
    pub drop: Vec<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true, hide_short_help = true)]
    pub keep: Vec<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true, hide_short_help = true)]
    pub categorical: Vec<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true, hide_short_help = true)]
    pub boolean: Vec<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true, hide_short_help = true)]
    pub numeric: Vec<String>,
    #[arg(long, value_name = "COLUMN,...", allow_hyphen_values = true, hide_short_help = true)]
    pub integer: Vec<String>,
    #[arg(long, value_name = "TEXT,...", allow_hyphen_values = true)]
    pub missing: Vec<String>,
    #[arg(long, value_enum, value_name = "WHAT", hide_short_help = true)]
    pub unknown: Option<UnknownChoice>,
    /// How the file is laid out.
    #[command(flatten)]
    pub file: FileArgs,
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, hide_short_help = true)]
    pub target: Option<String>,
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub target_tensor: Option<String>,
    #[arg(long, hide_short_help = true)]
    pub stream: bool,
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub max_memory: Option<ae_data::Size>,
    /// Size that images are resized to, such as 28x28.
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = size, hide_short_help = true)]
    pub resize: Option<[usize; 2]>,
    /// Read images in shades of gray.
    #[arg(long, alias = "grey", hide_short_help = true)]
    pub gray: bool,
}

/// How a file is laid out.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Reading files")]
pub struct FileArgs {
    #[arg(long, value_name = "CHARACTER", allow_hyphen_values = true, value_parser = character, hide_short_help = true)]
    pub delimiter: Option<char>,
    #[arg(long, value_name = ". or ,", value_parser = decimal, hide_short_help = true)]
    pub decimal: Option<char>,
    /// The first line of a text table names the columns.
    #[arg(long, conflicts_with = "no_header", hide_short_help = true)]
    pub header: bool,
    /// The first line of a text table is a row.
    #[arg(long, hide_short_help = true)]
    pub no_header: bool,
    #[arg(long, value_name = "CHARACTER", allow_hyphen_values = true, value_parser = character, hide_short_help = true)]
    pub comment: Option<char>,
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub encoding: Option<String>,
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub tensor: Option<String>,
}

/// What happens to a category that training did not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnknownChoice {
    /// It is read as none of the known ones, and scored as an anomaly.
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

/// A whole number in a range.
pub fn within(range: std::ops::RangeInclusive<u64>) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(range)
}

/// A run, and rows to use it on.
#[derive(Debug, Clone, Args)]
pub struct RowsArgs {
    /// Folder of the run.
    #[arg(value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub run: PathBuf,
    /// Rows like those of the run: a built-in set, file, folder, pattern, or - for CSV on standard input; by default
    /// the run's own data.
    #[arg(short, long, value_name = "NAME|PATH", value_hint = ValueHint::AnyPath)]
    pub data: Option<String>,
    /// Which rows of it; by default every row of --data, or the test rows of the run's own data (`ae impute`: all). All
    /// rows of the run's own data include those that it was trained on.
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = RowsChoice::Unseen)]
    pub rows: RowsChoice,
    /// Device to compute on, one that `ae devices` lists; by default the CPU, whatever the run was trained on.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// How to read it, over what the run says.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// Which rows of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowsChoice {
    /// Every row of --data; without it the test rows of the run's own data, or for `ae impute` every row.
    Unseen,
    /// The training rows; of other data the official training set.
    Train,
    /// The rows that the best epoch was chosen by.
    Validation,
    /// The test rows; of other data the official test set.
    Test,
    /// Every row; of the run's own data also those that it was trained on.
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
