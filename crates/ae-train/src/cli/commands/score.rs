//! `ae score`: how anomalous each row is, and which column makes it so.

use ae_model::Registry;
use std::cell::RefCell;

use crate::{
    Error, Result,
    anomaly::{Detection, PCA_SHARE, Tally, normal_class},
    ranking::Ranking,
};
use serde::Serialize;

use super::{note, save};
use crate::cli::{
    args::ScoreArgs,
    output::{print, say},
};

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
pub fn run(args: &ScoreArgs, registry: &Registry) -> Result<()> {
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
        (Some(_), Ok(normal)) if classes.contains(&normal) => Some(normal),
        (Some(_), Ok(normal)) => {
            let shown: Vec<String> = classes.iter().take(12).map(|class| format!("`{class}`")).collect();
            let problem = format!("no row is of class `{normal}`; the classes are {}", shown.join(", "));
            if args.normal.is_some() {
                return Err(Error::Usage(format!("{problem}: name one of them with `--normal`")));
            }
            say(&format!("note: {problem}: `--normal` names the normal one, for how well anomalies are told from it"));
            None
        }
        // A label that nobody called one of anomalies: an analysis by it was not asked for.
        (Some(_), Err(_)) => {
            say(
                "note: which class is normal is not known: `--normal CLASS` says so, for how well anomalies are told from it",
            );
            None
        }
    };
    let all = used.run.folder.pca()?;
    let components = all.components_for(PCA_SHARE);
    let pca = all.first(components);
    let tally = RefCell::new(Tally::new(normal.as_deref().map(|normal| (&pca, normal))));
    let table = detector.table(trained, rows, args.top, &tally);
    match args.json && args.out.is_none() {
        true => {
            for part in table {
                part?;
            }
            note(&rows.rows().met());
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
        print(&format!("{}\n", serde_json::to_string_pretty(&summary).expect("numbers are JSON")))?;
    }
    let percent = (1000.0 * summary.false_alarms).round() / 10.0;
    match summary.threshold {
        Some(threshold) => say(&format!(
            "{} of {} rows flagged: their scores are above {threshold:.4}, which at most {percent}% of rows like the {} validation rows are",
            summary.flagged, summary.rows, summary.held_out_rows
        )),
        None => say(&format!(
            "note: no row is flagged: {} validation rows are too few for {percent}% of false alarms (`--false-alarms {:.3}` or more)",
            summary.held_out_rows,
            1.0 / (summary.held_out_rows + 1) as f64 + 0.0005
        )),
    }
    if summary.without_score > 0 {
        say(&format!("note: {} of the rows have no value, and so no score", summary.without_score));
    }
    if summary.detection.is_none() && normal.is_some() {
        say("note: all labelled rows are of one kind, normal or not: there is nothing to tell apart");
    }
    if let Some(detection) = &summary.detection {
        let protocol = match &trained.schema.normal {
            Some(normal) => format!("trained on rows of class `{normal}` alone"),
            None => "trained on all rows, whatever their labels".to_string(),
        };
        say(&format!(
            "{} of {} labelled rows are anomalies by their labels; {protocol}",
            detection.anomalies, detection.labelled
        ));
        say(&format!("{:<28}{:>9}{:>19}{:>9}", "", "auroc", "average precision", "f1"));
        let row = |name: &str, of: &Ranking| {
            say(&format!("{name:<28}{:>9.4}{:>19.4}{:>9.4}", of.auroc, of.average_precision, of.f1))
        };
        row(&trained.config.variant, &detection.model);
        row("5th nearest neighbour", &detection.neighbours);
        row(&format!("PCA ({components}, {:.0}% of variance)", 100.0 * pca.explained()), &detection.pca);
        row("distance to the mean", &detection.mean);
    }
    Ok(())
}
