//! A network as a list of plain layers, one after the other: what another framework needs to rebuild it, and what
//! weights from there replace.

use burn::{
    module::{Param, RunningState},
    tensor::Tensor,
};

use super::{
    Affine, ConvDecoder, ConvEncoder, Mlp, NetworkDecoder, NetworkEncoder, Norm, TiedMlp, conv::ConvLayer,
    norm::LayerNorm,
};
use crate::{Activation, Encoder, Model};

/// A layer with its parameters.
#[expect(clippy::large_enum_variant, reason = "a network has a handful of layers")]
#[derive(Debug, Clone)]
pub enum Layer {
    /// `y = x W + b` with `W` of `[in, out]`.
    Linear {
        /// `W`.
        weight: Tensor<2>,
        /// `b`, `[out]`.
        bias: Tensor<1>,
    },
    /// A convolution with padding `(kernel - 1) / 2`.
    Conv {
        /// `[out, in, kernel, kernel]`.
        weight: Tensor<4>,
        /// `[out]`.
        bias: Tensor<1>,
        /// Of both sides.
        stride: usize,
    },
    /// A transposed convolution with padding `(kernel - 1) / 2`.
    ConvTranspose {
        /// `[in, out, kernel, kernel]`.
        weight: Tensor<4>,
        /// `[out]`.
        bias: Tensor<1>,
        /// Of both sides.
        stride: usize,
        /// Rows and columns that are added at the end of the output.
        padding_out: [usize; 2],
    },
    /// `gamma (x - m) / sqrt(s^2 + 1e-5) + beta` over all of an example; `gamma` and `beta` are one for each unit or
    /// channel.
    LayerNorm {
        /// `[units]` or `[channels]`.
        gamma: Tensor<1>,
        /// Of the same shape.
        beta: Tensor<1>,
    },
    /// The same with the averages of the training, one for each unit or channel.
    BatchNorm {
        /// `[units]` or `[channels]`.
        gamma: Tensor<1>,
        /// Of the same shape.
        beta: Tensor<1>,
        /// Of the same shape.
        mean: Tensor<1>,
        /// Of the same shape.
        variance: Tensor<1>,
        /// What is added to the variance.
        epsilon: f64,
    },
    /// An activation, element by element.
    Activation(Activation),
    /// Rows become images of `channels, height, width`.
    Unflatten([usize; 3]),
    /// Images become rows.
    Flatten,
}

/// Calls a function with each layer in its order; what it returns takes the layer's place.
type Visit<'a> = &'a mut dyn FnMut(Layer) -> Layer;

fn linear(weight: Tensor<2>, bias: Tensor<1>, visit: Visit) -> (Tensor<2>, Tensor<1>) {
    let Layer::Linear { weight, bias } = visit(Layer::Linear { weight, bias }) else {
        panic!("a linear layer takes a linear layer's place")
    };
    (weight, bias)
}

fn affine(layer: &Affine, visit: Visit) -> Affine {
    let (weight, bias) = linear(layer.weight.val(), layer.bias.val(), visit);
    Affine::from_tensors(weight, bias)
}

fn norm(norm: Norm, visit: Visit) -> Norm {
    match norm {
        Norm::Layer(norm) => match visit(Layer::LayerNorm { gamma: norm.gamma.val(), beta: norm.beta.val() }) {
            Layer::LayerNorm { gamma, beta } => {
                Norm::Layer(LayerNorm { gamma: Param::from_tensor(gamma), beta: Param::from_tensor(beta) })
            }
            _ => panic!("a layer norm takes a layer norm's place"),
        },
        Norm::Batch(mut norm) => {
            let (mean, variance) = (norm.running_mean.value_sync(), norm.running_var.value_sync());
            let layer = Layer::BatchNorm {
                gamma: norm.gamma.val(),
                beta: norm.beta.val(),
                mean,
                variance,
                epsilon: norm.epsilon,
            };
            let Layer::BatchNorm { gamma, beta, mean, variance, .. } = visit(layer) else {
                panic!("a batch norm takes a batch norm's place")
            };
            (norm.gamma, norm.beta) = (Param::from_tensor(gamma), Param::from_tensor(beta));
            (norm.running_mean, norm.running_var) = (RunningState::new(mean), RunningState::new(variance));
            Norm::Batch(norm)
        }
    }
}

fn convolution(mut layer: ConvLayer, visit: Visit) -> ConvLayer {
    let (weight, bias, stride) = (layer.weight.val(), layer.bias.val(), layer.stride);
    let seen = match layer.padding_out {
        None => visit(Layer::Conv { weight, bias, stride }),
        Some(padding_out) => visit(Layer::ConvTranspose { weight, bias, stride, padding_out }),
    };
    let (Layer::Conv { weight, bias, .. } | Layer::ConvTranspose { weight, bias, .. }) = seen else {
        panic!("a convolution takes a convolution's place")
    };
    (layer.weight, layer.bias) = (Param::from_tensor(weight), Param::from_tensor(bias));
    layer
}

