//! `ae evaluate`: everything that can be said of a model on some rows.

use ae_data::Options;
use ae_model::Registry;
use clap::Args;

use crate::{
    Result, Which,
    baseline::name,
    cli::{
        args::RowsArgs,
        entry::{Entry, Group},
        json::document_with,
        output::{note, print, shown, warn},
        table::Table,
    },
    digits::fixed,
    evaluation::ReconstructionErrors as Figures,
    evaluation::{Accuracies, DictionaryMeasures, Evaluation},
};

/// Columns that are listed, at most: those with the largest errors.
const COLUMNS: usize = 12;

/// Keys of the JSON that are null where they were not measured.
const KEYS: [&str; 10] = [
    "dictionary",
    "linear_map",
    "images",
    "images.ssim",
    "images.ssim_pca",
    "classes",
    "likelihood",
    "likelihood.pca",
    "likelihood.deviation",
    "code.saturation",
];

/// Width of the names of rows.
const NAMES: usize = 28;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Rows.
    #[command(flatten)]
    pub rows: RowsArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae evaluate runs/undercomplete-digits-001", "on the test rows"),
        ("ae evaluate runs/undercomplete-digits-001 --rows train --json", "on the training rows, as JSON"),
    ];
    let about = "Measure a run on some rows: errors beside PCA, code, robustness, classes, copying";
    Entry::new(Group::Use, "evaluate", about, examples, run)
}

/// Prints the figures.
fn run(args: &EvaluateArgs, registry: &Registry) -> Result<()> {
    let used = super::use_run(&args.rows, registry)?;
    let trained = &used.trained;
    let train = trained.rows(None, &Options::default(), Which::Train);
    if let (Err(error), true) = (&train, used.rows.rows().labels.is_some()) {
        warn(&format!("without the training rows there are no classifiers of the code: {error}"));
    }
    if trained.schema.target.is_some() && used.rows.rows().labels.is_some() {
        note("classifiers of the code are left out: they are for a model that reconstructs its own rows");
    }
    let evaluation = trained.evaluate(&used.rows, &used.run.folder.pca()?, train.ok().as_ref())?;
    super::note(&used.rows.rows().met());
    if args.json {
        return document_with(&evaluation, &KEYS);
    }
    print(&text(&evaluation, &trained.config.variant, trained.config.model.code_dim, trained.schema.geometry.is_some()))
}

/// Names of rows, and columns of a width.
fn table<'a>(head: impl IntoIterator<Item = &'a str>, width: usize) -> Table {
    Table::new(head).at_least(NAMES, width)
}

/// What is usually measured of dictionaries.
fn dictionary(of: &DictionaryMeasures) -> String {
    let mut measures = table(["dictionary", ""], 12);
    for (name, value) in [
        ("explained variance", format!("{:.4}", of.explained_variance)),
        ("normalized error", format!("{:.4}", of.normalized_error)),
        ("shrinkage", format!("{:.4}", of.shrinkage)),
        ("relative bias", format!("{:.4}", of.relative_bias)),
        ("cosine", format!("{:.4}", of.cosine)),
        ("dense units", of.dense_units.to_string()),
        ("cosine of atoms", format!("{:.4}", of.atom_cosine)),
        ("cosine of nearest atoms", format!("{:.4}", of.nearest_atom_cosine)),
    ] {
        measures.row([name.to_string(), value]);
    }
    shown(&measures)
}

/// How well data that do not resemble the rows are reconstructed.
fn copying(evaluation: &Evaluation) -> String {
    let mut copies = table(["copying meter", "mse", "fvu", "fvu of PCA"], 12);
    for of in &evaluation.copying {
        let cells = [fixed(of.mse, 6), fixed(of.fvu, 4), fixed(of.fvu_pca, 4)];
        copies.row(std::iter::once(of.what.clone()).chain(cells));
    }
    format!(
        "\n{}an autoencoder should copy the data and nothing else: a low fvu in the first line, high ones below\n",
        shown(&copies)
    )
}

