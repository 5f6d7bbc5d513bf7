//! Burn's Learner, configured for a training.

use std::path::Path;

use std::sync::Arc;

use ae_data::{Batcher, Dataset, Loader, Order, Split, sharing::Reader};
use ae_model::{ModuleCode, ModuleDecoder, ModuleEncoder};
use burn::{
    data::dataset::Dataset as _,
    lr_scheduler::LrSchedulerRecord,
    module::Module,
    optim::OptimizerRecord,
    tensor::Device,
    train::{
        Interrupter, Learner, LearningResult, SupervisedTraining, TrainingError, TrainingStrategy,
        checkpoint::CheckpointerError,
    },
};

use crate::{
    Error, Reporter, Result,
    checkpoint::{self, BestAndLast, Epochs, Memory, Nothing, PARTS, Saved, Steps, Within},
    config::{Every, TrainingConfig},
    device,
    early_stopping::{Patience, Together},
    history::History,
    metrics::{self, Variances},
    peers::Peers,
    step::Trainee,
    step_counter::StepCounter,
    strategy::OneDevice,
};

/// Number of steps on a GPU between two reads of the metrics.
const READ_EVERY: usize = 16;
/// Weights times rows of the steps on a CPU that the metrics are told of at once, some milliseconds: the same number of
/// steps whatever the time, so that the figures have the same bits.
const SHORT: usize = 1 << 29;

/// Where the checkpoints of a training go.
pub enum Place<'a> {
    /// Into a folder from which a training can continue.
    Folder {
        /// The folder.
        checkpoints: &'a Path,
        /// The checkpoints that exist already.
        saved: &'a Saved,
        /// When a checkpoint is taken within an epoch.
        every: Every,
    },
    /// Into memory.
    Memory(Memory),
}

impl Place<'_> {
    /// Whether there is a checkpoint to continue from.
    pub fn has_begun(&self) -> bool {
        match self {
            Self::Folder { saved, .. } => saved.last() > 0 || saved.within.is_some(),
            Self::Memory(_) => false,
        }
    }

    /// Number of epochs done already.
    fn done(&self) -> usize {
        match self {
            Self::Folder { saved, .. } => saved.last(),
            Self::Memory(_) => 0,
        }
    }
}

/// Everything that a fit needs in addition to the model.
pub struct Fit<'a> {
    /// How to train.
    pub config: &'a TrainingConfig,
    /// Seed of the order of the examples.
    pub seed: u64,
    /// The rows.
    pub split: &'a Split,
    /// Their scaling.
    pub batcher: Batcher,
    /// With whom it shares its batches.
    pub reader: Option<Arc<Reader>>,
    /// The processes among which each batch is divided, if there are several.
    pub peers: Option<Peers>,
    /// Variances of training and validation rows, for `fvu`.
    pub variances: Variances,
    /// Where checkpoints go.
    pub place: Place<'a>,
    /// The history of the epochs.
    pub history: History,
    /// Receives the progress of the training.
    pub reporter: &'a dyn Reporter,
    /// Stops the training from outside.
    pub interrupter: Interrupter,
    /// The device to train on.
    pub device: Device,
}

