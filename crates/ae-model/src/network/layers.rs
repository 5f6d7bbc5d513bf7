//! A network as a list of plain layers, to rebuild it in another framework, or to replace its weights.

use burn::{
    module::{Param, RunningState},
    tensor::Tensor,
};

use super::{
    Affine, ConvDecoder, ConvEncoder, DictionaryDecoder, DictionaryEncoder, Mlp, NetworkDecoder, NetworkEncoder, Norm,
    TiedMlp, conv::ConvLayer, norm::LayerNorm,
};
use crate::{Activation, Autoencoder, Encoder};

/// A layer with its parameters.
#[expect(clippy::large_enum_variant, reason = "a network has a handful of layers")]
#[derive(Debug, Clone)]
pub enum Layer {
    /// `y = x W + b` with `W` of `[in, out]`.
    Linear {
        /// The weight `W`.
        weight: Tensor<2>,
        /// The bias `b`, `[out]`.
        bias: Tensor<1>,
    },
    /// A convolution with padding `(kernel - 1) / 2`.
    Conv {
        /// The weight, `[out, in, kernel, kernel]`.
        weight: Tensor<4>,
        /// The bias, `[out]`.
        bias: Tensor<1>,
        /// The stride in both directions.
        stride: usize,
    },
    /// A transposed convolution with padding `(kernel - 1) / 2`.
    ConvTranspose {
        /// The weight, `[in, out, kernel, kernel]`.
        weight: Tensor<4>,
        /// The bias, `[out]`.
        bias: Tensor<1>,
        /// The stride in both directions.
        stride: usize,
        /// Rows and columns that are added at the end of the output.
        padding_out: [usize; 2],
    },
    /// `gamma (x - m) / sqrt(s^2 + 1e-5) + beta`, with the statistics of each example, and one `gamma` and `beta` for
    /// each unit or channel.
    LayerNorm {
        /// The scale, `[units]` or `[channels]`.
        gamma: Tensor<1>,
        /// The shift, of the same shape.
        beta: Tensor<1>,
    },
    /// As `LayerNorm`, with the running statistics of each unit or channel.
    BatchNorm {
        /// The scale, `[units]` or `[channels]`.
        gamma: Tensor<1>,
        /// The shift, of the same shape.
        beta: Tensor<1>,
        /// The running mean, of the same shape.
        mean: Tensor<1>,
        /// The running variance, of the same shape.
        variance: Tensor<1>,
        /// The number that is added to the variance.
        epsilon: f64,
    },
    /// An element-wise activation.
    Activation(Activation),
    /// Adds `x S`, a linear function of the input of the whole model, to the output of the layer before it.
    Skip {
        /// The weight `S`, `[d_input, d_output]`.
        weight: Tensor<2>,
    },
    /// Reshapes rows to images of `channels, height, width`.
    Unflatten([usize; 3]),
    /// Reshapes images to rows.
    Flatten,
}

/// A function that is called with each layer in turn, and returns the layer that replaces it.
type Visit<'a> = &'a mut dyn FnMut(Layer) -> Layer;

fn linear(weight: Tensor<2>, bias: Tensor<1>, visit: Visit) -> (Tensor<2>, Tensor<1>) {
    let Layer::Linear { weight, bias } = visit(Layer::Linear { weight, bias }) else {
        panic!("a linear layer can only be replaced by a linear layer")
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
            _ => panic!("a layer norm can only be replaced by a layer norm"),
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
                panic!("a batch norm can only be replaced by a batch norm")
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
        panic!("a convolution can only be replaced by a convolution")
    };
    (layer.weight, layer.bias) = (Param::from_tensor(weight), Param::from_tensor(bias));
    layer
}

fn activate(activation: Activation, visit: Visit) {
    if activation != Activation::Identity {
        visit(Layer::Activation(activation));
    }
}

/// Visits a stack of `layers`, with the norm and the activation after each layer; `layer` visits one. Returns the
/// norms.
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
    /// A tied weight is that of the encoder, and is not replaced here.
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

