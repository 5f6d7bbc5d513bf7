//! Single rows and their reconstructions.

use ae_data::{Dataset, Geometry};
use maud::{Markup, html};

use super::{COLUMNS, Content, SHOWN, image};
use crate::{
    Result,
    digits::short,
    report::{
        material::{Material, singles},
        measure::by_error,
    },
    results::row_names,
    trained::Cells,
};

/// Rows of a table that are shown.
const ROWS: usize = 6;

/// Lines of images with their names.
pub fn strips(material: &Material, geometry: Geometry, lines: &[(&str, &[f32])]) -> Markup {
    let sheet = material.sheet(geometry, SHOWN);
    html! {
        div.rows {
            @for (name, values) in lines {
                span { (name) }
                (image(&sheet.png(&values.chunks_exact(material.width()).collect::<Vec<_>>()), name))
            }
        }
    }
}

/// Rows of a table, the first of `lines`, each above its reconstructions.
fn table(material: &Material, rows: &Dataset, lines: &[(&str, &[f64])]) -> Result<Markup> {
    let columns = material.trained.columns();
    let names = row_names(rows)?;
    // The first line is the rows themselves, which may hold a level that training did not have.
    let reconstructed = lines[1..].iter().map(|line| material.trained.cells(line.1));
    let frames: Vec<Cells> = std::iter::once(material.trained.cells_read(rows)?).chain(reconstructed).collect();
    let shown = columns.len().min(COLUMNS);
    let cell = |frame: &Cells, column: usize, row: usize| frame[column][row].clone().unwrap_or_else(|| "–".to_string());
    Ok(html! {
        div.scroll {
            table {
                thead { tr { th {} th {} @for column in &columns[..shown] { th.number { (column.name) } } } }
                tbody {
                    @for (row, name) in names.iter().enumerate().take(ROWS) {
                        @for (line, (frame, (what, _))) in frames.iter().zip(lines).enumerate() {
                            tr class=[(line == 0).then_some("first")] {
                                th { @if line == 0 { (name) } }
                                th.what { (what) }
                                @for column in 0..shown { td.number { (cell(frame, column, row)) } }
                            }
                        }
                    }
                }
            }
        }
        @if columns.len() > shown { p.note { (columns.len() - shown) " more columns are not shown." } }
    })
}

/// Some rows and their reconstructions; after the corruption of the training, too, if there is one and it is asked for.
fn pairs(material: &Material, rows: &Dataset, corrupted: bool) -> Result<Markup> {
    let trained = &material.trained;
    let corruption = trained.config.model.corruption.init(&trained.schema.inputs());
    let corruption = Some(&corruption).filter(|corruption| corrupted && !corruption.is_none());
    let inputs = material.values(rows)?;
    let clean = material.reconstructed(rows)?;
    let pca = material.reconstructed_by_pca(rows)?;
    let name = material.pca_name();
    let mut lines: Vec<(&str, &[f64])> = vec![("input", &inputs), ("reconstruction", &clean), (&name, &pca)];
    let Some(geometry) = trained.schema.geometry else { return table(material, rows, &lines) };
    let made = trained.reconstructions(rows, corruption).next().transpose()?;
    if let Some(made) = made.as_ref().filter(|_| corruption.is_some()) {
        lines.extend([
            ("corrupted as in training", made.read.as_slice()),
            ("its reconstruction", made.values.as_slice()),
        ]);
    }
    let lines: Vec<(&str, Vec<f32>)> = lines.into_iter().map(|(name, values)| (name, singles(values))).collect();
    let lines: Vec<(&str, &[f32])> = lines.iter().map(|(name, values)| (*name, values.as_slice())).collect();
    Ok(strips(material, geometry, &lines))
}

pub fn reconstructions(material: &Material) -> Result<Option<Content>> {
    let first = material.test.select(material.test.indices().iter().copied().take(SHOWN).collect());
    Ok(Some(Content::new(pairs(material, &first, true)?, "The first test rows.").wide()))
}

fn extreme(material: &Material, worst: bool) -> Result<Option<Content>> {
    let errors = by_error(material)?;
    let count = SHOWN.min(errors.len());
    let chosen: Vec<(usize, f64)> =
        if worst { errors.iter().rev().take(count).copied().collect() } else { errors[..count].to_vec() };
    let Some(((_, first), (_, last))) = chosen.first().zip(chosen.last()) else { return Ok(None) };
    let rows = material.some.select(chosen.iter().map(|(row, _)| *row).collect());
    let note = format!("Squared errors from {} to {}, of {} test rows.", short(*first), short(*last), errors.len());
    Ok(Some(Content::new(pairs(material, &rows, false)?, note).wide()))
}

pub fn best(material: &Material) -> Result<Option<Content>> {
    extreme(material, false)
}

pub fn worst(material: &Material) -> Result<Option<Content>> {
    extreme(material, true)
}
