//! What sparse codes of several runs explain with how many active units, beside their baselines.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    figures::{legend, svg},
    plot::{self, Series},
};
use crate::{Result, Run};

/// Points by the name of their line: the number of active units, and the fraction of variance unexplained.
type Lines = BTreeMap<(usize, String), Vec<(f64, f64)>>;

/// The figure, if at least two of the runs have a sparse code. Runs on different data are drawn as different lines.
///
/// # Errors
/// A folder that cannot be read.
pub fn tradeoff(runs: &[Run]) -> Result<Option<Markup>> {
    let (mut lines, mut count) = (Lines::new(), 0);
    for run in runs.iter().filter(|run| run.config.model.is_sparse()) {
        let Some(summary) = run.folder.summary()? else { continue };
        count += 1;
        let on = format!("on {}", summary.data);
        let mut add =
            |kind: usize, name: String, at: f64, fvu: f64| lines.entry((kind, name)).or_default().push((at, fvu));
        let components = summary.pca_components as f64;
        add(0, format!("{} ({}) {on}", summary.variant, summary.code_dim), summary.code.l0, summary.test.model.fvu);
        let beside = if summary.linear_map.is_some() { "best linear map of as high a rank" } else { "PCA" };
        add(1, format!("{beside} {on}"), components, summary.test.pca.fvu);
        if let Some(random) = &summary.random_dictionary {
            add(2, format!("random dictionary ({}) {on}", summary.code_dim), components, random.fvu);
        }
    }
    if count < 2 {
        return Ok(None);
    }
    let series: Vec<Series> = lines
        .into_iter()
        .enumerate()
        .map(|(color, ((_, name), mut points))| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points.dedup();
            Series { name, points, color }
        })
        .collect();
    let names: Vec<(usize, String)> = series.iter().map(|series| (series.color, series.name.clone())).collect();
    let chart = plot::lines(&series, "active units of a row (L0)", "fraction of variance unexplained");
    Ok(Some(html! {
        figure #tradeoff .wide {
            figcaption { h2 { "Error by the number of active units" } }
            (svg(chart, "the fraction of variance unexplained by the number of active units"))
            (legend(&names))
            p.note {
                "On the test rows: each run with a sparse code, PCA with as many components as it has active units, \
                 and as many atoms of a random dictionary."
            }
        }
    }))
}