/// Visits a dictionary as two linear layers: the center is part of their biases. Their replacements have the center of
/// the new decoder.
fn dictionary(
    mut encoder: DictionaryEncoder,
    mut decoder: DictionaryDecoder,
    visit: &mut dyn FnMut(bool, Layer) -> Layer,
) -> (DictionaryEncoder, DictionaryDecoder) {
    let product = |center: Tensor<1>, weight: &Tensor<2>| {
        ae_kernels::matmul(center.unsqueeze::<2>(), weight.clone()).squeeze_dim::<1>(0)
    };
    let (weight, bias) = (encoder.weight.val(), encoder.bias.val());
    let bias = match encoder.center() {
        Some(center) => bias - product(center, &weight),
        None => bias,
    };
    let (weight, bias) = linear(weight, bias, &mut |layer| visit(false, layer));
    let center = decoder.bias.as_ref().map(Param::val).or_else(|| encoder.center());
    let center = center.expect("a dictionary has a center or a bias");
    let (atoms, center) = linear(decoder.weight.val(), center, &mut |layer| visit(true, layer));
    decoder.skip = decoder.skip.map(|skip| match visit(true, Layer::Skip { weight: skip.val() }) {
        Layer::Skip { weight } => Param::from_tensor(weight),
        _ => panic!("a skip connection can only be replaced by a skip connection"),
    });
    activate(decoder.output, &mut |layer| visit(true, layer));
    encoder.bias = Param::from_tensor(match encoder.center {
        Some(_) => bias + product(center.clone(), &weight),
        None => bias,
    });
    encoder.center = encoder.center.map(|_| Param::from_tensor(center.clone()));
    decoder.bias = decoder.bias.map(|_| Param::from_tensor(center));
    (encoder.weight, decoder.weight) = (Param::from_tensor(weight), Param::from_tensor(atoms));
    (encoder, decoder)
}

impl Autoencoder<NetworkEncoder, NetworkDecoder> {
    /// Calls `visit` with each layer of the encoder (`false`) and then of the decoder (`true`), in their order, without
    /// what is only needed in training. The layer that it returns, of the same kind and shape, replaces the layer. A
    /// decoder with tied weights keeps using the encoder's weights.
    ///
    /// # Panics
    /// A layer is replaced by one of another kind, or one side of a dictionary is combined with another network.
    pub fn map_layers(self, mut visit: impl FnMut(bool, Layer) -> Layer) -> Self {
        if let (NetworkEncoder::Dictionary(encoder), NetworkDecoder::Dictionary(decoder)) =
            (&self.encoder, &self.decoder)
        {
            let (encoder, decoder) = dictionary(encoder.clone(), decoder.clone(), &mut visit);
            let (encoder, decoder) = (NetworkEncoder::Dictionary(encoder), NetworkDecoder::Dictionary(decoder));
            return Self { encoder, decoder, ..self };
        }
        let of_encoder = &mut |layer| visit(false, layer);
        let encoder = match self.encoder {
            NetworkEncoder::Mlp(network) => NetworkEncoder::Mlp(network.map_layers(of_encoder)),
            NetworkEncoder::Conv(network) => NetworkEncoder::Conv(network.map_layers(of_encoder)),
            NetworkEncoder::Dictionary(_) => panic!("a dictionary's encoder with another decoder"),
        };
        let of_decoder = &mut |layer| visit(true, layer);
        let decoder = match self.decoder {
            NetworkDecoder::Mlp(network) => NetworkDecoder::Mlp(network.map_layers(of_decoder)),
            NetworkDecoder::Tied(network) => NetworkDecoder::Tied(network.map_layers(encoder.weights(), of_decoder)),
            NetworkDecoder::Conv(network) => NetworkDecoder::Conv(network.map_layers(of_decoder)),
            NetworkDecoder::Dictionary(_) => panic!("a dictionary's decoder with another encoder"),
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
