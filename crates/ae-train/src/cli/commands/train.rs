//! `ae train`: trains a model or continues a run, and prints what it learned.

use std::{path::PathBuf, sync::Arc};

use ae_model::{
    Activation, Registry,
    code::{BatchTopKConfig, JumpReluConfig, LifetimeConfig, TopKConfig},
    network::{Network, NormKind},
    penalty::{KlRate, L1},
};
use burn::train::Interrupter;
use clap::{Args, ValueHint};
use serde::Serialize;

#[cfg(feature = "remote")]
use crate::cli::{launcher::launch, peers::PeerArgs};
use crate::{
    Config, Error, Reporter, Result, Run, TensorBoard,
    baseline::RANDOM_ROWS,
    card,
    cli::{
        args::ConfigArgs,
        devices,
        entry::{Entry, Group},
        json::document_with,
        log,
        output::{detail, note, print, shown, status, warn},
        signals,
        table::Table,
        terminal::Terminal,
    },
    device::{self, Found},
    digits::fixed,
    evaluation::ReconstructionErrors as Figures,
    run::Learned,
    run_folder::Summary,
};

/// What to train, and where.
#[derive(Debug, Clone, Default, Args)]
pub struct TrainArgs {
    /// Device to train on: auto, or one that `ae devices` lists.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub device: String,
    /// Folder of the run; by default a new one under runs/.
    #[arg(short, long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Continue the run in this folder; with --epochs to that many in all, also if it has ended.
    #[arg(short, long, value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub resume: Option<PathBuf>,
    /// Folder of event files for TensorBoard: each run gets a folder of its name in it.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub tensorboard: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
    /// Several processes.
    #[cfg(feature = "remote")]
    #[command(flatten)]
    pub peers: PeerArgs,
    /// Settings.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// The command.
pub fn entry() -> Entry {
    let examples = &[
        ("ae train", "the default, on handwritten digits"),
        ("ae train -d fashion-mini --code-dim 32 -e 30", "another data set, code and number of epochs"),
        ("ae train -d customers.csv -l churned -i customer", "your own table, with a label and an identifier"),
        ("ae train -s model.network.activation=gelu -s training.batch_size=128", "any setting of `ae config`"),
        ("ae train --resume runs/undercomplete-digits-001 -e 300", "more epochs for a run that has ended"),
    ];
    Entry::new(Group::Train, "train", "Train a model, or continue a run", examples, run).augmented(augment)
}

/// The arguments of a training: those that decide a run have no place beside the run to continue.
pub fn augment(command: clap::Command) -> clap::Command {
    let goes_along = ["epochs", "max_memory"];
    let decide = ConfigArgs::augment_args(clap::Command::new("train"));
    let decide = decide.get_arguments().map(|arg| arg.get_id().clone()).filter(|id| !goes_along.contains(&id.as_str()));
    let others: Vec<clap::Id> = decide.chain([clap::Id::from("out")]).collect();
    TrainArgs::augment_args(command).mut_arg("resume", |arg| arg.conflicts_with_all(others))
}

/// Trains, and prints the result.
pub fn run(args: &TrainArgs, registry: &Registry) -> Result<()> {
    #[cfg(feature = "remote")]
    if let Some(processes) = args.peers.launches() {
        return match launch(processes, &args.peers)? {
            0 => Ok(()),
            // The first process has said why.
            status => std::process::exit(status),
        };
    }
    #[cfg(feature = "remote")]
    if args.peers.is_helper() {
        return help(args, registry);
    }
    let interrupter = Interrupter::new();
    #[cfg(feature = "remote")]
    let peers = args.peers.connect(&interrupter)?;
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
                note(&format!(
                    "{epochs} epochs in all instead of {before}; schedules that change with the training do so over \
                     that length from here on"
                ));
            }
            run
        }
        None => Run::create(super::configuration(&args.config, registry)?, args.out.as_deref())?,
    };
    #[cfg(feature = "remote")]
    let run = match peers {
        Some(peers) => match run.clone().among(peers) {
            Ok(run) => run,
            Err(error) => {
                if args.resume.is_none() {
                    run.discard()?;
                }
                return Err(error);
            }
        },
        None => run,
    };
    let folder = run.folder.path().display();
    super::note(run.notes());
    describe(&run, &chosen)?;

    detail(&format!("the log of warnings is {}", run.folder.path().join("experiment.log").display()));
    log::write_to(&run.folder.path().join("experiment.log"));
    let resume = format!("continue with `ae train --resume {folder}`");
    signals::training(&interrupter, &format!("whole epochs are saved: {resume}"));
    let mut reporter: Arc<dyn Reporter> = Arc::new(Terminal::of_training());
    if let Some(folder) = &args.tensorboard {
        let path = std::path::absolute(run.folder.path()).unwrap_or_default();
        let name = path.file_name().unwrap_or_default();
        reporter = TensorBoard::create(&folder.join(name))?.reporting(reporter);
    }
    let learned = run.learn(device.device.clone(), &device.name, reporter, interrupter);
    let learned = match learned {
        Err(error) => {
            let has_begun = run.folder.metrics_file().exists();
            if !has_begun && args.resume.is_none() {
                run.discard()?;
            }
            return Err(match error {
                Error::PeersLost(reason) if has_begun => Error::PeersLost(format!(
                    "{reason}; whole epochs are saved: {resume}, with or without other processes"
                )),
                error => error,
            });
        }
        Ok(learned) => learned,
    };
    signals::after_training(&format!("the model is saved: {resume} for its result"));
    detail("trained; measuring the model beside its baselines");
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
    if !args.json {
        print(&table(&summary))?;
    }
    if let Some(warning) = dead_units(&summary, &run.config, run.folder.schema()?.scaling.is_unit_range()) {
        warn(&warning);
    }
    detail("measured; writing the report");
    signals::after_training(&format!("the run is complete: `ae report {folder}` makes its page"));
    let report = run.folder.report_file();
    let results = device::for_results(&device.device, summary.parameters);
    if !report.exists()
        && let Err(error) = crate::report::write(&run, &results)
    {
        warn(&format!("no report: {error}"));
    }
    super::note(&card::kept(&run)?);
    detail("done");
    match args.json {
        true => document(&run, &summary)?,
        false => {
            let page = if report.exists() { format!("report: {}\n", report.display()) } else { String::new() };
            print(&format!("run folder: {folder}\n{page}"))?;
        }
    }
    match summary.diverged {
        Some(epoch) => Err(run.diverged(epoch, Some(summary.best_epoch))?),
        None => Ok(()),
    }
}

