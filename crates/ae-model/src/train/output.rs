//! The measurements of a step: they stay on the device until they are read, as numbers for the metrics.

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

/// The largest number of values that wait on a device to be read: 64 MB.
const MAX_UNREAD: usize = 16 << 20;

/// When the measurements are read from the device. Reading makes the program wait for a GPU.
#[derive(Debug, Clone)]
pub(super) struct Readings {
    /// Read at the latest after this number of steps.
    pub(super) every: usize,
    /// The metrics are told of this number of steps at once.
    pub(super) at_once: usize,
    /// The unread measurements. The copies of a model that training makes share them.
    unread: Arc<Mutex<Unread>>,
}

impl Default for Readings {
    fn default() -> Self {
        Self { every: 1, at_once: 1, unread: Arc::default() }
    }
}

#[derive(Debug, Default)]
struct Unread {
    /// Of steps that the metrics have not been told of.
    untold: Vec<Measured>,
    steps: Vec<Measured>,
    /// The last statistics that were read in this epoch.
    last: Option<Arc<Statistics>>,
}

/// The output of a step, for the metrics.
pub struct StepOutput {
    /// Of this step, or of several; empty once they are among the unread ones, or read.
    measured: Vec<Measured>,
    is_last: bool,
    readings: Readings,
    reading: Option<Reading>,
}

/// The measurements of one step, or of several in a row, on the device.
#[derive(Debug)]
struct Measured {
    /// Name and value per example (`[batch]`) of the loss and of each of its terms.
    losses: Vec<(Cow<'static, str>, Tensor<1>)>,
    /// Half the squared error per example, `[batch]`.
    half_squared_error: Tensor<1>,
    /// Number of observed values per example, `[batch]`; all are observed if `None`.
    observed: Option<Tensor<1>>,
    /// The code, `[batch, d_code]`.
    code: Tensor<2>,
    /// The activation of the units of the code.
    activation: Activation,
    /// Squared norm of the code's derivative for some of the examples, where it is measured.
    jacobian_norm2: Option<Tensor<1>>,
    width: usize,
}

/// The statistics that the metrics get at a step.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The statistics that were read last.
    pub statistics: Arc<Statistics>,
    /// Whether they were read at this step; otherwise the metrics have got them before.
    pub is_new: bool,
}

/// The statistics of one step, or of several in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Number of examples.
    pub examples: usize,
    /// Name and mean over the batch of the loss and of each of its terms, in nats.
    pub losses: Vec<(Cow<'static, str>, f64)>,
    /// Sum of squared errors over the batch.
    pub squared_error: f64,
    /// Number of observed values in the batch.
    pub observed: f64,
    /// Active units of the code per example.
    pub code_l0: f64,
    /// Mean magnitude of the units of the code.
    pub mean_activation: f64,
    /// Fraction of the code's values within 0.05 of a bound of their activation; `None` if it has no bounds.
    pub saturation: Option<f64>,
    /// Squared Frobenius norm of the code's derivative, averaged over the first 64 examples of the batch; only in
    /// validation.
    pub jacobian_norm2: Option<f64>,
    /// Magnitude up to which a unit is inactive.
    pub inactive: f32,
    /// Largest magnitude of each unit of the code.
    pub unit_peak: Vec<f32>,
}

