//! `ae impute`: fills in missing values and says how well, on values that were there.

use std::path::Path;

use ae_data::{Options, source};
use ae_train::Result;
use burn::data::dataset::Dataset as _;

use super::{options, save};
use crate::{
    cli::ImputeArgs,
    output::{print, say},
};

/// Writes the rows with their blanks filled in.
pub fn run(args: &ImputeArgs) -> Result<()> {
    // The blanks of a file are where they are, whatever part of it was trained on.
    let mut rows = args.rows.clone();
    if rows.rows == crate::cli::RowsChoice::Unseen {
        rows.rows = crate::cli::RowsChoice::All;
    }
    let used = super::use_run(&rows)?;
    let trained = &used.trained;
    // What can be measured: values that are there, of rows that were not trained on, where such are known.
    let unseen = trained.rows(None, &Options::default(), ae_train::Which::Test).ok();
    let measured = trained.held_out(unseen.as_ref().unwrap_or(&used.rows), &used.run.folder.pca()?)?;
    let said = format!(
        "held-out check on {} rows, {:.0}% of their values hidden: mse {:.5}, PCA {:.5}, the mean {:.5} (units of the scaled data)",
        unseen.as_ref().map_or("the same", |_| "the run's test"),
        100.0 * measured.hidden,
        measured.mse,
        measured.pca,
        measured.mean
    );
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&measured).expect("numbers are JSON")))?;
        if args.out.is_none() {
            return Ok(());
        }
    }
    let source = args.rows.data.as_deref().unwrap_or(&trained.config.data.source);
    let from = Path::new(source);
    let whole = used.rows.len() == used.rows.rows().len() && from.is_file();
    let read = trained.options(&options(&args.rows.read));
    let same_ending = args.out.as_ref().is_some_and(|to| to.extension() == from.extension());
    let blanks = match &args.out {
        Some(to) if whole && source::is_text_table(from) && same_ending => trained.impute_text(from, &read, &used.rows, to)?,
        to if whole && let Ok(frame) = source::table(from, &read) => {
            let (frame, blanks) = trained.impute_frame(frame, &used.rows)?;
            save(&frame, to.as_deref())?;
            blanks
        }
        to => {
            let holes = used.rows.scaled(&ae_data::Scaling::identity())?.iter().filter(|value| value.is_nan()).count();
            trained.impute(&used.rows).save(to.as_deref())?;
            holes
        }
    };
    say(&format!("{blanks} missing values filled in"));
    say(&said);
    if measured.mse > measured.mean.min(measured.pca) {
        say("warning: a baseline fills in better than this model: `ae train --variant masked` trains one for it");
    }
    Ok(())
}
