//! Training with Burn's Learner.

mod exchange;
mod output;
mod silent;

use std::{
    fmt::Debug,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use burn::{
    lr_scheduler::module_lr_scheduler::ModuleLearningRate,
    module::Module,
    optim::{GradientsParams, ModuleOptimizer, OptimizerRecord},
    store::ModuleRecord,
    tensor::Tensor,
    train::{InferenceStep, TrainOutput, TrainStep},
};
pub use exchange::{Exchange, begun_alike};
use output::Readings;
pub use output::{Reading, Statistics, StepOutput};
pub use silent::Silent;

use crate::{
    AnyCode, Autoencoder, Jacobian, ModuleCode, ModuleDecoder, ModuleEncoder, Objective, Sample,
    jacobian::Method,
    resample::{Candidates, Start},
};

/// Rows of a validation batch for which the derivative of the code is measured during training. For all rows it took 3
/// to 9% of an epoch on digits. A trained network is measured once, on more rows.
const JACOBIAN_ROWS: usize = 64;

/// A batch of a loader: any type that can be cloned, printed and sent to another thread.
pub trait Batch: Clone + Debug + Send + 'static {}

impl<B: Clone + Debug + Send + 'static> Batch for B {}

/// An observer of the steps of a training run, which takes checkpoints within an epoch.
pub trait Watch: Debug + Send + Sync {
    /// Whether it wants the records after this number of steps.
    fn wants(&self, steps: usize) -> bool;

    /// Receives the records of the trainee and of its optimizer after this number of steps.
    fn take(&self, steps: usize, trainee: ModuleRecord, optimizer: OptimizerRecord);
}

/// The other processes of a training.
#[derive(Debug)]
struct Others<B> {
    exchange: Arc<dyn Exchange>,
    is_rounded: bool,
    /// Returns how many rows of a batch count.
    rows: fn(&B) -> usize,
    /// That number for the last step.
    last: Arc<AtomicUsize>,
}

// Derived, it would need batches that can be cloned.
impl<B> Clone for Others<B> {
    fn clone(&self) -> Self {
        Self { exchange: self.exchange.clone(), is_rounded: self.is_rounded, rows: self.rows, last: self.last.clone() }
    }
}

/// From what units start again: a step leaves its rows to the optimization that follows it.
#[derive(Debug, Clone, Default)]
struct Resampling(Arc<Mutex<Resampled>>);

#[derive(Debug, Default)]
struct Resampled {
    candidates: Option<Candidates>,
    /// Number of units that started again.
    units: usize,
    /// Number of steps in which some did.
    times: usize,
}

impl Resampling {
    fn lock(&self) -> MutexGuard<'_, Resampled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, start: &Start) {
        let mut resampled = self.lock();
        resampled.units += start.units;
        resampled.times += 1;
    }
}

