//! One step of training or validation, as Burn's Learner asks for it.
//!
//! `TrainStep` is Burn's trait and `Autoencoder` is `ae-model`'s, so that a type of this crate stands between them: [`Trainee`].

use std::{
    borrow::Cow,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use ae_data::{Batch, progress};
use ae_kernels::Units;
use ae_model::{
    Activation, AnyCode, Autoencoder, Evaluation, Jacobian, ModuleCode, ModuleDecoder, ModuleEncoder, Objective, Sample, jacobian::Method,
};
use burn::{
    lr_scheduler::module_lr_scheduler::ModuleLearningRate,
    module::Module,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{ExecutionError, Tensor},
    train::{InferenceStep, ItemLazy, TrainOutput, TrainStep, metric::Adaptor},
};

/// How close to a bound of its activation a unit of the code counts as saturated.
pub const SATURATED: f64 = 0.05;

/// Rows of a validation batch at which the derivative of the code is measured while the network trains: at all of them it was 3 to 9% of an
/// epoch on digits. What is reported of the trained network is measured by [`crate::evaluation`].
const MEASURED: usize = 64;

/// Numbers that wait on a device to be read, at most: 64 MB.
const WAITING: usize = 16 << 20;

/// A model with what it is trained for.
#[derive(Module, Debug)]
pub struct Trainee<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode = AnyCode> {
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
    /// When what the steps measured is read.
    #[module(skip)]
    readings: Readings,
}

/// When what the steps measured is read from the device: a reading makes the program wait for a GPU.
#[derive(Debug, Clone)]
struct Readings {
    /// Read at the latest after so many steps.
    every: usize,
    /// What waits. The copies of a model that training makes share it.
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    steps: Vec<Measured>,
    /// The last that was read since the epoch began.
    last: Option<Arc<Statistics>>,
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode> Trainee<E, D, C> {
    /// A model to be trained for `objective`.
    pub fn new(model: Autoencoder<E, D, C>, mut objective: Objective) -> Self {
        let model = objective.after_step(model, 1.0);
        Self { model, objective, steps: 0, steps_total: 0, readings: Readings { every: 1, waiting: Arc::default() } }
    }

    /// The same, whose metrics are read once in `steps` steps, at the first and the last step of an epoch, and before much memory waits. Only for
    /// a loader that says which batch is its last, as [`ae_data::Loader`] does. By default they are read at every step.
    pub fn reading_every(mut self, steps: usize) -> Self {
        self.readings.every = steps.max(1);
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

/// What a step tells the metrics.
pub struct StepOutput {
    /// None once it waits or is read.
    measured: Option<Measured>,
    is_last: bool,
    readings: Readings,
    reading: Option<Reading>,
}

/// What was measured in one step, or in several one after the other, on the device.
#[derive(Debug)]
struct Measured {
    /// Name and value per example (`[batch]`) of the loss and of each of its terms.
    losses: Vec<(Cow<'static, str>, Tensor<1>)>,
    /// Squared error per example, `[batch]`.
    squared_error: Tensor<1>,
    /// Values observed, per example; none if all are.
    observed: Option<Tensor<1>>,
    /// The code, `[batch, d_code]`.
    code: Tensor<2>,
    /// Of the units of the code.
    activation: Activation,
    /// Squared norm of the code's derivative at some of the examples, where it is measured.
    jacobian_norm2: Option<Tensor<1>>,
    width: usize,
}

/// What the metrics see of a step.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The last that was read.
    pub statistics: Arc<Statistics>,
    /// Whether it was read at this step: else the metrics have seen it.
    pub is_new: bool,
}

/// One step, or several, in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Examples in the batch.
    pub examples: usize,
    /// Name and batch mean of the loss and of each of its terms, in nats.
    pub losses: Vec<(Cow<'static, str>, f64)>,
    /// Sum of squared errors over the batch.
    pub squared_error: f64,
    /// Values observed in the batch.
    pub observed: f64,
    /// Active units of the code, per example.
    pub code_l0: f64,
    /// Mean size of a unit of the code.
    pub mean_activation: f64,
    /// Share of the code's values within 0.05 of a bound of their activation; none if it has no bounds.
    pub saturation: Option<f64>,
    /// Squared Frobenius norm of the code's derivative, mean over the first 64 examples of the batch; validation only.
    pub jacobian_norm2: Option<f64>,
    /// Size at or below which a unit is inactive.
    pub inactive: f32,
    /// Largest size of each unit of the code.
    pub unit_peak: Vec<f32>,
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode> Trainee<E, D, C> {
    fn evaluate(&self, batch: &Batch) -> Evaluation {
        self.objective.evaluate(&self.model, sample(batch))
    }

    fn output(&self, batch: Batch, evaluation: &Evaluation) -> StepOutput {
        let x = batch.x.without_autodiff();
        let observed = batch.observed.map(Tensor::without_autodiff);
        let output = evaluation.forward.output.clone().without_autodiff();
        let measured = Measured {
            width: x.dims()[1],
            losses: named(evaluation),
            squared_error: self.model.reconstruction.squared_error(x, output, observed.clone()),
            observed: observed.map(|observed| observed.sum_dim(1).squeeze_dim(1)),
            code: evaluation.forward.latent.code.clone().without_autodiff(),
            activation: self.model.code.activation(),
            jacobian_norm2: None,
        };
        progress::beat();
        StepOutput { measured: Some(measured), is_last: batch.is_last, readings: self.readings.clone(), reading: None }
    }
}

/// A batch as a model takes it.
fn sample(batch: &Batch) -> Sample {
    Sample::from(batch.x.clone()).with_observed(batch.observed.clone())
}

/// Name and value per example of the loss and, if there are several, of each of its terms.
fn named(evaluation: &Evaluation) -> Vec<(Cow<'static, str>, Tensor<1>)> {
    let mut losses = vec![(Cow::from("loss"), evaluation.per_example())];
    if evaluation.terms.len() > 1 {
        losses.extend(evaluation.terms.iter().map(|term| (term.name.clone(), term.value.clone())));
    }
    losses.into_iter().map(|(name, value)| (name, value.without_autodiff())).collect()
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode> TrainStep for Trainee<E, D, C> {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let evaluation = self.evaluate(&batch);
        let gradients = evaluation.loss().backward();
        TrainOutput::new(self, gradients, self.output(batch, &evaluation))
    }

    fn optimize(self, optimizer: &mut ModuleOptimizer, rate: ModuleLearningRate, gradients: GradientsParams) -> Self {
        let (steps, total) = (self.steps + 1, self.steps_total);
        let trained = ae_kernels::step(optimizer, rate, self, gradients);
        trained.after(steps, total)
    }
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode> InferenceStep for Trainee<E, D, C> {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        let evaluation = self.evaluate(&batch);
        let jacobian = Jacobian { method: Method::Auto, probes: 1 };
        let some = |tensor: &Tensor<2>| tensor.clone().slice(0..MEASURED.min(tensor.dims()[0]));
        let norm2 = jacobian.norm2(&self.model.parts(), some(&batch.x), batch.observed.as_ref().map(some));
        let judged = self.objective.judge(&self.model, sample(&batch));
        let mut output = self.output(batch, &evaluation);
        let losses = judged.map(|judged| named(&judged));
        output.measured =
            output.measured.map(|measured| Measured { jacobian_norm2: Some(norm2), losses: losses.unwrap_or(measured.losses), ..measured });
        output
    }
}

impl ItemLazy for StepOutput {
    /// Reduces the tensors to numbers, or has them wait; Burn calls this away from the training thread.
    fn sync(mut self) -> Result<Self, ExecutionError> {
        let mut waiting = self.readings.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Moved, not cloned: to clone a tensor on another thread has fusion compute it first.
        waiting.steps.extend(self.measured.take());
        let size: usize = waiting.steps.iter().map(|step| step.code.shape().num_elements()).sum();
        let is_new = match &waiting.last {
            Some(_) => self.is_last || waiting.steps.len() >= self.readings.every || size > WAITING,
            None => true,
        };
        if is_new {
            let steps = mem::take(&mut waiting.steps);
            waiting.last = Some(Arc::new(Measured::joined(steps).read()?));
        }
        let statistics = waiting.last.clone().expect("the first step is read");
        if self.is_last {
            waiting.last = None;
        }
        drop(waiting);
        self.reading = Some(Reading { statistics, is_new });
        Ok(self)
    }
}

impl Measured {
    /// What several steps measured, as if they had been one.
    fn joined(mut steps: Vec<Self>) -> Self {
        if steps.len() == 1 {
            return steps.remove(0);
        }
        let first = &steps[0];
        let cat = |of: &dyn Fn(&Self) -> Tensor<1>| Tensor::cat(steps.iter().map(of).collect(), 0);
        let some =
            |of: fn(&Self) -> &Option<Tensor<1>>| of(first).is_some().then(|| cat(&|step| of(step).clone().expect("as in the first step")));
        Self {
            losses: first
                .losses
                .iter()
                .enumerate()
                .map(|(index, (name, _))| (name.clone(), cat(&|step| step.losses[index].1.clone())))
                .collect(),
            squared_error: cat(&|step| step.squared_error.clone()),
            observed: some(|step| &step.observed),
            code: Tensor::cat(steps.iter().map(|step| step.code.clone()).collect(), 0),
            activation: first.activation,
            jacobian_norm2: some(|step| &step.jacobian_norm2),
            width: first.width,
        }
    }

    /// The numbers, with one reading of what there is of each example and those of [`code_units`].
    fn read(self) -> Result<Statistics, ExecutionError> {
        let [examples, units] = self.code.dims();
        // Per example, one after the other: a single reading, whatever is measured.
        let mut columns: Vec<Tensor<1>> = self.losses.iter().map(|(_, value)| value.clone()).collect();
        columns.push(self.squared_error.clone());
        columns.extend(self.observed.clone());
        let measured = self.jacobian_norm2.as_ref().map(|norm2| norm2.dims()[0]);
        columns.extend(self.jacobian_norm2.clone());
        let columns: Vec<f32> = Tensor::cat(columns, 0).try_into_data()?.iter().collect();
        let (columns, norms2) = columns.split_at(columns.len() - measured.unwrap_or(0));
        let mut columns = columns.chunks_exact(examples.max(1));
        let mut next = || columns.next().map_or(0.0, |column| column.iter().copied().map(f64::from).sum());
        let code = code_units(&self.code, self.activation)?;
        let (rows, values) = (examples as f64, (examples * units) as f64);
        // In the order in which they were put in.
        Ok(Statistics {
            examples,
            losses: self.losses.iter().map(|(name, _)| (name.clone(), next() / rows)).collect(),
            squared_error: next(),
            code_l0: code.active / rows,
            mean_activation: code.size / values,
            saturation: has_bounds(self.activation).then_some(code.saturated / values),
            jacobian_norm2: measured.map(|count| norms2.iter().copied().map(f64::from).sum::<f64>() / count as f64),
            observed: if self.observed.is_some() { next() } else { (examples * self.width) as f64 },
            inactive: self.activation.inactive() as f32,
            unit_peak: code.peak,
        })
    }
}

/// Whether units of this activation can be saturated.
pub(crate) fn has_bounds(activation: Activation) -> bool {
    activation.bounds() != (None, None)
}

/// What the units of a code of this activation do.
///
/// # Errors
/// A device that fails to give its results back.
pub(crate) fn code_units(code: &Tensor<2>, activation: Activation) -> Result<Units, ExecutionError> {
    let (low, high) = activation.bounds();
    let bounds = [low.map(|low| (low + SATURATED) as f32), high.map(|high| (high - SATURATED) as f32)];
    ae_kernels::units(code, activation.inactive() as f32, bounds)
}

impl Adaptor<Reading> for StepOutput {
    fn adapt(&self) -> Reading {
        self.reading.clone().expect("Burn syncs an item before its metrics see it")
    }
}
