//! A run and its folder.

use std::{path::Path, sync::Arc};

use ae_data::{Dataset, Options, limit::shown, sharing::Reader};
use ae_model::{ConfigError, Model, Registry};
use burn::tensor::Device;

use crate::{
    Error, Result,
    checkpoint::Saved,
    config::Config,
    data::Data,
    ending::{Ending, diverged},
    estimate::{Estimate, Work, available_memory},
    history,
    measure::How,
    peers::Peers,
    rows::IntoRows,
    run_folder::{Lock, RunFolder, Summary},
    trained::{Trained, Which},
};

/// A run with its folder: a training that can be stopped and resumed.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use ae_train::{Config, Run, Which, reporter::Lines};
/// use burn::{tensor::Device, train::Interrupter};
///
/// let config = Config::of_variant("undercomplete")?; // on the built-in digits
/// let run = Run::create(config, Some("run".as_ref()))?;
/// run.train(Device::default(), "flex", Arc::new(Lines), Interrupter::new())?;
///
/// let run = Run::open("run".as_ref())?; // the same run, also in another program; `train` resumes it
/// let trained = run.trained(Device::default())?;
/// let rows = run.rows(&trained, Which::Test)?;
/// let codes = trained.codes(&rows)?; // [rows, code_dim], row by row
/// # let _ = codes;
/// # Ok::<(), ae_train::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Run {
    /// The folder that holds its files.
    pub folder: RunFolder,
    /// The configuration it was created with.
    pub config: Config,
    /// The data, if it has been read already: standard input can be read only once.
    pub(super) data: Option<Arc<Data>>,
    /// With whom it shares the batches of its training.
    pub(super) reader: Option<Arc<Reader>>,
    /// The other processes of its training.
    pub(super) peers: Option<Peers>,
}

/// How a training ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The training finished, with this result.
    Finished(Box<Summary>),
    /// Stopped from outside after this many whole epochs.
    Interrupted {
        /// Epochs that a resumed run does not repeat.
        epochs: usize,
    },
}

/// The state after the training part of a run; see [`Run::learn`].
#[derive(Debug, Clone)]
pub enum Learned {
    /// The run was already finished and measured, with this result.
    Measured(Box<Summary>),
    /// The training has finished, and its best epoch can be measured.
    Ended(Box<Ended>),
    /// Stopped from outside; or done, in a process that is not the [first](crate::peers::Peers::rank) of several, which
    /// has the result.
    Interrupted {
        /// Epochs that a resumed run does not repeat.
        epochs: usize,
        /// If a checkpoint lies within the following epoch: its number of batches that are not repeated, and the number
        /// of batches of the epoch. None if the resumed run begins at the start of that epoch.
        within: Option<[usize; 2]>,
    },
}

/// A finished training that has not been measured yet.
#[derive(Debug, Clone)]
pub struct Ended {
    pub(super) data: Arc<Data>,
    pub(super) trained: Trained,
    pub(super) how: How,
    /// Held until the result is written.
    pub(super) _lock: Arc<Lock>,
}

impl Run {
    /// Creates the folder of a new run and writes its configuration.
    ///
    /// # Errors
    /// Data that cannot be read, a setting that does not fit the data, or a folder that cannot be written.
    pub fn create(config: Config, out: Option<&Path>) -> Result<Self> {
        config.check()?;
        config.check_written()?;
        let data = Arc::new(Data::open(&config)?);
        Self::of(config, data, out)
    }