fn activate(activation: Activation, visit: Visit) {
    if activation != Activation::Identity {
        visit(Layer::Activation(activation));
    }
}

/// The norms of a stack of `layers`, with what follows each layer; `layer` visits one.
fn stack(
    layers: usize,
    norms: Vec<Norm>,
    [activation, output]: [Activation; 2],
    visit: Visit,
    mut layer: impl FnMut(usize, Visit),
) -> Vec<Norm> {
    let (mut old, mut new) = (norms.into_iter(), Vec::new());
    for index in 0..layers {
        layer(index, visit);
        if index + 1 < layers {
            new.extend(old.next().map(|old| norm(old, visit)));
            activate(activation, visit);
        } else {
            activate(output, visit);
        }
    }
    new
}

impl Mlp {
    fn map_layers(mut self, visit: Visit) -> Self {
        let layers = &mut self.layers;
        self.norms = stack(layers.len(), self.norms, [self.activation, self.output], visit, |index, visit| {
            layers[index] = affine(&layers[index], visit);
        });
        self
    }
}

impl TiedMlp {
    /// A tied weight is the encoder's, and stays so.
    fn map_layers(mut self, mut weights: Vec<Tensor<2>>, visit: Visit) -> Self {
        weights.reverse();
        let biases = &mut self.biases;
        self.norms = stack(biases.len(), self.norms, [self.activation, self.output], visit, |index, visit| {
            let (_, bias) = linear(weights[index].clone().transpose(), biases[index].val(), visit);
            biases[index] = Param::from_tensor(bias);
        });
        self
    }
}

impl ConvEncoder {
    fn map_layers(self, visit: Visit) -> Self {
        visit(Layer::Unflatten(self.image));
        let mut norms = self.norms.into_iter();
        let (mut convolutions, mut new_norms) = (Vec::new(), Vec::new());
        for layer in self.convolutions {
            convolutions.push(convolution(layer, visit));
            new_norms.extend(norms.next().map(|old| norm(old, visit)));
            activate(self.activation, visit);
        }
        visit(Layer::Flatten);
        Self { convolutions, norms: new_norms, code: affine(&self.code, visit), ..self }
    }
}

impl ConvDecoder {
    fn map_layers(self, visit: Visit) -> Self {
        let code = affine(&self.code, visit);
        visit(Layer::Unflatten(self.image));
        let mut norms = self.norms.into_iter();
        let (mut convolutions, mut new_norms) = (Vec::new(), Vec::new());
        for layer in self.convolutions {
            new_norms.extend(norms.next().map(|old| norm(old, visit)));
            activate(self.activation, visit);
            convolutions.push(convolution(layer, visit));
        }
        visit(Layer::Flatten);
        activate(self.output, visit);
        Self { convolutions, norms: new_norms, code, ..self }
    }
}

impl Model {
    /// Calls `visit` with each layer of the encoder and then of the decoder (`true`), in their order, without what only
    /// training needs. What it returns takes the layer's place: a layer of the same kind and shape. A decoder with tied
    /// weights keeps the encoder's.
    ///
    /// # Panics
    /// A layer of another kind in a layer's place.
    pub fn map_layers(self, mut visit: impl FnMut(bool, Layer) -> Layer) -> Self {
        let of_encoder = &mut |layer| visit(false, layer);
        let encoder = match self.encoder {
            NetworkEncoder::Mlp(network) => NetworkEncoder::Mlp(network.map_layers(of_encoder)),
            NetworkEncoder::Conv(network) => NetworkEncoder::Conv(network.map_layers(of_encoder)),
        };
        let of_decoder = &mut |layer| visit(true, layer);
        let decoder = match self.decoder {
            NetworkDecoder::Mlp(network) => NetworkDecoder::Mlp(network.map_layers(of_decoder)),
            NetworkDecoder::Tied(network) => NetworkDecoder::Tied(network.map_layers(encoder.weights(), of_decoder)),
            NetworkDecoder::Conv(network) => NetworkDecoder::Conv(network.map_layers(of_decoder)),
        };
        Self { encoder, decoder, ..self }
    }

    /// The layers of the encoder and those of the decoder.
    pub fn layers(&self) -> [Vec<Layer>; 2] {
        let mut layers = [Vec::new(), Vec::new()];
        self.clone().map_layers(|is_decoder, layer| {
            layers[usize::from(is_decoder)].push(layer.clone());
            layer
        });
        layers
    }
}
