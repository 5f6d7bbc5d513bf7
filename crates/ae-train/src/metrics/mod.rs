//! Metrics measured at every step, as Burn metrics: the dashboard shows them, and `metrics.csv` keeps their value for
//! each epoch.
//!
//! A metric that is a mean over the batch is one line in [`register`]; any other metric is a file here and a line
//! there.

mod dead_units;
mod mean;

use ae_model::{ModuleCode, ModuleDecoder, ModuleEncoder, train::Reading, units::has_bounds};
use burn::train::{
    SupervisedTraining,
    metric::{LearningRateMetric, Metric, Numeric},
};
pub use dead_units::DeadUnits;
pub use mean::Mean;

use crate::Trainee;

/// Name of the metric on the validation rows by which the best epoch is chosen.
pub const LOSS: &str = "loss";

/// Variance per value of the training and validation rows, by which `mse` is divided to get `fvu`.
#[derive(Debug, Clone, Copy)]
pub struct Variances {
    /// Variance of the training rows.
    pub train: f64,
    /// Variance of the validation rows.
    pub validation: f64,
}

/// Registers every metric for which `trainee` has values.
pub fn register<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
    training: SupervisedTraining<Trainee<E, D, C>>,
    trainee: &Trainee<E, D, C>,
    variances: Variances,
) -> SupervisedTraining<Trainee<E, D, C>> {
    let mut training = both(training, Mean::loss(LOSS));
    let terms = trainee.objective.terms(&trainee.model);
    for term in terms.iter().filter(|_| terms.len() > 1) {
        training = both(training, Mean::loss(term.clone()));
    }
    training = both(training, Mean::new("mse", |step| (step.squared_error / step.observed, step.observed)));
    training =
        training.metric_train_numeric(Mean::fvu(variances.train)).metric_valid_numeric(Mean::fvu(variances.validation));
    training = both(training, Mean::new("code_l0", |step| (step.code_l0, step.examples as f64)));
    training = both(training, DeadUnits::default());
    training = both(training, Mean::new("mean_activation", |step| (step.mean_activation, step.examples as f64)));
    if has_bounds(trainee.model.code.activation()) {
        training =
            both(training, Mean::new("saturation", |step| (step.saturation.unwrap_or(f64::NAN), step.examples as f64)));
    }
    // During training it would cost about as much again as the step; on the validation rows it costs a pass.
    let jacobian = Mean::new("jacobian_norm2", |step| (step.jacobian_norm2.unwrap_or(f64::NAN), step.examples as f64));
    training = training.metric_valid_numeric(jacobian);
    training.metric_train_numeric(LearningRateMetric::new())
}

fn both<E, D, C, M>(training: SupervisedTraining<Trainee<E, D, C>>, metric: M) -> SupervisedTraining<Trainee<E, D, C>>
where
    E: ModuleEncoder,
    D: ModuleDecoder,
    C: ModuleCode,
    M: Metric<Input = Reading> + Numeric + 'static,
{
    training.metric_train_numeric(metric.clone()).metric_valid_numeric(metric)
}
