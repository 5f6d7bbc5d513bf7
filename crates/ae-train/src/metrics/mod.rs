//! What is measured at every step, as Burn metrics: the dashboard shows them, `metrics.csv` keeps their value of each epoch.
//!
//! A metric that is a mean over the batch is one line in [`register`]; any other is one file here and one line there.

mod dead_units;
mod mean;

use ae_model::{Decoder, Encoder};
use burn::train::{
    SupervisedTraining,
    metric::{LearningRateMetric, Metric, Numeric},
};
pub use dead_units::DeadUnits;
pub use mean::Mean;

use crate::step::Trainee;

/// Name of the metric that the best epoch is chosen by, on the validation rows.
pub const LOSS: &str = "loss";

/// Variance per value of each part, which turns its `mse` into its `fvu`.
#[derive(Debug, Clone, Copy)]
pub struct Variances {
    /// Of the training rows.
    pub train: f64,
    /// Of the validation rows.
    pub validation: f64,
}

/// Adds every metric; `terms` are the names of the loss's terms where there is more than one.
pub fn register<E: Encoder + 'static, D: Decoder + 'static>(
    training: SupervisedTraining<Trainee<E, D>>,
    terms: &[&'static str],
    variances: Variances,
) -> SupervisedTraining<Trainee<E, D>> {
    let mut training = both(training, Mean::loss(LOSS));
    for term in terms {
        training = both(training, Mean::loss(term));
    }
    training = both(training, Mean::new("mse", |step| (step.squared_error / step.observed, step.observed)));
    training = training.metric_train_numeric(Mean::fvu(variances.train)).metric_valid_numeric(Mean::fvu(variances.validation));
    training = both(training, Mean::new("code_l0", |step| (step.code_l0, step.examples as f64)));
    training = both(training, DeadUnits::default());
    training.metric_train_numeric(LearningRateMetric::new())
}

fn both<E, D, M>(training: SupervisedTraining<Trainee<E, D>>, metric: M) -> SupervisedTraining<Trainee<E, D>>
where
    E: Encoder + 'static,
    D: Decoder + 'static,
    M: Metric<Input = std::sync::Arc<crate::step::Statistics>> + Numeric + 'static,
{
    training.metric_train_numeric(metric.clone()).metric_valid_numeric(metric)
}
