//! `ae evaluate`: everything that can be said of a model on some rows.

use crate::{
    Result, Which,
    evaluate::{Accuracies, Evaluation},
    evaluation::Figures,
};
use ae_data::Options;
use ae_model::Registry;

use crate::cli::{
    args::EvaluateArgs,
    output::{print, say},
};

/// Columns that are listed, at most: those with the largest errors.
const COLUMNS: usize = 12;

/// Prints the figures.
pub fn run(args: &EvaluateArgs, registry: &Registry) -> Result<()> {
    let used = super::use_run(&args.rows, registry)?;
    let trained = &used.trained;
    let train = trained.rows(None, &Options::default(), Which::Train);
    if let (Err(error), true) = (&train, used.rows.rows().labels.is_some()) {
        say(&format!("warning: without the training rows there are no classifiers of the code: {error}"));
    }
    let evaluation = trained.evaluate(&used.rows, &used.run.folder.pca()?, train.ok().as_ref())?;
    super::note(&used.rows.rows().met());
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&evaluation).expect("figures are JSON")));
    }
    print(&table(
        &evaluation,
        &trained.config.variant,
        trained.config.model.code_dim,
        trained.schema.geometry.is_some(),
    ))
}

fn table(evaluation: &Evaluation, variant: &str, code_dim: usize, is_image: bool) -> String {
    let mut text = format!("{:<28}{:>12}{:>12}{:>12}\n", format!("on {} rows", evaluation.rows), "mse", "sse", "fvu");
    let row = |name: &str, figures: &Figures| {
        format!("{name:<28}{:>12.6}{:>12.4}{:>12.4}\n", figures.mse, figures.sse, figures.fvu)
    };
    text += &row(&format!("{variant} ({code_dim})"), &evaluation.errors.model);
    text += &row(&format!("PCA ({})", evaluation.pca_components), &evaluation.errors.pca);
    text += &row("predict the mean", &evaluation.errors.mean);
    if let Some(images) = &evaluation.images {
        text += &format!("\nPSNR {:.2} dB (PCA {:.2})", images.psnr_db, images.psnr_db_pca);
        if let (Some(ssim), Some(pca)) = (images.ssim, images.ssim_pca) {
            text += &format!(", SSIM {ssim:.4} (PCA {pca:.4})");
        }
        text += "\n";
    }
    let code = &evaluation.code;
    text += &format!(
        "\ncode: {:.1} of {code_dim} units active, {} dead, mean activation {:.3}{}, effective rank {:.1}, |J|^2 {:.3}\n",
        code.l0,
        code.dead_units,
        code.mean_activation,
        code.saturation.map(|share| format!(", saturation {share:.3}")).unwrap_or_default(),
        evaluation.effective_rank,
        code.jacobian_norm2
    );
    if let Some(of) = &evaluation.likelihood {
        text += &format!("\n{:<28}{:>12}{:>12}\n", "nats a row, mean", "all rows", format!("{} of them", of.rows));
        text += &format!("{:<28}{:>12.3}\n", "divergence from the prior", of.kl);
        text += &format!("{:<28}{:>12.3}{:>12.3}\n", "evidence lower bound", of.elbo, of.elbo_of_rows);
        text += &format!("{:<28}{:>12}{:>12.3}\n", "log p(x)", "", of.log_likelihood);
        if let Some(pca) = of.pca {
            text +=
                &format!("{:<28}{:>12}{pca:>12.3}\n", format!("log p(x) of PCA ({})", evaluation.pca_components), "");
        }
        text += &format!(
            "log p(x): a lower bound from {} codes a row, of which {:.0} count at the median row{}\n{} of {code_dim} units active (variance of the mean over the rows above 0.01){}\n",
            of.samples,
            of.effective_samples,
            if of.has_unit_variance { "; a squared error alone counts as a variance of 1" } else { "" },
            of.active_units,
            of.deviation
                .map(|deviation| format!("; deviation of a value around its reconstruction {deviation:.4}"))
                .unwrap_or_default(),
        );
    }
    for (what, points) in [("noise of deviation", &evaluation.noise), ("share missing", &evaluation.missing)] {
        text +=
            &format!("\n{what:<28}{}\n", points.iter().map(|point| format!("{:>10}", point.level)).collect::<String>());
        text += &format!(
            "{:<28}{}\n",
            format!("{variant}, mse"),
            points.iter().map(|point| format!("{:>10.5}", point.mse)).collect::<String>()
        );
        text += &format!(
            "{:<28}{}\n",
            "PCA, mse",
            points.iter().map(|point| format!("{:>10.5}", point.pca)).collect::<String>()
        );
    }
    text += "\nnoise: error to the clean row. missing: error at the hidden values once they are filled in.\n";
    if let Some(classes) = &evaluation.classes {
        text += &format!("\n{:<28}{:>10}{:>10}{:>10}\n", "classes told from", "the code", "the input", "PCA");
        let row =
            |name: &str, of: &Accuracies| format!("{name:<28}{:>10.4}{:>10.4}{:>10.4}\n", of.code, of.input, of.pca);
        text += &row("linear probe", &classes.linear);
        text += &row("5 nearest neighbours", &classes.neighbours);
    }
    text += &format!("\n{:<28}{:>12}{:>12}{:>12}\n", "copying meter", "mse", "fvu", "fvu of PCA");
    for copying in &evaluation.copying {
        text += &format!("{:<28}{:>12.6}{:>12.4}{:>12.4}\n", copying.what, copying.mse, copying.fvu, copying.fvu_pca);
    }
    text += "an autoencoder should copy the data and nothing else: a low fvu in the first line, high ones below\n";
    if !is_image {
        let mut columns: Vec<_> = evaluation.columns.iter().collect();
        columns.sort_by(|a, b| b.mse.total_cmp(&a.mse));
        text += &format!("\n{:<28}{:>12}{:>12}{:>12}\n", "error by column", "mse", "PCA", "the mean");
        for column in columns.iter().take(COLUMNS) {
            text += &format!("{:<28}{:>12.6}{:>12.6}{:>12.6}\n", column.name, column.mse, column.pca, column.mean);
        }
        if columns.len() > COLUMNS {
            text += &format!("... and {} columns with smaller errors (`--json` has all)\n", columns.len() - COLUMNS);
        }
    }
    text + "\nmse: squared error per value; sse: per example; fvu: fraction of variance unexplained. Units of the scaled data.\n"
}
