//! A run from its configuration to its result.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal},
    ops::Deref,
    path::Path,
    sync::Arc,
};

use ae_data::{Batcher, DataError, Dataset, Options, Scaling, Sets, Split, Unknown, fit::SAMPLE, source, table::differences};
use ae_model::{ConfigError, Model, Objective, Registry};
use burn::{data::dataset::Dataset as _, module::Module, tensor::Device, train::Interrupter};

use crate::{
    Error, Result,
    anomaly::{Detector, FALSE_ALARMS, PCA_SHARE},
    baseline::{Matrix, Pca, mean_errors},
    checkpoint::{self, Saved},
    config::Config,
    device,
    ending::Ending,
    evaluation::{Errors, code_figures, model_errors},
    history::{self, History},
    learner::Fit,
    metrics::Variances,
    pretrain::Pretrain,
    reporter::{Quiet, Reporter},
    run_folder::{Lock, Part, RunFolder, Schema, Summary},
    step::trainee,
    trained::{Trained, Which, fingerprint_of},
};

/// A run and its folder.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where everything is.
    pub folder: RunFolder,
    /// What it was made from.
    pub config: Config,
    /// Its data, if it was read already: standard input can be read but once.
    data: Option<Arc<Data>>,
}

/// How a training ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// With its result.
    Finished(Box<Summary>),
    /// Stopped from outside, after this many whole epochs.
    Interrupted {
        /// Epochs that a resumed run does not train again.
        epochs: usize,
    },
}

/// What a training left to measure; see [`Run::learn`].
#[derive(Debug, Clone)]
pub enum Learned {
    /// Nothing: the run was measured before, with this result.
    Measured(Box<Summary>),
    /// The model of its best epoch.
    Ended(Box<Ended>),
    /// Stopped from outside, after this many whole epochs.
    Interrupted {
        /// Epochs that a resumed run does not train again.
        epochs: usize,
    },
}

/// A training that has ended and is not measured yet.
#[derive(Debug, Clone)]
pub struct Ended {
    data: Arc<Data>,
    trained: Trained,
    how: How,
    /// Until the result is written.
    _lock: Arc<Lock>,
}

/// What a training gave, without a folder: the trained model, to be used at once, and the result.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The model of the best epoch and what belongs to it.
    pub trained: Trained,
    /// What its scores of the training rows are like.
    pub detector: Detector,
    /// The principal components of the training rows.
    pub pca: Pca,
    /// The result.
    pub summary: Summary,
}

impl Deref for Fitted {
    type Target = Trained;

    fn deref(&self) -> &Trained {
        &self.trained
    }
}

/// Trains without showing or keeping anything: what a program or an experiment wants that goes on with the model.
///
/// # Errors
/// As [`Run::create`] and [`Run::train`].
pub fn fit(config: Config, device: impl Into<Device>) -> Result<Fitted> {
    fitted(device.into(), |folder| Run::create(config, Some(folder)))
}

/// The same on rows that a program has in memory, or opened by itself.
///
/// # Errors
/// As [`Run::create_on`] and [`Run::train`].
pub fn fit_on(config: Config, sets: Sets, device: impl Into<Device>) -> Result<Fitted> {
    fitted(device.into(), |folder| Run::create_on(config, sets, Some(folder)))
}

fn fitted(device: Device, create: impl FnOnce(&Path) -> Result<Run>) -> Result<Fitted> {
    let folder = tempfile::tempdir().map_err(|error| Error::Failed(format!("cannot make a temporary folder: {error}")))?;
    let run = create(&folder.path().join("run"))?;
    match run.train(device.clone(), "", Arc::new(Quiet), Interrupter::new())? {
        Outcome::Finished(summary) => {
            Ok(Fitted { trained: run.trained(device)?, detector: run.folder.detector()?, pca: run.folder.pca()?, summary: *summary })
        }
        Outcome::Interrupted { .. } => Err(Error::Failed("nothing interrupts this training".to_string())),
    }
}