/// Trains as one of several processes that is not the first: nothing is measured or written.
#[cfg(feature = "remote")]
fn help(args: &TrainArgs, registry: &Registry) -> Result<()> {
    let interrupter = Interrupter::new();
    let peers = args.peers.connect(&interrupter)?;
    // It has a run of its own, which is gone afterwards, and ends when that of the first one ends.
    let place =
        tempfile::tempdir().map_err(|error| Error::Failed(format!("cannot write a temporary folder: {error}")))?;
    let path = place.path().join("run");
    let mut run = match &args.resume {
        Some(resumed) => {
            let resumed = Run::open_with(resumed, registry)?;
            resumed.folder.copy_to(&path)?;
            let mut run = Run::open_with(&path, registry)?;
            if let Some(epochs) = args.config.epochs {
                run.extend(usize::try_from(epochs).unwrap_or(0))?;
            }
            run
        }
        None => Run::create(super::configuration(&args.config, registry)?, Some(&path))?,
    };
    if let Some(peers) = peers {
        run = run.among(peers)?;
    }
    let (rank, of) = (args.peers.rank.unwrap_or(0), args.peers.of.unwrap_or(1));
    signals::training(&interrupter, "");
    let chosen = devices::choose(&args.device)?;
    status(&format!(
        "rank {rank} of {of} processes, on {}: waiting until all have joined; rank 0 writes the run",
        chosen.name
    ));
    let device = chosen.open()?;
    run.learn(device.device, &device.name, Arc::new(Quiet), interrupter).map(drop)
}

/// Prints warnings only.
#[cfg(feature = "remote")]
struct Quiet;

#[cfg(feature = "remote")]
impl Reporter for Quiet {
    fn warning(&self, text: &str) {
        warn(text);
    }
}

/// What is about to be trained, on standard error.
fn describe(run: &Run, device: &Found) -> Result<()> {
    let schema = run.folder.schema()?;
    let shape = schema.geometry.map(|geometry| format!(", images of {geometry}")).unwrap_or_default();
    let target = schema.target.as_ref().map_or(String::new(), |target| {
        format!("; predicts {} features, scaling {}", target.d_output, target.scaling.describe())
    });
    status(&format!(
        "{} on {}: {} features{shape}, {} train / {} validation / {} test rows; scaling {}{target}",
        run.config.variant,
        schema.name,
        schema.d_input,
        schema.train_rows,
        schema.validation_rows,
        schema.test_rows,
        schema.scaling.describe()
    ));
    let hardware = if device.is_gpu() { format!(", {}", device.describe()) } else { String::new() };
    status(&format!(
        "code of {} units, {} epochs on {}{hardware}; run folder {}",
        run.config.model.code_dim,
        run.config.training.epochs,
        device.name,
        run.folder.path().display()
    ));
    if device.is_gpu() {
        status(
            "the first epoch compiles kernels for this GPU and tries which are fastest: seconds to a minute, the \
             first time",
        );
        status("what comes after training is computed on the CPU, if the model fits into its memory");
    }
    Ok(())
}