    /// As [`create`](Self::create), with rows that the program has in memory or has opened itself.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_on(mut config: Config, rows: impl IntoRows, out: Option<&Path>) -> Result<Self> {
        config.check()?;
        config.check_written()?;
        let given = rows.into_rows(&config.reading())?;
        config.data.source = given.source().to_string();
        let data = Arc::new(given.prepared(&config)?);
        Self::of(config, data, out)
    }

    fn of(config: Config, data: Arc<Data>, out: Option<&Path>) -> Result<Self> {
        let folder = RunFolder::create(out, &format!("{}-{}", config.variant, data.schema.name), &config.registry)?;
        let _lock = folder.claim()?;
        folder.write_schema(&data.schema)?;
        folder.write_config(&config)?;
        Ok(Self { folder, config, data: Some(data), reader: None, peers: None })
    }

    /// As [`create`](Self::create), on the data of this run, which is not read again. `config` has the same
    /// `data` and seed.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_beside(&self, config: Config, out: Option<&Path>) -> Result<Self> {
        config.check()?;
        config.check_written()?;
        if !config.has_data_of(&self.config) {
            return Err(Error::Usage("runs on the same data have the same `data` and `seed`".to_string()));
        }
        let data = self.read()?;
        data.suits(&config)?;
        Self::of(config, data, out)
    }

    /// Lets these runs, of which each has the same data, seed and batch size, train on the same batches: each batch is
    /// gathered once. They must be trained at the same time, each in a thread of its own, or they wait for each other.
    ///
    /// # Errors
    /// Data that cannot be read; runs of which data, seed, batch size or rows of an epoch differ.
    pub fn together(mut runs: Vec<Self>) -> Result<Vec<Self>> {
        let Some(first) = runs.first().cloned() else { return Ok(runs) };
        let data = first.read()?;
        let readers = Reader::of(runs.len());
        for (run, reader) in runs.iter_mut().zip(readers) {
            let fingerprint = run.folder.schema()?.fingerprint;
            if !run.config.has_batches_of(&first.config) || fingerprint != data.schema.fingerprint {
                return Err(Error::Usage(format!(
                    "{} and {} cannot be trained on the same batches: their data, `seed`, `training.batch_size` or \
                     `training.epoch_rows` differ",
                    first.folder.path().display(),
                    run.folder.path().display()
                )));
            }
            run.data = Some(data.clone());
            run.reader = Some(Arc::new(reader));
        }
        let estimate = |run: &Self| {
            Estimate::of(&run.config.model, &data.schema.inputs(), &Work::new(&run.config.training, &data.split))
        };
        let of_each = |run: &Self| estimate(run).memory() - estimate(run).rows;
        let needed = runs.iter().map(of_each).fold(estimate(&first).rows, u64::saturating_add);
        if let Some(free) = available_memory().filter(|free| needed > *free) {
            return Err(Error::TooLarge(format!(
                "{} trainings at the same time need about {} of memory, and {} are available: train them one after the \
                 other",
                runs.len(),
                shown(needed),
                shown(free)
            )));
        }
        Ok(runs)
    }

    /// Sets that this run is trained together with other processes, of which each has a run with the same configuration
    /// and data.
    ///
    /// # Errors
    /// A model that can only be trained in one process.
    pub fn among(mut self, peers: Peers) -> Result<Self> {
        Peers::check(&self.config)?;
        self.peers = Some(peers);
        Ok(self)
    }

    /// Its data, which is read if it has not been.
    fn read(&self) -> Result<Arc<Data>> {
        match &self.data {
            Some(data) => Ok(data.clone()),
            None => Ok(Arc::new(Data::open(&self.config)?)),
        }
    }

    /// Removes the folder of a run that has not started: the files that [`create`](Self::create) wrote, and the folder
    /// itself if it is empty then.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn discard(&self) -> Result<()> {
        match self.folder.checkpoints().exists() || self.folder.metrics_file().exists() {
            true => Ok(()),
            false => self.folder.discard(),
        }
    }

    /// Notes about the run's data: what was guessed, left out or looks doubtful, one sentence each. Empty if the data
    /// has not been read yet.
    pub fn notes(&self) -> &[String] {
        self.data.as_ref().map_or(&[], |data| &data.notes)
    }

    /// Opens an existing run.
    ///
    /// # Errors
    /// A folder that is not a run folder, or whose files are damaged.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Registry::default())
    }

    /// As [`open`](Self::open), for a run whose model has parts of this registry.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: &Path, registry: &Registry) -> Result<Self> {
        let folder = RunFolder::open(path, registry)?;
        let config = folder.config()?;
        Ok(Self { folder, config, data: None, reader: None, peers: None })
    }

    /// The same run with rows that the program has in memory. Needed to continue a run that was created with
    /// [`create_on`](Self::create_on).
    ///
    /// # Errors
    /// Rows that cannot be used. [`train`](Self::train) refuses rows that are not those of the run.
    pub fn with_rows(self, rows: impl IntoRows) -> Result<Self> {
        let data = rows.into_rows(&self.config.reading())?.prepared(&self.config)?;
        Ok(Self { data: Some(Arc::new(data)), ..self })
    }

    /// Extends the training to `epochs` epochs in total, also if it has finished: its result and its report are
    /// removed, and [`train`](Self::train) continues. A learning rate or code that changes during training follows the
    /// new length from there on.
    ///
    /// # Errors
    /// Fewer epochs than are trained already, a run without checkpoints, or a folder that cannot be written.
    pub fn extend(&mut self, epochs: usize) -> Result<()> {
        let _lock = self.folder.lock()?;
        let saved = Saved::of(&self.folder.checkpoints())?;
        let done = saved.last();
        if epochs <= done {
            let allowed = format!("more than the {done} already trained");
            return Err(ConfigError::new("training.epochs", epochs, allowed).into());
        }
        if done == 0 && self.folder.summary()?.is_some() {
            let reason = "this run has finished and kept no checkpoints to continue from (`checkpoint.keep`)";
            return Err(Error::Failed(format!(
                "{}: {reason}: train again with `--epochs {epochs}`",
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
                    format!("early stopping: {patience} epochs (`training.patience`) were no better than epoch {best}");
                return Err(Error::Failed(format!("{reason}: train again with a larger `training.patience`")));
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

    /// The model of the best epoch together with its schema and configuration, ready to be used.
    ///
    /// # Errors
    /// Weights that are missing or damaged.
    pub fn trained(&self, device: impl Into<Device>) -> Result<Trained> {
        let device = device.into().inner();
        Ok(Trained::new(self.folder.model(&device)?, self.folder.schema()?, self.config.clone(), device))
    }

    /// Rows of the run's own data. They are not read again if they are in memory already.
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

    /// How the training stands, given the saved epochs.
    pub(super) fn stands(&self, saved: &Saved) -> Result<Ending> {
        if saved.sound.is_empty() {
            return Ok(Ending::Open { best: None });
        }
        Ok(Ending::of(&history::losses(&self.folder.metrics_file())?, &saved.sound, &self.config.training))
    }

    /// The error for a loss that became infinite in this epoch; another epoch may have been kept.
    pub(crate) fn diverged(&self, epoch: usize, kept: Option<usize>) -> Result<Error> {
        Ok(diverged(&self.config.training, epoch, kept, &history::losses(&self.folder.metrics_file())?))
    }
}
