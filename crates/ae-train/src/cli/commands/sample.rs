//! `ae sample`: new rows like the data.

use std::path::PathBuf;

use ae_data::{Dataset, Options, picture::Sheet};
use ae_model::Registry;
use burn::data::dataset::Dataset as _;
use clap::{Args, ValueEnum, ValueHint};
use serde_json::json;

use super::{is_picture, is_typed, save_whole, singles};
use crate::{
    Error, Result, Run, Trained, Which,
    cli::{
        args::within,
        devices::open_for_results,
        entry::{Entry, Group},
        json::document,
        output::{note, say, say_table},
        table::Table,
    },
    generate::{Density, FITTED},
    sample_quality::{SampleQuality, Space},
};

/// Rows that are compared with the data where an image shows fewer.
const COMPARED: usize = 1000;

/// What to draw.
#[derive(Debug, Clone, Args)]
pub struct SampleArgs {
    /// Folder of the run.
    #[arg(value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub run: PathBuf,
    /// Rows to draw. Numbers stay within the range of the training rows.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = within(1..=10_000_000))]
    pub rows: usize,
    /// Rows to fit a mixture and ranges to, in place of the run's own training rows.
    #[arg(
        short,
        long,
        value_name = "NAME|PATH",
        conflicts_with = "measure",
        value_hint = ValueHint::AnyPath
    )]
    pub data: Option<String>,
    /// Where the codes come from.
    #[arg(long, value_enum, default_value_t = DensityChoice::Mixture)]
    pub density: DensityChoice,
    /// Gaussians of a mixture.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = within(1..=1000))]
    pub components: usize,
    /// Seed of the draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Measure how like the test rows 1,000 of them are (more if --rows is more), beside training rows and a mixture of
    /// Gaussians on the rows themselves.
    #[arg(long)]
    pub measure: bool,
    /// File to write: a table, or for images .png; by default CSV on standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Device to compute on, one that `ae devices` lists; by default the CPU, whatever the run was trained on.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// Print what --measure measures as JSON, and write no rows unless --out is given.
    #[arg(long, requires = "measure")]
    pub json: bool,
}

/// Where sampled codes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DensityChoice {
    /// The prior of a stochastic code: `variational`, `beta`.
    Prior,
    /// A mixture of Gaussians that is fitted to the codes of the training rows, for any code.
    Mixture,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae sample runs/undercomplete-digits-001 -n 64 -o new.png", "64 new digits, as an image"),
        ("ae sample runs/undercomplete-digits-001 -n 1000 --measure -o new.csv", "new rows, and how good they are"),
    ];
    let about = "Draw new rows like the data: codes from a density, decoded";
    Entry::new(Group::Use, "sample", about, examples, run)
}

