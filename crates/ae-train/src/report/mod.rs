//! The page of a run: one HTML file that needs nothing else, with everything that was measured and everything that can
//! be seen.
//!
//! A new figure is one function in a file of [`figures`] and one line in its list. The page begins with what the run is
//! for ([`Purpose`]); the other figures are folded. Its script is the one of this module, which the content security
//! policy names by its SHA-256, and no other; what the script reads of the data is JSON beside it, never markup.

mod decoder;
pub mod figures;
mod material;
mod measure;
pub mod plot;
mod ranked;
mod tradeoff;

use ae_data::progress::Progress;
use base64::{Engine, engine::general_purpose::STANDARD};
use burn::tensor::Device;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::{Result, Run, compare::compare, digits::short};
use figures::{Content, FIGURES, GROUPS, group};
pub use material::{Material, Purpose};

const STYLE: &str = include_str!("style.css");
/// The script of the page.
pub const SCRIPT: &str = include_str!("script.js");
/// Bytes of a page that its script and the data of its interactive figures take, at most.
pub const ALIVE: usize = 200_000;

/// Writes the page of `run` into its folder.
///
/// # Errors
/// A run that has not ended, data that is gone, or a folder that cannot be written.
pub fn write(run: &Run, device: &Device) -> Result<()> {
    run.folder.write_report(&page(std::slice::from_ref(run), device, &[])?)
}

/// The page of some runs, of several with a comparison first. Of sparse codes it shows these `units` one by one, or
/// those that contribute most if there are none.
///
/// # Errors
/// As [`write()`]; a unit that a code does not have.
pub fn page(runs: &[Run], device: &Device, units: &[usize]) -> Result<String> {
    let mut sections = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let budget = ALIVE.saturating_sub(SCRIPT.len()) / runs.len().max(1);
        sections.push(section(&Material::gather(run, device, budget, units)?, run, index)?);
    }
    let comparison = if runs.len() > 1 { Some(comparison(runs, device)?) } else { None };
    let tradeoff = tradeoff::tradeoff(runs)?;
    let title = match runs {
        [run] => format!("{} on {}", run.config.variant, run.folder.schema()?.name),
        _ => format!("{} runs", runs.len()),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                // Nothing is fetched and no other script runs, whatever the data is called.
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    @if let Some(comparison) = comparison { h1 { (title) } (comparison) }
                    @if let Some(tradeoff) = tradeoff { (tradeoff) }
                    @for section in sections { (section) }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(page.into_string())
}

/// What the page may do: show its own style and images, and run its own script.
fn policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(SCRIPT));
    format!("default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'")
}

/// A figure that was drawn.
struct Drawn {
    id: &'static str,
    title: &'static str,
    content: Content,
}

/// Every figure of a run that applies: those that it begins with, and the others.
fn draw(material: &Material) -> Result<[Vec<Drawn>; 2]> {
    let mut progress = Progress::new("drawing figures", FIGURES.len());
    let mut drawn = Vec::new();
    for &(id, title, figure) in FIGURES.iter().filter(|(id, ..)| !material.leaves_out(id)) {
        drawn.extend(figure(material)?.map(|content| Drawn { id, title, content }));
        progress.step();
    }
    let first = material.purpose.first();
    let place = |figure: &Drawn| first.iter().position(|id| *id == figure.id);
    let (mut begins, others): (Vec<Drawn>, Vec<Drawn>) = drawn.into_iter().partition(|figure| place(figure).is_some());
    begins.sort_by_key(place);
    // A narrow figure between wide ones would leave half of its line empty.
    let wide: Vec<bool> = begins.iter().map(|figure| figure.content.wide).collect();
    let is_alone =
        |at: usize| !wide[at] && (at == 0 || wide[at - 1]) && wide.get(at + 1).is_none_or(|is_wide| *is_wide);
    let (alone, begins): (Vec<_>, Vec<_>) = begins.into_iter().enumerate().partition(|(at, _)| is_alone(*at));
    let figures = |of: Vec<(usize, Drawn)>| of.into_iter().map(|(_, figure)| figure).collect::<Vec<Drawn>>();
    Ok([figures(begins), figures(alone).into_iter().chain(others).collect()])
}

