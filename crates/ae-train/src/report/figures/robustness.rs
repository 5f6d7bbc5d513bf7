//! What happens to rows with noise, with missing values, and to what does not resemble the data.

use maud::html;

use super::{Content, legend, sortable, svg};
use crate::{
    Result,
    digits::short,
    evaluation::Point,
    report::{
        material::Material,
        plot::{self, Series},
    },
};

/// A curve of the model beside that of PCA; none where it was not measured.
fn curve(material: &Material, points: &[Point], x: &str, note: &str) -> Option<Content> {
    let rows = points.first()?.rows;
    let series = |name: String, color: usize, of: fn(&Point) -> f64| Series {
        name,
        points: points.iter().map(|point| (point.level, of(point))).collect(),
        color,
    };
    let series =
        [series(material.model_name(), 0, |point| point.mse), series(material.pca_name(), 1, |point| point.pca)];
    let note = format!("{note} Of {rows} test rows.");
    let names: Vec<(usize, String)> = series.iter().map(|series| (series.color, series.name.clone())).collect();
    Some(Content::new(html! { (svg(plot::lines(&series, x, "mse"), x)) (legend(&names)) }, note))
}

pub fn noise(material: &Material) -> Result<Option<Content>> {
    let note = "Mean squared error between the clean row and the reconstruction of the row with Gaussian noise.";
    Ok(curve(material, &material.evaluation.noise, "standard deviation of the noise", note))
}

pub fn missing(material: &Material) -> Result<Option<Content>> {
    let note = "Mean squared error at values that were hidden at random and then imputed.";
    Ok(curve(material, &material.evaluation.missing, "share of the values hidden", note))
}

pub fn copying(material: &Material) -> Result<Option<Content>> {
    if material.evaluation.copying.is_empty() {
        return Ok(None);
    }
    let rows = html! {
        @for thing in &material.evaluation.copying {
            tr {
                th { (thing.what) }
                @for figure in [thing.mse, thing.fvu, thing.fvu_pca] { td.number { (short(figure)) } }
            }
        }
    };
    let note = "An autoencoder should reconstruct the data and nothing else: a low fvu (fraction of variance \
                unexplained) for the data, a high one for the other rows. A network that copies everything has learned \
                nothing about the data.";
    Ok(Some(Content::new(sortable(&["what", "mse", "fvu", "fvu of PCA"], &[], rows), note)))
}
