//! `ae score`: how odd each row is, and which column makes it so.

use ae_train::{Result, anomaly::normal_class, ranking::Ranking};

use crate::{cli::ScoreArgs, output::print};

/// Scores rows; with labels, says how well anomalies are told from the rest.
pub fn run(args: &ScoreArgs) -> Result<()> {
    let used = super::use_run(&args.rows)?;
    let (trained, rows) = (&used.trained, &used.rows);
    let mut detector = used.run.folder.detector()?;
    if let Some(contamination) = args.contamination {
        detector = detector.with_contamination(contamination);
        used.run.folder.write_detector(&detector)?;
    }
    if let Some(path) = &args.out {
        detector.table(trained, rows).save(Some(path))?;
    }
    let scores = detector.score(trained, rows)?;
    let normal = args.normal.as_deref().or(trained.schema.normal.as_deref());
    let normal = normal_class(normal, &rows.rows().classes());
    let detection = match (&rows.rows().labels, normal) {
        (None, _) => None,
        (Some(_), Ok(normal)) => detector.detection(trained, &used.run.folder.pca()?, rows, &scores, &normal)?,
        // A label that nobody called one of anomalies: an analysis by it was not asked for.
        (Some(_), Err(_)) if args.normal.is_none() && trained.schema.normal.is_none() => None,
        (Some(_), Err(error)) => return Err(error),
    };
    let flagged = detector.predict(&scores.rows).into_iter().filter(|&flag| flag).count();
    if args.json {
        let result = match detection {
            Some(detection) => serde_json::to_string_pretty(&detection),
            None => serde_json::to_string_pretty(&serde_json::json!({
                "rows": scores.rows.len(), "flagged": flagged, "threshold": detector.threshold, "contamination": detector.contamination,
            })),
        };
        return print(&format!("{}\n", result.expect("numbers are JSON")));
    }
    if args.out.is_none() && detection.is_none() {
        return detector.table(trained, rows).save(None);
    }
    let mut text = format!(
        "{flagged} of {} rows score above {:.4}, the threshold that {}% of the training rows lie above\n",
        scores.rows.len(),
        detector.threshold,
        100.0 * detector.contamination
    );
    let protocol = match &trained.schema.normal {
        Some(normal) => format!("trained on rows of class `{normal}` alone"),
        None => "trained on all rows, whatever their labels".to_string(),
    };
    if let Some(detection) = &detection {
        text += &format!("{} of them are anomalies by their labels; {protocol}\n\n", detection.anomalies);
        text += &format!("{:<28}{:>9}{:>19}{:>9}\n", "", "auroc", "average precision", "f1");
        let row = |name: &str, of: &Ranking| format!("{name:<28}{:>9.4}{:>19.4}{:>9.4}\n", of.auroc, of.average_precision, of.f1);
        text += &row(&trained.config.variant, &detection.model);
        text += &row("PCA (90% of the variance)", &detection.pca);
        text += &row("distance to the mean", &detection.mean);
    }
    print(&text)
}