/// What tells the data of a configuration from any other; it is read for that.
///
/// # Errors
/// Data that cannot be read.
pub fn data_fingerprint(config: &Config) -> Result<String> {
    Ok(cut(config, source::open_with(&config.data.source, &config.reading())?)?.fingerprint)
}

/// The parts of some data, its columns as the training rows know them.
struct Parts {
    split: Split,
    /// The class that is learned from alone, if one is.
    normal: Option<String>,
    fingerprint: String,
}

fn cut(config: &Config, sets: Sets) -> Result<Parts> {
    let has_test = sets.test.is_some();
    let (split, normal) = config.cut(sets)?;
    let split = split.as_trained_on(config.data.read.unknown == Some(Unknown::Refuse))?;
    let fingerprint = fingerprint_of(split.train.rows(), has_test.then(|| split.test.rows()))?;
    Ok(Parts { split, normal, fingerprint })
}

/// The data of a run, ready to be gathered.
#[derive(Debug)]
struct Data {
    split: Split,
    schema: Schema,
    batcher: Batcher,
    /// What was guessed, left out or is doubtful about it, in sentences.
    notes: Vec<String>,
}

impl Run {
    /// Makes the folder of a new run and writes its configuration.
    ///
    /// # Errors
    /// Data that cannot be read, a setting that does not suit it, or a folder that cannot be written.
    pub fn create(config: Config, out: Option<&Path>) -> Result<Self> {
        config.check()?;
        config.check_written()?;
        let data = Data::open(&config)?;
        Self::of(config, data, out)
    }

