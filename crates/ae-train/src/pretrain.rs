//! Greedy layer-wise pre-training ([`ae_model::pretrain`]) on the rows of a run.

use ae_data::{Batcher, Dataset, Loader, Order};
use ae_model::{
    Model, Objective, Sample,
    pretrain::{Pass, Pretraining, layers},
};
use burn::{
    data::dataloader::DataLoader,
    tensor::{Device, ExecutionError},
    train::Interrupter,
};

use crate::{Error, Reporter, Result, config::TrainingConfig};

/// Everything that pre-training needs in addition to the model.
pub struct Pretrain<'a> {
    /// How to train; `pretrain_epochs` for each layer.
    pub config: &'a TrainingConfig,
    /// Seed of the order of the examples.
    pub seed: u64,
    /// The objective that the whole model will be trained for.
    pub objective: Objective,
    /// The rows to train on.
    pub rows: &'a Dataset,
    /// Their scaling.
    pub batcher: &'a Batcher,
    /// The device to train on, with autodiff.
    pub device: Device,
    /// Receives the progress of each layer.
    pub reporter: &'a dyn Reporter,
    /// Stops pre-training from outside.
    pub interrupter: &'a Interrupter,
}

/// Why pre-training ended early.
enum Ended {
    Interrupted,
    Failed(Error),
}

impl From<ExecutionError> for Ended {
    fn from(error: ExecutionError) -> Self {
        Self::Failed(Error::Failed(format!("the device failed: {error:?}")))
    }
}

impl Pretrain<'_> {
    /// The model with its layers trained one after the other; none if it was stopped. A model without layers of this
    /// kind is returned unchanged, as is any model without pre-training in the configuration.
    ///
    /// # Errors
    /// A device that fails, or a loss that diverges.
    pub fn run(&self, model: Model) -> Result<Option<Model>> {
        let loader = |layer: usize| {
            let order = Order::Shuffled { seed: self.seed ^ ((layer as u64 + 1) << 32) };
            Loader::new(self.rows.clone(), self.batcher.clone(), self.config.batch_size, order, self.device.clone())
        };
        let loaders: Vec<Loader> = (0..layers(&model)).map(loader).collect();
        let Some(first) = loaders.first() else { return Ok(Some(model)) };
        let pretraining = Pretraining {
            epochs: self.config.pretrain_epochs,
            steps: first.batches(),
            learning_rate: self.config.learning_rate,
            optimizer: self.config.optimizer(),
        };
        let samples = |layer: usize| {
            loaders[layer].iter().map(|batch| {
                if self.interrupter.should_stop() {
                    return Err(Ended::Interrupted);
                }
                let batch = batch.map_err(|error| Ended::Failed(Error::Failed(error.to_string())))?;
                Ok(Sample::from(batch.x).with_observed(batch.observed).with_seed(batch.seed))
            })
        };
        match pretraining.run(model, &self.objective, samples, |pass| self.report(pass)) {
            Ok(model) => Ok(Some(model)),
            Err(Ended::Interrupted) => Ok(None),
            Err(Ended::Failed(error)) => Err(error),
        }
    }

    fn report(&self, Pass { layer, layers, epoch, loss }: Pass) -> std::result::Result<(), Ended> {
        let (layer, epoch, epochs) = (layer + 1, epoch + 1, self.config.pretrain_epochs);
        if !loss.is_finite() {
            let advice = format!("lower `training.learning_rate` (now {})", self.config.learning_rate);
            let message = format!("the loss became infinite during pre-training of layer {layer}: {advice}");
            return Err(Ended::Failed(Error::Failed(message)));
        }
        if epoch == epochs || epoch % 10 == 0 {
            self.reporter
                .progress(&format!("pre-training layer {layer}/{layers}  epoch {epoch:>4}/{epochs}  loss {loss:.4}"));
        }
        Ok(())
    }
}
