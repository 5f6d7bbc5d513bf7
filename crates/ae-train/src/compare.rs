//! Runs side by side: mean and deviation over seeds, with PCA of every width that occurs among them.

use ae_data::Options;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Run, Which};

/// A figure of several runs that differ in their seed alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// Mean over the runs.
    pub mean: f64,
    /// Standard deviation over the runs (`n - 1`); 0 of one run.
    pub deviation: f64,
    /// Whether less is better; none if neither is.
    pub less_is_better: Option<bool>,
    /// Whether no other line on the same data has a better mean.
    pub best: bool,
}

/// A line: runs that differ in their seed alone, or PCA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The variant and the width of its code.
    pub name: String,
    /// The data.
    pub data: String,
    /// Runs.
    pub runs: usize,
    /// Its figures.
    pub figures: Vec<Figure>,
}

/// A figure of one run, and PCA's.
struct Measure {
    name: &'static str,
    model: f64,
    pca: Option<f64>,
    less_is_better: Option<bool>,
}

/// The components of the PCA beside a run, and what is compared of both on the test rows.
fn measures(run: &Run, device: &Device) -> Result<(usize, Vec<Measure>)> {
    let Some(summary) = run.folder.summary()? else {
        let folder = run.folder.path().display();
        return Err(Error::Failed(format!("{folder} has not ended: continue it with `ae train --resume {folder}`")));
    };
    let trained = run.trained(device.clone())?;
    let pca = run.folder.pca()?;
    let test = trained.rows(None, &Options::default(), Which::Test)?;
    let train = trained.rows(None, &Options::default(), Which::Train)?;
    let evaluation = trained.evaluate(&test, &pca, Some(&train))?;
    let less = |name, model, pca| Measure { name, model, pca: Some(pca), less_is_better: Some(true) };
    let more = |name, model, pca| Measure { name, model, pca: Some(pca), less_is_better: Some(false) };
    let middle = evaluation.noise.len() / 2 + 1;
    let mut measures = vec![
        less("mse", evaluation.errors.model.mse, evaluation.errors.pca.mse),
        less("fvu", evaluation.errors.model.fvu, evaluation.errors.pca.fvu),
        less("noisy mse", evaluation.noise[middle].mse, evaluation.noise[middle].pca),
        less("missing mse", evaluation.missing[2].mse, evaluation.missing[2].pca),
    ];
    if let Some(classes) = &evaluation.classes {
        measures.push(more("probe", classes.linear.code, classes.linear.pca));
        measures.push(more("5-nn", classes.neighbours.code, classes.neighbours.pca));
    }
    if let Some(normal) = &trained.schema.normal {
        let detector = run.folder.detector()?;
        if let Some(detection) = detector.detection(&trained, &pca, &test, normal)? {
            measures.push(more("auroc", detection.model.auroc, detection.pca.auroc));
        }
    }
    measures.push(Measure { name: "|J|^2", model: evaluation.code.jacobian_norm2, pca: None, less_is_better: None });
    measures.push(Measure { name: "seconds", model: summary.train_seconds, pca: None, less_is_better: None });
    Ok((evaluation.pca_components, measures))
}

/// What lines are gathered from: what is called alike, on the same data.
struct Group {
    name: String,
    data: String,
    /// The figures of each run.
    runs: Vec<Vec<(&'static str, f64, Option<bool>)>>,
}

/// The runs side by side, in their order, behind PCA of each width that occurs. `seen` is told of each run once it is measured.
///
/// # Errors
/// A run that has not ended, whose files are damaged, or whose data is gone.
pub fn compare(runs: &[Run], device: &Device, mut seen: impl FnMut(&Run)) -> Result<Vec<Line>> {
    let (mut lines, mut baselines): (Vec<Group>, Vec<Group>) = (Vec::new(), Vec::new());
    let add = |groups: &mut Vec<Group>, name: String, data: &str, figures: Vec<(&'static str, f64, Option<bool>)>| match groups
        .iter_mut()
        .find(|group| group.name == name && group.data == data)
    {
        Some(group) => group.runs.push(figures),
        None => groups.push(Group { name, data: data.to_string(), runs: vec![figures] }),
    };
    for run in runs {
        let (components, measures) = measures(run, device)?;
        let schema = run.folder.schema()?;
        let code_dim = run.config.model.code_dim;
        let figures = measures.iter().map(|measure| (measure.name, measure.model, measure.less_is_better)).collect();
        add(&mut lines, format!("{} ({code_dim})", run.config.variant), &schema.name, figures);
        let figures = measures.iter().filter_map(|measure| Some((measure.name, measure.pca?, measure.less_is_better))).collect();
        add(&mut baselines, format!("PCA ({components})"), &schema.name, figures);
        seen(run);
    }
    baselines.extend(lines);
    let order: Vec<String> = baselines.iter().map(|group| group.data.clone()).collect();
    baselines.sort_by_key(|group| order.iter().position(|data| *data == group.data));
    let mut lines: Vec<Line> = baselines.into_iter().map(line).collect();
    mark_best(&mut lines);
    Ok(lines)
}

fn line(group: Group) -> Line {
    let figures = group.runs[0].iter().map(|&(name, _, less_is_better)| {
        let values: Vec<f64> =
            group.runs.iter().flat_map(|run| run.iter().find(|(other, ..)| *other == name)).map(|(_, value, _)| *value).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if values.len() > 1 { (squares / (values.len() - 1) as f64).sqrt() } else { 0.0 };
        Figure { name: name.to_string(), mean, deviation, less_is_better, best: false }
    });
    Line { figures: figures.collect(), name: group.name, data: group.data, runs: group.runs.len() }
}

/// Of lines on the same data.
fn mark_best(lines: &mut [Line]) {
    let means: Vec<(String, String, f64)> =
        lines.iter().flat_map(|line| line.figures.iter().map(|figure| (line.data.clone(), figure.name.clone(), figure.mean))).collect();
    for line in lines {
        for figure in &mut line.figures {
            let others = means.iter().filter(|(data, name, _)| *data == line.data && *name == figure.name).map(|(.., mean)| *mean);
            figure.best = figure
                .less_is_better
                .is_some_and(|less| others.into_iter().all(|other| if less { figure.mean <= other } else { figure.mean >= other }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_deviations_and_the_best_of_each_column() {
        let group = |name: &str, values: &[f64]| Group {
            name: name.to_string(),
            data: "d".into(),
            runs: values.iter().map(|&value| vec![("mse", value, Some(true)), ("probe", 1.0 - value, Some(false))]).collect(),
        };
        let mut lines = vec![line(group("a", &[1.0, 3.0])), line(group("b", &[1.5]))];
        mark_best(&mut lines);
        assert_eq!((lines[0].figures[0].mean, lines[0].runs), (2.0, 2));
        assert!((lines[0].figures[0].deviation - 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(
            lines.iter().flat_map(|line| line.figures.iter().map(|figure| figure.best)).collect::<Vec<_>>(),
            [false, false, true, true]
        );
    }
}
