//! One step of training or validation, as Burn's Learner asks for it.
//!
//! `TrainStep` is Burn's trait and `Autoencoder` is `ae-model`'s, so that a type of this crate stands between them: [`Trainee`].

use std::sync::Arc;

use ae_data::Batch;
use ae_model::{Autoencoder, Decoder, Encoder, Evaluation, Objective};
use burn::{
    module::Module,
    tensor::{ExecutionError, Tensor},
    train::{InferenceStep, ItemLazy, TrainOutput, TrainStep, metric::Adaptor},
};

/// Units whose size stays at or below this count as inactive.
const INACTIVE: f64 = 1e-6;

/// A model with what it is trained for.
#[derive(Module, Debug)]
pub struct Trainee<E: Encoder, D: Decoder> {
    /// What is kept after training.
    pub model: Autoencoder<E, D>,
    /// What is minimised.
    #[module(skip)]
    pub objective: Objective,
}

/// What a step tells the metrics.
pub struct StepOutput {
    /// Name and value per example (`[batch]`) of the loss and of each of its terms.
    losses: Vec<(&'static str, Tensor<1>)>,
    /// Squared error per example, `[batch]`.
    squared_error: Tensor<1>,
    /// Values observed, per example; none if all are.
    observed: Option<Tensor<1>>,
    /// The code, `[batch, d_code]`.
    code: Tensor<2>,
    width: usize,
    statistics: Option<Arc<Statistics>>,
}

/// A step in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Examples in the batch.
    pub examples: usize,
    /// Name and batch mean of the loss and of each of its terms, in nats.
    pub losses: Vec<(&'static str, f64)>,
    /// Sum of squared errors over the batch.
    pub squared_error: f64,
    /// Values observed in the batch.
    pub observed: f64,
    /// Active units of the code, per example.
    pub code_l0: f64,
    /// Largest size of each unit of the code.
    pub unit_peak: Vec<f32>,
}

impl<E: Encoder, D: Decoder> Trainee<E, D> {
    fn evaluate(&self, batch: &Batch) -> Evaluation {
        self.objective.evaluate(&self.model, batch.x.clone(), batch.observed.clone())
    }

    fn output(&self, batch: Batch, evaluation: &Evaluation) -> StepOutput {
        let mut losses = vec![("loss", evaluation.per_example())];
        if evaluation.terms.len() > 1 {
            losses.extend(evaluation.terms.iter().map(|term| (term.name, term.value.clone())));
        }
        let off_tape = |tensor: Tensor<1>| tensor.without_autodiff();
        let x = batch.x.without_autodiff();
        let observed = batch.observed.map(Tensor::without_autodiff);
        let output = evaluation.forward.output.clone().without_autodiff();
        StepOutput {
            width: x.dims()[1],
            losses: losses.into_iter().map(|(name, value)| (name, off_tape(value))).collect(),
            squared_error: self.model.reconstruction.squared_error(x, output, observed.clone()),
            observed: observed.map(|observed| observed.sum_dim(1).squeeze_dim(1)),
            code: evaluation.forward.code.clone().without_autodiff(),
            statistics: None,
        }
    }
}

impl<E: Encoder, D: Decoder> TrainStep for Trainee<E, D> {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let evaluation = self.evaluate(&batch);
        let gradients = evaluation.loss().backward();
        TrainOutput::new(self, gradients, self.output(batch, &evaluation))
    }
}

impl<E: Encoder, D: Decoder> InferenceStep for Trainee<E, D> {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        let evaluation = self.evaluate(&batch);
        self.output(batch, &evaluation)
    }
}

impl ItemLazy for StepOutput {
    /// Reduces the tensors to numbers; Burn calls this away from the training thread.
    fn sync(mut self) -> Result<Self, ExecutionError> {
        let [examples, _] = self.code.dims();
        let size = self.code.clone().abs();
        let active = size.clone().greater_elem(INACTIVE).float().sum();
        let mut sums: Vec<Tensor<1>> = self.losses.iter().map(|(_, value)| value.clone().sum()).collect();
        sums.extend([self.squared_error.clone().sum(), active]);
        sums.extend(self.observed.clone().map(Tensor::sum));
        let sums: Vec<f64> = Tensor::cat(sums, 0).try_into_data()?.iter::<f32>().map(f64::from).collect();
        let unit_peak = size.max_dim(0).try_into_data()?.iter::<f32>().collect();
        let count = self.losses.len();
        self.statistics = Some(Arc::new(Statistics {
            examples,
            losses: self.losses.iter().zip(&sums).map(|((name, _), sum)| (*name, sum / examples as f64)).collect(),
            squared_error: sums[count],
            code_l0: sums[count + 1] / examples as f64,
            observed: sums.get(count + 2).copied().unwrap_or((examples * self.width) as f64),
            unit_peak,
        }));
        Ok(self)
    }
}

impl Adaptor<Arc<Statistics>> for StepOutput {
    fn adapt(&self) -> Arc<Statistics> {
        self.statistics.clone().expect("Burn syncs an item before its metrics see it")
    }
}
