//! `ae train`: trains a model or continues a run, and prints what it learned.

use std::{
    io::{self, IsTerminal},
    process,
};

use ae_model::{Activation, code::CodeConfig};
use ae_train::{Config, Error, Outcome, Progress, Result, Run, device, evaluation::Figures, run_folder::Summary};
use burn::train::Interrupter;

use crate::{cli::TrainArgs, output::print};

/// Trains, and prints the result.
pub fn run(args: &TrainArgs) -> Result<()> {
    let device = device::open(&args.device)?;
    let run = match &args.resume {
        Some(path) => Run::open(path)?,
        None => Run::create(super::configuration(&args.config)?, args.out.as_deref())?,
    };
    let folder = run.folder.path().display();
    describe(&run, &device.name)?;

    let interrupter = Interrupter::new();
    let stop = interrupter.clone();
    // The second time, a person who does not want to wait for the step to end leaves at once: what is saved is whole at every moment.
    let handler = ctrlc::set_handler(move || if stop.should_stop() { process::exit(1) } else { stop.stop(Some("Ctrl-C")) });
    handler.map_err(|error| Error::Failed(format!("cannot listen for Ctrl-C: {error}")))?;
    let progress = if io::stdout().is_terminal() { Progress::Dashboard } else { Progress::Lines };
    match run.train(device.device.clone(), &device.name, progress, interrupter)? {
        Outcome::Finished(summary) => {
            print(&table(&summary))?;
            if let Some(warning) = dead_units(&summary, &run.config) {
                eprintln!("warning: {warning}");
            }
            let report = run.folder.report_file();
            if !report.exists()
                && let Err(error) = ae_train::report::write(&run, &device.device)
            {
                eprintln!("warning: no report: {error}");
            }
            let page = if report.exists() { format!("report: {}\n", report.display()) } else { String::new() };
            print(&format!("run folder: {folder}\n{page}"))
        }
        Outcome::Interrupted { epochs } => Err(Error::Failed(format!(
            "stopped after {epochs} of {} epochs, all saved; continue with `ae train --resume {folder}`",
            run.config.training.epochs
        ))),
    }
}

/// What is about to be trained, on standard error.
fn describe(run: &Run, device: &str) -> Result<()> {
    let schema = run.folder.schema()?;
    let shape = schema.geometry.map(|geometry| format!(", images of {geometry}")).unwrap_or_default();
    eprintln!(
        "{} on {}: {} features{shape}, {} train / {} validation / {} test rows; scaling {}",
        run.config.variant,
        schema.name,
        schema.d_input,
        schema.train_rows,
        schema.validation_rows,
        schema.test_rows,
        schema.scaling.describe()
    );
    eprintln!(
        "code of {} units, {} epochs on {device}; run folder {}",
        run.config.model.code_dim,
        run.config.training.epochs,
        run.folder.path().display()
    );
    Ok(())
}

/// The result beside its baselines.
pub(super) fn table(summary: &Summary) -> String {
    let row = |name: &str, figures: &Figures| format!("{name:<24}{:>12.6}{:>12.4}{:>12.4}\n", figures.mse, figures.sse, figures.fvu);
    let mut text = format!(
        "\n{}, {} parameters\n\n{:<24}{:>12}{:>12}{:>12}\n",
        match summary.epochs {
            0 => "trained elsewhere".to_string(),
            epochs => format!("{epochs} epochs in {:.1} s (epoch {} kept)", summary.train_seconds, summary.best_epoch),
        },
        summary.parameters,
        "on the test rows",
        "mse",
        "sse",
        "fvu"
    );
    text += &row(&format!("{} ({})", summary.variant, summary.code_dim), &summary.test.model);
    text += &row(&format!("PCA ({})", summary.code_dim.min(summary.d_input)), &summary.test.pca);
    text += &row("predict the mean", &summary.test.mean);
    let code = &summary.code;
    text += &format!(
        "\ncode: {:.1} of {} units active, {} dead, mean activation {:.3}{}, |J|^2 {:.3}\n",
        code.l0,
        summary.code_dim,
        code.dead_units,
        code.mean_activation,
        code.saturation.map(|share| format!(", saturation {share:.3}")).unwrap_or_default(),
        code.jacobian_norm2
    );
    text += "\nmse: squared error per value; sse: per example; fvu: fraction of variance unexplained. Units of the scaled data.\n";
    text
}

/// What to do about units that answer to no test row, if they are more than one in twenty.
fn dead_units(summary: &Summary, config: &Config) -> Option<String> {
    let dead = summary.code.dead_units;
    if dead * 20 <= summary.code_dim {
        return None;
    }
    let model = &config.model;
    let mut advice = Vec::new();
    if let Some(l1) = model.penalty.l1 {
        advice.push(format!("lower `model.penalty.l1.weight` (now {})", l1.weight));
    }
    if let Some(kl_rate) = model.penalty.kl_rate {
        advice.push(format!("raise `model.penalty.kl_rate.rate` (now {})", kl_rate.rate));
    }
    if let CodeConfig::TopK(top_k) = &model.code {
        advice.push(format!("raise `model.code.k_start` (now {}) or `model.code.k` (now {})", top_k.k_start, top_k.k));
    }
    if let CodeConfig::Lifetime(lifetime) = &model.code {
        advice.push(format!("raise `model.code.rate` (now {})", lifetime.rate));
    }
    if model.code.activation() == Activation::Relu {
        advice.push(format!("lower `training.learning_rate` (now {})", config.training.learning_rate));
    }
    advice.push(format!("or lower `model.code_dim` (now {})", summary.code_dim));
    Some(format!("{dead} of {} units of the code answer to no test row: {}", summary.code_dim, advice.join(", ")))
}
