//! Training and using a model in a program: `fit`, then `encode`, `decode`, `reconstruct`, `score`, `predict`,
//! `impute`, `sample`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use ae_data::{Dataset, Scaling};
use burn::{data::dataset::Dataset as _, module::Module, tensor::Device, train::Interrupter};

use crate::{
    Config, Detector, Error, Quiet, Reporter, Result, Run, Trained,
    baseline::Pca,
    checkpoint::{self, Memory},
    data::Data,
    device,
    ending::{Ending, diverged, slower},
    generate::Density,
    history::{History, Losses},
    learner::Place,
    measure::{How, Measured},
    reporter::heard,
    rows::IntoRows,
    run::Outcome,
    step::trainee,
    summary::Summary,
    training_loop::Training,
};

/// Trains models with one configuration. By default it writes no files, reports nothing, and cannot be stopped.
///
/// ```
/// use ae_train::{Config, Trainer};
///
/// # fn main() -> ae_train::Result<()> {
/// // 300 rows of 4 values.
/// let rows: Vec<f32> = (0..1200).map(|i| ((i / 4) as f32 * 0.1 + (i % 4) as f32).sin()).collect();
/// let mut config = Config::of_variant("undercomplete")?;
/// config.model.code_dim = 2;
/// config.training.epochs = 3;
/// let fitted = Trainer::new(config).fit((rows.as_slice(), 4))?;
/// let codes = fitted.encode((rows.as_slice(), 4))?; // [300, 2], row by row
/// let scores = fitted.score((rows.as_slice(), 4))?; // one for each row, about 1 for a typical row
/// assert_eq!((codes.len(), scores.len()), (600, 300));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Trainer {
    config: Config,
    device: Device,
    folder: Option<PathBuf>,
    reporter: Arc<dyn Reporter>,
    interrupter: Interrupter,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { config, device, folder, .. } = self;
        f.debug_struct("Trainer")
            .field("config", config)
            .field("device", device)
            .field("folder", folder)
            .finish_non_exhaustive()
    }
}

