//! `ae encode`: the code of each row.

use std::path::PathBuf;

use ae_model::Registry;
use clap::{Args, ValueHint};

use crate::{
    Result,
    cli::{
        args::RowsArgs,
        entry::{Entry, Group},
    },
};

/// Rows, and where their codes go.
#[derive(Debug, Clone, Args)]
pub struct EncodeArgs {
    /// File to write: .csv, .tsv, .parquet, .arrow, .npy, .npz or .safetensors; by default CSV on standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae encode runs/undercomplete-digits-001 -o codes.csv", "the codes of the test rows"),
        ("ae encode runs/undercomplete-digits-001 -d digits --rows all -o codes.npy", "those of all rows, as an array"),
    ];
    Entry::new(Group::Use, "encode", "Write the code of each row", examples, run)
}

/// Writes the codes.
fn run(args: &EncodeArgs, registry: &Registry) -> Result<()> {
    let used = super::use_run(&args.rows, registry)?;
    super::is_free(args.out.as_deref(), &args.rows, &used.run)?;
    super::save(used.trained.encode(&used.rows), &used.rows, args.out.as_deref())
}
