//! `ae sample`: new rows like the data.

use crate::{
    Error, Result, Run, Trained, Which,
    generate::{Density, FITTED},
    sample_quality::Space,
};
use ae_data::{Dataset, Options, picture::Sheet};
use ae_model::Registry;
use burn::data::dataset::Dataset as _;

use super::{is_picture, is_typed, save_whole, singles};
use crate::cli::{
    args::{DensityChoice, SampleArgs},
    devices::open_for_results,
    output::say,
};

/// Rows that are compared with the data where a picture shows fewer.
const COMPARED: usize = 1000;

/// Writes the rows.
pub fn run(args: &SampleArgs, registry: &Registry) -> Result<()> {
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
        say(&format!(
            "note: densities and ranges are those of {FITTED} of {} training rows, spread over all",
            train.len()
        ));
    }
    let density = match (args.density, &train) {
        (DensityChoice::Prior, _) => Density::Prior,
        (DensityChoice::Mixture, Ok(train)) => {
            let mixture = trained.code_mixture(train, args.components)?;
            if mixture.components < args.components {
                say(&format!(
                    "note: {} of {} components: others would have had too few codes",
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
            say(&format!(
                "note: values are not kept within the range of the training rows, which are not there: {error}"
            ));
            Vec::new()
        }
    };
    let count = if args.measure { args.rows.max(COMPARED) } else { args.rows };
    let codes = trained.sample_codes(&density, count, args.seed)?;
    let (rows, moved) = trained.sample_rows(&codes, &ranges, args.seed)?;
    let values = trained.in_units(&rows[..args.rows * trained.schema.d_input]);
    match (&args.out, trained.schema.geometry) {
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
        say(&format!(
            "note: {moved} of {} values were drawn outside the range of the training rows, and moved to its end",
            rows.len()
        ));
    }
    match (args.measure, train) {
        (false, _) => Ok(()),
        (true, Err(error)) => Err(error),
        (true, Ok(train)) => measure(&trained, &rows, &train, &part(Which::Test)?, args.components),
    }
}

/// Says how like the test rows the samples are: like the normal ones, where those alone were learned from.
fn measure(trained: &Trained, rows: &[f32], train: &Dataset, test: &Dataset, components: usize) -> Result<()> {
    let normal = trained.schema.normal.as_ref().and_then(|normal| {
        let classes = test.rows().classes();
        let normal = classes.iter().position(|class| class == normal)? as u32;
        Some(
            test.select(test.indices().iter().copied().filter(|&row| test.rows().label(row) == Some(normal)).collect()),
        )
    });
    let what = if normal.is_some() { "like the normal test rows" } else { "like the test rows" };
    let compared = match trained.compared(rows, train, normal.as_ref().unwrap_or(test), components) {
        Ok(compared) => compared,
        Err(error) => {
            say(&format!("note: nothing was measured: {error}"));
            return Ok(());
        }
    };
    say(&format!(
        "{what:<32}{:>12}{:>12}{:>12}{:>12}{:>14}",
        "Frechet", "1-NN", "density", "coverage", "nearest train"
    ));
    for (name, of) in &compared {
        let nearest = of.nearest_train.map_or("-".to_string(), |ratio| format!("{ratio:.3}"));
        say(&format!(
            "{name:<32}{:>12.4}{:>12.3}{:>12.3}{:>12.3}{nearest:>14}",
            of.frechet, of.nearest_accuracy, of.density, of.coverage
        ));
    }
    if let Some((_, of)) = compared.first() {
        let space = match of.frechet_of {
            Space::Rows => "of the rows",
            Space::Components => "of the scores of 64 principal components of the test rows",
        };
        let missing =
            if test.rows().has_missing() { "; missing values count as 0 in units of the scaled data" } else { "" };
        say(&format!("Frechet distance {space}; pairs of {} rows of each{missing}.", of.rows));
    }
    say(
        "Frechet distance: 0 is best. 1-NN accuracy: 0.5 cannot be told apart. density, coverage: about 1 is best (Naeem et al. 2020).",
    );
    say("nearest train: distance to the nearest training row over that of test rows; well below 1 is copying.");
    Ok(())
}