impl Trainer {
    /// A trainer on Burn's default device.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            device: Device::default(),
            folder: None,
            reporter: Arc::new(Quiet),
            interrupter: Interrupter::new(),
        }
    }

    /// Trains on another device.
    pub fn on(mut self, device: impl Into<Device>) -> Self {
        self.device = device.into();
        self
    }

    /// Saves the training in a run folder, which must be empty or new, while it proceeds. [`Run`] opens it again.
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Reports progress to `reporter`.
    pub fn reporting_to(mut self, reporter: Arc<dyn Reporter>) -> Self {
        self.reporter = reporter;
        self
    }

    /// Lets `interrupter` stop the training between two steps.
    pub fn stopped_by(mut self, interrupter: Interrupter) -> Self {
        self.interrupter = interrupter;
        self
    }

    /// Trains a model on the training set of `rows`; the best epoch is chosen on the validation set. The rows are split
    /// as `config.data` says.
    ///
    /// # Errors
    /// A setting that does not fit the rows, rows that cannot be used, a device that fails; [`Error::Diverged`], and
    /// [`Error::Interrupted`] if it was stopped early.
    pub fn fit(&self, rows: impl IntoRows) -> Result<Fitted> {
        self.config.check()?;
        heard(&self.reporter, || match &self.folder {
            Some(folder) => self.fit_in(folder, rows),
            None => self.fit_in_memory(rows),
        })
    }

    /// As [`fit`](Self::fit), on the data that `config.data.source` names.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_source(&self) -> Result<Fitted> {
        let source = self.config.data.source.clone();
        self.fit(source.as_str())
    }

    fn fit_in(&self, folder: &Path, rows: impl IntoRows) -> Result<Fitted> {
        let run = Run::create_on(self.config.clone(), rows, Some(folder))?;
        run.notes().iter().for_each(|note| self.reporter.warning(note));
        let name = device::name_of(&self.device);
        match run.train(self.device.clone(), &name, self.reporter.clone(), self.interrupter.clone()) {
            Ok(Outcome::Finished(summary)) => Fitted::of(&run, *summary, &self.device),
            Err(error) => {
                if matches!(error, Error::TooLarge(_)) {
                    run.discard()?;
                }
                Err(error)
            }
            Ok(Outcome::Interrupted { epochs }) => {
                let folder = folder.display();
                Err(Error::Interrupted(format!(
                    "stopped after {epochs} of {} epochs, saved in {folder}",
                    self.config.training.epochs
                )))
            }
        }
    }

    fn fit_in_memory(&self, rows: impl IntoRows) -> Result<Fitted> {
        let mut config = self.config.clone();
        let given = rows.into_rows(&config.reading())?;
        config.data.source = given.source().to_string();
        let data = given.prepared(&config)?;
        data.notes.iter().for_each(|note| self.reporter.warning(note));
        self.trained_in_memory(&config, &data)
    }

    fn trained_in_memory(&self, config: &Config, data: &Data) -> Result<Fitted> {
        let (reporter, interrupter) = (&self.reporter, &self.interrupter);
        let training = Training {
            config,
            data,
            device: self.device.clone().inner(),
            reporter,
            interrupter,
            reader: None,
            peers: None,
        };
        let (model, objective) = training.begin(None)?;
        let parameters = model.num_params();
        let untrained = trainee(model.clone(), objective.clone());
        let (memory, losses) = (Memory::default(), Losses::default());
        let history = History::in_memory(losses.clone(), config.training.epochs, training.batches(), reporter.clone());
        reporter.starts(config, 0);
        let has_begun = training.run(model, objective, history, Place::Memory(memory.clone()))?;
        let losses = losses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let saved = memory.epochs();
        let epochs = saved.last().copied().unwrap_or(0);
        let (best, diverged) = match Ending::of(&losses, &saved, &config.training) {
            Ending::Finished { best } if has_begun => (best, None),
            Ending::Diverged { epoch, best: Some(best) } => {
                reporter.warning(&format!(
                    "the loss became infinite in epoch {epoch}, kept epoch {best}: {}",
                    slower(&config.training)
                ));
                (best, Some(epoch))
            }
            Ending::Diverged { epoch, best: None } => return Err(diverged(&config.training, epoch, None, &losses)),
            _ => {
                return Err(Error::Interrupted(format!("stopped after {epochs} of {} epochs", config.training.epochs)));
            }
        };
        let record = memory.model(best).ok_or_else(|| Error::Failed(format!("epoch {best} was not kept")))?;
        let fitted = checkpoint::fitted(untrained, record, &format!("epoch {best}"))?;
        let model = training.finished(fitted.model.valid())?;
        let seconds = losses.iter().map(|epoch| epoch.seconds).sum();
        let how = How { epochs, best, seconds, parameters, device: device::name_of(&self.device), diverged };
        let trained = training.trained(model, parameters);
        let Measured { summary, pca, detector } = Measured::of(&trained, data, how)?;
        Ok(Fitted { trained, detector, pca, summary })
    }
}

/// Trains on the data that `config.data.source` names, and writes no files.
///
/// # Errors
/// As [`Trainer::fit`].
pub fn fit(config: Config, device: impl Into<Device>) -> Result<Fitted> {
    Trainer::new(config).on(device).fit_source()
}

/// A trained model with its detector and baseline, for rows in memory. For rows of any size, and for results as tables,
/// see [`trained`](Self::trained).
///
/// Its methods take rows with the columns it was trained on, in the units of the data: `(&[f32], width)`, Arrow record
/// batches, or a source. They print nothing, change nothing, and can be called from several threads at once.
///
/// ```no_run
/// use ae_train::Fitted;
/// use burn::tensor::Device;
///
/// let fitted = Fitted::open("run".as_ref(), Device::default())?; // a run that has finished
/// let scores = fitted.score("new.csv")?; // anomaly scores, one for each row
/// let flagged = fitted.predict("new.csv")?; // whether each score is above the threshold
/// let filled = fitted.impute("new.csv")?; // [rows, columns], missing values filled in
/// # let _ = (scores, flagged, filled);
/// # Ok::<(), ae_train::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The model of the best epoch, with its schema and configuration.
    pub trained: Trained,
    /// The anomaly detector; `None` if the model predicts a target.
    pub detector: Option<Detector>,
    /// The principal components of the training rows.
    pub pca: Pca,
    /// The result.
    pub summary: Summary,
}

