//! Greedy layer-wise pre-training: each layer of a perceptron, with its mirror in the decoder, as an autoencoder of the layer below.
//!
//! `h_0 = x`; for `l = 0, 1, ...`: `min L(h_l, g_l(f_l(h_l)))`, then `h_{l+1} = f_l(h_l)` (Hinton and Salakhutdinov 2006; Bengio et al. 2007).
//! The model's corruption acts on each layer's input (Vincent et al. 2010), its penalties on the last layer's code alone.

use ae_data::{Batcher, Dataset, Loader, Order};
use ae_model::{
    AnyCode, Autoencoder, Model, Objective, Sample, SquaredError,
    network::{Mlp, NetworkDecoder, NetworkEncoder, TiedMlp},
};
use burn::{
    data::dataloader::DataLoader,
    module::Module,
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
        let NetworkEncoder::Mlp(mut encoder) = model.encoder.clone() else { return Ok(Some(model)) };
        let mut decoder = model.decoder.clone();
        let depth = encoder.layers.len();
        for layer in (0..depth).filter(|_| self.config.pretrain_epochs > 0) {
            let Some(trained) = self.layer(&model, &encoder, &decoder, layer)? else { return Ok(None) };
            encoder.layers[layer] = trained.encoder.layers[0].clone();
            put(&mut decoder, depth - 1 - layer, trained.decoder);
        }
        model.encoder = NetworkEncoder::Mlp(encoder);
        model.decoder = decoder;
        Ok(Some(model))
    }

    /// Layer `layer` of the encoder and its mirror, trained on what the layers below give.
    fn layer(
        &self,
        model: &Model,
        encoder: &Mlp,
        decoder: &NetworkDecoder,
        layer: usize,
    ) -> Result<Option<Autoencoder<Mlp, NetworkDecoder>>> {
        let depth = encoder.layers.len();
        let (first, last) = (layer == 0, layer + 1 == depth);
        // Each half ends as it does inside the whole network.
        let mut single =
            Autoencoder::new(Mlp::new(vec![encoder.layers[layer].clone()], encoder.activation), alone(decoder, depth - 1 - layer))
                .with_code(if last { model.code.clone() } else { AnyCode::from(encoder.activation) })
                .with_reconstruction(if first { model.reconstruction.clone() } else { SquaredError.into() })
                .with_mask_input(first && model.mask_input);
        let below = (layer > 0).then(|| {
            let below = Mlp { output: encoder.activation, ..Mlp::new(encoder.layers[..layer].to_vec(), encoder.activation) };
            Autoencoder::new(below, decoder.clone()).with_mask_input(model.mask_input).valid()
        });
        let penalties = if last { self.objective.penalties.clone() } else { Vec::new() };
        // The first layer of the decoder is the last one's mirror.
        let constraints = if last { self.objective.constraints.clone() } else { Vec::new() };
        let corruption = self.objective.corruption.clone();
        let mut objective = Objective { penalties, corruption, constraints, ..Objective::default() };

        let order = Order::Shuffled { seed: self.seed ^ ((layer as u64 + 1) << 32) };
        let loader = Loader::new(self.rows.clone(), self.batcher.clone(), self.config.batch_size, order, self.device.clone());
        let mut optimizer = self.config.optimizer();
        let epochs = self.config.pretrain_epochs;
        let mut step = 0;
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
                let sample = Sample::from(x).with_observed(observed);
                let progress = step as f64 / (epochs * loader.batches()) as f64;
                let (trained, evaluation) = objective.step(single, &mut optimizer, self.config.learning_rate, sample, progress);
                (single, step) = (trained, step + 1);
                sum = sum + evaluation.loss().without_autodiff();
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

/// One layer of a decoder, with the activation that follows it there.
fn alone(decoder: &NetworkDecoder, index: usize) -> NetworkDecoder {
    match decoder {
        NetworkDecoder::Mlp(network) => {
            let output = if index + 1 == network.layers.len() { network.output } else { network.activation };
            NetworkDecoder::Mlp(Mlp { output, ..Mlp::new(vec![network.layers[index].clone()], network.activation) })
        }
        NetworkDecoder::Tied(network) => NetworkDecoder::Tied(TiedMlp {
            biases: vec![network.biases[index].clone()],
            norms: Vec::new(),
            dropout: None,
            activation: network.activation,
            output: if index + 1 == network.biases.len() { network.output } else { network.activation },
        }),
        NetworkDecoder::Conv(_) => decoder.clone(),
    }
}

/// Puts a layer that was trained alone into its place.
fn put(decoder: &mut NetworkDecoder, index: usize, trained: NetworkDecoder) {
    match (decoder, trained) {
        (NetworkDecoder::Mlp(network), NetworkDecoder::Mlp(mut trained)) => network.layers[index] = trained.layers.remove(0),
        (NetworkDecoder::Tied(network), NetworkDecoder::Tied(mut trained)) => network.biases[index] = trained.biases.remove(0),
        _ => {}
    }
}
