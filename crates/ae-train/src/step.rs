//! The module that Burn's Learner trains: [`ae_model::Trainee`] on the batches of `ae-data`.

use ae_data::{Batch, progress};
use ae_model::{AnyCode, Autoencoder, ModuleCode, ModuleDecoder, ModuleEncoder, Objective, Sample};

/// A model with its objective, on batches of [`ae_data::Loader`].
pub type Trainee<E, D, C = AnyCode> = ae_model::Trainee<E, D, C, Batch>;

/// Makes `model` trainable for `objective`, on batches of [`ae_data::Loader`].
pub fn trainee<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
    model: Autoencoder<E, D, C>,
    objective: Objective,
) -> Trainee<E, D, C> {
    Trainee::of_batches(model, objective, |batch: Batch| {
        progress::beat();
        sample(batch)
    })
}

/// The rows of a batch, with their target if they have one.
pub(crate) fn sample(batch: Batch) -> Sample {
    let sample = Sample::from(batch.x).with_observed(batch.observed).with_seed(batch.seed);
    match batch.target {
        Some(target) => sample.with_target(target),
        None => sample,
    }
}