/// The result as JSON.
pub fn document(run: &Run, summary: &Summary) -> Result<()> {
    #[derive(Serialize)]
    struct Trained<'a> {
        /// The run's folder.
        run: String,
        /// Its page.
        report: Option<String>,
        #[serde(flatten)]
        summary: &'a Summary,
    }
    let report = Some(run.folder.report_file()).filter(|report| report.exists());
    let report = report.map(|report| report.display().to_string());
    let trained = Trained { run: run.folder.path().display().to_string(), report, summary };
    document_with(&trained, &["diverged", "code.saturation"])
}

/// The result beside its baselines.
pub fn table(summary: &Summary) -> String {
    let mut table = Table::new(["on the test rows", "mse", "sse", "fvu"]).at_least(24, 12);
    let mut row = |name: &str, figures: &Figures| {
        table.row([name.to_string(), fixed(figures.mse, 6), fixed(figures.sse, 4), fixed(figures.fvu, 4)]);
    };
    row(&format!("{} ({})", summary.variant, summary.code_dim), &summary.test.model);
    row(&summary.baseline(), &summary.test.pca);
    if let Some(map) = &summary.linear_map {
        row("linear map", map);
    }
    if let Some(random) = &summary.random_dictionary {
        row(&format!("random dictionary ({})", summary.components()), random);
    }
    row("predict the mean", &summary.test.mean);
    let exact = match summary.components() < summary.d_input || summary.linear_map.is_some() {
        true => "",
        false => {
            "PCA with every component is exact, and no baseline: `ae evaluate` and the report take those for 90% of \
             the variance.\n"
        }
    };
    let code = &summary.code;
    let how = match summary.epochs {
        0 => "trained elsewhere".to_string(),
        epochs => format!("{epochs} epochs in {:.1} s (epoch {} kept)", summary.train_seconds, summary.best_epoch),
    };
    let random = match &summary.random_dictionary {
        Some(_) => format!(" random dictionary: of at most {RANDOM_ROWS} test rows."),
        None => String::new(),
    };
    format!(
        "\n{how}, {} parameters\n\n{}{exact}\ncode: {:.1} of {} units active, {} dead, mean activation {:.3}{}, \
         |J|^2 {:.3}\n\nmse: squared error per value; sse: per example; fvu: fraction of variance unexplained. Units \
         of the scaled data (`ae explain fvu`).{random}\n",
        summary.parameters,
        shown(&table),
        code.l0,
        summary.code_dim,
        code.dead_units,
        code.mean_activation,
        code.saturation.map(|share| format!(", saturation {share:.3}")).unwrap_or_default(),
        code.jacobian_norm2
    )
}

/// What to do about units that are never active on the test rows, if they are more than one in twenty.
fn dead_units(summary: &Summary, config: &Config, is_unit_range: bool) -> Option<String> {
    let dead = summary.code.dead_units;
    if dead * 20 <= summary.code_dim {
        return None;
    }
    let model = &config.model;
    let mut advice = Vec::new();
    let is_relu = model.code.activation() == Activation::Relu;
    let is_plain = match &model.network {
        Network::Mlp(network) => !network.hidden.is_empty() && !network.tied && network.norm == NormKind::None,
        Network::Conv(network) => network.norm == NormKind::None,
        Network::Dictionary(_) => false,
    };
    // Where nothing that a unit reads is negative, one whose weights mostly are is never active.
    if is_relu && is_plain {
        advice.push("normalize the layers in front of it with `model.network.norm=batch`".to_string());
    } else if is_unit_range && (is_relu || model.is_sparse()) && !model.reconstruction.reads_logits() {
        advice.push("center the data with `data.scaling=centered`".to_string());
    }
    if let Some(l1) = model.penalty.get::<L1>() {
        advice.push(format!("lower `model.penalty.l1.weight` (now {})", l1.weight));
    }
    if let Some(kl_rate) = model.penalty.get::<KlRate>() {
        advice.push(format!("raise `model.penalty.kl_rate.rate` (now {})", kl_rate.rate));
    }
    if let Some(top_k) = model.code.get::<TopKConfig>() {
        advice.push(format!("raise `model.code.k_start` (now {}) or `model.code.k` (now {})", top_k.k_start, top_k.k));
    }
    if let Some(top_k) = model.code.get::<BatchTopKConfig>() {
        advice.push(format!("raise `model.code.k_start` (now {}) or `model.code.k` (now {})", top_k.k_start, top_k.k));
    }
    if let Some(jump) = model.code.get::<JumpReluConfig>() {
        advice.push(format!("raise `model.code.target` (now {})", jump.target));
    }
    if let Some(lifetime) = model.code.get::<LifetimeConfig>() {
        advice.push(format!("raise `model.code.rate` (now {})", lifetime.rate));
    }
    if is_relu {
        advice.push(format!("lower `training.learning_rate` (now {})", config.training.learning_rate));
    }
    advice.push(format!("or lower `model.code_dim` (now {})", summary.code_dim));
    Some(format!(
        "{dead} of {} units of the code are active on none of the {} test rows that were measured: {}",
        summary.code_dim,
        summary.measured_rows[1],
        advice.join(", ")
    ))
}