impl Fitted {
    /// Opens a finished run on this device.
    ///
    /// # Errors
    /// A folder that is not a run folder, a run that has not finished, or files that are damaged.
    pub fn open(folder: &Path, device: impl Into<Device>) -> Result<Self> {
        let run = Run::open(folder)?;
        let summary = run.folder.summary()?.ok_or_else(|| Error::Unfinished { folder: folder.to_owned() })?;
        Self::of(&run, summary, &device.into())
    }

    fn of(run: &Run, summary: Summary, device: &Device) -> Result<Self> {
        let device = device::for_results(device, summary.parameters);
        Ok(Self {
            trained: run.trained(device)?,
            detector: run.folder.detector_if_any()?,
            pca: run.folder.pca()?,
            summary,
        })
    }

    fn rows(&self, rows: impl IntoRows) -> Result<Dataset> {
        rows.into_known(&self.trained)
    }

    /// The code of each row: `[rows, code_dim]`, row by row (scikit-learn's `transform`).
    ///
    /// # Errors
    /// Rows of other columns, or a device that fails.
    pub fn encode(&self, rows: impl IntoRows) -> Result<Vec<f32>> {
        self.trained.codes(&self.rows(rows)?)
    }

    /// Decodes codes (`[rows, code_dim]`, row by row) to rows (`[rows, features]`) in the units of the data
    /// (scikit-learn's `inverse_transform`).
    ///
    /// # Errors
    /// Codes that do not fill whole rows, or a device that fails.
    pub fn decode(&self, codes: &[f32]) -> Result<Vec<f64>> {
        self.trained.decode(codes)
    }

    /// The reconstruction of each row: `[rows, features]` in the units of the data, row by row. A category has a
    /// feature for each of its levels.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn reconstruct(&self, rows: impl IntoRows) -> Result<Vec<f64>> {
        let rows = self.rows(rows)?;
        let mut values = Vec::with_capacity(rows.len() * self.trained.schema.d_output());
        for batch in self.trained.reconstructions(&rows, None) {
            values.extend(batch?.values);
        }
        Ok(values)
    }

    /// The anomaly score of each row: about 1 for a typical row; `NaN` for a row in which every value is missing
    /// (PyOD's `decision_function`).
    ///
    /// # Errors
    /// As [`encode`](Self::encode); a model that predicts a target.
    pub fn score(&self, rows: impl IntoRows) -> Result<Vec<f64>> {
        Ok(self.detector()?.score(&self.trained, &self.rows(rows)?)?.rows)
    }

    /// The anomaly detector.
    ///
    /// # Errors
    /// A model that predicts a target has none.
    pub fn detector(&self) -> Result<&Detector> {
        self.trained.check_reconstructs("has anomaly scores")?;
        Ok(self.detector.as_ref().expect("a model that reconstructs its rows has a detector"))
    }

    /// Whether each row is an anomaly: whether its score is above the detector's threshold. No row is if there is no
    /// threshold.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn predict(&self, rows: impl IntoRows) -> Result<Vec<bool>> {
        let threshold = self.detector()?.threshold().unwrap_or(f64::INFINITY);
        Ok(self.score(rows)?.into_iter().map(|score| score > threshold).collect())
    }

    /// The rows with missing values filled in: `[rows, columns]` in the units of the data, row by row; the cell of a
    /// category is the index of its level. Observed values do not change; `NaN` remains where nothing is known.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); a dictionary, which cannot fill in missing values.
    pub fn impute(&self, rows: impl IntoRows) -> Result<Vec<f64>> {
        self.trained.check_imputes()?;
        self.trained.imputed(&self.rows(rows)?)
    }

    /// Generates rows from the prior of the code: `[count, features]` in the units of the data. The same seed gives the
    /// same rows.
    ///
    /// # Errors
    /// A code without a prior: see [`Trained::code_mixture`].
    pub fn sample(&self, count: usize, seed: u64) -> Result<Vec<f64>> {
        self.decode(&self.trained.sample_codes(&Density::Prior, count, seed)?)
    }

    /// The scaling of the values.
    pub fn scaling(&self) -> &Scaling {
        &self.trained.schema.scaling
    }
}
