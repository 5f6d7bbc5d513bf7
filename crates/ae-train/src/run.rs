//! A run from its configuration to its result.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use ae_data::{Batcher, Dataset, Options, Scaling, table::differences};
use ae_model::{ConfigError, Model, Registry};
use burn::{module::Module, tensor::Device, train::Interrupter};

use crate::{
    Error, Result, card,
    checkpoint::{self, Saved},
    config::{Config, Keep},
    data::Data,
    ending::Ending,
    history::{self, History},
    learner::Place,
    reporter::{Reporter, heard},
    rows::IntoRows,
    run_folder::{Lock, RunFolder, Schema, Summary},
    step::trainee,
    trained::{Trained, Which},
    training::{How, Measured, Training},
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
    /// Stopped from outside.
    Interrupted {
        /// Epochs that a resumed run does not train again.
        epochs: usize,
        /// Of the epoch behind them the batches that it does not train again, and how many there are; none if it
        /// begins with that epoch.
        within: Option<[usize; 2]>,
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

    /// The same with rows that a program has in memory, or opened by itself.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_on(mut config: Config, rows: impl IntoRows, out: Option<&Path>) -> Result<Self> {
        config.check()?;
        config.check_written()?;
        let given = rows.into_rows(&config.reading())?;
        config.data.source = given.source().to_string();
        let data = given.prepared(&config)?;
        Self::of(config, data, out)
    }

    fn of(config: Config, data: Data, out: Option<&Path>) -> Result<Self> {
        let folder = RunFolder::create(out, &format!("{}-{}", config.variant, data.schema.name), &config.registry)?;
        let _lock = folder.claim()?;
        folder.write_schema(&data.schema)?;
        folder.write_config(&config)?;
        Ok(Self { folder, config, data: Some(Arc::new(data)) })
    }

    /// Removes the folder of a run that has not begun: what [`create`](Self::create) wrote, and the folder if nothing
    /// else is in it.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn discard(&self) -> Result<()> {
        match self.folder.checkpoints().exists() || self.folder.metrics_file().exists() {
            true => Ok(()),
            false => self.folder.discard(),
        }
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

    /// The same run with its rows, which a program has in memory: what a run that was made with
    /// [`create_on`](Self::create_on) goes on with.
    ///
    /// # Errors
    /// Rows that cannot be used; [`train`](Self::train) refuses others than those of the run.
    pub fn with_rows(self, rows: impl IntoRows) -> Result<Self> {
        let data = rows.into_rows(&self.config.reading())?.prepared(&self.config)?;
        Ok(Self { data: Some(Arc::new(data)), ..self })
    }

    /// Has the training take `epochs` epochs in all, also if it has ended: its result and its page go, and
    /// [`train`](Self::train) goes on. A learning rate and a code that change with the training do so over the new
    /// length from there on.
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
            let reason = "this run has ended and kept no checkpoints to go on from (`checkpoint.keep`)";
            return Err(Error::Failed(format!(
                "{}: {reason}: train anew with `--epochs {epochs}`",
                self.folder.path().display()
            )));
        }
        self.config.training.epochs = epochs;
        self.config.check()?;
        match self.stands(&saved)? {
            Ending::Open { .. } => {}
            Ending::Finished { best } => {
                let patience = self.config.training.patience;
                let reason =
                    format!("{patience} epochs were no better than epoch {best}, which is the patience of this run");
                return Err(Error::Failed(format!("{reason}: train anew with another `training.patience`")));
            }
            Ending::Diverged { epoch, .. } => return Err(self.diverged(epoch, None)?),
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

    /// Trains what is left to train, measures the best epoch and writes the result. A run that has ended only gives its
    /// result back. `device` is where it trains; it is measured on the CPU (see
    /// [`for_results`](crate::device::for_results)).
    ///
    /// # Errors
    /// Whatever stops a training: data that has changed, a damaged checkpoint, a full disk, a device that fails, a loss
    /// that diverges.
    pub fn train(
        &self,
        device: impl Into<Device>,
        device_name: &str,
        reporter: Arc<dyn Reporter>,
        interrupter: Interrupter,
    ) -> Result<Outcome> {
        match self.learn(device, device_name, reporter.clone(), interrupter)? {
            Learned::Measured(summary) => Ok(Outcome::Finished(summary)),
            Learned::Ended(ended) => Ok(Outcome::Finished(Box::new(heard(&reporter, || self.measure(*ended))?))),
            Learned::Interrupted { epochs, .. } => Ok(Outcome::Interrupted { epochs }),
        }
    }

    /// The first half of [`train`](Self::train), which `interrupter` stops: trains, and writes the model of the best
    /// epoch.
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
        let device = device.into();
        heard(&reporter.clone(), || self.learn_heard(device, device_name, reporter, interrupter))
    }

    fn learn_heard(
        &self,
        device: Device,
        device_name: &str,
        reporter: Arc<dyn Reporter>,
        interrupter: Interrupter,
    ) -> Result<Learned> {
        if let Some(summary) = self.folder.summary()? {
            return Ok(Learned::Measured(Box::new(summary)));
        }
        let lock = Arc::new(self.folder.lock()?);
        let data = match &self.data {
            Some(data) => data.clone(),
            None => Arc::new(Data::open(&self.config)?),
        };
        self.check_data(&data)?;
        let training = Training {
            config: &self.config,
            data: &data,
            device: device.inner(),
            reporter: &reporter,
            interrupter: &interrupter,
        };
        let (model, objective) = training.begin(Some(self.folder.path()))?;
        let parameters = model.num_params();

        let checkpoints = self.folder.checkpoints();
        let saved = Saved::of(&checkpoints)?.for_batches(training.batches());
        saved.warnings().for_each(|warning| reporter.warning(&warning));
        let untrained = trainee(model.clone(), objective.clone());
        if matches!(self.stands(&saved)?, Ending::Open { .. }) {
            checkpoint::clean(&checkpoints, &saved)?;
            std::fs::create_dir_all(&checkpoints).map_err(|error| Error::at("create", &checkpoints, error))?;
            let (metrics, epochs) = (self.folder.metrics_file(), self.config.training.epochs);
            let history = History::open(&metrics, epochs, training.batches(), saved.last(), reporter.clone())?;
            let place = Place::Folder { checkpoints: &checkpoints, saved: &saved, every: self.config.checkpoint.every };
            let batches = saved.within.as_ref().map_or(0, |within| within.batches);
            reporter.starts(&self.config, saved.last() * training.batches() + batches);
            if !training.run(model, objective, history, place)? {
                return Ok(Learned::Interrupted { epochs: 0, within: None });
            }
        }
        let saved = Saved::of(&checkpoints)?;
        let epochs = saved.last();
        let within = saved.within.as_ref().map(|within| [within.batches, within.of]);
        let (best, diverged, has_ended) = match self.stands(&saved)? {
            Ending::Open { best: None } => return Ok(Learned::Interrupted { epochs, within }),
            Ending::Open { best: Some(best) } => (best, None, false),
            Ending::Finished { best } => (best, None, true),
            Ending::Diverged { epoch, best: Some(best) } => {
                reporter.warning(&format!(
                    "the loss became infinite in epoch {epoch}, kept epoch {best}: {}",
                    self.config.slower()
                ));
                (best, Some(epoch), true)
            }
            Ending::Diverged { epoch, best: None } => return Err(self.diverged(epoch, None)?),
        };
        let model = checkpoint::restore(untrained, &checkpoints, best)?.model.valid();
        self.folder.write_model(&model)?;
        if !has_ended {
            return Ok(Learned::Interrupted { epochs, within });
        }

        let losses = history::losses(&self.folder.metrics_file())?;
        let seconds = losses.iter().filter(|epoch| epoch.epoch <= epochs).map(|epoch| epoch.seconds).sum();
        let trained = training.trained(model, parameters);
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

    /// The loss became infinite in this epoch; another one may have been kept.
    pub(crate) fn diverged(&self, epoch: usize, kept: Option<usize>) -> Result<Error> {
        Ok(self.config.diverged(epoch, kept, &history::losses(&self.folder.metrics_file())?))
    }

    /// Whether the data is that of the run.
    fn check_data(&self, data: &Data) -> Result<()> {
        let known = self.folder.schema()?;
        // A folder of an earlier version is gone on with.
        if (Schema { format: known.format, ..data.schema.clone() }) == known {
            return Ok(());
        }
        let names = |schema: &Schema| schema.columns.iter().map(|column| column.name.clone()).collect::<BTreeSet<_>>();
        let (before, now) = (names(&known), names(&data.schema));
        let lists = [before.difference(&now).collect::<Vec<_>>(), now.difference(&before).collect()];
        let what =
            if before == now { String::new() } else { format!(" ({})", differences(&lists[0], &lists[1], "the run")) };
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
            scaling
                .check(data.schema.d_input)
                .map_err(|reason| Error::Failed(format!("the weights cannot be used: {reason}")))?;
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

    /// The second half of [`train`](Self::train): measures a trained model and writes what was measured. A run that is
    /// stopped here is measured anew when it is resumed.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn measure(&self, Ended { data, trained, how, _lock }: Ended) -> Result<Summary> {
        let (last, best) = (how.epochs, how.best);
        let hardware = (last > 0).then(card::hardware);
        let measured = Measured::of(&trained, &data, how)?;
        card::write(&self.folder, &trained, &measured, &data.split.test, hardware)?;
        let Measured { summary, pca, detector } = measured;
        self.folder.write_pca(&pca)?;
        self.folder.write_detector(&detector)?;
        self.folder.write_summary(&summary)?;
        match self.config.checkpoint.keep {
            Keep::Last => checkpoint::clear(&self.folder.checkpoints(), &[last, best])?,
            Keep::None => checkpoint::clear(&self.folder.checkpoints(), &[])?,
            Keep::All => {}
        }
        Ok(summary)
    }
}
