//! `ae score`: an anomaly score for each row, and the columns that contribute most.

use std::{cell::RefCell, path::PathBuf};

use ae_data::Dataset;
use ae_model::Registry;
use clap::{Args, ValueHint};
use serde::Serialize;

use super::save;
use crate::{
    Error, Result,
    anomaly::{Detection, Detector, Reason, Tally, Worst, normal_by_name, normal_class},
    auroc::Ranking,
    cli::{
        args::{RowsArgs, within},
        entry::{Entry, Group},
        json::document_with,
        output::{mode, note, say_table, status},
        table::Table,
    },
    results::{row_labels, row_names},
    trained::Trained,
};

/// What to score.
#[derive(Debug, Clone, Args)]
pub struct ScoreArgs {
    /// Share of normal rows that may be flagged by mistake, in (0, 1); by default the run's: 0.05, or 1 in m + 1 with
    /// fewer than 19 validation rows. A row is flagged if its p-value is no greater.
    #[arg(
        long,
        value_name = "SHARE",
        value_parser = share,
        visible_alias = "contamination",
    )]
    pub false_alarms: Option<f64>,
    /// Keep --false-alarms with the run.
    #[arg(long, requires = "false_alarms")]
    pub save: bool,
    /// Write the N columns that score highest in each row, rather than the score of every column.
    #[arg(short, long, value_name = "N", value_parser = within(1..=1000))]
    pub top: Option<usize>,
    /// Name of the normal class, if the rows have labels; by default the run's, or the one called 0, normal, inlier,
    /// false or the like.
    #[arg(long, value_name = "CLASS", allow_hyphen_values = true)]
    pub normal: Option<String>,
    /// Table to write, with the score of each row and of each of its columns; by default CSV on standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Print the summary as JSON on standard output, and write no rows unless --out is given.
    #[arg(long)]
    pub json: bool,
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae score runs/undercomplete-digits-001 --top 3 -o scores.csv", "the test rows, with the three worst columns"),
        ("ae score runs/undercomplete-digits-001 -d digits --false-alarms 0.01 --json", "a summary of all rows"),
    ];
    let about = "Write an anomaly score for each row, and the columns that contribute most";
    Entry::new(Group::Use, "score", about, examples, run)
}

fn share(text: &str) -> std::result::Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "a share greater than 0 and less than 1, such as 0.05".to_string())
}

/// Keys of the summary that are null where the rows have no labels of both kinds.
const DETECTION: [&str; 8] = ["auroc", "average_precision", "f1", "neighbours", "pca", "mean", "labelled", "anomalies"];

/// What is said about all rows together.
#[derive(Serialize)]
struct Summary {
    rows: usize,
    /// Rows without any value, which have no score.
    without_score: usize,
    flagged: usize,
    /// None where the held-out rows are too few for the share of false alarms: no row is flagged.
    threshold: Option<f64>,
    false_alarms: f64,
    held_out_rows: usize,
    #[serde(flatten)]
    detection: Option<Detection>,
}

