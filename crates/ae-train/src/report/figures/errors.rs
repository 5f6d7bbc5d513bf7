//! Errors of the model beside its baselines.

use ae_data::{Geometry, picture::Sheet};
use maud::{Markup, html};

use super::{Content, bar, image, sortable};
use crate::{
    Result,
    digits::{fixed, short},
    evaluation::ColumnError,
    evaluation::ReconstructionErrors as Figures,
    report::{
        material::{Material, Purpose},
        measure::errors_on,
    },
};

/// Columns in the table of errors, at most.
const LISTED: usize = 200;

/// A figure in large digits.
fn tile(figure: String, what: String) -> Markup {
    html! { div { b { (figure) } span { (what) } } }
}

/// The figures that a run of this purpose is judged by.
fn tiles(material: &Material) -> Markup {
    let evaluation = &material.evaluation;
    let errors = if material.purpose == Purpose::Dictionary { &material.summary.test } else { &evaluation.errors };
    let explained = |figures: &Figures| format!("{} %", short(100.0 * (1.0 - figures.fvu)));
    let likelihood = evaluation.likelihood.as_ref().map(|likelihood| {
        let beside = match likelihood.pca {
            Some(pca) => format!("PCA {}", short(pca)),
            None => format!("lower bound {}", short(likelihood.elbo)),
        };
        tile(short(likelihood.log_likelihood), format!("log-likelihood per row, in nats ({beside})"))
    });
    html! {
        div.tiles {
            @if let Some(ranked) = &material.ranked {
                @let (ours, rest) = (&ranked.detection.model, &ranked.detection);
                (tile(format!("{:.3}", ours.auroc), format!(
                    "AUROC (nearest neighbors {:.3}, PCA {:.3})", rest.neighbours.auroc, rest.pca.auroc
                )))
                (tile(format!("{:.3}", ours.average_precision), format!(
                    "average precision (nearest neighbors {:.3}, PCA {:.3})",
                    rest.neighbours.average_precision, rest.pca.average_precision
                )))
            }
            @if material.purpose != Purpose::Anomaly {
                (tile(explained(&errors.model), "of the variance explained".to_string()))
                (tile(explained(&errors.pca), match evaluation.linear_map {
                    Some(_) => format!("by the best {}", material.pca_name()),
                    None => format!("by PCA with {} components", evaluation.pca_components),
                }))
            }
            @if let Some(images) = &evaluation.images {
                (tile(format!("{} dB", short(images.psnr_db)), format!("PSNR (PCA {})", short(images.psnr_db_pca))))
                @if let (Some(ssim), Some(of_pca)) = (images.ssim, images.ssim_pca) {
                    (tile(format!("{ssim:.3}"), format!("SSIM (PCA {of_pca:.3})")))
                }
            }
            @if let Some(likelihood) = likelihood { (likelihood) }
        }
    }
}

pub fn measured(material: &Material) -> Result<Option<Content>> {
    let (evaluation, summary) = (&material.evaluation, &material.summary);
    // Of a dictionary the page measures a sample; these figures are known of all rows.
    let (errors, count) = match material.purpose {
        Purpose::Dictionary => (&summary.test, summary.measured_rows[1]),
        _ => (&evaluation.errors, evaluation.rows),
    };
    let row = |name: &str, of: &Figures, ours: bool| {
        html! {
            tr class=[ours.then_some("ours")] {
                th { (name) }
                td.number { (fixed(of.mse, 6)) }
                td.number { (fixed(of.sse, 4)) }
                td.number { (fixed(of.fvu, 4)) }
            }
        }
    };
    let (model, pca) = (material.model_name(), material.pca_name());
    let normal = match material.normal_rows() {
        Some(rows) => Some((rows.indices().len(), errors_on(material, &rows)?)),
        None => None,
    };
    let all = if normal.is_some() { ", all test rows" } else { "" };
    let rows = html! {
        @if let Some((_, [ours, of_pca])) = &normal {
            (row(&format!("{model}, normal test rows"), ours, true))
            (row(&format!("{pca}, normal test rows"), of_pca, false))
        }
        (row(&format!("{model}{all}"), &errors.model, normal.is_none()))
        (row(&format!("{pca}{all}"), &errors.pca, false))
        @if let Some(map) = &summary.linear_map { (row("linear map", map, false)) }
        (row(&format!("mean of the training rows{all}"), &errors.mean, false))
        @if let (Purpose::Dictionary, Some(random)) = (material.purpose, &summary.random_dictionary) {
            (row(&format!("random dictionary ({})", summary.pca_components), random, false))
        }
        (row(&format!("{model}, training rows"), &summary.train.model, false))
    };
    let count = format!("{count} test rows");
    let body = html! { (tiles(material)) (sortable(&[&count, "mse", "sse", "fvu"], &[], rows)) };
    let mut note = "mse: mean squared error per value. sse: sum of squared errors per row. fvu: fraction of variance \
                    unexplained. In units of the scaled data. The training rows include the validation rows."
        .to_string();
    let [measured, all_rows] = [summary.measured_rows[0], material.trained_on()];
    if measured < all_rows {
        note += &format!(" Of these {all_rows} a sample of {measured} was measured.");
    }
    if let Some((count, _)) = normal {
        note += &format!(
            " {count} of the {} test rows are normal; the errors on all test rows include the anomalies, which the \
             model was not trained on.",
            evaluation.rows
        );
    }
    Ok(Some(Content::new(body, note).wide()))
}