    /// The same with rows that a program has in memory, or opened by itself: see [`Rows::new`](ae_data::Rows::new),
    /// [`from_batches`](ae_data::source::from_batches).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_on(mut config: Config, sets: Sets, out: Option<&Path>) -> Result<Self> {
        config.check()?;
        config.check_written()?;
        config.data.source = String::new();
        let data = Data::of(&config, sets)?;
        Self::of(config, data, out)
    }

    fn of(config: Config, data: Data, out: Option<&Path>) -> Result<Self> {
        let folder = RunFolder::create(out, &format!("{}-{}", config.variant, data.schema.name), &config.registry)?;
        let _lock = folder.claim()?;
        folder.write_schema(&data.schema)?;
        folder.write_config(&config)?;
        Ok(Self { folder, config, data: Some(Arc::new(data)) })
    }

    /// What was guessed, left out or is doubtful about the run's data, in sentences; nothing if it was not read yet.
    pub fn notes(&self) -> &[String] {
        self.data.as_ref().map_or(&[], |data| &data.notes)
    }

    /// A run that was made before.
    ///
    /// # Errors
    /// A folder that is not a run's, or whose files are damaged.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Registry::default())
    }

    /// The same, whose model has parts of this registry.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: &Path, registry: &Registry) -> Result<Self> {
        let folder = RunFolder::open(path, registry)?;
        let config = folder.config()?;
        Ok(Self { folder, config, data: None })
    }

    /// Has the training take `epochs` epochs in all, also if it has ended: its result and its page go, and [`train`](Self::train) goes on. A learning rate
    /// and a code that change with the training do so over the new length from there on.
    ///
    /// # Errors
    /// Fewer epochs than are trained already, a run without checkpoints, or a folder that cannot be written.
    pub fn extend(&mut self, epochs: usize) -> Result<()> {
        let _lock = self.folder.lock()?;
        let saved = Saved::of(&self.folder.checkpoints())?;
        let done = saved.last();
        if epochs <= done {
            let allowed = format!("more than the {done} that are trained already");
            return Err(ConfigError::new("training.epochs", epochs, allowed).into());
        }
        if done == 0 && self.folder.summary()?.is_some() {
            let reason = "this run has ended and has no checkpoints to go on from";
            return Err(Error::Failed(format!("{}: {reason}: train anew with `--epochs {epochs}`", self.folder.path().display())));
        }
        self.config.training.epochs = epochs;
        self.config.check()?;
        match self.stands(&saved)? {
            Ending::Open { .. } => {}
            Ending::Finished { best } => {
                let patience = self.config.training.patience;
                let reason = format!("{patience} epochs were no better than epoch {best}, which is the patience of this run");
                return Err(Error::Failed(format!("{reason}: train anew with another `training.patience`")));
            }
            Ending::Diverged { epoch, .. } => return Err(Error::Diverged { epoch, advice: self.slower() }),
        }
        self.folder.write_config(&self.config)?;
        self.folder.reopen()
    }

    /// The model of the best epoch.
    ///
    /// # Errors
    /// Weights that are missing or damaged.
    pub fn model(&self, device: impl Into<Device>) -> Result<Model> {
        self.folder.model(&device.into())
    }

    /// The model of the best epoch with what is known about its data, ready to be used.
    ///
    /// # Errors
    /// Weights that are missing or damaged.
    pub fn trained(&self, device: impl Into<Device>) -> Result<Trained> {
        let device = device.into().inner();
        Ok(Trained::new(self.folder.model(&device)?, self.folder.schema()?, self.config.clone(), device))
    }

    /// Rows of the run's own data, without reading them again if they were read already.
    ///
    /// # Errors
    /// As [`Trained::rows`].
    pub fn rows(&self, trained: &Trained, which: Which) -> Result<Dataset> {
        match (&self.data, which) {
            (Some(data), Which::Train) => Ok(data.split.train.clone()),
            (Some(data), Which::Validation) => Ok(data.split.validation.clone()),
            (Some(data), Which::Test | Which::Unseen) => Ok(data.split.test.clone()),
            _ => trained.rows(None, &Options::default(), which),
        }
    }

    /// Trains what is left to train, measures the best epoch and writes the result. A run that has ended only gives its result back. `device` is
    /// where it trains; it is measured on the CPU (see [`device::for_results`]).
    ///
    /// # Errors
    /// Whatever stops a training: data that has changed, a damaged checkpoint, a full disk, a device that fails, a loss that diverges.
    pub fn train(
        &self,
        device: impl Into<Device>,
        device_name: &str,
        reporter: Arc<dyn Reporter>,
        interrupter: Interrupter,
    ) -> Result<Outcome> {
        match self.learn(device, device_name, reporter, interrupter)? {
            Learned::Measured(summary) => Ok(Outcome::Finished(summary)),
            Learned::Ended(ended) => Ok(Outcome::Finished(Box::new(self.measure(*ended)?))),
            Learned::Interrupted { epochs } => Ok(Outcome::Interrupted { epochs }),
        }
    }

    /// The first half of [`train`](Self::train), which `interrupter` stops: trains, and writes the model of the best epoch.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn learn(
        &self,
        device: impl Into<Device>,
        device_name: &str,
        reporter: Arc<dyn Reporter>,
        interrupter: Interrupter,
    ) -> Result<Learned> {
        if let Some(summary) = self.folder.summary()? {
            return Ok(Learned::Measured(Box::new(summary)));
        }
        let lock = Arc::new(self.folder.lock()?);
        let device = device.into();
        let data = match &self.data {
            Some(data) => data.clone(),
            None => Arc::new(Data::open(&self.config)?),
        };
        self.check_data(&data)?;
        let plain = device.clone().inner();
        device.seed(self.config.seed);
        let objective = self.config.model.objective(&data.schema.inputs());
        let model = self.config.model.init(&data.schema.inputs(), &plain.clone().autodiff());
        let parameters = model.num_params();

        let checkpoints = self.folder.checkpoints();
        let saved = Saved::of(&checkpoints)?;
        saved.warnings().for_each(|warning| reporter.warning(&warning));
        let untrained = trainee(model.clone(), objective.clone());
        if matches!(self.stands(&saved)?, Ending::Open { .. }) {
            checkpoint::clean(&checkpoints, &saved)?;
            let done = saved.last();
            let fit = FitRun { run: self, data: &data, done, device: &plain, reporter: &reporter, interrupter: &interrupter };
            if !fit.run(model, objective)? {
                return Ok(Learned::Interrupted { epochs: 0 });
            }
        }
        let saved = Saved::of(&checkpoints)?;
        let epochs = saved.last();
        let (best, diverged, has_ended) = match self.stands(&saved)? {
            Ending::Open { best: None } => return Ok(Learned::Interrupted { epochs }),
            Ending::Open { best: Some(best) } => (best, None, false),
            Ending::Finished { best } => (best, None, true),
            Ending::Diverged { epoch, best: Some(best) } => {
                reporter.warning(&format!("the loss became infinite in epoch {epoch}, kept epoch {best}: {}", self.slower()));
                (best, Some(epoch), true)
            }
            Ending::Diverged { epoch, best: None } => return Err(Error::Diverged { epoch, advice: self.slower() }),
        };
        let model = checkpoint::restore(untrained, &checkpoints, best)?.model.valid();
        self.folder.write_model(&model)?;
        if !has_ended {
            return Ok(Learned::Interrupted { epochs });
        }

        let losses = history::losses(&self.folder.metrics_file())?;
        let seconds = losses.iter().filter(|epoch| epoch.epoch <= epochs).map(|epoch| epoch.seconds).sum();
        let device = device::for_results(&plain, parameters);
        let trained = Trained::new(model.to_device(&device), data.schema.clone(), self.config.clone(), device);
        let how = How { epochs, best, seconds, parameters, device: device_name.to_string(), diverged };
        Ok(Learned::Ended(Box::new(Ended { data, trained, how, _lock: lock })))
    }

    /// How the training stands, of which this was saved.
    fn stands(&self, saved: &Saved) -> Result<Ending> {
        if saved.sound.is_empty() {
            return Ok(Ending::Open { best: None });
        }
        Ok(Ending::of(&history::losses(&self.folder.metrics_file())?, &saved.sound, &self.config.training))
    }

    /// What to do about a loss that diverges.
    pub(crate) fn slower(&self) -> String {
        format!("lower `training.learning_rate` (now {}) or set `training.gradient_clip`", self.config.training.learning_rate)
    }

    /// Whether the data is that of the run.
    fn check_data(&self, data: &Data) -> Result<()> {
        let known = self.folder.schema()?;
        if data.schema == known {
            return Ok(());
        }
        let names = |schema: &Schema| schema.columns.iter().map(|column| column.name.clone()).collect::<BTreeSet<_>>();
        let (before, now) = (names(&known), names(&data.schema));
        let lists = [before.difference(&now).collect::<Vec<_>>(), now.difference(&before).collect()];
        let what = if before == now { String::new() } else { format!(" ({})", differences(&lists[0], &lists[1], "the run")) };
        Err(Error::DataChanged { source_name: self.config.data.source.clone(), what })
    }

    /// A run whose model was trained elsewhere: `model` gives it, once the data is known. `scaling` is offset
    /// and scale of each feature, if the model came with them; else they are fitted to the data.
    ///
    /// # Errors
    /// As [`create`](Self::create), and whatever `model` fails with.
    pub fn import(
        config: Config,
        out: Option<&Path>,
        device: &Device,
        scaling: Option<[Vec<f64>; 2]>,
        model: impl FnOnce(Model) -> Result<Model>,
    ) -> Result<(Self, Summary)> {
        config.check()?;
        let mut data = Data::open(&config)?;
        if let Some([offset, scale]) = scaling {
            if offset.len() != data.schema.d_input {
                let (found, expected) = (offset.len(), data.schema.d_input);
                return Err(Error::Failed(format!("the weights scale {found} features, but the data has {expected}")));
            }
            let scaling = Scaling { offset, scale, ..data.schema.scaling };
            scaling.check(data.schema.d_input).map_err(|reason| Error::Failed(format!("the weights cannot be used: {reason}")))?;
            data.batcher = Batcher::new(scaling.clone());
            data.schema.scaling = scaling;
        }
        let model = model(config.model.init(&data.schema.inputs(), device))?;
        let folder = RunFolder::create(out, &format!("{}-{}", config.variant, data.schema.name), &config.registry)?;
        let lock = Arc::new(folder.claim()?);
        folder.write_schema(&data.schema)?;
        folder.write_config(&config)?;
        folder.write_model(&model)?;
        let data = Arc::new(data);
        let run = Self { folder, config, data: Some(data.clone()) };
        let parameters = model.num_params();
        let trained = Trained::new(model, data.schema.clone(), run.config.clone(), device.clone());
        let how = How { epochs: 0, best: 0, seconds: 0.0, parameters, device: "elsewhere".to_string(), diverged: None };
        let summary = run.measure(Ended { data, trained, how, _lock: lock })?;
        Ok((run, summary))
    }

    /// The second half of [`train`](Self::train): measures a trained model and writes what was measured. A run that is stopped here is measured
    /// anew when it is resumed.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn measure(&self, Ended { data, trained, how, _lock }: Ended) -> Result<Summary> {
        let rows = Measured::new(&data);
        trained.device.seed(self.config.seed);
        let code = code_figures(&trained.model, &rows.test, &data.batcher, &trained.device)?;
        let (train, test, pca) = rows.parts(&trained)?;
        self.folder.write_pca(&pca)?;
        self.folder.write_detector(&Detector::fit(&trained, &data.split.train, &data.split.validation, &pca, FALSE_ALARMS)?)?;
        let summary = Summary {
            variant: self.config.variant.clone(),
            data: data.schema.name.clone(),
            device: how.device,
            d_input: data.schema.d_input,
            code_dim: self.config.model.code_dim,
            parameters: how.parameters,
            epochs: how.epochs,
            best_epoch: how.best,
            train_seconds: how.seconds,
            seed: self.config.seed,
            train,
            test,
            measured_rows: [rows.train.len(), rows.test.len()],
            code,
            diverged: how.diverged,
        };
        self.folder.write_summary(&summary)?;
        Ok(summary)
    }
}

