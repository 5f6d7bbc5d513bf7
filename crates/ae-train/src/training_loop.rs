//! A training, with checkpoints in a folder or in memory.

use std::{path::Path, sync::Arc};

use ae_data::{Batch, Dataset, Scaling, fit::SAMPLE, sharing::Reader};
use ae_model::{Model, Objective, train::begun_alike};
use burn::{
    data::dataset::Dataset as _,
    module::Module,
    tensor::{Device, Tensor, TensorData},
    train::Interrupter,
};

use crate::{
    Reporter, Result,
    config::{Config, Exchanged},
    data::Data,
    device,
    estimate::{Estimate, Work, available_memory, free_disk},
    history::History,
    learner::{Fit, Place},
    metrics::Variances,
    peers::Peers,
    pretrain::Pretrain,
    reconstruction_error::Errors,
    step::trainee,
    trained::Trained,
};

/// Training rows from which a model starts.
const STARTING: usize = 8192;
/// Validation rows on which a model is calibrated.
const CALIBRATION: usize = 32_768;
/// Rows of a batch in the calibration.
const SCORED: usize = 1024;

/// Training steps below which the units of a dictionary have hardly moved.
const FEW_STEPS: usize = 500;
/// Batch size for a dictionary of few rows.
const SMALL_BATCH: usize = 64;

/// A training on data that has been read.
pub(crate) struct Training<'a> {
    pub config: &'a Config,
    pub data: &'a Data,
    /// The device to train on, without autodiff.
    pub device: Device,
    pub reporter: &'a Arc<dyn Reporter>,
    pub interrupter: &'a Interrupter,
    /// With whom it shares its batches.
    pub reader: Option<Arc<Reader>>,
    /// The other processes of this training.
    pub peers: Option<&'a Peers>,
}

