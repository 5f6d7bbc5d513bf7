//! The units of a sparse code, one by one.

use maud::{Markup, html};

use super::{Content, SHOWN, bar, image, sortable, svg};
use crate::{
    Result,
    digits::short,
    evaluation::{Activations, Atoms, DENSE},
    report::{
        material::{Material, singles},
        plot,
    },
    results::{row_labels, row_names},
};

/// Units that are shown one by one, unless others are asked for.
const LISTED: usize = 24;
/// Units whose rows are unfolded from the start.
const OPEN: usize = 3;
/// Nearest units that are named.
const NEAREST: usize = 5;
/// Rows that are listed for a unit, if they are not images.
const ROWS: usize = 8;

/// The test rows that the page measures, and whether they are a sample.
fn measured(material: &Material) -> String {
    let (measured, all) = (material.evaluation.rows, material.trained.schema.test_rows);
    match measured < all {
        true => format!("a sample of {measured} of the {all} test rows"),
        false => format!("{measured} test rows"),
    }
}

/// What is usually measured of dictionaries, as a table.
pub fn dictionary(material: &Material) -> Result<Option<Content>> {
    let Some(of) = &material.evaluation.dictionary else { return Ok(None) };
    let code = &material.evaluation.code;
    let lines = [
        ("active units of a row (L0)", short(code.l0)),
        ("explained variance", short(of.explained_variance)),
        ("normalized error |x - r|²/|x|²", short(of.normalized_error)),
        ("shrinkage |r|/|x|", short(of.shrinkage)),
        ("relative bias", format!("{:.3}", of.relative_bias)),
        ("cosine of x and r", short(of.cosine)),
        ("dead units", code.dead_units.to_string()),
        ("dense units", of.dense_units.to_string()),
        ("mean |cosine| of two atoms", short(of.atom_cosine)),
        ("mean |cosine| of an atom and the nearest", short(of.nearest_atom_cosine)),
    ];
    let body = html! {
        table { tbody { @for (name, value) in &lines { tr { th { (name) } td.number { (value) } } } } }
    };
    let note = format!(
        "On {}, in the units of the data. Dead: active on none of them; dense: on more than a tenth. The \
         right number of active units has a small mean cosine of two atoms (Chanin and Garriga-Alonso 2025).",
        measured(material)
    );
    Ok(Some(Content::new(body, note)))
}

/// The share of rows on which each unit is active.
pub fn density(material: &Material) -> Result<Option<Content>> {
    let Some(activations) = &material.activations else { return Ok(None) };
    let rates: Vec<f64> =
        (0..activations.width()).map(|unit| activations.rate(unit)).filter(|rate| *rate > 0.0).collect();
    if rates.is_empty() {
        return Ok(None);
    }
    let dead = activations.width() - rates.len();
    let logs: Vec<f64> = rates.iter().map(|rate| rate.log10()).collect();
    let most = logs.iter().copied().fold(f64::MIN, f64::max);
    let chart = plot::histogram(&[(0, logs)], ("log₁₀ of the share of rows", "share of the units"), None, most);
    let mut sorted = rates;
    sorted.sort_by(f64::total_cmp);
    let note = format!(
        "Of {} units that are active on some of {}, half on fewer than {} % of them; {dead} are dead and not \
         drawn.",
        sorted.len(),
        measured(material),
        short(100.0 * sorted[sorted.len() / 2])
    );
    Ok(Some(Content::new(svg(chart, "a histogram of how often units are active"), note)))
}

/// The share of a unit of what all units add to the reconstructions: its squared values times its atom's squared
/// length, summed over the rows.
fn contributions(activations: &Activations, atoms: Option<&Atoms>) -> Vec<f64> {
    let of = |unit: usize| {
        let length = atoms.map_or(1.0, |atoms| atoms.length(unit));
        length.powi(2) * activations.of(unit).iter().map(|(_, value)| f64::from(*value).powi(2)).sum::<f64>()
    };
    let sizes: Vec<f64> = (0..activations.width()).map(of).collect();
    let total = sizes.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    sizes.into_iter().map(|size| size / total).collect()
}

/// What is known of the units of one run.
struct Known<'a> {
    material: &'a Material,
    activations: &'a Activations,
    atoms: Option<Atoms>,
    shares: Vec<f64>,
    shown: Vec<usize>,
    /// For each shown unit the nearest living others, with the cosine.
    nearest: Vec<Vec<(usize, f32)>>,
}