/// How a training went.
#[derive(Debug, Clone)]
struct How {
    epochs: usize,
    best: usize,
    seconds: f64,
    parameters: usize,
    device: String,
    diverged: Option<usize>,
}

/// What is left to train of a run.
struct FitRun<'a> {
    run: &'a Run,
    data: &'a Data,
    /// Epochs that were saved.
    done: usize,
    device: &'a Device,
    reporter: &'a Arc<dyn Reporter>,
    interrupter: &'a Interrupter,
}

impl FitRun<'_> {
    /// Trains; whether there is anything of it, which there is not if it was stopped while layers were pre-trained.
    fn run(&self, model: Model, objective: Objective) -> Result<bool> {
        let (config, data) = (&self.run.config, self.data);
        let pretrain = Pretrain {
            config: &config.training,
            seed: config.seed,
            objective: objective.clone(),
            rows: &data.split.train,
            batcher: &data.batcher,
            device: self.device.clone().autodiff(),
            reporter: &**self.reporter,
            interrupter: self.interrupter,
        };
        let model = match self.done {
            0 => pretrain.run(model)?,
            _ => Some(model), // the checkpoint has what it led to
        };
        let Some(model) = model else { return Ok(false) };
        let variance = |dataset: &Dataset| -> Result<f64> {
            let values = dataset.sample(SAMPLE).scaled(&data.schema.scaling)?;
            Ok(mean_variance(Matrix { values: &values, width: data.schema.d_input }))
        };
        let metrics = self.run.folder.metrics_file();
        let fit = Fit {
            config: &config.training,
            seed: config.seed,
            split: &data.split,
            batcher: data.batcher.clone(),
            variances: Variances { train: variance(&data.split.train)?, validation: variance(&data.split.validation)? },
            folder: self.run.folder.path(),
            done: self.done,
            history: History::open(&metrics, config.training.epochs, self.done, self.reporter.clone())?,
            reporter: &**self.reporter,
            interrupter: self.interrupter.clone(),
            device: self.device.clone(),
        };
        let result = fit.run(trainee(model, objective))?;
        // The dashboard leaves the terminal when its renderer is dropped; nothing is said before.
        drop(result.renderer);
        Ok(true)
    }
}