/// Writes the rows.
fn run(args: &SampleArgs, registry: &Registry) -> Result<()> {
    let run = Run::open_with(&args.run, registry)?;
    if args.data.is_none() {
        super::say_source(&run);
    }
    let trained = run.trained(open_for_results(args.device.as_deref())?.device)?;
    let part = |which| match &args.data {
        Some(data) => trained.rows(Some(data), &Options::default(), Which::All),
        None => trained.rows(None, &Options::default(), which),
    };
    let train = part(Which::Train);
    if let Ok(train) = &train
        && train.len() > FITTED
    {
        note(&format!("densities and ranges are those of {FITTED} of {} training rows, spread over all", train.len()));
    }
    let density = match (args.density, &train) {
        (DensityChoice::Prior, _) => Density::Prior,
        (DensityChoice::Mixture, Ok(train)) => {
            let mixture = trained.code_mixture(train, args.components)?;
            if mixture.components < args.components {
                note(&format!(
                    "{} of {} components: others would have had too few codes",
                    mixture.components, args.components
                ));
            }
            Density::Mixture(mixture)
        }
        (DensityChoice::Mixture, Err(error)) => {
            let prior = if trained.has_prior() { ", or `--density prior`, which needs no rows" } else { "" };
            return Err(Error::Failed(format!(
                "a mixture is fitted to the training rows, and {error} (`--data` takes such rows{prior})"
            )));
        }
    };
    let ranges = match &train {
        Ok(train) => trained.ranges(train)?,
        Err(error) => {
            note(&format!("values are not kept within the range of the training rows, which are not there: {error}"));
            Vec::new()
        }
    };
    let count = if args.measure { args.rows.max(COMPARED) } else { args.rows };
    let codes = trained.sample_codes(&density, count, args.seed)?;
    let (rows, moved) = trained.sample_rows(&codes, &ranges, args.seed)?;
    let values = trained.in_units(&rows[..args.rows * trained.schema.d_input]);
    match (&args.out, trained.schema.geometry) {
        (None, _) if args.json => {}
        (Some(path), Some(geometry)) if is_picture(path) => {
            let values = singles(&values);
            let images: Vec<&[f32]> = values.chunks_exact(trained.schema.d_input).collect();
            let [low, high] = trained.shades();
            Sheet::new(geometry, images.len().isqrt().max(1), low, high).save(&images, path)?;
        }
        (path, _) => {
            let table =
                if is_typed(path.as_deref()) { trained.table_of(&values)? } else { trained.text_of(&values)? };
            save_whole(&table, path.as_deref())?;
        }
    }
    if moved > 0 && trained.schema.geometry.is_none() {
        note(&format!(
            "{moved} of {} values were drawn outside the range of the training rows, and moved to its end",
            rows.len()
        ));
    }
    match (args.measure, train) {
        (false, _) => Ok(()),
        (true, Err(error)) => Err(error),
        (true, Ok(train)) => {
            let compared = measure(&trained, &rows, &train, &part(Which::Test)?, args.components)?;
            match args.json {
                true => {
                    let all = compared.sets.iter().map(|(name, of)| {
                        let mut value = serde_json::to_value(of).expect("figures are JSON");
                        value["name"] = json!(name);
                        value
                    });
                    document(&json!({ "drawn": args.rows, "like": compared.like, "sets": all.collect::<Vec<_>>() }))
                }
                false => {
                    compared.say();
                    Ok(())
                }
            }
        }
    }
}

/// How like the rows that they stand for several sets of rows are.
struct Compared {
    /// What they are compared with.
    like: &'static str,
    sets: Vec<(String, SampleQuality)>,
    has_missing: bool,
}

/// How like the test rows the samples are: like the normal ones, where only those were learned from.
fn measure(trained: &Trained, rows: &[f32], train: &Dataset, test: &Dataset, components: usize) -> Result<Compared> {
    let normal = trained.schema.normal.as_ref().and_then(|normal| {
        let classes = test.rows().classes();
        let normal = classes.iter().position(|class| class == normal)? as u32;
        Some(
            test.select(test.indices().iter().copied().filter(|&row| test.rows().label(row) == Some(normal)).collect()),
        )
    });
    let like = if normal.is_some() { "the normal test rows" } else { "the test rows" };
    let sets = match trained.compared(rows, train, normal.as_ref().unwrap_or(test), components) {
        Ok(sets) => sets,
        Err(error) => {
            note(&format!("nothing was measured: {error}"));
            Vec::new()
        }
    };
    Ok(Compared { like, sets, has_missing: test.rows().has_missing() })
}

impl Compared {
    /// A table on standard error: rows may go to standard output.
    fn say(&self) {
        let Some((_, first)) = self.sets.first() else { return };
        let what = format!("like {}", self.like);
        let head = [what.as_str(), "Frechet", "1-NN", "density", "coverage", "nearest train"];
        let mut table = Table::new(head).at_least(32, 12);
        for (name, of) in &self.sets {
            table.row([
                name.clone(),
                format!("{:.4}", of.frechet),
                format!("{:.3}", of.nearest_accuracy),
                format!("{:.3}", of.density),
                format!("{:.3}", of.coverage),
                of.nearest_train.map_or("-".to_string(), |ratio| format!("{ratio:.3}")),
            ]);
        }
        say_table(&table);
        let space = match first.frechet_of {
            Space::Rows => "of the rows",
            Space::Components => "of the scores of 64 principal components of the test rows",
        };
        let missing = if self.has_missing { "; missing values count as 0 in units of the scaled data" } else { "" };
        say(&format!("Frechet distance {space}; pairs of {} rows of each{missing}.", first.rows));
        say("Frechet distance: 0 is best. 1-NN accuracy: 0.5 is best, the sets cannot be told apart. density, \
             coverage: about 1 is best (Naeem et al. 2020; `ae explain frechet`).");
        say("nearest train: distance to the nearest training row over that of test rows; well below 1 is copying.");
    }
}
