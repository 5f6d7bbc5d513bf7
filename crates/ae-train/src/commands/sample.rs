//! `ae sample`: new rows like the data.

use ae_data::{Options, picture::Sheet};
use ae_train::{Error, Result, Run, Which, generate::Density};

use super::{is_picture, is_typed, save_whole, singles};
use crate::{
    cli::{DensityChoice, SampleArgs},
    devices::open_for_results,
    output::say,
};

/// Rows that are compared with the data where a picture shows fewer.
const COMPARED: usize = 1000;

/// Writes the rows.
pub fn run(args: &SampleArgs) -> Result<()> {
    if args.rows == 0 {
        return Err(Error::Usage("`--rows` is 0, but must be 1 or more".to_string()));
    }
    let run = Run::open(&args.run)?;
    let trained = run.trained(open_for_results(args.device.as_deref())?.device)?;
    let part = |which| trained.rows(None, &Options::default(), which);
    let density = match args.density {
        DensityChoice::Prior => Density::Prior,
        DensityChoice::Mixture => {
            let mixture = trained.code_mixture(&part(Which::Train)?, args.components)?;
            if mixture.components < args.components {
                say(&format!("note: {} of {} components, which is as many as there are rows for", mixture.components, args.components));
            }
            Density::Mixture(mixture)
        }
    };
    let count = if args.measure { args.rows.max(COMPARED) } else { args.rows };
    let codes = trained.sample_codes(&density, count, args.seed)?;
    let rows = trained.sample_rows(&codes, args.seed)?;
    if args.measure {
        let compared = trained.compared(&rows, &part(Which::Train)?, &part(Which::Test)?, args.components)?;
        say(&format!(
            "{:<28}{:>12}{:>12}{:>12}{:>12}{:>14}",
            "like the test rows", "Frechet", "1-NN", "density", "coverage", "nearest train"
        ));
        for (name, of) in &compared {
            let nearest = of.nearest_train.map_or("-".to_string(), |ratio| format!("{ratio:.3}"));
            say(&format!(
                "{name:<28}{:>12.4}{:>12.3}{:>12.3}{:>12.3}{nearest:>14}",
                of.frechet, of.nearest_accuracy, of.density, of.coverage
            ));
        }
        say(
            "Frechet distance: 0 is best. 1-NN accuracy: 0.5 cannot be told apart. density, coverage: about 1 is best (Naeem et al. 2020).",
        );
        say("nearest train: distance to the nearest training row over that of test rows; well below 1 is copying.");
    }
    let values = trained.in_units(&rows[..args.rows * trained.schema.d_input]);
    match (&args.out, trained.schema.geometry) {
        (Some(path), Some(geometry)) if is_picture(path) => {
            let values = singles(&values);
            let images: Vec<&[f32]> = values.chunks_exact(trained.schema.d_input).collect();
            let [low, high] = trained.shades();
            Ok(Sheet::new(geometry, images.len().isqrt().max(1), low, high).save(&images, path)?)
        }
        (path, _) => {
            let table = if is_typed(path.as_deref()) { trained.table_of(&values)? } else { trained.text_of(&values)? };
            save_whole(&table, path.as_deref())
        }
    }
}