fn text(evaluation: &Evaluation, variant: &str, code_dim: usize, is_image: bool) -> String {
    let rows = format!("on {} rows", evaluation.rows);
    let mut errors = table([rows.as_str(), "mse", "sse", "fvu"], 12);
    let mut row = |name: &str, figures: &Figures| {
        errors.row([name.to_string(), fixed(figures.mse, 6), fixed(figures.sse, 4), fixed(figures.fvu, 4)]);
    };
    row(&format!("{variant} ({code_dim})"), &evaluation.errors.model);
    row(&name(evaluation.pca_components, evaluation.linear_map.is_some()), &evaluation.errors.pca);
    if let Some(map) = &evaluation.linear_map {
        row("linear map", map);
    }
    row("predict the mean", &evaluation.errors.mean);
    let mut text = shown(&errors);
    if let Some(images) = &evaluation.images {
        text += &format!("\nPSNR {:.2} dB (PCA {:.2})", images.psnr_db, images.psnr_db_pca);
        if let (Some(ssim), Some(pca)) = (images.ssim, images.ssim_pca) {
            text += &format!(", SSIM {ssim:.4} (PCA {pca:.4})");
        }
        text += "\n";
    }
    let code = &evaluation.code;
    text += &format!(
        "\ncode: {:.1} of {code_dim} units active, {} dead, mean activation {:.3}{}, effective rank {:.1}, \
         |J|^2 {:.3}\n",
        code.l0,
        code.dead_units,
        code.mean_activation,
        code.saturation.map(|share| format!(", saturation {share:.3}")).unwrap_or_default(),
        evaluation.effective_rank,
        code.jacobian_norm2
    );
    if let Some(of) = &evaluation.likelihood {
        let some = format!("{} of them", of.rows);
        let mut bounds = table(["nats a row, mean", "all rows", &some], 12);
        bounds.row(["divergence from the prior".to_string(), format!("{:.3}", of.kl)]);
        bounds.row(["evidence lower bound".to_string(), format!("{:.3}", of.elbo), format!("{:.3}", of.elbo_of_rows)]);
        bounds.row(["log p(x)".to_string(), String::new(), format!("{:.3}", of.log_likelihood)]);
        if let Some(pca) = of.pca {
            let name = format!("log p(x) of PCA ({})", evaluation.pca_components);
            bounds.row([name, String::new(), format!("{pca:.3}")]);
        }
        text += &format!("\n{}", shown(&bounds));
        text += &format!(
            "log p(x): a lower bound from {} codes a row, of which {:.0} count at the median row{}\n{} of {code_dim} \
             units active (variance of the mean over the rows above 0.01){}\n",
            of.samples,
            of.effective_samples,
            if of.has_unit_variance { "; a squared error by itself counts as a variance of 1" } else { "" },
            of.active_units,
            of.deviation
                .map(|deviation| format!("; standard deviation of a value around its reconstruction {deviation:.4}"))
                .unwrap_or_default(),
        );
    }
    if let Some(of) = &evaluation.dictionary {
        text += &format!("\n{}", dictionary(of));
    }
    for (what, points) in [("noise, standard deviation", &evaluation.noise), ("share missing", &evaluation.missing)]
        .into_iter()
        .filter(|(_, points)| !points.is_empty())
    {
        let levels: Vec<String> = points.iter().map(|point| point.level.to_string()).collect();
        let mut curve = table(std::iter::once(what).chain(levels.iter().map(String::as_str)), 10);
        let cells = |name: String, of: &dyn Fn(usize) -> f64| {
            std::iter::once(name).chain((0..points.len()).map(|index| fixed(of(index), 5))).collect::<Vec<_>>()
        };
        curve.row(cells(format!("{variant}, mse"), &|index| points[index].mse));
        curve.row(cells("PCA, mse".to_string(), &|index| points[index].pca));
        text += &format!("\n{}", shown(&curve));
    }
    if let (Some(noise), Some(missing)) = (evaluation.noise.first(), evaluation.missing.first()) {
        text += &format!(
            "\nnoise: error to the clean row, of {} rows. missing: error at the hidden values once they are filled in, \
             of {} rows.\n",
            noise.rows, missing.rows
        );
    }
    if let Some(classes) = &evaluation.classes {
        let mut accuracies = table(["accuracy of classes from", "the code", "the input", "PCA"], 10);
        for (name, of) in [("linear probe", &classes.linear), ("5 nearest neighbors", &classes.neighbours)] {
            let Accuracies { code, input, pca } = of;
            accuracies.row([name.to_string(), format!("{code:.4}"), format!("{input:.4}"), format!("{pca:.4}")]);
        }
        text += &format!("\n{}", shown(&accuracies));
        if let Some(accuracy) = classes.most_frequent {
            text += &format!("always naming the most frequent class: {accuracy:.4}\n");
        }
    }
    if !evaluation.copying.is_empty() {
        text += &copying(evaluation);
    }
    if !is_image {
        let mut columns: Vec<_> = evaluation.columns.iter().collect();
        columns.sort_by(|a, b| b.mse.total_cmp(&a.mse));
        let beside = if evaluation.linear_map.is_some() { "linear map" } else { "PCA" };
        let mut errors = table(["error by column", "mse", beside, "the mean"], 12);
        for column in columns.iter().take(COLUMNS) {
            let cells = [column.mse, column.pca, column.mean].map(|error| fixed(error, 6));
            errors.row(std::iter::once(column.name.clone()).chain(cells));
        }
        text += &format!("\n{}", shown(&errors));
        if columns.len() > COLUMNS {
            text += &format!("... and {} columns with smaller errors (`--json` has all)\n", columns.len() - COLUMNS);
        }
    }
    text + "\nmse: squared error per value; sse: per example; fvu: fraction of variance unexplained. Units of the \
            scaled data (`ae explain fvu`).\n"
}