impl StepOutput {
    /// The measurements of `evaluation`, of a model on `sample`. `is_weighted`: a corruption
    /// may give the values of the loss weights of their own.
    pub(super) fn new<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        model: &Autoencoder<E, D, C>,
        sample: Sample,
        evaluation: &Evaluation,
        is_weighted: bool,
        is_last: bool,
        readings: &Readings,
    ) -> Self {
        let plain = |tensor: Tensor<2>| tensor.without_autodiff();
        let Sample { input, target, observed, seed } = sample;
        let sample =
            clean(Sample { input: plain(input), target: target.map(plain), observed: observed.map(plain), seed });
        // It says what is observed of the input; a target of its own has no missing values.
        let observed = sample.observed.filter(|_| sample.target.is_none());
        let target = sample.target.unwrap_or(sample.input);
        let output = plain(evaluation.forward.output.clone());
        let is_unweighted = !is_weighted && observed.is_none() && model.variance.is_none();
        let measured = Measured {
            width: target.dims()[1],
            half_squared_error: match is_unweighted && model.reconstruction.is_half_squared_error() {
                true => evaluation.terms[0].value.clone().without_autodiff(),
                false => model.reconstruction.half_squared_error(target, output, observed.clone()),
            },
            losses: named(evaluation),
            observed: observed.map(|observed| observed.sum_dim(1).squeeze_dim(1)),
            code: plain(evaluation.forward.latent.code.clone()),
            activation: model.code.activation(),
            jacobian_norm2: None,
        };
        Self { measured: vec![measured], is_last, readings: readings.clone(), reading: None }
    }

    /// Adds the squared norm of the code's derivative for some of the examples, and replaces the losses by those of the
    /// evaluation that selects the best epoch, if that is another one.
    pub(super) fn with_validation(mut self, norm2: Tensor<1>, validation: Option<&Evaluation>) -> Self {
        let losses = validation.map(named);
        for measured in &mut self.measured {
            measured.jacobian_norm2 = Some(norm2.clone());
            losses.iter().for_each(|losses| measured.losses.clone_from(losses));
        }
        self
    }

    /// The output with those of the steps before it that the metrics were not told of. `None` if they are to be told of
    /// more steps at once: see [`Trainee::telling_every`](super::Trainee::telling_every).
    pub fn due(mut self) -> Option<Self> {
        if self.readings.at_once > 1 {
            let mut unread = self.readings.unread.lock().unwrap_or_else(PoisonError::into_inner);
            unread.untold.append(&mut self.measured);
            if !self.is_last && unread.untold.len() < self.readings.at_once {
                return None;
            }
            self.measured = mem::take(&mut unread.untold);
        }
        Some(self)
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
    /// Reads the measurements, or adds them to the unread ones. Burn calls this outside the training thread.
    fn sync(mut self) -> Result<Self, ExecutionError> {
        let mut unread = self.readings.unread.lock().unwrap_or_else(PoisonError::into_inner);
        // Moved, not cloned: cloning a tensor on another thread makes fusion compute it first.
        unread.steps.append(&mut self.measured);
        let size: usize = unread.steps.iter().map(|step| step.code.shape().num_elements()).sum();
        let is_new = match &unread.last {
            Some(_) => self.is_last || unread.steps.len() >= self.readings.every || size > MAX_UNREAD,
            None => true,
        };
        if is_new {
            let steps = mem::take(&mut unread.steps);
            unread.last = Some(Arc::new(Measured::joined(steps).read()?));
        }
        let statistics = unread.last.clone().expect("the first step is read");
        if self.is_last {
            unread.last = None;
        }
        drop(unread);
        self.reading = Some(Reading { statistics, is_new });
        Ok(self)
    }
}

impl Measured {
    /// Joins the measurements of several steps.
    fn joined(mut steps: Vec<Self>) -> Self {
        if steps.len() == 1 {
            return steps.remove(0);
        }
        let first = &steps[0];
        let cat = |of: &dyn Fn(&Self) -> Tensor<1>| Tensor::cat(steps.iter().map(of).collect(), 0);
        let some = |of: fn(&Self) -> &Option<Tensor<1>>| {
            of(first)
                .is_some()
                .then(|| cat(&|step| of(step).clone().expect("the same measurements as in the first step")))
        };
        Self {
            losses: first
                .losses
                .iter()
                .enumerate()
                .map(|(index, (name, _))| (name.clone(), cat(&|step| step.losses[index].1.clone())))
                .collect(),
            half_squared_error: cat(&|step| step.half_squared_error.clone()),
            observed: some(|step| &step.observed),
            code: Tensor::cat(steps.iter().map(|step| step.code.clone()).collect(), 0),
            activation: first.activation,
            jacobian_norm2: some(|step| &step.jacobian_norm2),
            width: first.width,
        }
    }

