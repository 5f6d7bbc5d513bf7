//! What the code knows of the classes.

use maud::html;

use super::{Content, sortable};
use crate::{Result, evaluation::Accuracies, report::material::Material};

pub fn classes(material: &Material) -> Result<Option<Content>> {
    let Some(classes) = &material.evaluation.classes else { return Ok(None) };
    let row = |name: &str, of: &Accuracies| {
        html! {
            tr {
                th { (name) }
                @for accuracy in [of.code, of.input, of.pca] { td.number { (format!("{accuracy:.3}")) } }
            }
        }
    };
    let rows = html! { (row("linear classifier", &classes.linear)) (row("5 nearest neighbors", &classes.neighbours)) };
    let mut note = "Accuracy on the test rows of classifiers that were trained on the code, the input, and as many \
                    principal components of the training rows."
        .to_string();
    if let Some(accuracy) = classes.most_frequent {
        note += &format!(" Always naming the most frequent class is right for {accuracy:.3} of them.");
    }
    Ok(Some(Content::new(sortable(&["", "code", "input", "PCA"], &[], rows), note)))
}