/// Scores rows; with labels, says how well anomalies are told from the rest.
fn run(args: &ScoreArgs, registry: &Registry) -> Result<()> {
    let used = super::use_run(&args.rows, registry)?;
    super::is_free(args.out.as_deref(), &args.rows, &used.run)?;
    let (trained, rows) = (&used.trained, &used.rows);
    let mut detector = used.run.folder.detector()?;
    if let Some(false_alarms) = args.false_alarms {
        detector = detector.with_false_alarms(false_alarms);
        if args.save {
            let _lock = used.run.folder.lock()?;
            used.run.folder.write_detector(&detector)?;
        }
    }
    let classes = rows.rows().classes();
    let named = args.normal.as_deref().or(trained.schema.normal.as_deref());
    let normal = match (&rows.rows().labels, normal_class(named, &classes)) {
        (None, _) if args.normal.is_some() => {
            return Err(Error::Usage(
                "`--normal` names a class, but these rows have no labels: name their column with `--label`".to_string(),
            ));
        }
        (None, _) => None,
        (Some(_), Ok(normal)) if classes.contains(&normal) => {
            if named.is_none() {
                note(&normal_by_name(&normal));
            }
            Some(normal)
        }
        (Some(_), Ok(normal)) => {
            let shown: Vec<String> = classes.iter().take(12).map(|class| format!("`{class}`")).collect();
            let problem = format!("no row is of class `{normal}`; the classes are {}", shown.join(", "));
            if args.normal.is_some() {
                return Err(Error::Usage(format!("{problem}: name one of them with `--normal`")));
            }
            note(&format!("{problem}: `--normal` names the normal one, for how well anomalies are told from it"));
            None
        }
        // A label that nobody called one of anomalies: an analysis by it was not asked for.
        (Some(_), Err(_)) => {
            note(
                "which class is normal is not known: `--normal CLASS` says so, for how well anomalies are told from it",
            );
            None
        }
    };
    let pca = used.run.folder.pca()?.most();
    let components = pca.components();
    let tally = RefCell::new(Tally::new(normal.as_deref().map(|normal| (&pca, normal))));
    let table = detector.table(trained, rows, args.top, &tally);
    match args.json && args.out.is_none() {
        true => {
            for part in table {
                part?;
            }
            super::note(&rows.rows().met());
        }
        false => save(table, rows, args.out.as_deref())?,
    }
    let tally = tally.into_inner();
    let summary = Summary {
        rows: tally.rows,
        without_score: tally.without,
        flagged: tally.flagged,
        threshold: detector.threshold(),
        false_alarms: detector.false_alarms,
        held_out_rows: detector.held_out.len(),
        detection: tally.detection(&detector),
    };
    if args.json {
        document_with(&summary, &DETECTION)?;
    }
    let percent = (1000.0 * summary.false_alarms).round() / 10.0;
    match summary.threshold {
        Some(threshold) => status(&format!(
            "{} of {} rows flagged: their scores are above the threshold {threshold:.4}, which at most {percent}% of \
             normal rows exceed; it comes from {} validation rows (`ae explain p_value`)",
            summary.flagged, summary.rows, summary.held_out_rows
        )),
        None => note(&format!(
            "no row is flagged: {} validation rows are too few for {percent}% of false alarms (`--false-alarms {:.3}` \
             or more)",
            summary.held_out_rows,
            1.0 / (summary.held_out_rows + 1) as f64 + 0.0005
        )),
    }
    if !mode().quiet {
        say_table(&worst(&tally.worst, &detector, trained, rows)?);
    }
    if summary.without_score > 0 {
        note(&format!("{} of the rows have no value, and so no score", summary.without_score));
    }
    if summary.detection.is_none() && normal.is_some() {
        note("all labeled rows are of one kind, normal or not: there is nothing to tell apart");
    }
    if let Some(detection) = &summary.detection {
        let protocol = match &trained.schema.normal {
            Some(normal) => format!("trained only on rows of class `{normal}`"),
            None => "trained on all rows, whatever their labels".to_string(),
        };
        status(&format!(
            "{} of {} labeled rows are anomalies by their labels; {protocol} (`ae explain auroc`)",
            detection.anomalies, detection.labelled
        ));
        let mut table = Table::new(["", "auroc", "average precision", "f1"]).at_least(28, 9);
        let mut row = |name: &str, of: &Ranking| {
            let figures = [of.auroc, of.average_precision, of.f1].map(|figure| format!("{figure:.4}"));
            table.row(std::iter::once(name.to_string()).chain(figures));
        };
        row(&trained.config.variant, &detection.model);
        row("5th nearest neighbor", &detection.neighbours);
        row(&format!("PCA ({components}, {:.0}% of variance)", 100.0 * pca.explained()), &detection.pca);
        row("distance to the mean", &detection.mean);
        if !mode().quiet {
            say_table(&table);
        }
        let baselines = [("the 5th nearest neighbor", &detection.neighbours), ("PCA", &detection.pca)];
        let baselines = baselines.into_iter().chain([("the distance to the mean", &detection.mean)]);
        let best = baselines.max_by(|a, b| a.1.auroc.total_cmp(&b.1.auroc));
        if let Some((name, best)) = best.filter(|(_, best)| best.auroc > detection.model.auroc + MARGIN) {
            note(&format!(
                "{name} ranks these rows better than the model (AUROC {:.3} and {:.3}): compare other variants and \
                 widths with `ae compare` and `ae sweep`",
                best.auroc, detection.model.auroc
            ));
        }
    }
    Ok(())
}

/// A baseline is better if its AUROC is higher by more than this.
const MARGIN: f64 = 0.01;

/// The rows with the highest scores, and the columns that make them so.
fn worst(worst: &[Worst], detector: &Detector, trained: &Trained, rows: &Dataset) -> Result<Table> {
    let chosen = rows.select(worst.iter().map(|worst| worst.row).collect());
    let (names, labels) = (row_names(&chosen)?, row_labels(&chosen));
    let columns: Vec<_> = worst.iter().map(|worst| worst.columns.clone()).collect();
    let (reasons, what) = match trained.schema.geometry {
        Some(_) => (vec![Vec::new(); worst.len()], ""),
        None => (detector.reasons(trained, &chosen, &columns)?, "columns that score highest: value (reconstruction)"),
    };
    let mut table = Table::new(["most anomalous rows", "label", "score", what]).left(2).left_last();
    for (((worst, name), label), reasons) in worst.iter().zip(names).zip(labels).zip(reasons) {
        let reason = |reason: &Reason| format!("{} {} ({})", reason.column, reason.value, reason.expected);
        let reasons = reasons.iter().map(reason).collect::<Vec<_>>().join(", ");
        table.row([name, label.unwrap_or_default(), format!("{:.4}", worst.score), reasons]);
    }
    Ok(table)
}
