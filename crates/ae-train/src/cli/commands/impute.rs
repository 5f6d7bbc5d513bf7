//! `ae impute`: fills in missing values and says how well, on values that were there.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use ae_data::{
    Options,
    sink::{self, Pipe},
    source,
};
use ae_model::Registry;
use burn::data::dataset::Dataset as _;
use clap::{Args, ValueHint};

use super::{note, options, save};
use crate::{
    Error, Result, Which,
    cli::{
        args::{RowsArgs, RowsChoice},
        entry::{Entry, Group},
        json::document,
        output::{self, status, warn},
    },
    digits::fixed,
    impute::Filled,
};

/// What to fill in.
#[derive(Debug, Clone, Args)]
pub struct ImputeArgs {
    /// File to write; a text table keeps every byte but its blank cells. By default CSV on standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Print how well values are filled in as JSON, and write no rows unless --out is given.
    #[arg(long)]
    pub json: bool,
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae train --variant masked --epochs 20 -o masked", "a model that is trained to fill in"),
        ("ae impute masked -o filled.csv", "its data with the missing values filled in"),
        ("ae impute masked --json", "how well it fills in values that were there"),
    ];
    let about = "Fill in the missing values of rows, and change nothing else";
    Entry::new(Group::Use, "impute", about, examples, run)
}

/// Writes the rows with their missing values filled in.
fn run(args: &ImputeArgs, registry: &Registry) -> Result<()> {
    // The blanks of a file are where they are, whatever part of it was trained on.
    let mut rows = args.rows.clone();
    if rows.rows == RowsChoice::Unseen {
        rows.rows = RowsChoice::All;
    }
    let used = super::use_rows(&rows, registry)?;
    let trained = &used.trained;
    trained.check_imputes()?;
    // What can be measured: values that are there, of rows that were not trained on, where such are known.
    let unseen = trained.rows(None, &Options::default(), Which::Test).ok();
    let measured = trained.held_out(unseen.as_ref().unwrap_or(&used.rows), &used.run.folder.pca()?)?;
    if args.json {
        document(&measured)?;
        if args.out.is_none() {
            return Ok(());
        }
    }
    let from = Path::new(args.rows.data.as_deref().unwrap_or(&trained.config.data.source));
    let read = trained.options(&options(&args.rows.read));
    if let Some(to) = args.out.as_ref().filter(|_| !from.is_file())
        && super::is_part_of(to, &from.to_string_lossy())
    {
        return Err(Error::Usage(format!(
            "`--out {}` is one of several files of the data: choose another",
            to.display()
        )));
    }
    let is_whole = used.rows.len() == used.rows.rows().len() && (from.is_file() || from == Path::new("-"));
    let table = used.rows.rows().carried.as_ref().map(|carried| carried.table());
    let is_text = is_whole && table.is_some_and(|table| table.layout().is_some());
    // A table of text stays what it is where its ending stays, or says nothing of a format.
    let same = |to: &Path| {
        let (old, new) = (ending(from), ending(to));
        old == new || sink::is_text(Path::new(&format!("t.{new}"))) && !sink::is_text(Path::new(&format!("t.{old}")))
    };
    let filled = match &args.out {
        Some(to) if is_text && same(to) => {
            let mut filled = Filled::default();
            sink::write_with(to, |mut file| {
                filled = trained.impute_text(&used.rows, &mut file, is_packed(to))?;
                Ok::<_, crate::Error>(())
            })?;
            note(&used.rows.rows().met());
            filled
        }
        // An array keeps its bytes where every row of it is asked for: an official test set may lie beside the training
        // rows.
        Some(to)
            if is_whole && rows.rows == RowsChoice::All && source::is_array(from) && ending(to) == ending(from) =>
        {
            let mut filled = Filled::default();
            sink::write_with(to, |file| {
                filled = trained.impute_array(from, &read, &used.rows, std::io::BufWriter::new(file))?;
                Ok::<_, crate::Error>(())
            })?;
            filled
        }
        None if is_text => {
            let filled = trained.impute_text(&used.rows, &mut Pipe(std::io::stdout().lock()), false)?;
            note(&used.rows.rows().met());
            filled
        }
        to => {
            let count = RefCell::new(Filled::default());
            let typed = to.as_ref().is_some_and(|to| !sink::is_text(to));
            save(trained.impute(&used.rows, typed, &count), &used.rows, to.as_deref())?;
            count.into_inner()
        }
    };
    status(&format!("{} missing values filled in", filled.cells));
    let blank: Vec<String> = trained
        .schema
        .columns
        .iter()
        .filter(|column| column.blank)
        .map(|column| format!("`{}`", column.name))
        .collect();
    if filled.left > 0 {
        let mut why = Vec::new();
        if !blank.is_empty() {
            why.push(format!("columns that were empty in training ({})", blank.join(", ")));
        }
        if filled.empty_rows > 0 {
            why.push(format!(
                "{} row{} without any value",
                filled.empty_rows,
                if filled.empty_rows == 1 { "" } else { "s" }
            ));
        }
        output::note(&format!("{} left blank: {}", filled.left, why.join(", ")));
    }
    status(&format!(
        "held-out check on {} rows, {:.0}% of their values hidden: mse {}, PCA ({}) {}, the mean {} (units of \
         the scaled data, `ae explain mse`); the report has it by column",
        unseen.as_ref().map_or("the same", |_| "the run's test"),
        100.0 * measured.hidden,
        fixed(measured.mse, 5),
        measured.pca_components,
        fixed(measured.pca, 5),
        fixed(measured.mean, 5)
    ));
    if measured.mse > measured.mean.min(measured.pca) {
        let advice = match trained.config.variant.as_str() {
            "masked" => "train it longer, or with a wider code",
            _ => "`ae train --variant masked` trains one for it",
        };
        warn(&format!("a baseline fills in better than this model: {advice}"));
    }
    Ok(())
}

/// The ending of a file in lower case, without the `.gz` of a compressed one.
fn ending(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map(|(_, ending)| ending.to_string()).unwrap_or_default()
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}
