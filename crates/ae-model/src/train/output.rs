//! What a step measures: on the device until it is read, then numbers for the metrics.

use std::{
    borrow::Cow,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use burn::{
    tensor::{Device, ExecutionError, Tensor},
    train::{
        ItemLazy,
        metric::{Adaptor, LossInput},
    },
};

use crate::{
    Activation, Autoencoder, Evaluation, ModuleCode, ModuleDecoder, ModuleEncoder, Sample,
    objective::clean,
    units::{has_bounds, units},
};

/// Numbers that wait on a device to be read, at most: 64 MB.
const WAITING: usize = 16 << 20;

/// When what the steps measured is read from the device: a reading makes the program wait for a GPU.
#[derive(Debug, Clone)]
pub(super) struct Readings {
    /// Read at the latest after so many steps.
    pub(super) every: usize,
    /// What waits. The copies of a model that training makes share it.
    waiting: Arc<Mutex<Waiting>>,
}

impl Default for Readings {
    fn default() -> Self {
        Self { every: 1, waiting: Arc::default() }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    steps: Vec<Measured>,
    /// The last that was read since the epoch began.
    last: Option<Arc<Statistics>>,
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

impl StepOutput {
    /// What `evaluation` of a model on `sample` measured.
    pub(super) fn new<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        model: &Autoencoder<E, D, C>,
        sample: Sample,
        evaluation: &Evaluation,
        is_last: bool,
        readings: &Readings,
    ) -> Self {
        let plain = |tensor: Tensor<2>| tensor.without_autodiff();
        let Sample { input, target, observed, seed } = sample;
        let sample =
            clean(Sample { input: plain(input), target: target.map(plain), observed: observed.map(plain), seed });
        let target = sample.target.unwrap_or(sample.input);
        let observed = sample.observed.filter(|observed| observed.dims() == target.dims());
        let output = plain(evaluation.forward.output.clone());
        let measured = Measured {
            width: target.dims()[1],
            losses: named(evaluation),
            squared_error: model.reconstruction.squared_error(target, output, observed.clone()),
            observed: observed.map(|observed| observed.sum_dim(1).squeeze_dim(1)),
            code: plain(evaluation.forward.latent.code.clone()),
            activation: model.code.activation(),
            jacobian_norm2: None,
        };
        Self { measured: Some(measured), is_last, readings: readings.clone(), reading: None }
    }

    /// The same with the squared norm of the code's derivative at some of the examples, and the losses of what it is
    /// judged by, if by another evaluation.
    pub(super) fn judged(mut self, norm2: Tensor<1>, judged: Option<&Evaluation>) -> Self {
        let losses = judged.map(named);
        self.measured = self.measured.map(|measured| Measured {
            jacobian_norm2: Some(norm2),
            losses: losses.unwrap_or(measured.losses),
            ..measured
        });
        self
    }
}

/// Name and value per example of the loss and, if there are several, of each of its terms.
fn named(evaluation: &Evaluation) -> Vec<(Cow<'static, str>, Tensor<1>)> {
    let mut losses = vec![(Cow::from("loss"), evaluation.per_example())];
    if evaluation.terms.len() > 1 {
        losses.extend(evaluation.terms.iter().map(|term| (term.name.clone(), term.value.clone())));
    }
    losses.into_iter().map(|(name, value)| (name, value.without_autodiff())).collect()
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
        let some = |of: fn(&Self) -> &Option<Tensor<1>>| {
            of(first).is_some().then(|| cat(&|step| of(step).clone().expect("as in the first step")))
        };
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

    /// The numbers, with one reading of what there is of each example and those of [`units`].
    fn read(self) -> Result<Statistics, ExecutionError> {
        let [examples, width] = self.code.dims();
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
        let code = units(&self.code, self.activation)?;
        let (rows, values) = (examples as f64, (examples * width) as f64);
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

impl Adaptor<Reading> for StepOutput {
    fn adapt(&self) -> Reading {
        self.reading.clone().expect("Burn syncs an item before its metrics see it")
    }
}

impl Adaptor<LossInput> for StepOutput {
    /// For Burn's own [`LossMetric`](burn::train::metric::LossMetric): the loss that was read last.
    fn adapt(&self) -> LossInput {
        let Reading { statistics, .. } = self.adapt();
        let (_, loss) = &statistics.losses[0];
        LossInput::new(Tensor::full([statistics.examples], *loss, &Device::flex()))
    }
}