impl<'a> Known<'a> {
    fn of(material: &'a Material, activations: &'a Activations) -> Result<Self> {
        let trained = &material.trained;
        let atoms = trained.atoms()?;
        let shares = contributions(activations, atoms.as_ref());
        let mut shown = material.shown_units.clone();
        if shown.is_empty() {
            shown = (0..activations.width()).filter(|&unit| !activations.of(unit).is_empty()).collect();
            shown.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]));
            shown.truncate(LISTED);
        }
        let nearest = match &atoms {
            Some(atoms) if !shown.is_empty() => {
                let cosines = atoms.cosines_with_all(&shown, trained)?;
                let near = |(&unit, row): (&usize, &[f32])| {
                    let others = (0..row.len()).filter(|&other| other != unit && !activations.of(other).is_empty());
                    let mut others: Vec<(usize, f32)> = others.map(|other| (other, row[other])).collect();
                    others.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
                    others.truncate(NEAREST);
                    others
                };
                shown.iter().zip(cosines.chunks_exact(activations.width())).map(near).collect()
            }
            _ => vec![Vec::new(); shown.len()],
        };
        Ok(Self { material, activations, atoms, shares, shown, nearest })
    }

    /// The atom of a unit as an image, if the rows are images.
    fn atom(&self, unit: usize) -> Option<Markup> {
        let geometry = self.material.trained.schema.geometry?;
        let direction = self.atoms.as_ref()?.direction(unit);
        let most = direction.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
        let drawn: Vec<f32> = direction.iter().map(|value| value / most).collect();
        let sheet = ae_data::picture::Sheet { low: -1.0, high: 1.0, ..self.material.sheet(geometry, 1) };
        Some(image(&sheet.png(&[&drawn]), "what the unit adds to the reconstruction"))
    }

    /// The rows on which a unit is largest.
    fn rows(&self, unit: usize) -> Result<Markup> {
        let material = self.material;
        let geometry = material.trained.schema.geometry;
        let largest = self.activations.largest(unit, if geometry.is_some() { SHOWN } else { ROWS });
        if largest.is_empty() {
            return Ok(html! { p { "Active on none of the rows." } });
        }
        let rows = material.test.select(largest.iter().map(|(at, _)| material.test.indices()[*at]).collect());
        let (names, labels) = (row_names(&rows)?, row_labels(&rows));
        let is_labeled = labels.iter().any(Option::is_some);
        let table = html! {
            @for ((name, label), (_, value)) in names.iter().zip(&labels).zip(&largest) {
                tr {
                    th { (name) }
                    @if is_labeled { td { (label.as_deref().unwrap_or("–")) } }
                    (bar(f64::from(*value), f64::from(largest[0].1)))
                }
            }
        };
        let heads: &[&str] = if is_labeled { &["row", "label", "value"] } else { &["row", "value"] };
        Ok(html! {
            @if let Some(geometry) = geometry {
                @let values = singles(&material.values(&rows)?);
                @let sheet = material.sheet(geometry, SHOWN.min(largest.len()));
                (image(
                    &sheet.png(&values.chunks_exact(material.width()).collect::<Vec<_>>()),
                    "the rows with the largest values"
                ))
            }
            (sortable(heads, if is_labeled { &[1] } else { &[] }, table))
        })
    }

    /// A unit with all that is known of it.
    fn unit(&self, place: usize) -> Result<Markup> {
        let unit = self.shown[place];
        let active = self.activations.of(unit);
        let values: Vec<f64> = active.iter().map(|(_, value)| f64::from(*value)).collect();
        let most = values.iter().copied().fold(0.0, f64::max);
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let near: Vec<String> =
            self.nearest[place].iter().map(|(other, cosine)| format!("{other} ({cosine:.2})")).collect();
        Ok(html! {
            details open[place < OPEN || !self.material.shown_units.is_empty()] {
                summary {
                    "unit " (unit) ": " (short(100.0 * self.activations.rate(unit))) " % of the rows, "
                    (short(100.0 * self.shares[unit])) " % of the contributions"
                }
                div.unit {
                    @if let Some(atom) = self.atom(unit) { div.atom { (atom) } }
                    div {
                        @if !values.is_empty() {
                            (svg(
                                plot::histogram(&[(0, values)], ("value", "share of the active rows"), None, most),
                                "a histogram of the unit's values"
                            ))
                        }
                        p.note {
                            "Mean value where it is active " (short(mean)) ", largest " (short(most)) "."
                            @if !near.is_empty() {
                                " Nearest units, with the cosine of the atoms: " (near.join(", ")) "."
                            }
                        }
                    }
                    div { (self.rows(unit)?) }
                }
            }
        })
    }
}

/// Single units: the rows on which they are largest, their values, and the nearest units.
pub fn atoms(material: &Material) -> Result<Option<Content>> {
    let Some(activations) = &material.activations else { return Ok(None) };
    let known = Known::of(material, activations)?;
    if known.shown.is_empty() {
        return Ok(None);
    }
    let units = (0..known.shown.len()).map(|place| known.unit(place)).collect::<Result<Vec<_>>>()?;
    let which = match material.shown_units.is_empty() {
        true => format!(
            "The {} of {} units that contribute most to the reconstructions, by their squared values times the squared \
             length of their atom; ae report RUN --units 3,17 shows others",
            known.shown.len(),
            activations.width()
        ),
        false => "The units that were asked for".to_string(),
    };
    let dense = known.shown.iter().filter(|&&unit| activations.rate(unit) > DENSE).count();
    let counted = match material.test.rows().carried.as_ref().and_then(|carried| carried.id) {
        Some(_) => "",
        None => " Rows are counted from 0 in their file.",
    };
    let note = format!(
        "{which}. Each with the {} rows on which it is largest, of {}. {dense} of these units are dense.{counted}",
        if material.trained.schema.geometry.is_some() { SHOWN } else { ROWS },
        measured(material)
    );
    Ok(Some(Content::new(html! { p.note { (note) } @for unit in &units { (unit) } }, "").wide()))
}