    /// The statistics, with one transfer from the device for all values per example, and those of [`units`].
    fn read(self) -> Result<Statistics, ExecutionError> {
        let [examples, width] = self.code.dims();
        // All values per example are concatenated, so that they are read at once.
        let mut columns: Vec<Tensor<1>> = self.losses.iter().map(|(_, value)| value.clone()).collect();
        columns.push(self.half_squared_error.clone());
        columns.extend(self.observed.clone());
        let measured = self.jacobian_norm2.as_ref().map(|norm2| norm2.dims()[0]);
        columns.extend(self.jacobian_norm2.clone());
        let columns: Vec<f32> = Tensor::cat(columns, 0).try_into_data()?.iter().collect();
        let (columns, norms2) = columns.split_at(columns.len() - measured.unwrap_or(0));
        let mut columns = columns.chunks_exact(examples.max(1));
        let mut next = || columns.next().map_or(0.0, |column| column.iter().copied().map(f64::from).sum());
        let code = units(&self.code, self.activation)?;
        let (rows, values) = (examples as f64, (examples * width) as f64);
        // In the order in which they were concatenated.
        Ok(Statistics {
            examples,
            losses: self.losses.iter().map(|(name, _)| (name.clone(), next() / rows)).collect(),
            squared_error: 2.0 * next(),
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

#[cfg(test)]
mod tests {
    use burn::{tensor::Distribution, train::TrainStep};

    use super::*;
    use crate::{
        Inputs, Model, Objective, Recipe, Variance,
        corruption::{Emphasis, Masking},
        reconstruction::{Bernoulli, SquaredError},
        train::Trainee,
    };

    /// The error that is shown, which is read from the loss where that is half of it.
    #[test]
    fn the_squared_error_is_that_of_the_observed_values_whatever_the_loss() {
        let device = Device::default().autodiff();
        let x = Tensor::<2>::random([9, 6], Distribution::Uniform(0.0, 1.0), &device);
        let observed = x.clone().greater_elem(0.3).float();
        let mut emphasized = Objective::default().with_corruption(Masking::new(0.5));
        emphasized.corruption.emphasis = Some(Emphasis { changed: 2.0, intact: 0.1 });
        let plain: Model = Recipe { code_dim: 2, ..Recipe::default() }.init(&Inputs::unit(6), &device);
        let models = [
            plain.clone().with_reconstruction(SquaredError),
            plain.clone().with_reconstruction(Bernoulli),
            plain.with_variance(Variance::fixed(0.01, &device)),
        ];
        let samples = [
            Sample::from(x.clone()),
            Sample::from(x.clone()).with_observed(observed.clone()),
            Sample { target: Some(x.clone().flip([0])), ..Sample::from(x.clone()) },
            Sample { target: Some(x.clone().flip([0])), ..Sample::from(x).with_observed(observed) },
        ];
        for model in &models {
            for sample in &samples {
                for objective in [Objective::default(), emphasized.clone()] {
                    let sample = sample.clone().with_seed(7);
                    let evaluation = objective.evaluate(model, sample.clone());
                    let target = sample.target.clone().unwrap_or_else(|| sample.input.clone());
                    let error = target - model.reconstruction.mean(evaluation.forward.output);
                    let weights = sample.observed.clone().filter(|_| sample.target.is_none());
                    let weights = weights.unwrap_or_else(|| error.ones_like());
                    let expected = f64::from((error.square() * weights).sum().into_scalar::<f32>());
                    let step = Trainee::<_, _, _, Sample>::new(model.clone(), objective).step(sample.clone());
                    let Reading { statistics, .. } = step.item.sync().unwrap().adapt();
                    let error = statistics.squared_error;
                    assert!((error - expected).abs() < 1e-5 * expected, "{error} {expected} {model:?} {sample:?}");
                }
            }
        }
    }
}