impl Training<'_> {
    /// The initial model, which depends only on the seed, and its objective, after checking that the training fits into
    /// memory and, with checkpoints in `folder`, onto the disk. Reports what it needs.
    pub fn begin(&self, folder: Option<&Path>) -> Result<(Model, Objective)> {
        let inputs = self.data.schema.inputs();
        let estimate = Estimate::of(&self.config.model, &inputs, &Work::new(&self.config.training, &self.data.split));
        let is_gpu = !device::is_cpu(&self.device);
        self.reporter.note(&estimate.describe(is_gpu));
        let memory = if is_gpu { None } else { available_memory() };
        let warning = estimate.check(memory, folder.and_then(free_disk), folder.unwrap_or(Path::new("")))?;
        warning.iter().for_each(|warning| self.reporter.warning(warning));
        if self.peers.is_none() && self.config.training.exchange != Exchanged::F32 {
            self.reporter.note("`training.exchange` changes nothing in one process, which exchanges no gradients");
        }
        self.few_steps().iter().for_each(|note| self.reporter.note(note));
        self.never_resampled().iter().for_each(|warning| self.reporter.warning(warning));
        let device = self.device.clone().autodiff();
        let mut model = ae_kernels::alone(self.config.seed, &device, || self.config.model.init(&inputs, &device));
        if self.config.model.reads_rows() {
            let (train, schema) = (&self.data.split.train, &self.data.schema);
            let some = |rows: &Dataset, scaling| self.some_rows(rows, scaling, STARTING, STARTING);
            let x = some(train, &schema.scaling)?.remove(0);
            let target = train.target().map(|target| some(&target, schema.output_scaling())).transpose()?;
            model = model.started_on(x, target.map(|mut batches| batches.remove(0)));
        }
        let objective = Objective { epoch_rows: self.data.split.train.len(), ..self.config.model.objective(&inputs) };
        Ok((model, objective))
    }

    /// A note where a dictionary is trained for few steps: batches that suit a million rows leave few for a thousand.
    fn few_steps(&self) -> Option<String> {
        let training = &self.config.training;
        let (rows, steps) = (self.data.split.train.len(), training.epochs * self.batches());
        if !self.config.model.network.is_dictionary() || steps >= FEW_STEPS {
            return None;
        }
        let batch_size = training.batch_size.min(SMALL_BATCH);
        let (batches, mut advice) = (training.rows_of_epoch(rows).div_ceil(batch_size), Vec::new());
        if batch_size < training.batch_size {
            advice.push(format!("--set training.batch_size={batch_size}"));
        }
        if training.epochs * batches < FEW_STEPS {
            advice.push(format!("--epochs {}", FEW_STEPS.div_ceil(batches)));
        }
        Some(format!(
            "only {steps} training steps, of up to {} rows each: a dictionary usually needs {FEW_STEPS} or more: add \
             `{}`",
            training.batch_size,
            advice.join(" ")
        ))
    }

    /// A warning where resampling is on, but the training too short for it.
    fn never_resampled(&self) -> Option<String> {
        let (every, steps) = (self.config.model.resample.every, self.config.training.epochs * self.batches());
        (every > steps / 2).then(|| {
            format!(
                "no unit is ever resampled: that happens in the first half of the training, {} steps, and \
                 `model.resample.every` is {every}: add `--set model.resample.every={}`",
                steps / 2,
                (steps / 10).max(1)
            )
        })
    }

    /// At most `count` of these rows, spread evenly, in batches of at most `batch`; missing values are 0.
    fn some_rows(&self, rows: &Dataset, scaling: &Scaling, count: usize, batch: usize) -> Result<Vec<Tensor<2>>> {
        let width = rows.rows().width();
        let rows = rows.sample(count * width).thin(count);
        let mut values = rows.scaled(scaling)?;
        values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
        let tensor =
            |rows: &[f32]| Tensor::from_data(TensorData::new(rows.to_vec(), [rows.len() / width, width]), &self.device);
        Ok(values.chunks(batch * width).map(tensor).collect())
    }

    /// The trained model as it is kept: a threshold that depends on rows is
    /// [calibrated](ae_model::Model::calibrated_on), and the atoms of a dictionary have [length
    /// 1](ae_model::Model::folded).
    pub fn finished(&self, model: Model) -> Result<Model> {
        if !self.config.model.reads_rows() {
            return Ok(model);
        }
        let rows = self.some_rows(&self.data.split.validation, &self.data.schema.scaling, CALIBRATION, SCORED)?;
        let (model, found) = model.calibrated_on(rows.into_iter());
        found.iter().for_each(|found| self.reporter.note(found));
        Ok(model.folded())
    }

    /// Number of steps of an epoch.
    pub fn batches(&self) -> usize {
        let training = &self.config.training;
        training.rows_of_epoch(self.data.split.train.len()).div_ceil(training.batch_size)
    }

    /// Trains the remaining epochs. False if it was stopped during pre-training, so that there is nothing to continue
    /// from.
    pub fn run(&self, model: Model, objective: Objective, history: History, place: Place) -> Result<bool> {
        let (config, data) = (self.config, self.data);
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
        let has_begun = place.has_begun();
        let model = match has_begun {
            false => pretrain.run(model)?,
            true => Some(model), // pre-training is part of the checkpoint
        };
        let Some(model) = model else { return Ok(false) };
        let model = match self.peers {
            // A model that continues is in a checkpoint, the same for all.
            Some(peers) if !has_begun => {
                begun_alike(&*peers.connection, peers.rank == 0, model).ok_or_else(|| peers.lost())?
            }
            _ => model,
        };
        let variance = |dataset: &Dataset| -> Result<f64> {
            let wanted = dataset.target().unwrap_or_else(|| dataset.clone()).sample(SAMPLE);
            Ok(Errors::variance_of(&wanted, data.schema.output_scaling())?)
        };
        let fit = Fit {
            config: &config.training,
            seed: config.seed,
            split: &data.split,
            batcher: data.batcher.clone(),
            reader: self.reader.clone(),
            peers: self.peers.cloned(),
            variances: Variances { train: variance(&data.split.train)?, validation: variance(&data.split.validation)? },
            place,
            history,
            reporter: &**self.reporter,
            interrupter: self.interrupter.clone(),
            device: self.device.clone(),
        };
        let mut trainee = trainee(model, objective);
        if let Some(peers) = self.peers {
            let rows = |batch: &Batch| if batch.is_spare { 0 } else { batch.rows.len() };
            let is_rounded = config.training.exchange == Exchanged::Bf16;
            trainee = trainee.with_exchange(peers.connection.clone(), is_rounded, rows);
        }
        let result = fit.run(trainee)?;
        // The dashboard leaves the terminal when its renderer is dropped; nothing is printed before that.
        drop(result.renderer);
        if let Some(peers) = self.peers {
            let different = peers.compare(&result.model.model, self.interrupter.should_stop())?;
            different.iter().for_each(|warning| self.reporter.warning(warning));
        }
        let (units, times) = result.model.resampled();
        if !config.model.resample.is_off() {
            let since = if has_begun { " since the training was resumed" } else { "" };
            self.reporter.note(&format!("{units} units started again, in {times} steps (`model.resample`){since}"));
        }
        Ok(true)
    }

    /// Moves the trained model to the device for results: see [`device::for_results`].
    pub fn trained(&self, model: Model, parameters: usize) -> Trained {
        let device = device::for_results(&self.device, parameters);
        Trained::new(model.to_device(&device), self.data.schema.clone(), self.config.clone(), device)
    }
}
