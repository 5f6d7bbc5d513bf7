//! Burn's Learner, put together from a configuration.

use std::path::Path;

use ae_data::{Batcher, Dataset, Loader, Order, Split};
use ae_kernels::{Adam, AdamW};
use ae_model::{ModuleCode, ModuleDecoder, ModuleEncoder};
use burn::{
    data::dataset::Dataset as _,
    grad_clipping::GradientClippingConfig,
    lr_scheduler::{
        cosine::CosineAnnealingLrSchedulerConfig, linear::LinearLrSchedulerConfig, module_lr_scheduler::ModuleLrScheduler,
        sequential::SequentialLrSchedulerConfig,
    },
    optim::ModuleOptimizer,
    tensor::Device,
    train::{Interrupter, Learner, LearningResult, SupervisedTraining},
};

use crate::{
    Error, Reporter, Result,
    checkpoint::{self, BestAndLast, Files, PARTS, Patience},
    config::{Optimizer, Schedule, TrainingConfig},
    device,
    history::History,
    log::Warnings,
    metrics::{self, Variances},
    step::Trainee,
};

/// Steps on a GPU between two readings of what they measured.
const READ_EVERY: usize = 16;

/// Everything that a fit needs beside the model.
pub struct Fit<'a> {
    /// How to train.
    pub config: &'a TrainingConfig,
    /// Seed of the order of the examples.
    pub seed: u64,
    /// The rows.
    pub split: &'a Split,
    /// Their scaling.
    pub batcher: Batcher,
    /// Variances of the parts, for `fvu`.
    pub variances: Variances,
    /// Where checkpoints and logs go.
    pub folder: &'a Path,
    /// Epochs that are done already: 0, or those of the checkpoint to resume from.
    pub done: usize,
    /// The record of the epochs.
    pub history: History,
    /// What hears of the training.
    pub reporter: &'a dyn Reporter,
    /// What stops it from outside.
    pub interrupter: Interrupter,
    /// Where it runs.
    pub device: Device,
}

impl TrainingConfig {
    /// The optimizer, with PyTorch's epsilon (Burn's default is a thousand times larger).
    pub fn optimizer(&self) -> ModuleOptimizer {
        let clipping = (self.gradient_clip > 0.0).then_some(GradientClippingConfig::Norm(self.gradient_clip as f32));
        let decay = self.weight_decay as f32;
        let optimizer: ModuleOptimizer = match self.optimizer {
            Optimizer::Adam => Adam::default().with_weight_decay(decay).into(),
            Optimizer::AdamW => AdamW::new(decay).into(),
        };
        match clipping {
            Some(clipping) => optimizer.with_grad_clipping(clipping.init()),
            None => optimizer,
        }
    }

    /// The learning rate at each step, for epochs of `batches` steps.
    ///
    /// # Errors
    /// A learning rate that Burn's schedules do not take.
    pub fn schedule(&self, batches: usize) -> Result<ModuleLrScheduler> {
        let warmup = self.warmup_epochs * batches;
        let steps = self.epochs * batches - warmup;
        let rate = self.learning_rate;
        let cosine = CosineAnnealingLrSchedulerConfig::new(rate, steps);
        let constant = LinearLrSchedulerConfig::new(rate, rate, steps);
        let rise = LinearLrSchedulerConfig::new(rate / warmup.max(1) as f64, rate, warmup.max(1));
        let schedule = match (self.schedule, warmup) {
            (Schedule::Constant, 0) => Ok(ModuleLrScheduler::new(rate)),
            (Schedule::Cosine, 0) => cosine.init(),
            (Schedule::Constant, _) => SequentialLrSchedulerConfig::new(vec![rise.into(), constant.into()], vec![warmup]).init(),
            (Schedule::Cosine, _) => SequentialLrSchedulerConfig::new(vec![rise.into(), cosine.into()], vec![warmup]).init(),
        };
        schedule.map_err(|reason| Error::Usage(format!("`training.learning_rate` is {rate}: {reason}")))
    }
}

impl Fit<'_> {
    /// Trains, and gives the model of the last epoch back: the best one is in the checkpoints.
    ///
    /// # Errors
    /// A checkpoint that cannot be read, a folder that cannot be written, or a device that fails.
    pub fn run<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        self,
        trainee: Trainee<E, D, C>,
    ) -> Result<LearningResult<Trainee<E, D, C>>> {
        let checkpoints = self.folder.join("checkpoint");
        std::fs::create_dir_all(&checkpoints).map_err(|error| Error::at("create", &checkpoints, error))?;
        if self.done > 0 {
            // Burn panics on a checkpoint that it cannot use: look first, and say it in a sentence.
            checkpoint::restore(trainee.clone(), &checkpoints, self.done)?;
            checkpoint::load::<burn::optim::OptimizerRecord>(&checkpoints, PARTS[1], self.done)?;
            checkpoint::load::<burn::lr_scheduler::LrSchedulerRecord>(&checkpoints, PARTS[2], self.done)?;
        }

        let plain = self.device.clone().inner();
        let loader = |dataset: &Dataset, order, size: usize| Loader::new(dataset.clone(), self.batcher.clone(), size, order, plain.clone());
        let order = Order::Shuffled { seed: self.seed };
        let train = loader(&self.split.train, order, self.config.batch_size).after(self.done);
        let validation =
            loader(&self.split.validation, Order::Sequential, self.config.batch_size.max(256).min(self.split.validation.len()));
        let schedule = self.config.schedule(train.batches())?;
        let every = if device::is_cpu(&plain) { 1 } else { READ_EVERY };
        let trainee =
            trainee.after(self.done * train.batches(), self.config.epochs * train.batches()).reading_every(every, |batch| batch.is_last);

        let [model, optimizer, scheduler] = Files::of(&checkpoints);
        let mut training = SupervisedTraining::new(self.folder, std::sync::Arc::new(train), std::sync::Arc::new(validation))
            .with_metric_logger(self.history)
            .with_application_logger(Some(Box::new(Warnings::new(&self.folder.join("experiment.log")))))
            .with_custom_checkpointers(model, optimizer, scheduler)
            .with_checkpointing_strategy(BestAndLast::new(&checkpoints)?)
            .early_stopping(Patience { epochs: self.config.patience })
            .with_interrupter(self.interrupter.clone())
            .num_epochs(self.config.epochs);
        training = metrics::register(training, &trainee, self.variances);
        let resume = (self.done > 0).then_some(self.done);
        training = training.renderer(self.reporter.renderer(&self.interrupter, resume));
        if let Some(epoch) = resume {
            training = training.checkpoint(epoch);
        }
        let result = training.launch(Learner::new(trainee, self.config.optimizer(), schedule));
        match &result.error {
            Some(error) => Err(Error::Failed(format!("training stopped: {error}"))),
            None => Ok(result),
        }
    }
}