fn mean_variance(rows: Matrix) -> f64 {
    let mut errors = Errors::new(&rows);
    rows.values.chunks_exact(rows.width).for_each(|row| errors.add(row, |_| 0.0));
    errors.variance_per_value()
}

impl Data {
    fn open(config: &Config) -> Result<Self> {
        if config.data.source == "-" && io::stdin().is_terminal() {
            return Err(Error::Usage(
                "`--data -` reads a table from standard input: pipe one in, such as `ae --data - < rows.csv`".to_string(),
            ));
        }
        Self::of(config, source::open_with(&config.data.source, &config.reading())?)
    }

    fn of(config: &Config, sets: Sets) -> Result<Self> {
        let name = sets.name.clone();
        let mut notes = sets.train.notes.clone();
        notes.extend(sets.test.iter().flat_map(|test| [test.notes.clone(), test.met()].concat()));
        let Parts { split, normal, fingerprint } = cut(config, sets)?;
        notes.extend(split.notes.clone());
        if let Some(normal) = normal.as_ref().filter(|_| config.data.normal.is_none()) {
            notes.push(format!("`{normal}` is taken for the normal class (`--normal` names another)"));
        }
        for column in config.data.group.iter().chain(&config.data.time) {
            notes.push(format!("column `{column}` cuts the data, and is not learned from"));
        }
        if !split.train.varies()? {
            return Err(DataError::Constant { name, rows: split.train.len() }.into());
        }
        let rows = split.train.rows();
        let scaling = Scaling::fit(config.data.scaling, &split.train)?;
        let schema = Schema {
            name,
            d_input: rows.width(),
            train_rows: split.train.len(),
            validation_rows: split.validation.len(),
            test_rows: split.test.len(),
            geometry: rows.geometry,
            label_names: rows.label_names.clone(),
            normal,
            scaling: scaling.clone(),
            columns: rows.encoding().map(|encoding| encoding.columns().to_vec()).unwrap_or_default(),
            carried: if rows.encoding().is_some() { rows.carried_names() } else { Vec::new() },
            white: rows.white,
            element: rows.geometry.map_or(String::new(), |_| rows.element().name().to_string()),
            blank_rows: if rows.encoding().is_some() { rows.blank_rows().to_vec() } else { Vec::new() },
            fingerprint,
        };
        config.variant()?.check(&config.model, &schema.inputs()).map_err(|error| error.within("model"))?;
        let loss = &config.model.reconstruction;
        if loss.reads_logits() && !scaling.is_unit_range() {
            let advice = "which needs inputs in [0, 1]: set `data.scaling` to min_max";
            return Err(Error::Usage(format!("`model.reconstruction` is {}, {advice}", loss.name())));
        }
        Ok(Self { batcher: Batcher::new(scaling), schema, split, notes })
    }
}

