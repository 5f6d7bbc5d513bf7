//! The page of a run: one HTML file that needs nothing else, with everything that was measured and everything that can
//! be seen.
//!
//! A new figure is one function in [`figures`] and one line in its list.

pub mod figures;
pub mod plot;

use ae_data::progress::Progress;
use burn::tensor::Device;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{Result, Run, compare::compare};

/// Writes the page of `run` into its folder.
///
/// # Errors
/// A run that has not ended, data that is gone, or a folder that cannot be written.
pub fn write(run: &Run, device: &Device) -> Result<()> {
    run.folder.write_report(&page(std::slice::from_ref(run), device)?)
}

/// The page of some runs, of several with a comparison first.
///
/// # Errors
/// As [`write()`].
pub fn page(runs: &[Run], device: &Device) -> Result<String> {
    let mut sections = Vec::new();
    for run in runs {
        sections.push(section(run, device)?);
    }
    let comparison = if runs.len() > 1 { Some(comparison(runs, device)?) } else { None };
    let title = match runs {
        [run] => format!("{} on {}", run.config.variant, run.folder.schema()?.name),
        _ => format!("{} runs", runs.len()),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                // Nothing is fetched and no script runs, whatever the data is called.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    @if let Some(comparison) = comparison { h1 { (title) } (comparison) }
                    @for section in sections { (section) }
                }
            }
        }
    };
    Ok(page.into_string())
}

/// One run, from its name to its settings.
fn section(run: &Run, device: &Device) -> Result<Markup> {
    let material = figures::Material::gather(run, device)?;
    let mut drawn = Vec::new();
    let mut progress = Progress::new("drawing figures", figures::FIGURES.len());
    for (id, title, figure) in figures::FIGURES {
        if let Some(content) = figure(&material)? {
            drawn.push((id, title, content));
        }
        progress.step();
    }
    let (schema, summary) = (&material.trained.schema, &material.summary);
    let shape = schema
        .geometry
        .map(|geometry| format!("images of {geometry}"))
        .unwrap_or_else(|| format!("{} features", schema.d_input));
    Ok(html! {
        article {
            header {
                h1 { (run.config.variant) " on " (schema.name) }
                p.idea { "What keeps it from copying: " (run.config.variant()?.idea) "." }
                p.facts {
                    (shape) ", code of " (summary.code_dim) " units, " (summary.parameters) " parameters; "
                    (schema.train_rows) " rows to train on, " (schema.validation_rows) " to choose the epoch by, " (schema.test_rows) " to test on"
                    @if let Some(normal) = &schema.normal { "; trained on rows of class " (normal) " alone" }
                    "; seed " (summary.seed)
                    @if summary.epochs > 0 {
                        "; " (summary.epochs) " epochs in " (plot::short(summary.train_seconds)) " s on " (summary.device)
                    } @else { "; trained elsewhere" }
                }
            }
            div.grid {
                @for (id, title, content) in drawn {
                    figure id=(id) class=[content.wide.then_some("wide")] {
                        figcaption { h2 { (title) } }
                        (content.body)
                        @if !content.note.is_empty() { p.note { (content.note) } }
                    }
                }
            }
        }
    })
}

fn comparison(runs: &[Run], device: &Device) -> Result<Markup> {
    let lines = compare(runs, device, |_| {})?;
    let longest =
        lines.iter().max_by_key(|line| line.figures.len()).map(|line| line.figures.clone()).unwrap_or_default();
    Ok(html! {
        figure #comparison .wide {
            figcaption { h2 { "Side by side" } }
            div.scroll {
                table {
                    thead { tr { th { "on the test rows" } th { "data" } th { "runs" } @for figure in &longest { th.number { (figure.name) } } } }
                    tbody {
                        @for line in &lines {
                            tr {
                                th { (line.name) } td { (line.data) } td.number { (line.runs) }
                                @for name in &longest {
                                    @match line.figures.iter().find(|figure| figure.name == name.name) {
                                        Some(figure) => td.number {
                                            @if figure.best { strong { (plot::short(figure.mean)) } } @else { (plot::short(figure.mean)) }
                                            @if line.runs > 1 { small { " ± " (plot::short(figure.deviation)) } }
                                        },
                                        None => td {},
                                    }
                                }
                            }
                        }
                    }
                }
            }
            p.note { "The best of each column on the same data in bold; ± is the standard deviation over seeds." }
        }
    })
}

const STYLE: &str = include_str!("style.css");