/// One run, from its name to its settings; `index` is its place on the page.
fn section(material: &Material, run: &Run, index: usize) -> Result<Markup> {
    let [begins, others] = draw(material)?;
    let figure = |Drawn { id, title, content }: &Drawn| {
        // Of several runs on a page each figure has a name of its own.
        let name = if index == 0 { (*id).to_string() } else { format!("{id}-{}", index + 1) };
        html! {
            figure id=(name) class=(if content.wide { format!("{id} wide") } else { (*id).to_string() }) {
                figcaption { h2 { (title) } }
                (content.body)
                @if !content.note.is_empty() { p.note { (content.note) } }
            }
        }
    };
    let mut folded: Vec<(&str, Vec<Drawn>)> = GROUPS.iter().map(|(title, _)| (*title, Vec::new())).collect();
    others.into_iter().for_each(|drawn| folded[group(drawn.id)].1.push(drawn));
    folded.retain(|(_, of_group)| !of_group.is_empty());
    let (schema, summary) = (&material.trained.schema, &material.summary);
    let shape = schema
        .geometry
        .map(|geometry| format!("images of {geometry}"))
        .unwrap_or_else(|| format!("{} features", schema.d_input));
    let target = schema.target.as_ref().map(|target| format!(", a target of {} features", target.d_output));
    let is = if target.is_some() { "It is" } else { "What keeps it from copying its input:" };
    let shape = shape + &target.unwrap_or_default();
    Ok(html! {
        article {
            header {
                h1 { (run.config.variant) " on " (schema.name) }
                p.idea { (is) " " (run.config.variant()?.idea) "." }
                p.facts {
                    (shape) ", code of " (summary.code_dim) " units, " (summary.parameters) " parameters; "
                    (schema.train_rows) " training rows, " (schema.validation_rows) " validation rows, "
                    (schema.test_rows) " test rows"
                    @if let Some(normal) = &schema.normal { "; trained on rows of class " (normal) " only" }
                    "; seed " (summary.seed)
                    @if summary.epochs > 0 {
                        "; " (summary.epochs) " epochs in " (short(summary.train_seconds)) " s on "
                        (summary.device)
                    } @else { "; trained elsewhere" }
                }
            }
            div.begins { @for drawn in &begins { (figure(drawn)) } }
            @for (title, of_group) in &folded {
                details.more {
                    summary {
                        b { (title) }
                        span { (of_group.iter().map(|drawn| drawn.title).collect::<Vec<_>>().join(", ")) }
                    }
                    div.masonry {
                        @for drawn in of_group.iter().filter(|drawn| !drawn.content.wide) { (figure(drawn)) }
                    }
                    @for drawn in of_group.iter().filter(|drawn| drawn.content.wide) { (figure(drawn)) }
                }
            }
        }
    })
}

fn comparison(runs: &[Run], device: &Device) -> Result<Markup> {
    let lines = compare(runs, device, |_| {})?;
    let longest =
        lines.iter().max_by_key(|line| line.figures.len()).map(|line| line.figures.clone()).unwrap_or_default();
    let cell = |line: &crate::compare::Line, name: &str| {
        html! {
            @match line.figures.iter().find(|figure| figure.name == name) {
                Some(figure) => td.number {
                    @if figure.best { strong { (short(figure.mean)) } } @else { (short(figure.mean)) }
                    @if line.runs > 1 { small { " ± " (short(figure.deviation)) } }
                },
                None => td.number { "–" },
            }
        }
    };
    Ok(html! {
        figure #comparison .wide {
            figcaption { h2 { "Comparison" } }
            div.scroll {
                table.sortable {
                    thead {
                        tr {
                            th { "on the test rows" } th { "data" } th.number { "runs" }
                            @for figure in &longest { th.number { (figure.name) } }
                        }
                    }
                    tbody {
                        @for line in &lines {
                            tr {
                                th { (line.name) } td { (line.data) } td.number { (line.runs) }
                                @for figure in &longest { (cell(line, &figure.name)) }
                            }
                        }
                    }
                }
            }
            p.note { "The best of each column on the same data in bold; ± is the standard deviation over seeds." }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_that_a_page_begins_with_exists_and_the_script_cannot_end_early() {
        let all = [
            Purpose::Anomaly,
            Purpose::Imputation,
            Purpose::Sparse,
            Purpose::Images,
            Purpose::Dictionary,
            Purpose::Table,
        ];
        for purpose in all {
            let mut named = purpose.first().iter().chain(purpose.leaves_out());
            assert!(named.all(|named| FIGURES.iter().any(|(id, ..)| id == named)), "{purpose:?}");
        }
        for id in GROUPS.iter().flat_map(|(_, ids)| *ids) {
            assert!(FIGURES.iter().any(|(name, ..)| name == id), "{id}");
        }
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains("<!--") && SCRIPT.len() < ALIVE / 10);
    }
}
