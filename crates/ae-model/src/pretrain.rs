//! Greedy layer-wise pre-training: each layer of a perceptron is trained, together with its counterpart in the decoder,
//! as an autoencoder of the layer below.
//!
//! `h_0 = x`; for `l = 0, 1, ...`: `min L(h_l, g_l(f_l(h_l)))`, then `h_{l+1} = f_l(h_l)` (Hinton and Salakhutdinov
//! 2006; Bengio et al. 2007). The model's corruption acts on each layer's input (Vincent et al. 2010), its penalties
//! only on the last layer's code.

use burn::{
    module::Module,
    optim::ModuleOptimizer,
    tensor::{ExecutionError, Tensor},
};

use crate::{
    AnyCode, Autoencoder, Model, Objective, Sample, SquaredError,
    network::{Mlp, NetworkDecoder, NetworkEncoder, TiedMlp},
};

/// How each layer is trained.
#[derive(Clone)]
pub struct Pretraining {
    /// Epochs for each layer.
    pub epochs: usize,
    /// Steps per epoch, that is, the number of samples that hold its rows.
    pub steps: usize,
    /// The learning rate.
    pub learning_rate: f64,
    /// The optimizer, which starts anew with each layer.
    pub optimizer: ModuleOptimizer,
}

/// A finished epoch of the pre-training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pass {
    /// Index of the encoder layer that is trained, from 0.
    pub layer: usize,
    /// Number of layers.
    pub layers: usize,
    /// Index of the epoch of this layer, from 0.
    pub epoch: usize,
    /// The loss, averaged over the steps.
    pub loss: f32,
}

/// The number of layers that can be pre-trained: those of the encoder, if it is a perceptron and the decoder has its
/// layers in reverse; otherwise 0.
pub fn layers(model: &Model) -> usize {
    let NetworkEncoder::Mlp(encoder) = &model.encoder else { return 0 };
    let widths = |network: &Mlp| network.layers.iter().map(|layer| layer.weight.lazy_shape()[1]).collect::<Vec<_>>();
    let mut hidden = widths(encoder);
    hidden.pop();
    hidden.reverse();
    let is_mirror = match &model.decoder {
        NetworkDecoder::Mlp(decoder) => widths(decoder).split_last().is_some_and(|(_, others)| others == hidden),
        NetworkDecoder::Tied(_) => true,
        NetworkDecoder::Conv(_) | NetworkDecoder::Dictionary(_) => false,
    };
    if is_mirror { encoder.layers.len() } else { 0 }
}

impl Pretraining {
    /// Trains the layers of a model one after the other, and returns the model; unchanged if it has no such [`layers`].
    ///
    /// `objective` is the one that the whole model will be trained for. `samples(layer)` returns the rows of one epoch,
    /// on an autodiff device. `report` is called after each epoch. Either can stop the training with an error, for
    /// example `report` if the loss is not finite.
    ///
    /// # Errors
    /// Those of `samples` and of `report`, or the device fails.
    pub fn run<I: IntoIterator<Item = Result<Sample, E>>, E: From<ExecutionError>>(
        &self,
        mut model: Model,
        objective: &Objective,
        mut samples: impl FnMut(usize) -> I,
        mut report: impl FnMut(Pass) -> Result<(), E>,
    ) -> Result<Model, E> {
        let depth = layers(&model);
        let NetworkEncoder::Mlp(mut encoder) = model.encoder.clone() else { return Ok(model) };
        let mut decoder = model.decoder.clone();
        for layer in (0..depth).filter(|_| self.epochs > 0) {
            let (single, objective) = single(&model, &encoder, &decoder, objective, layer);
            // The input of this layer is the output of the layers below.
            let below = (layer > 0).then(|| {
                let below = Mlp {
                    output: encoder.activation,
                    ..Mlp::new(encoder.layers[..layer].to_vec(), encoder.activation)
                };
                Autoencoder::new(below, decoder.clone()).with_mask_input(model.mask_input).valid()
            });
            let read = |sample: Sample| match &below {
                None => sample,
                Some(below) => {
                    let observed = sample.observed.map(Tensor::without_autodiff);
                    Tensor::from_inner(below.encode_visible(sample.input.without_autodiff(), observed)).into()
                }
            };
            let samples = || samples(layer).into_iter().map(|sample| sample.map(read));
            let report = |epoch, loss| report(Pass { layer, layers: depth, epoch, loss });
            let trained = self.layer(single, objective, samples, report)?;
            encoder.layers[layer] = trained.encoder.layers[0].clone();
            put_back(&mut decoder, depth - 1 - layer, trained.decoder);
        }
        model.encoder = NetworkEncoder::Mlp(encoder);
        model.decoder = decoder;
        Ok(model)
    }

    /// Trains a layer and its counterpart.
    fn layer<I: Iterator<Item = Result<Sample, E>>, E: From<ExecutionError>>(
        &self,
        mut single: Single,
        mut objective: Objective,
        mut samples: impl FnMut() -> I,
        mut report: impl FnMut(usize, f32) -> Result<(), E>,
    ) -> Result<Single, E> {
        let mut optimizer = self.optimizer.clone();
        let mut step = 0;
        for epoch in 0..self.epochs {
            let mut losses = Vec::with_capacity(self.steps);
            for sample in samples() {
                let progress = step as f64 / (self.epochs * self.steps) as f64;
                let (trained, evaluation) =
                    objective.step(single, &mut optimizer, self.learning_rate, sample?, progress);
                (single, step) = (trained, step + 1);
                losses.push(evaluation.loss().without_autodiff());
            }
            if !losses.is_empty() {
                let losses: Vec<f32> = Tensor::cat(losses, 0).try_into_data()?.iter().collect();
                report(epoch, losses.iter().sum::<f32>() / losses.len() as f32)?;
            }
        }
        Ok(single)
    }
}