pub fn columns(material: &Material) -> Result<Option<Content>> {
    if material.trained.schema.geometry.is_some() {
        return Ok(None);
    }
    let mut columns: Vec<&ColumnError> = material.evaluation.columns.iter().collect();
    columns.sort_by(|a, b| b.mse.total_cmp(&a.mse));
    columns.truncate(LISTED);
    // One column with a very large error would leave no bar to the others.
    let mut sizes: Vec<f64> = columns.iter().flat_map(|column| [column.mse, column.pca]).collect();
    sizes.retain(|size| size.is_finite());
    sizes.sort_by(f64::total_cmp);
    let most = if sizes.is_empty() { 1.0 } else { crate::auroc::quantile(&sizes, 0.95) };
    let rows = html! {
        @for column in &columns {
            tr {
                th title=(column.name) { (column.name) }
                (bar(column.mse, most)) (bar(column.pca, most)) td.number { (short(column.mean)) }
            }
        }
    };
    let (model, pca) = (material.summary.variant.as_str(), material.pca_name());
    let beside = if material.evaluation.linear_map.is_some() { "a linear map" } else { "PCA" };
    let more = material.evaluation.columns.len() - columns.len();
    let more = if more > 0 { format!(" {more} columns with smaller errors are left out.") } else { String::new() };
    let note = format!(
        "Mean squared error on the test rows in units of the scaled data, beside {beside} and the mean of the training \
         rows. Bars end at the 95th percentile of the errors.{more}"
    );
    Ok(Some(Content::new(html! { div.tall { (sortable(&["column", model, &pca, "mean"], &[], rows)) } }, note)))
}

pub fn pixels(material: &Material) -> Result<Option<Content>> {
    let Some(geometry) = material.trained.schema.geometry else { return Ok(None) };
    let errors = |of: fn(&ColumnError) -> f64| -> Vec<f32> {
        let values: Vec<f64> = material.evaluation.columns.iter().map(of).collect();
        // The mean over the channels, as a gray image.
        let pixels = geometry.height * geometry.width;
        (0..pixels)
            .map(|pixel| (values.iter().skip(pixel).step_by(pixels).sum::<f64>() / geometry.channels as f64) as f32)
            .collect()
    };
    let (ours, pca) = (errors(|column| column.mse), errors(|column| column.pca));
    let high = ours.iter().chain(&pca).copied().fold(f32::MIN_POSITIVE, f32::max);
    let geometry = Geometry { channels: 1, ..geometry };
    let sheet =
        Sheet { low: 0.0, high, zoom: (160 / geometry.height.max(geometry.width)).max(1), geometry, columns: 1 };
    let body = html! {
        div.panels {
            @for (name, values) in [(material.model_name(), &ours), (material.pca_name(), &pca)] {
                div { (image(&sheet.png(&[values]), &name)) span { (name) } }
            }
        }
    };
    let note = format!("Mean squared error of each pixel: black is 0, white is {}.", short(f64::from(high)));
    Ok(Some(Content::new(body, note)))
}