/// A model with its objective, as Burn's Learner trains it.
///
/// `B` is the type of a loader's batches: a [`Sample`], a tensor of rows, or [a type of your own](Self::of_batches).
#[derive(Module, Debug)]
pub struct Trainee<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode = AnyCode, B: Batch = Sample> {
    /// The model, which is kept after training.
    pub model: Autoencoder<E, D, C>,
    /// The objective to minimize.
    #[module(skip)]
    pub objective: Objective,
    /// Number of optimizer steps done.
    #[module(skip)]
    pub steps: usize,
    /// Number of optimizer steps of the whole training, for parts that change during training; 0 if unknown.
    #[module(skip)]
    pub steps_total: usize,
    /// Returns the rows of a batch.
    #[module(skip)]
    sample: fn(B) -> Sample,
    /// Returns whether a batch is the last one of its epoch.
    #[module(skip)]
    is_last: fn(&B) -> bool,
    /// When the measurements of the steps are read.
    #[module(skip)]
    readings: Readings,
    /// The observer of its steps.
    #[module(skip)]
    watch: Option<Arc<dyn Watch>>,
    /// The other processes of this training.
    #[module(skip)]
    others: Option<Others<B>>,
    /// From what units start again, and how many did.
    #[module(skip)]
    resampling: Resampling,
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode, B: Batch + Into<Sample>> Trainee<E, D, C, B> {
    /// A model to train for `objective`, on samples or on tensors of rows.
    pub fn new(model: Autoencoder<E, D, C>, objective: Objective) -> Self {
        Self::of_batches(model, objective, <B as Into<Sample>>::into)
    }
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode, B: Batch> Trainee<E, D, C, B> {
    /// A model to train for `objective`, on batches whose rows `sample` returns.
    pub fn of_batches(model: Autoencoder<E, D, C>, mut objective: Objective, sample: fn(B) -> Sample) -> Self {
        let model = objective.after_step(model, 1.0);
        Self {
            model,
            objective,
            steps: 0,
            steps_total: 0,
            sample,
            is_last: |_| true,
            readings: Readings::default(),
            watch: None,
            others: None,
            resampling: Resampling::default(),
        }
    }

    /// How many units were [resampled](crate::Resample) so far, and in how many steps.
    pub fn resampled(&self) -> (usize, usize) {
        let resampling = self.resampling.lock();
        (resampling.units, resampling.times)
    }

    /// Fraction of the training that is done after `steps` steps; 1 without a known end, where parts that change during
    /// training are as at the end.
    fn progress(steps: usize, total: usize) -> f64 {
        if total > 0 { steps as f64 / total as f64 } else { 1.0 }
    }

    /// Sets that the measurements are read only every `steps` steps, at the first and the last step of an epoch, and
    /// before the unread ones take much memory. Default: every step.
    ///
    /// Reading makes the program wait for a GPU. `is_last` returns whether a batch is the last one of its epoch.
    pub fn reading_every(mut self, steps: usize, is_last: fn(&B) -> bool) -> Self {
        self.readings.every = steps.max(1);
        self.is_last = is_last;
        self
    }

    /// Sets that the metrics are told of this number of steps at once, where steps are so short that telling takes a
    /// part of their time. It is for a loop that asks each output whether it is [due](StepOutput::due). Default: 1.
    pub fn telling_every(mut self, steps: usize) -> Self {
        self.readings.at_once = steps.max(1);
        self
    }

    /// Sets the observer of its steps.
    pub fn with_watch(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Sets that other processes train the same model on other parts of each batch: the gradients are the mean of all.
    /// `rows` returns how many rows of a batch count, 0 or more. With `is_rounded` gradients are rounded to bf16 on
    /// their way, which halves their bytes.
    ///
    /// What depends on the rows of a batch together, such as a code that compares them, is computed in each part by
    /// itself.
    pub fn with_exchange(mut self, exchange: Arc<dyn Exchange>, is_rounded: bool, rows: fn(&B) -> usize) -> Self {
        self.others = Some(Others { exchange, is_rounded, rows, last: Arc::default() });
        self
    }

    /// Sets the number of optimizer steps that are done, `steps` of `total`.
    pub fn after(mut self, steps: usize, total: usize) -> Self {
        (self.steps, self.steps_total) = (steps, total);
        self.model = self.objective.after_step(self.model, Self::progress(steps, total));
        self
    }
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode, B: Batch> TrainStep for Trainee<E, D, C, B> {
    type Input = B;
    type Output = StepOutput;

    fn step(&self, batch: B) -> TrainOutput<StepOutput> {
        let is_last = (self.is_last)(&batch);
        if let Some(others) = &self.others {
            others.last.store((others.rows)(&batch), Ordering::Relaxed);
        }
        let sample = (self.sample)(batch);
        let evaluation = self.objective.evaluate(&self.model, sample.clone());
        let gradients = evaluation.loss().backward();
        if self.objective.resample.is_due(self.steps + 1, Self::progress(self.steps, self.steps_total)) {
            self.resampling.lock().candidates = Some(Candidates::new(sample.clone(), &evaluation));
        }
        let is_weighted = !self.objective.corruption.is_none();
        let output = StepOutput::new(&self.model, sample, &evaluation, is_weighted, is_last, &self.readings);
        TrainOutput::new(self, gradients, output)
    }

    fn optimize(
        mut self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        gradients: GradientsParams,
    ) -> Self {
        let (steps, total) = (self.steps + 1, self.steps_total);
        let mut gradients = gradients;
        if let Some(others) = &self.others {
            let (exchange, rows) = (others.exchange.clone(), others.last.load(Ordering::Relaxed));
            let (model, mean) = exchange::mean(&*exchange, self.steps, rows, others.is_rounded, self.model, gradients);
            self.model = model;
            match mean {
                Some(mean) => gradients = mean,
                // The training is being stopped: this is no step.
                None => return self,
            }
        }
        let gradients = self.objective.projected(&self.model, gradients);
        let candidates = self.resampling.lock().candidates.take();
        let start = candidates.and_then(|candidates| self.objective.restart(&self.model, &candidates));
        let forgotten = start.as_ref().map(|start| start.forgotten(&self.model)).unwrap_or_default();
        let mut trained = forgotten.during(|| ae_kernels::step(optimizer, rate, self, gradients));
        if let Some(start) = start {
            trained.resampling.count(&start);
            trained.model = start.apply(trained.model);
        }
        let trained = trained.after(steps, total);
        if let Some(watch) = trained.watch.clone().filter(|watch| watch.wants(steps)) {
            watch.take(steps, trained.clone().into_record(), optimizer.to_record());
        }
        trained
    }
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode, B: Batch> InferenceStep for Trainee<E, D, C, B> {
    type Input = B;
    type Output = StepOutput;

    fn step(&self, batch: B) -> StepOutput {
        let is_last = (self.is_last)(&batch);
        let sample = (self.sample)(batch);
        let evaluation = self.objective.evaluate(&self.model, sample.clone());
        let jacobian = Jacobian { method: Method::Auto, probes: 1 };
        let some = |tensor: &Tensor<2>| tensor.clone().slice(0..JACOBIAN_ROWS.min(tensor.dims()[0]));
        let norm2 = sample
            .seeded(|| jacobian.norm2(&self.model.parts(), some(&sample.input), sample.observed.as_ref().map(some)));
        let validation = self.objective.validate(&self.model, sample.clone());
        StepOutput::new(&self.model, sample, &evaluation, false, is_last, &self.readings)
            .with_validation(norm2, validation.as_ref())
    }
}
