//! Anomaly scores, and how well they tell anomalies from normal rows.

use maud::{Markup, html};

use super::{Content, SHOWN, legend, rows::strips, sortable, svg};
use crate::{
    Result,
    anomaly::{Detector, Reason, odd_columns},
    auroc::{Ranking, quantile},
    digits::short,
    report::{
        material::{Material, Purpose, singles},
        plot::{self, Series},
        ranked::Ranked,
    },
    results::{row_labels, row_names},
};

/// Share of the scores that a histogram shows, unless that is less than 1.5 times or more than 4 times the threshold.
const IN_SIGHT: f64 = 0.95;
/// Rows in the list of anomalous rows.
const LISTED: usize = 15;

pub fn histogram(material: &Material) -> Result<Option<Content>> {
    let Some(detector) = &material.detector else { return Ok(None) };
    let all: Vec<f64> = material.scores.rows.iter().copied().filter(|score| !score.is_nan()).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let threshold = detector.threshold();
    let mut sorted = all.clone();
    sorted.sort_by(f64::total_cmp);
    let most = quantile(&sorted, IN_SIGHT);
    let known = threshold.filter(|threshold| *threshold > 0.0);
    let most = known.map_or(most, |threshold| most.clamp(1.5 * threshold, 4.0 * threshold));
    let (series, names) = match &material.ranked {
        Some(ranked) => {
            let part = |wanted: bool| -> Vec<f64> {
                let labeled = ranked.scores[0].iter().zip(&ranked.anomalies);
                labeled.filter(|(_, anomaly)| **anomaly == wanted).map(|(score, _)| *score).collect()
            };
            let (normal, anomalies) = (part(false), part(true));
            let names = vec![
                (0, format!("normal ({} rows)", normal.len())),
                (1, format!("anomalies ({} rows)", anomalies.len())),
            ];
            (vec![(0, normal), (1, anomalies)], names)
        }
        None => (vec![(0, all)], Vec::new()),
    };
    let mark = threshold.map(|threshold| (threshold, "threshold"));
    let chart = plot::histogram(&series, ("anomaly score", "share of the rows"), mark, most);
    let body = html! {
        (svg(chart, "a histogram of the anomaly scores"))
        @if !names.is_empty() { (legend(&names)) }
        @if let Some(ranked) = &material.ranked { (rankings(ranked, &material.model_name())) }
    };
    let mut note = format!(
        "Of {} test rows; about 1 for a typical training row. At most {} % of rows like the validation rows are above \
         the threshold.",
        sorted.len(),
        short(100.0 * detector.false_alarms)
    );
    if sorted[sorted.len() - 1] > most {
        let inside = sorted.partition_point(|score| *score <= most) as f64 / sorted.len() as f64;
        note += &format!(
            " The axis ends at {}, above {} % of the scores; the largest is {}.",
            short(most),
            short(100.0 * inside),
            short(sorted[sorted.len() - 1])
        );
    }
    if material.ranked.is_some() {
        note +=
            " F1 is that of the threshold; of baselines, of their own threshold for the same share of false alarms.";
    }
    Ok(Some(Content::new(body, note)))
}

/// How well the model and its baselines tell anomalies from the rest.
fn rankings(ranked: &Ranked, model: &str) -> Markup {
    let rows = html! {
        @for (name, ranking) in ranked.rankings(model) {
            tr {
                th { (name) }
                @for figure in [ranking.auroc, ranking.average_precision, ranking.f1] {
                    td.number { (format!("{figure:.3}")) }
                }
            }
        }
    };
    sortable(&["", "AUROC", "average precision", "F1"], &[], rows)
}

/// The points of a curve, from the rows and the scores of one method.
type Curve = fn(&Ranked, &[f64]) -> Vec<(f64, f64)>;

/// Curves of the model and its baselines, with a figure of each.
fn curves(
    material: &Material,
    curve: Curve,
    (figure, value): (&str, fn(&Ranking) -> f64),
    [x, y]: [&str; 2],
) -> Option<Markup> {
    let ranked = material.ranked.as_ref()?;
    let rankings = ranked.rankings(&material.model_name());
    let series: Vec<Series> = (0..3)
        .map(|index| Series {
            name: format!("{}: {figure} {:.3}", rankings[index].0, value(&rankings[index].1)),
            points: curve(ranked, &ranked.scores[index]),
            color: index,
        })
        .collect();
    let names: Vec<(usize, String)> = series.iter().map(|series| (series.color, series.name.clone())).collect();
    Some(html! { (svg(plot::shares(&series, x, y), y)) (legend(&names)) })
}

pub fn roc(material: &Material) -> Result<Option<Content>> {
    let axes = ["share of the normal rows above the threshold", "share of the anomalies"];
    let figure: (&str, fn(&Ranking) -> f64) = ("AUROC", |ranking| ranking.auroc);
    let Some(chart) = curves(material, Ranked::roc, figure, axes) else { return Ok(None) };
    let note = "True positive rate over false positive rate, for every threshold. The model beside the distance to the \
                5th nearest training row and the squared error of PCA with components for 90% of the variance.";
    Ok(Some(Content::new(chart, note)))
}