impl Fit<'_> {
    /// Trains, and returns the model of the last epoch; the best one is in the checkpoints.
    ///
    /// # Errors
    /// A checkpoint that cannot be read, a folder that cannot be written, or a device that fails.
    pub fn run<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        self,
        trainee: Trainee<E, D, C>,
    ) -> Result<LearningResult<Trainee<E, D, C>>> {
        let plain = self.device.clone().inner();
        let done = self.place.done();
        let within = match &self.place {
            Place::Folder { saved, .. } => saved.within.as_ref(),
            Place::Memory(_) => None,
        };
        let batches = within.map_or(0, |within| within.batches);
        let [train, validation] = self.loaders(&plain);
        let train = train.after(done, batches);
        let batches_of_epoch = train.batches();
        let mut schedule = self.config.schedule(batches_of_epoch)?;
        let (every, at_once) = match device::is_cpu(&plain) {
            true => (1, SHORT / (trainee.num_params() * self.config.batch_size).max(1)),
            false => (READ_EVERY, 1),
        };
        let (steps, total) = (done * batches_of_epoch + batches, self.config.epochs * batches_of_epoch);
        let mut trainee = trainee.after(steps, total).reading_every(every, |batch| batch.is_last);
        trainee = trainee.telling_every(at_once.clamp(1, READ_EVERY));
        let (file, batch_sizes) = (self.history.file()?, self.batch_sizes());
        // The folder is for Burn's own loggers, which are not used here.
        let mut training = SupervisedTraining::new("", Arc::new(train), Arc::new(validation))
            .with_metric_logger(self.history)
            .with_application_logger(None)
            .early_stopping(Together { patience: Patience { epochs: self.config.patience }, peers: self.peers.clone() })
            .with_interrupter(self.interrupter.clone())
            .num_epochs(self.config.epochs)
            .with_training_strategy(TrainingStrategy::Custom(Arc::new(OneDevice(plain.clone()))));
        training = metrics::register(training, &trainee, self.variances);
        let mut resume = (done > 0).then_some(done);
        // What waits to be written at the end.
        let mut waiting = None;
        training = match &self.place {
            Place::Memory(memory) => training
                .with_custom_checkpointers(memory.clone(), Nothing, Nothing)
                .with_checkpointing_strategy(BestAndLast(memory.clone())),
            Place::Folder { checkpoints, .. } => {
                let epochs = waiting.insert(Epochs::new(checkpoints, file, trainee.num_params())?);
                let at = within.map(|within| {
                    (0..within.steps).for_each(|_| drop(schedule.step()));
                    (within.steps, schedule.to_record())
                });
                if let Some(within) = within {
                    // Burn calls it epoch 0 if a training continues within its first epoch.
                    resume = Some(done);
                    warn_within(self.reporter, within);
                }
                let (model, optimizer, scheduler) = checkpoint::files(epochs, at);
                training
                    .with_custom_checkpointers(model, optimizer, scheduler)
                    .with_checkpointing_strategy(BestAndLast(epochs.clone()))
            }
        };
        if let (Place::Folder { checkpoints, every, .. }, Some(epochs)) = (&self.place, &waiting) {
            let watch = Steps::new(checkpoints, epochs.clone(), *every, batches_of_epoch, self.interrupter.clone());
            trainee = trainee.with_watch(Arc::new(watch));
        }
        let renderer = StepCounter::new(self.reporter.renderer(&self.interrupter, resume), batch_sizes);
        training = training.renderer(Box::new(renderer));
        if let Some(epoch) = resume {
            if let Place::Folder { checkpoints, .. } = &self.place {
                check_records(checkpoints, within, epoch, &trainee)?;
            }
            training = training.checkpoint(epoch);
        }
        let result = training.launch(Learner::new(trainee, self.config.optimizer(), schedule));
        // Also after an error: what was complete before it.
        let written = waiting.map_or(Ok(()), |epochs| epochs.write()).map_err(TrainingError::Checkpoint);
        match (&result.error, &written) {
            (Some(error), _) => Err(stopped(error)),
            (None, Err(error)) => Err(stopped(error)),
            (None, Ok(())) => Ok(result),
        }
    }

    /// Rows of a batch in training and in validation.
    fn batch_sizes(&self) -> [usize; 2] {
        let size = self.config.batch_size;
        [size, size.max(256).min(self.split.validation.len())]
    }

    /// Loaders of the training and validation rows, on `device`.
    fn loaders(&self, device: &Device) -> [Loader; 2] {
        let loader = |dataset: &Dataset, order, size: usize| {
            Loader::new(dataset.clone(), self.batcher.clone(), size, order, device.clone())
        };
        let ([size, validation_size], validation) = (self.batch_sizes(), &self.split.validation);
        let (rank, of) = self.peers.as_ref().map_or((0, 1), |peers| (peers.rank, peers.of));
        [
            loader(&self.split.train, Order::Shuffled { seed: self.seed }, size)
                .with_epoch_rows((self.config.epoch_rows > 0).then_some(self.config.epoch_rows))
                .sharing(self.reader.clone())
                .with_part(rank, of),
            loader(validation, Order::Sequential, validation_size),
        ]
    }
}

/// Why a training stopped, in a line.
fn stopped(error: &TrainingError) -> Error {
    Error::Failed(match error {
        // This error names its path.
        TrainingError::Checkpoint(CheckpointerError::IOError(error)) => format!("training stopped: {error}"),
        // Some errors of Burn have several lines.
        error => {
            let error = error.to_string();
            let lines: Vec<&str> = error.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            format!("training stopped: {}", lines.join(" "))
        }
    })
}

/// Warns that the metrics of an epoch cover only a part of it.
fn warn_within(reporter: &dyn Reporter, Within { epoch, batches, of, .. }: &Within) {
    let left = of - batches;
    let cover = format!("its training metrics and seconds cover only the remaining {left} of its {of} batches");
    reporter.warning(&format!("training continues within epoch {epoch}: {cover}"));
}

/// Reads the records from which a training continues: Burn panics on a checkpoint that it cannot use, and an error is
/// one line.
fn check_records<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
    checkpoints: &Path,
    within: Option<&Within>,
    epoch: usize,
    trainee: &Trainee<E, D, C>,
) -> Result<()> {
    let (record, what) = match within {
        Some(within) => (checkpoint::load_step(checkpoints, PARTS[0], within)?, format!("step {}", within.steps)),
        None => (checkpoint::load(checkpoints, PARTS[0], epoch)?, format!("epoch {epoch}")),
    };
    checkpoint::fitted(trainee.clone(), record, &what)?;
    match within {
        Some(within) => drop(checkpoint::load_step::<OptimizerRecord>(checkpoints, PARTS[1], within)?),
        None => {
            checkpoint::load::<OptimizerRecord>(checkpoints, PARTS[1], epoch)?;
            checkpoint::load::<LrSchedulerRecord>(checkpoints, PARTS[2], epoch)?;
        }
    }
    Ok(())
}