/// A layer of the encoder, with its counterpart in the decoder.
type Single = Autoencoder<Mlp, NetworkDecoder>;

/// Layer `layer` of the encoder and its counterpart as an autoencoder, and the objective for it. Each of the two has
/// the activation that follows it in the whole network.
fn single(
    model: &Model,
    encoder: &Mlp,
    decoder: &NetworkDecoder,
    objective: &Objective,
    layer: usize,
) -> (Single, Objective) {
    let depth = encoder.layers.len();
    let (first, last) = (layer == 0, layer + 1 == depth);
    let single = Autoencoder::new(
        Mlp::new(vec![encoder.layers[layer].clone()], encoder.activation),
        single_layer(decoder, depth - 1 - layer),
    )
    .with_code(if last { model.code.clone() } else { AnyCode::from(encoder.activation) })
    .with_reconstruction(if first { model.reconstruction.clone() } else { SquaredError.into() })
    .with_mask_input(first && model.mask_input);
    let penalties = if last { objective.penalties.clone() } else { Vec::new() };
    // The first layer of the decoder is the counterpart of the last one of the encoder.
    let constraints = if last { objective.constraints.clone() } else { Vec::new() };
    (single, Objective { penalties, corruption: objective.corruption.clone(), constraints, ..Objective::default() })
}

/// One layer of a decoder, with the activation that follows it there.
fn single_layer(decoder: &NetworkDecoder, index: usize) -> NetworkDecoder {
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
        NetworkDecoder::Conv(_) | NetworkDecoder::Dictionary(_) => decoder.clone(),
    }
}

/// Puts a layer that was trained on its own into the decoder.
fn put_back(decoder: &mut NetworkDecoder, index: usize, trained: NetworkDecoder) {
    match (decoder, trained) {
        (NetworkDecoder::Mlp(network), NetworkDecoder::Mlp(mut trained)) => {
            network.layers[index] = trained.layers.remove(0)
        }
        (NetworkDecoder::Tied(network), NetworkDecoder::Tied(mut trained)) => {
            network.biases[index] = trained.biases.remove(0)
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        optim::AdamConfig,
        tensor::{Device, Distribution},
    };

    use super::*;
    use crate::{Inputs, Variant};

    #[test]
    fn layers_are_trained_in_turn_until_a_report_stops_it() {
        let device = Device::default().autodiff();
        let mut recipe = (Variant::find("stacked").unwrap().recipe)();
        recipe.code_dim = 2;
        let inputs = Inputs::unit(8);
        let (model, objective) =
            (ae_kernels::alone(1, &device, || recipe.init(&inputs, &device)), recipe.objective(&inputs));
        let x = Tensor::<2>::random([32, 8], Distribution::Uniform(0.0, 1.0), &device);
        let pretraining = Pretraining { epochs: 2, steps: 3, learning_rate: 1e-2, optimizer: AdamConfig::new().init() };
        let rows = |_: usize| vec![Ok::<_, ExecutionError>(Sample::from(x.clone())); 3];
        let mut passes = Vec::new();
        let note = |pass: Pass| {
            passes.push(pass);
            Ok(())
        };
        let trained = pretraining.run(model.clone(), &objective, rows, note).unwrap();
        let depth = layers(&model);
        assert!(
            depth > 1
                && passes.len() == 2 * depth
                && passes.iter().all(|pass| pass.layers == depth && pass.loss.is_finite())
        );
        let places: Vec<_> = passes.iter().map(|pass| (pass.layer, pass.epoch)).collect();
        assert_eq!(places[..3], [(0, 0), (0, 1), (1, 0)]);
        for pair in passes.chunks(2) {
            assert!(pair[1].loss < pair[0].loss, "{pair:?}");
        }
        let NetworkEncoder::Mlp(encoder) = &trained.encoder else { panic!("a perceptron") };
        let NetworkEncoder::Mlp(before) = &model.encoder else { panic!("a perceptron") };
        for (layer, before) in encoder.layers.iter().zip(&before.layers) {
            assert_ne!(layer.weight.val().into_data(), before.weight.val().into_data());
        }

        // Layers without a counterpart are not pre-trained.
        let network = crate::network::MlpConfig::new().with_hidden([6, 4]).with_decoder_hidden([5]);
        let other = crate::Recipe { network: network.into(), ..recipe }.init(&inputs, &device);
        assert_eq!(layers(&other), 0);

        #[derive(Debug, PartialEq)]
        struct Stopped;
        impl From<ExecutionError> for Stopped {
            fn from(error: ExecutionError) -> Self {
                panic!("{error:?}")
            }
        }
        let ended = pretraining.run(model, &objective, |_| [Ok(Sample::from(x.clone()))], |_| Err(Stopped));
        assert_eq!(ended.unwrap_err(), Stopped);
    }
}
