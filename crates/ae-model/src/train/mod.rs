//! One step of training or validation, as Burn's Learner asks for it.

mod output;
mod silent;

use std::{fmt::Debug, sync::Arc};

use burn::{
    lr_scheduler::module_lr_scheduler::ModuleLearningRate,
    module::Module,
    optim::{GradientsParams, ModuleOptimizer, OptimizerRecord},
    store::ModuleRecord,
    tensor::Tensor,
    train::{InferenceStep, TrainOutput, TrainStep},
};
use output::Readings;
pub use output::{Reading, Statistics, StepOutput};
pub use silent::Silent;

use crate::{
    AnyCode, Autoencoder, Jacobian, ModuleCode, ModuleDecoder, ModuleEncoder, Objective, Sample, jacobian::Method,
};

/// Rows of a validation batch at which the derivative of the code is measured while the network trains: at all of them
/// it was 3 to 9% of an epoch on digits. A trained network is measured once, and can afford more.
const MEASURED: usize = 64;

/// What a loader gives: any type that can be cloned, printed and sent to another thread.
pub trait Batch: Clone + Debug + Send + 'static {}

impl<B: Clone + Debug + Send + 'static> Batch for B {}

/// What is told of steps of a training, between two epochs: where a checkpoint within an epoch comes from.
pub trait Watch: Debug + Send + Sync {
    /// Whether it wants the records of the training after this many steps.
    fn wants(&self, steps: usize) -> bool;

    /// The records of the trainee and of its optimizer after this many steps.
    fn take(&self, steps: usize, trainee: ModuleRecord, optimizer: OptimizerRecord);
}

/// A model with what it is trained for. `B` is what a loader gives: a [`Sample`], a tensor of rows, or [batches of your
/// own](Self::of_batches).
#[derive(Module, Debug)]
pub struct Trainee<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode = AnyCode, B: Batch = Sample> {
    /// What is kept after training.
    pub model: Autoencoder<E, D, C>,
    /// What is minimised.
    #[module(skip)]
    pub objective: Objective,
    /// Optimizer steps done.
    #[module(skip)]
    pub steps: usize,
    /// Optimizer steps of the whole training, for a code that changes while it is trained; 0 if unknown.
    #[module(skip)]
    pub steps_total: usize,
    /// The rows of a batch.
    #[module(skip)]
    sample: fn(B) -> Sample,
    /// Whether a batch is the last of its epoch.
    #[module(skip)]
    is_last: fn(&B) -> bool,
    /// When what the steps measured is read.
    #[module(skip)]
    readings: Readings,
    /// What is told of its steps.
    #[module(skip)]
    watch: Option<Arc<dyn Watch>>,
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode, B: Batch + Into<Sample>> Trainee<E, D, C, B> {
    /// A model to be trained for `objective`, on samples or on rows.
    pub fn new(model: Autoencoder<E, D, C>, objective: Objective) -> Self {
        Self::of_batches(model, objective, <B as Into<Sample>>::into)
    }
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode, B: Batch> Trainee<E, D, C, B> {
    /// A model to be trained for `objective`, on batches of which `sample` gives the rows.
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
        }
    }

    /// The same, whose metrics are read once in `steps` steps, at the first and the last step of an epoch, and before
    /// much memory waits: a reading makes the program wait for a GPU. `is_last` says whether a batch is the last of its
    /// epoch. By default they are read at every step.
    pub fn reading_every(mut self, steps: usize, is_last: fn(&B) -> bool) -> Self {
        self.readings.every = steps.max(1);
        self.is_last = is_last;
        self
    }

    /// The same, whose steps are told to `watch`.
    pub fn with_watch(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The same after `steps` of `total` optimizer steps.
    pub fn after(mut self, steps: usize, total: usize) -> Self {
        (self.steps, self.steps_total) = (steps, total);
        // A training without a known end is as at its end: nobody can say how much is over.
        let progress = if total > 0 { steps as f64 / total as f64 } else { 1.0 };
        self.model = self.objective.after_step(self.model, progress);
        self
    }
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode, B: Batch> TrainStep for Trainee<E, D, C, B> {
    type Input = B;
    type Output = StepOutput;

    fn step(&self, batch: B) -> TrainOutput<StepOutput> {
        let is_last = (self.is_last)(&batch);
        let sample = (self.sample)(batch);
        let evaluation = self.objective.evaluate(&self.model, sample.clone());
        let gradients = evaluation.loss().backward();
        let output = StepOutput::new(&self.model, sample, &evaluation, is_last, &self.readings);
        TrainOutput::new(self, gradients, output)
    }

    fn optimize(self, optimizer: &mut ModuleOptimizer, rate: ModuleLearningRate, gradients: GradientsParams) -> Self {
        let (steps, total) = (self.steps + 1, self.steps_total);
        let trained = ae_kernels::step(optimizer, rate, self, gradients).after(steps, total);
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
        let some = |tensor: &Tensor<2>| tensor.clone().slice(0..MEASURED.min(tensor.dims()[0]));
        let norm2 = sample
            .seeded(|| jacobian.norm2(&self.model.parts(), some(&sample.input), sample.observed.as_ref().map(some)));
        let judged = self.objective.judge(&self.model, sample.clone());
        StepOutput::new(&self.model, sample, &evaluation, is_last, &self.readings).judged(norm2, judged.as_ref())
    }
}
