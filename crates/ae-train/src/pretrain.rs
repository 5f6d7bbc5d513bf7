//! Greedy layer-wise pre-training: each layer of a perceptron, with its mirror in the decoder, as an autoencoder of the layer below.
//!
//! `h_0 = x`; for `l = 0, 1, ...`: `min L(h_l, g_l(f_l(h_l)))`, then `h_{l+1} = f_l(h_l)` (Hinton and Salakhutdinov 2006; Bengio et al. 2007).
//! The model's corruption acts on each layer's input (Vincent et al. 2010), its penalties on the last layer's code alone.

use ae_data::{Batcher, Dataset, Loader, Order};
use ae_model::{
    Activation, Autoencoder, Model, Objective, Penalties, Reconstruction,
    network::{Mlp, NetworkDecoder, NetworkEncoder},
};
use burn::{
    data::dataloader::DataLoader,
    module::Module,
    optim::GradientsParams,
    tensor::{Device, Tensor},
    train::Interrupter,
};

use crate::{Error, Result, config::TrainingConfig, evaluation::numbers};

/// Everything that pre-training needs beside the model.
pub struct Pretrain<'a> {
    /// How to train; `pretrain_epochs` for each layer.
    pub config: &'a TrainingConfig,
    /// Seed of the order of the examples.
    pub seed: u64,
    /// What the whole model will be trained for.
    pub objective: Objective,
    /// The rows to train on.
    pub rows: &'a Dataset,
    /// Their scaling.
    pub batcher: &'a Batcher,
    /// Where it runs: a training device.
    pub device: Device,
    /// Whether each layer prints a line.
    pub print: bool,
    /// What stops it from outside.
    pub interrupter: &'a Interrupter,
}

impl Pretrain<'_> {
    /// The model with its layers trained one after the other; none if it was stopped from outside. A model without layers of this kind, or a
    /// configuration without pre-training, comes back as it was.
    ///
    /// # Errors
    /// A device that fails, or a loss that diverges.
    pub fn run(&self, mut model: Model) -> Result<Option<Model>> {
        let (NetworkEncoder::Mlp(encoder), NetworkDecoder::Mlp(decoder)) = (&model.encoder, &model.decoder) else { return Ok(Some(model)) };
        let (mut encoder, mut decoder) = (encoder.clone(), decoder.clone());
        let depth = encoder.layers.len();
        for layer in (0..depth).filter(|_| self.config.pretrain_epochs > 0) {
            let Some(trained) = self.layer(&model, &encoder, &decoder, layer)? else { return Ok(None) };
            encoder.layers[layer] = trained.encoder.layers[0].clone();
            decoder.layers[depth - 1 - layer] = trained.decoder.layers[0].clone();
        }
        model.encoder = NetworkEncoder::Mlp(encoder);
        model.decoder = NetworkDecoder::Mlp(decoder);
        Ok(Some(model))
    }

    /// Layer `layer` of the encoder and its mirror, trained on what the layers below give.
    fn layer(&self, model: &Model, encoder: &Mlp, decoder: &Mlp, layer: usize) -> Result<Option<Autoencoder<Mlp, Mlp>>> {
        let depth = encoder.layers.len();
        let (first, last) = (layer == 0, layer + 1 == depth);
        let alone = |layers: &Mlp, index: usize, output: Activation| Mlp {
            output,
            ..Mlp::new(vec![layers.layers[index].clone()], layers.activation)
        };
        // Each half ends as it does inside the whole network.
        let mut single = Autoencoder::new(
            alone(encoder, layer, Activation::Identity),
            alone(decoder, depth - 1 - layer, if first { decoder.output } else { decoder.activation }),
        )
        .with_code(if last { model.code.clone() } else { encoder.activation.into() })
        .with_reconstruction(if first { model.reconstruction.clone() } else { Reconstruction::SquaredError.into() })
        .with_mask_input(first && model.mask_input);
        let below = (layer > 0).then(|| {
            let below = Mlp { output: encoder.activation, ..Mlp::new(encoder.layers[..layer].to_vec(), encoder.activation) };
            Autoencoder::new(below, decoder.clone()).with_mask_input(model.mask_input).valid()
        });
        let penalties = if last { self.objective.penalties.clone() } else { Penalties::default() };
        let objective = Objective { penalties, corruption: self.objective.corruption.clone() };

        let order = Order::Shuffled { seed: self.seed ^ ((layer as u64 + 1) << 32) };
        let loader = Loader::new(self.rows.clone(), self.batcher.clone(), self.config.batch_size, order, self.device.clone());
        let mut optimizer = self.config.optimizer();
        let epochs = self.config.pretrain_epochs;
        for epoch in 1..=epochs {
            let mut sum = Tensor::<1>::zeros([1], &self.device.clone().inner());
            for batch in loader.iter() {
                if self.interrupter.should_stop() {
                    return Ok(None);
                }
                let batch = batch.map_err(|error| Error::Failed(error.to_string()))?;
                let (x, observed) = match &below {
                    None => (batch.x, batch.observed),
                    Some(below) => {
                        let observed = batch.observed.map(Tensor::without_autodiff);
                        let x = below.encode_visible(batch.x.without_autodiff(), observed);
                        (Tensor::from_data(x.into_data(), &self.device), None)
                    }
                };
                let loss = objective.evaluate(&single, x, observed).loss();
                sum = sum + loss.clone().without_autodiff();
                let gradients = GradientsParams::from_grads(loss.backward(), &single);
                single = ae_kernels::step(&mut optimizer, self.config.learning_rate, single, gradients);
            }
            let loss = numbers(sum)?[0] / loader.batches() as f32;
            if !loss.is_finite() {
                let advice = format!("lower `training.learning_rate` (now {})", self.config.learning_rate);
                return Err(Error::Failed(format!("the loss became infinite while layer {} was pre-trained: {advice}", layer + 1)));
            }
            if self.print && (epoch == epochs || epoch % 10 == 0) {
                eprintln!("pre-training layer {}/{depth}  epoch {epoch:>4}/{epochs}  loss {loss:.4}", layer + 1);
            }
        }
        Ok(Some(single))
    }
}
