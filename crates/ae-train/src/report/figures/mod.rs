//! The figures of the page, each a function of what is known about a run.

mod atoms;
mod classes;
mod code;
mod errors;
mod explore;
mod generate;
mod imputation;
mod robustness;
mod rows;
mod scores;
mod training;

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{Markup, PreEscaped, html};

use super::{
    material::{Material, Purpose},
    plot,
};
use crate::{Result, digits::short};

/// Rows that are shown in figures of single rows.
const SHOWN: usize = 12;
/// Units or columns that are drawn one by one, at most.
const UNITS: usize = 48;
/// Columns of a table that are shown side by side, at most.
const COLUMNS: usize = 16;

/// What a figure shows.
pub struct Content {
    /// The figure itself.
    pub body: Markup,
    /// How to read it.
    pub note: String,
    /// Whether it takes the page's whole width.
    pub wide: bool,
}

impl Content {
    fn new(body: Markup, note: impl Into<String>) -> Self {
        Self { body, note: note.into(), wide: false }
    }

    fn wide(self) -> Self {
        Self { wide: true, ..self }
    }
}

/// Name and title of a figure, and what draws it; nothing where it does not apply.
pub type Figure = (&'static str, &'static str, fn(&Material) -> Result<Option<Content>>);

/// Every figure, in the order of the page, but for those that its purpose puts first.
pub const FIGURES: &[Figure] = &[
    ("measured", "Results", errors::measured),
    ("scores", "Anomaly scores", scores::histogram),
    ("roc", "ROC curve", scores::roc),
    ("recall", "Precision and recall", scores::precision_recall),
    ("anomalous", "Most anomalous rows", scores::anomalous),
    ("imputation", "Imputation error by column", imputation::columns),
    ("filled", "Rows with imputed values", imputation::filled),
    ("reconstructions", "Reconstructions", rows::reconstructions),
    ("columns", "Error by column", errors::columns),
    ("dictionary", "The dictionary", atoms::dictionary),
    ("density", "How often units are active", atoms::density),
    ("atoms", "Units", atoms::atoms),
    ("loss", "Loss by epoch", training::loss),
    ("code", "The code in two dimensions", explore::code),
    ("best", "Best reconstructed rows", rows::best),
    ("worst", "Worst reconstructed rows", rows::worst),
    ("samples", "Generated images", generate::samples),
    ("plane", "Decoded grid of codes", code::plane),
    ("decoder", "Decoder filters", code::decoder),
    ("encoder", "Encoder filters", code::encoder),
    ("pixels", "Error by pixel", errors::pixels),
    ("noise", "Robustness to noise", robustness::noise),
    ("missing", "Robustness to missing values", robustness::missing),
    ("activations", "Distribution of the code's values", code::activations),
    ("units", "Mean activation by unit", code::units),
    ("jacobian", "Singular values of the encoder's Jacobian", code::jacobian),
    ("copying", "Reconstruction of other data", robustness::copying),
    ("classes", "Classification from the code", classes::classes),
    ("settings", "Settings", training::settings),
];

/// The figures that a page does not begin with, by what they are about: each group is folded. A figure in none of them
/// stands in the last.
pub const GROUPS: &[(&str, &[&str])] = &[
    (
        "Errors by column, pixel and row",
        &["scores", "anomalous", "columns", "pixels", "best", "worst", "reconstructions"],
    ),
    (
        "The code and its units",
        &[
            "dictionary",
            "density",
            "atoms",
            "code",
            "plane",
            "decoder",
            "encoder",
            "activations",
            "units",
            "jacobian",
            "classes",
            "samples",
        ],
    ),
    ("Noise, missing values and other data", &["noise", "missing", "imputation", "filled", "copying"]),
    ("Training and settings", &["loss", "settings"]),
    ("More figures", &[]),
];

/// The place of a figure's group in [`GROUPS`].
pub fn group(id: &str) -> usize {
    GROUPS.iter().position(|(_, ids)| ids.contains(&id)).unwrap_or(GROUPS.len() - 1)
}

impl Purpose {
    /// The figures that a page begins with.
    pub fn first(self) -> &'static [&'static str] {
        match self {
            Self::Anomaly => &["scores", "roc", "recall", "anomalous", "measured", "reconstructions", "code"],
            Self::Imputation => &["imputation", "missing", "filled", "measured", "code"],
            Self::Images => &["measured", "reconstructions", "code"],
            Self::Dictionary => &["measured", "dictionary", "density", "atoms"],
            Self::Sparse => &["measured", "decoder", "units", "activations", "reconstructions", "code"],
            Self::Table => &["measured", "columns", "loss", "code", "reconstructions"],
        }
    }

    /// The figures that say nothing about a run of this purpose.
    pub fn leaves_out(self) -> &'static [&'static str] {
        match self {
            // Few of many units are active: a plane through their codes, or a derivative by all units, shows none.
            Self::Dictionary => &[
                "scores",
                "anomalous",
                "imputation",
                "filled",
                "noise",
                "missing",
                "copying",
                "code",
                "plane",
                "units",
                "jacobian",
                "encoder",
                "decoder",
            ],
            _ => &[],
        }
    }
}

fn image(png: &[u8], what: &str) -> Markup {
    html! { img src=(format!("data:image/png;base64,{}", STANDARD.encode(png))) alt=(what); }
}

pub(super) fn svg(chart: String, what: &str) -> Markup {
    html! { div role="img" aria-label=(what) { (PreEscaped(chart)) } }
}

pub(super) fn legend(names: &[(usize, String)]) -> Markup {
    html! {
        ul.legend {
            @for (color, name) in names {
                li { i style=(format!("background:var(--series-{})", color % plot::COLORS)) {} (name) }
            }
        }
    }
}

/// A table that a click on a column's head sorts. The first column holds names, those behind it numbers unless `texts`
/// says otherwise, by their places.
fn sortable(heads: &[&str], texts: &[usize], rows: Markup) -> Markup {
    html! {
        div.scroll {
            table.sortable {
                thead {
                    tr {
                        @for (place, head) in heads.iter().enumerate() {
                            th class=[(place > 0 && !texts.contains(&place)).then_some("number")] { (head) }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

/// A number in a cell with a bar behind it, as long as its share of `most`.
fn bar(value: f64, most: f64) -> Markup {
    let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
    let shown = if value.is_nan() { "–".to_string() } else { short(value) };
    let share = if share.is_nan() { 0.0 } else { share };
    html! { td.number.bar style=(format!("--share:{:.1}%", 100.0 * share)) { (shown) } }
}
