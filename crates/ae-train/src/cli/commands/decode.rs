//! `ae decode`: the rows that the decoder computes from codes.

use std::path::PathBuf;

use ae_data::{Known, Options, open_known, sink};
use ae_model::Registry;
use clap::{Args, ValueHint};

use super::{file_options, is_picture, is_typed, save, singles};
use crate::{
    Error, Result,
    cli::{
        args::FileArgs,
        devices::open_for_results,
        entry::{Entry, Group},
    },
};

/// What to decode.
#[derive(Debug, Clone, Args)]
pub struct DecodeArgs {
    /// Folder of the run.
    #[arg(value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub run: PathBuf,
    /// Codes, as `ae encode` writes them: a table with columns h0, h1, ... or an array.
    #[arg(value_name = "CODES", value_hint = ValueHint::FilePath)]
    pub codes: String,
    /// File to write: a table, or for images .png; by default CSV on standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Device to compute on, one that `ae devices` lists; by default the CPU, whatever the run was trained on.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// How the codes are laid out.
    #[command(flatten)]
    pub read: FileArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae encode runs/undercomplete-digits-001 -o codes.csv", "write codes"),
        ("ae decode runs/undercomplete-digits-001 codes.csv -o decoded.csv", "and decode them"),
    ];
    Entry::new(Group::Use, "decode", "Write the row that the decoder computes from each code", examples, run)
}

/// Writes the decoded codes.
fn run(args: &DecodeArgs, registry: &Registry) -> Result<()> {
    let trained =
        crate::Run::open_with(&args.run, registry)?.trained(open_for_results(args.device.as_deref())?.device)?;
    let units = trained.config.model.code_dim;
    // What identifies rows stands beside codes that `ae encode` wrote.
    let columns: Vec<ae_data::Column> = (0..units).map(|unit| ae_data::Column::number(format!("h{unit}"))).collect();
    let keep = columns.iter().map(|column| column.name.clone()).collect();
    let own = trained.options(&Options::default());
    let said = file_options(&args.read);
    let read = Options { keep, id: own.id, label: own.label, ..said };
    let known = Known {
        columns: &columns,
        carried: &[],
        width: units,
        geometry: None,
        white: None,
        element: "",
        range: None,
        target: None,
    };
    let codes = ae_data::Dataset::new(open_known(&args.codes, &read, &known)?.train);
    let carried = codes.rows().carried_names();
    let unit = |name: &str| name.strip_prefix('h').and_then(|unit| unit.parse::<usize>().ok());
    let is_own = |name: &String| trained.schema.carried.contains(name);
    if let Some(other) = carried.iter().find(|name| unit(name).is_some_and(|unit| unit >= units) && !is_own(name)) {
        return Err(Error::Failed(format!(
            "{}: its column `{other}` is a unit that this run does not have, whose code is `h0` to `h{}`: these are \
             codes of another run",
            args.codes,
            units - 1
        )));
    }
    if carried.iter().any(|name| name.trim_end_matches('_') == "h0" && name != "h0") {
        return Err(Error::Failed(format!(
            "{}: its column `h0` is not a unit of the code, which is called `h0_` there: rename both",
            args.codes
        )));
    }
    if codes.rows().has_missing() && codes.scaled(&ae_data::Scaling::identity())?.iter().any(|value| value.is_nan()) {
        return Err(Error::Failed(format!(
            "{}: a unit of some code is missing: every code needs all {units}",
            args.codes
        )));
    }
    match (&args.out, trained.schema.geometry) {
        (Some(path), Some(geometry)) if is_picture(path) => {
            let values = trained.decode(&codes.scaled(&ae_data::Scaling::identity())?)?;
            Ok(sink::write_images(path, geometry, &singles(&values), 0, trained.shades())?)
        }
        (path, _) => save(trained.decoded(&codes, is_typed(path.as_deref())), &codes, path.as_deref()),
    }
}