/// The rows that the result is measured on: all of them, or a sample of those that stay in their file.
struct Measured {
    train: Dataset,
    test: Dataset,
}

impl Measured {
    fn new(data: &Data) -> Self {
        let train = data.split.train.union(&data.split.validation);
        Self { train: train.sample(SAMPLE), test: data.split.test.sample(SAMPLE) }
    }

    /// The model beside its baselines, on the training rows (validation included: PCA needs none held out) and on the test rows; and the
    /// principal components of the training rows, as many as the code has units or as explain most of the variance, whichever are more.
    fn parts(&self, trained: &Trained) -> Result<(Part, Part, Pca)> {
        let width = trained.schema.d_input;
        let train_values = self.train.scaled(&trained.schema.scaling)?;
        let train = Matrix { values: &train_values, width };
        let k = trained.config.model.code_dim;
        let all = Pca::fit_share(train, k, PCA_SHARE)?;
        let (pca, mean) = (all.first(k), train.mean());
        let part = |dataset: &Dataset, rows: Matrix| -> Result<Part> {
            Ok(Part {
                model: model_errors(&trained.model, dataset, &trained.batcher, rows, &trained.device)?.figures(),
                pca: pca.errors(rows).figures(),
                mean: mean_errors(&mean, rows).figures(),
            })
        };
        let test_values = self.test.scaled(&trained.schema.scaling)?;
        let parts = (part(&self.train, train)?, part(&self.test, Matrix { values: &test_values, width })?);
        Ok((parts.0, parts.1, all))
    }
}
