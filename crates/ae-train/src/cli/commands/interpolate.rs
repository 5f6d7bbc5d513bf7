//! `ae interpolate`: rows between two rows, on a straight line through the code.

use std::path::PathBuf;

use ae_data::picture::Sheet;
use ae_model::Registry;
use burn::data::dataset::Dataset as _;
use clap::{Args, ValueHint};

use super::{is_picture, is_typed, save_whole, singles};
use crate::{
    Error, Result,
    cli::{
        args::{RowsArgs, within},
        entry::{Entry, Group},
    },
};

/// Between which rows to interpolate.
#[derive(Debug, Clone, Args)]
pub struct InterpolateArgs {
    /// Row to begin at, from 1.
    #[arg(long, value_name = "ROW", default_value_t = 1)]
    pub from: usize,
    /// Row to end at, from 1.
    #[arg(long, value_name = "ROW", default_value_t = 2)]
    pub to: usize,
    /// Steps, both ends included.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = within(2..=100_000))]
    pub steps: usize,
    /// File to write: a table, or for images .png; by default CSV on standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[(
        "ae interpolate runs/undercomplete-digits-001 --from 1 --to 7 --steps 12 -o way.png",
        "from the first test row to the seventh, as images",
    )];
    Entry::new(
        Group::Use,
        "interpolate",
        "Write rows between two rows, decoded from a line through the code",
        examples,
        run,
    )
}

/// Writes the rows.
fn run(args: &InterpolateArgs, registry: &Registry) -> Result<()> {
    let used = super::use_run(&args.rows, registry)?;
    let count = used.rows.len();
    if let Some(row) = [args.from, args.to].into_iter().find(|&row| row == 0 || row > count) {
        return Err(Error::Usage(format!("there is no row {row}: the data has rows 1 to {count}")));
    }
    let ends = used.rows.select([args.from, args.to].map(|row| used.rows.indices()[row - 1]).to_vec());
    super::note(&used.rows.rows().met());
    let values = used.trained.interpolate(&ends, args.steps)?;
    match (&args.out, used.trained.schema.geometry) {
        (Some(path), Some(geometry)) if is_picture(path) => {
            let values = singles(&values);
            let images: Vec<&[f32]> = values.chunks_exact(used.trained.schema.d_input).collect();
            let [low, high] = used.trained.shades();
            Ok(Sheet::new(geometry, images.len(), low, high).save(&images, path)?)
        }
        (path, _) => {
            let trained = &used.trained;
            let table =
                if is_typed(path.as_deref()) { trained.table_of(&values)? } else { trained.text_of(&values)? };
            save_whole(&table, path.as_deref())
        }
    }
}
