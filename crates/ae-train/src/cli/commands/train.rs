//! `ae train`: trains a model or continues a run, and prints what it learned.

use ae_model::Registry;
use std::sync::Arc;

use crate::{
    Config, Error, Reporter, Result, Run, TensorBoard, card,
    device::{self, Found},
    evaluation::Figures,
    run::Learned,
    run_folder::Summary,
};
use ae_model::{
    Activation,
    code::{LifetimeConfig, TopKConfig},
    penalty::{KlRate, L1},
};
use burn::train::Interrupter;

use crate::cli::{
    args::TrainArgs,
    devices, log,
    output::{print, say},
    signals,
    terminal::Terminal,
};

/// Trains, and prints the result.
pub fn run(args: &TrainArgs, registry: &Registry) -> Result<()> {
    let chosen = devices::choose(&args.device)?;
    let device = chosen.open()?;
    let run = match &args.resume {
        Some(path) => {
            let mut run = Run::open_with(path, registry)?;
            super::say_source(&run);
            // A matter of this machine, not of the run.
            run.config.data.read.max_memory = args.config.read.max_memory.or(run.config.data.read.max_memory);
            if let Some(epochs) = args.config.epochs {
                let before = run.config.training.epochs;
                run.extend(usize::try_from(epochs).unwrap_or(0))?;
                say(&format!(
                    "note: {epochs} epochs in all instead of {before}; what changes with the training does so over that length from here on"
                ));
            }
            run
        }
        None => Run::create(super::configuration(&args.config, registry)?, args.out.as_deref())?,
    };
    let folder = run.folder.path().display();
    super::note(run.notes());
    describe(&run, &chosen)?;

    log::write_to(&run.folder.path().join("experiment.log"));
    let resume = format!("continue with `ae train --resume {folder}`");
    let interrupter = Interrupter::new();
    signals::training(&interrupter, &format!("whole epochs are saved: {resume}"));
    let mut reporter: Arc<dyn Reporter> = Arc::new(Terminal::of_training());
    if let Some(folder) = &args.tensorboard {
        let path = std::path::absolute(run.folder.path()).unwrap_or_default();
        let name = path.file_name().unwrap_or_default();
        reporter = TensorBoard::create(&folder.join(name))?.reporting(reporter);
    }
    let learned = run.learn(device.device.clone(), &device.name, reporter, interrupter);
    if matches!(learned, Err(Error::TooLarge(_))) && args.resume.is_none() {
        run.discard()?;
    }
    let learned = learned?;
    signals::after_training(&format!("the model is saved: {resume} for its result"));
    let summary = match learned {
        Learned::Measured(summary) => *summary,
        Learned::Ended(ended) => run.measure(*ended)?,
        Learned::Interrupted { epochs, within } => {
            let of = run.config.training.epochs;
            let within = within.map(|[done, of]| format!(" and {done} of {of} batches")).unwrap_or_default();
            return Err(Error::Interrupted(format!(
                "stopped after {epochs} of {of} epochs{within}, all saved; {resume}"
            )));
        }
    };
    print(&table(&summary))?;
    if let Some(warning) = dead_units(&summary, &run.config) {
        say(&format!("warning: {warning}"));
    }
    signals::after_training(&format!("the run is complete: `ae report {folder}` makes its page"));
    let report = run.folder.report_file();
    let results = device::for_results(&device.device, summary.parameters);
    if !report.exists()
        && let Err(error) = crate::report::write(&run, &results)
    {
        say(&format!("warning: no report: {error}"));
    }
    super::note(&card::kept(&run)?);
    let page = if report.exists() { format!("report: {}\n", report.display()) } else { String::new() };
    print(&format!("run folder: {folder}\n{page}"))?;
    match summary.diverged {
        Some(epoch) => Err(run.diverged(epoch, Some(summary.best_epoch))?),
        None => Ok(()),
    }
}

/// What is about to be trained, on standard error.
fn describe(run: &Run, device: &Found) -> Result<()> {
    let schema = run.folder.schema()?;
    let shape = schema.geometry.map(|geometry| format!(", images of {geometry}")).unwrap_or_default();
    say(&format!(
        "{} on {}: {} features{shape}, {} train / {} validation / {} test rows; scaling {}",
        run.config.variant,
        schema.name,
        schema.d_input,
        schema.train_rows,
        schema.validation_rows,
        schema.test_rows,
        schema.scaling.describe()
    ));
    let hardware = if device.is_gpu() { format!(", {}", device.describe()) } else { String::new() };
    say(&format!(
        "code of {} units, {} epochs on {}{hardware}; run folder {}",
        run.config.model.code_dim,
        run.config.training.epochs,
        device.name,
        run.folder.path().display()
    ));
    if device.is_gpu() {
        say(
            "the first epoch compiles kernels for this GPU and tries which are fastest: seconds to a minute, the first time",
        );
        say("what comes after training is computed on the CPU, if the model fits into its memory");
    }
    Ok(())
}

/// The result beside its baselines.
pub(super) fn table(summary: &Summary) -> String {
    let row = |name: &str, figures: &Figures| {
        format!("{name:<24}{:>12.6}{:>12.4}{:>12.4}\n", figures.mse, figures.sse, figures.fvu)
    };
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
    if let Some(l1) = model.penalty.get::<L1>() {
        advice.push(format!("lower `model.penalty.l1.weight` (now {})", l1.weight));
    }
    if let Some(kl_rate) = model.penalty.get::<KlRate>() {
        advice.push(format!("raise `model.penalty.kl_rate.rate` (now {})", kl_rate.rate));
    }
    if let Some(top_k) = model.code.get::<TopKConfig>() {
        advice.push(format!("raise `model.code.k_start` (now {}) or `model.code.k` (now {})", top_k.k_start, top_k.k));
    }
    if let Some(lifetime) = model.code.get::<LifetimeConfig>() {
        advice.push(format!("raise `model.code.rate` (now {})", lifetime.rate));
    }
    if model.code.activation() == Activation::Relu {
        advice.push(format!("lower `training.learning_rate` (now {})", config.training.learning_rate));
    }
    advice.push(format!("or lower `model.code_dim` (now {})", summary.code_dim));
    Some(format!("{dead} of {} units of the code answer to no test row: {}", summary.code_dim, advice.join(", ")))
}
