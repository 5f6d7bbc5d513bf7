//! How the model was trained.

use maud::html;

use super::{Content, legend, svg};
use crate::{
    Result,
    report::{
        material::Material,
        plot::{self, Series},
    },
};

pub fn loss(material: &Material) -> Result<Option<Content>> {
    let curve = |name: &str, title: &str, color: usize| {
        let values = &material.metrics.iter().find(|(column, _)| column == name)?.1;
        let points = values.iter().enumerate().map(|(epoch, &value)| (epoch as f64 + 1.0, value)).collect();
        Some(Series { name: title.to_string(), points, color })
    };
    let series: Vec<Series> =
        [curve("train_loss", "training", 0), curve("valid_loss", "validation", 1)].into_iter().flatten().collect();
    if series.is_empty() {
        return Ok(None);
    }
    let names: Vec<(usize, String)> = series.iter().map(|series| (series.color, series.name.clone())).collect();
    let body = html! { (svg(plot::lines(&series, "epoch", "loss"), "the loss of each epoch")) (legend(&names)) };
    let note = format!(
        "Per example, in nats. Epoch {} has the lowest validation loss and was kept.",
        material.summary.best_epoch
    );
    Ok(Some(Content::new(body, note)))
}

pub fn settings(material: &Material) -> Result<Option<Content>> {
    // Paths belong to this machine only.
    let mut config = material.trained.config.clone();
    if let Some(name) = std::path::Path::new(&config.data.source).file_name() {
        config.data.source = name.to_string_lossy().into_owned();
    }
    let body = html! { details { summary { "All settings of the run" } pre { (config.to_toml()) } } };
    Ok(Some(Content::new(body, "").wide()))
}
