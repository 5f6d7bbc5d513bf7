//! Missing values, and how well they are imputed.

use burn::data::dataset::Dataset as _;
use maud::html;

use super::{COLUMNS, Content, bar, sortable};
use crate::{
    Result,
    digits::short,
    impute::HELD_OUT,
    report::{
        material::{Material, Purpose},
        measure::{FilledColumn, filled_columns},
    },
    results::row_names,
};

/// Columns in the table of errors, at most.
const LISTED: usize = 200;
/// Rows with imputed values that are shown.
const ROWS: usize = 10;

fn applies(material: &Material) -> bool {
    let schema = &material.trained.schema;
    material.purpose == Purpose::Imputation || schema.geometry.is_none() && material.train.rows().has_missing()
}

pub fn columns(material: &Material) -> Result<Option<Content>> {
    if !applies(material) {
        return Ok(None);
    }
    let mut columns: Vec<FilledColumn> = filled_columns(material)?;
    columns.sort_by(|a, b| b.errors[0].total_cmp(&a.errors[0]));
    let count = columns.len();
    columns.truncate(LISTED);
    let most = columns.iter().flat_map(|column| column.errors).filter(|error| error.is_finite()).fold(0.0, f64::max);
    let rows = html! {
        @for column in &columns {
            tr {
                th title=(column.name) { (column.name) }
                td.number { (short(100.0 * column.missing)) " %" }
                @for error in column.errors { (bar(error, most)) }
            }
        }
    };
    let (model, pca) = (material.model_name(), material.pca_name());
    let more = count - columns.len();
    let more = if more > 0 { format!(" {more} columns with smaller errors are left out.") } else { String::new() };
    let note = format!(
        "Missing: share of the training and test rows. Errors: mean squared error in units of the scaled data at \
         values of {} test rows that were known, hidden at random ({} % of them) and imputed by the model, by PCA and \
         by the mean of the training rows.{more}",
        material.some.len(),
        short(100.0 * HELD_OUT)
    );
    let heads = ["column", "missing", &model, &pca, "mean"];
    Ok(Some(Content::new(html! { div.tall { (sortable(&heads, &[], rows)) } }, note)))
}

pub fn filled(material: &Material) -> Result<Option<Content>> {
    if !applies(material) {
        return Ok(None);
    }
    let (trained, width) = (&material.trained, material.width());
    let values = material.some.scaled(&trained.schema.scaling)?;
    let with_gaps = values.chunks_exact(width).zip(material.some.indices()).filter(|(row, _)| {
        let missing = row.iter().filter(|value| value.is_nan()).count();
        missing > 0 && missing < width
    });
    let chosen: Vec<usize> = with_gaps.map(|(_, row)| *row).take(ROWS).collect();
    if chosen.is_empty() {
        return Ok(None);
    }
    let rows = material.some.select(chosen);
    let known = trained.cells_read(&rows)?;
    let imputed = trained.imputed(&rows)?;
    let names = row_names(&rows)?;
    let columns = trained.columns();
    let shown = columns.len().min(COLUMNS);
    let cell =
        |row: usize, column: usize| ae_data::patch::written(&columns[column], imputed[row * columns.len() + column]);
    let body = html! {
        div.scroll {
            table {
                thead { tr { th {} @for column in &columns[..shown] { th.number { (column.name) } } } }
                tbody {
                    @for (row, name) in names.iter().enumerate() {
                        tr {
                            th { (name) }
                            @for (column, known) in known[..shown].iter().enumerate() {
                                td.number {
                                    @match (&known[row], cell(row, column)) {
                                        (Some(known), _) => (known),
                                        (None, Some(cell)) => mark { (cell) },
                                        (None, None) => "–",
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if columns.len() > shown { p.note { (columns.len() - shown) " more columns are not shown." } }
    };
    Ok(Some(Content::new(body, "The first test rows with missing values; imputed values are marked.").wide()))
}
