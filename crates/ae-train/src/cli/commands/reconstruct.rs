//! `ae reconstruct`: the reconstruction of each row, or of each row corrupted first.

use std::path::PathBuf;

use ae_data::{picture::Sheet, sink};
use ae_model::{Registry, corruption::CorruptionConfig};
use burn::data::dataset::Dataset as _;
use clap::{Args, ValueHint};
use serde_json::{Map, Value};

use super::{is_picture, is_typed, save, singles};
use crate::{
    Error, Result,
    cli::{
        args::RowsArgs,
        entry::{Entry, Group},
        output::print,
    },
    fields,
};

/// What to reconstruct.
#[derive(Debug, Clone, Args)]
pub struct ReconstructArgs {
    /// Corrupt the rows first: gaussian=STD, masking=RATE, salt_and_pepper=RATE, with commas between; without a
    /// number, or without anything, as in the run's training.
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        default_missing_value = "",
        require_equals = true,
    )]
    pub corrupt: Option<String>,
    /// File to write: a table, or for images .png; by default CSV on standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Draw the first images above their reconstructions.
    #[arg(long, value_name = "FILE.png", value_hint = ValueHint::FilePath)]
    pub sheet: Option<PathBuf>,
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae reconstruct runs/undercomplete-digits-001 -o reconstructed.csv", "those of the test rows"),
        (
            "ae reconstruct runs/undercomplete-digits-001 --corrupt=gaussian=0.3 --sheet noisy.png",
            "images, noisy images, and their reconstructions",
        ),
    ];
    let about = "Write the reconstruction of each row; with --corrupt of each row corrupted first";
    Entry::new(Group::Use, "reconstruct", about, examples, run)
}

/// Images of a sheet.
const SHEET: usize = 12;

/// Writes the reconstructions.
fn run(args: &ReconstructArgs, registry: &Registry) -> Result<()> {
    let used = super::use_run(&args.rows, registry)?;
    super::is_free(args.out.as_deref(), &args.rows, &used.run)?;
    let (trained, rows) = (&used.trained, &used.rows);
    let corruption =
        args.corrupt.as_deref().map(|text| corruption(text, &trained.config.model.corruption, registry)).transpose()?;
    let corruption = corruption.map(|corruption| corruption.init(&trained.schema.inputs()));
    if let Some(path) = &args.sheet {
        let Some(geometry) = trained.schema.geometry else {
            return Err(Error::Usage(
                "`--sheet` is for images, and these rows are no images: write a table with `--out`".to_string(),
            ));
        };
        let first = rows.select(rows.indices().iter().copied().take(SHEET).collect());
        let width = trained.schema.d_input;
        let clean = singles(&trained.unscale(&first.scaled(&trained.schema.scaling)?));
        let made = trained.reconstructions(&first, corruption.as_ref()).next().expect("there is a row")?;
        let [read, values] = [singles(&made.read), singles(&made.values)];
        let mut images: Vec<&[f32]> = clean.chunks_exact(width).collect();
        if corruption.is_some() {
            images.extend(read.chunks_exact(width));
        }
        images.extend(values.chunks_exact(width));
        let [low, high] = trained.shades();
        Sheet::new(geometry, first.len(), low, high).save(&images, path)?;
        let lines = if corruption.is_some() {
            "the images, what the network read, and its reconstructions"
        } else {
            "the images and their reconstructions"
        };
        print(&format!("{}: {lines}\n", path.display()))?;
        if args.out.is_none() {
            return Ok(());
        }
    }
    match (&args.out, trained.schema.geometry) {
        (Some(path), Some(geometry)) if is_picture(path) => {
            // One row of many is numbered too.
            for made in trained.reconstructions(rows, corruption.as_ref()) {
                let made = made?;
                sink::write_images(path, geometry, &singles(&made.values), made.range.start, trained.shades())?;
            }
            Ok(())
        }
        (path, _) => {
            save(trained.reconstruct(rows, corruption.as_ref(), is_typed(path.as_deref())), rows, path.as_deref())
        }
    }
}

/// `gaussian=0.3,masking=0.25,salt_and_pepper=0.1`, or nothing for what the run was trained with.
fn corruption(text: &str, trained: &CorruptionConfig, registry: &Registry) -> Result<CorruptionConfig> {
    if text.is_empty() {
        return match trained.is_none() {
            true => Err(Error::Usage(
                "this run was trained without corruption: name one, such as `--corrupt gaussian=0.3`".to_string(),
            )),
            false => Ok(trained.clone()),
        };
    }
    let tables = fields::parts(registry);
    let mut chosen = Map::new();
    for part in text.split(',') {
        let wrong = |reason: &str| {
            let names: Vec<_> = registry.corruptions().iter().map(|kind| kind.name).collect();
            Error::Usage(format!(
                "`--corrupt {text}`: {reason}; there are {} (several with commas between)",
                names.join(", ")
            ))
        };
        let (name, value) =
            part.split_once('=').map_or((part.trim(), None), |(name, value)| (name.trim(), Some(value.trim())));
        let path = format!("model.corruption.{name}");
        let table = tables
            .iter()
            .find(|table| table.path == path)
            .ok_or_else(|| wrong(&format!("`{name}` is no corruption")))?;
        if chosen.contains_key(name) {
            return Err(wrong(&format!("`{name}` is named twice")));
        }
        // Without a number it is as the run has it, if it does.
        let of_run = trained.settings(name).filter(|_| value.is_none());
        let mut settings = of_run.and_then(|settings| settings.as_object().cloned()).unwrap_or_default();
        if let Some(value) = value {
            // How strong it is has one of these names.
            let strength = ["std", "rate"]
                .into_iter()
                .find(|field| table.fields.iter().any(|known| known.path == format!("{path}.{field}")));
            let strength = strength.ok_or_else(|| wrong(&format!("`{name}` takes no number")))?;
            let number: f64 = value.parse().map_err(|_| wrong(&format!("`{value}` is no number")))?;
            settings.insert(strength.to_string(), number.into());
        }
        chosen.insert(name.to_string(), Value::Object(settings));
    }
    let corruption = CorruptionConfig::read(Value::Object(chosen), registry.corruptions())
        .map_err(|error| Error::Usage(format!("`--corrupt {text}`: {error}")))?;
    corruption.check().map_err(|error| Error::Usage(format!("`--corrupt {text}`: {error}")))?;
    Ok(corruption)
}