pub fn precision_recall(material: &Material) -> Result<Option<Content>> {
    let axes = ["recall: share of the anomalies found", "precision"];
    let figure: (&str, fn(&Ranking) -> f64) = ("average precision", |ranking| ranking.average_precision);
    let Some(chart) = curves(material, Ranked::precision_recall, figure, axes) else { return Ok(None) };
    let note = "Precision is the share of anomalies among the rows above the threshold, for every threshold.";
    Ok(Some(Content::new(chart, note)))
}

/// The positions of the rows with the highest scores, the highest first.
fn highest(material: &Material, count: usize) -> Vec<usize> {
    let scores = &material.scores.rows;
    let mut order: Vec<usize> = (0..scores.len()).filter(|&row| !scores[row].is_nan()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(count);
    order
}

pub fn anomalous(material: &Material) -> Result<Option<Content>> {
    let geometry = material.trained.schema.geometry;
    if geometry.is_some() && material.purpose != Purpose::Anomaly {
        return Ok(None); // the worst reconstructed images say about the same
    }
    let positions = highest(material, if geometry.is_some() { SHOWN } else { LISTED });
    if positions.is_empty() {
        return Ok(None);
    }
    let rows = material.some.select(positions.iter().map(|&position| material.some.indices()[position]).collect());
    let Some(detector) = &material.detector else { return Ok(None) };
    let columns = material.trained.columns().len();
    let (names, labels) = (row_names(&rows)?, row_labels(&rows));
    let is_labeled = labels.iter().any(Option::is_some);
    let normal = material.trained.schema.normal.as_ref();
    let scores = |position: usize| &material.scores.columns[position * columns..(position + 1) * columns];
    let reasons = match geometry {
        Some(_) => Vec::new(),
        None => {
            let chosen: Vec<_> = positions.iter().map(|&position| odd_columns(scores(position))).collect();
            detector.reasons(&material.trained, &rows, &chosen)?
        }
    };
    let lines = html! {
        @for (index, &position) in positions.iter().enumerate() {
            @let score = material.scores.rows[position];
            tr {
                th { (names[index]) }
                @if is_labeled {
                    td class=[normal.is_some_and(|normal| labels[index].as_ref() != Some(normal)).then_some("alarm")] {
                        (labels[index].as_deref().unwrap_or("–"))
                    }
                }
                td.number { (short(score)) }
                td.number { (p_value(detector, score)) }
                @if let Some(reasons) = reasons.get(index) {
                    td.reasons {
                        @for Reason { column, value, expected } in reasons {
                            span { b { (column) } " " (value) small { " (" (expected) ")" } }
                        }
                    }
                }
            }
        }
    };
    let mut heads = vec!["row"];
    let mut texts = vec![];
    if is_labeled {
        texts.push(heads.len());
        heads.push("label");
    }
    heads.extend(["score", "p-value"]);
    if geometry.is_none() {
        texts.push(heads.len());
        heads.push("columns with the highest scores: value (reconstruction)");
    }
    let body = html! {
        @if let Some(geometry) = geometry {
            @let (inputs, outputs) = (material.values(&rows)?, detector.reconstructions(&material.trained, &rows)?);
            (strips(material, geometry, &[("input", &singles(&inputs)), ("reconstruction", &singles(&outputs))]))
        }
        (sortable(&heads, &texts, lines))
    };
    let counted = match material.some.rows().carried.as_ref().and_then(|carried| carried.id) {
        Some(_) => "",
        None => " Rows are counted from 0 in their file.",
    };
    let mut note = format!(
        "The highest of {} scores. The p-value is the chance that a row like the validation rows scores as \
         high.{counted}",
        material.scores.rows.len()
    );
    let held_out = detector.held_out.len();
    if positions.iter().any(|&position| is_beyond(detector, material.scores.rows[position])) {
        note += &format!(
            " None of the {held_out} validation rows scores as high as those with {}: that is 1/({held_out} + 1), and \
             only more validation rows could tell how much less likely they are.",
            least_p_value(detector)
        );
    }
    if geometry.is_none() {
        note += " The reconstruction is the one that the score is measured by";
        note += match material.trained.config.model.corruption.is_none() {
            true => "",
            false => ", the mean over noisy copies of the row",
        };
        note += "; of a category it is the most probable level. A column that is reconstructed well is named if the \
                 row lies far from every training row along it.";
    }
    Ok(Some(Content::new(body, note).wide()))
}

/// Whether a score is higher than that of every validation row.
fn is_beyond(detector: &Detector, score: f64) -> bool {
    detector.held_out.last().is_none_or(|highest| score > *highest)
}

/// The p-value of a score as a cell: the least that the validation rows can tell is a bound.
fn p_value(detector: &Detector, score: f64) -> String {
    if is_beyond(detector, score) { least_p_value(detector) } else { short(detector.p_value(score)) }
}

fn least_p_value(detector: &Detector) -> String {
    format!("≤ {}", short(1.0 / (detector.held_out.len() + 1) as f64))
}
