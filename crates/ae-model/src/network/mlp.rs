//! Multi-layer perceptrons: `h_0 = x`, `h_{l+1} = phi(h_l W_l + b_l)`, and a last layer without `phi`.
//!
//! The decoder mirrors the encoder's widths. Tied weights (each decoder weight is the transpose of the encoder's opposite one) halve the
//! parameters and act as a mild regularizer (Vincent et al. 2010). The tangent is carried beside the activation, exactly.

use burn::{
    module::Module,
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};

use super::{Affine, Decoder, Encoder};
use crate::{Activation, ConfigError};

/// Settings of a multi-layer perceptron and its mirror.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Widths of the encoder's hidden layers, input side first; the decoder has them in reverse. Each at least 1. Default: `[256, 128]`.
    pub hidden: Vec<usize>,
    /// Activation of the hidden layers. Default: `elu`.
    pub activation: Activation,
    /// Whether the decoder reads the encoder's weights transposed. Default: false.
    pub tied: bool,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self { hidden: vec![256, 128], activation: Activation::Elu, tied: false }
    }
}

impl MlpConfig {
    /// Whether the settings can be built.
    ///
    /// # Errors
    /// A hidden layer of width 0.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.hidden.iter().position(|&width| width == 0) {
            Some(layer) => Err(ConfigError::new(format!("hidden[{layer}]"), 0, "at least 1 unit (an empty list means no hidden layer)")),
            None => Ok(()),
        }
    }

    /// Encoder `d_input -> hidden -> d_code` and its mirror; `output` is the activation of the decoder's last layer.
    pub fn init(&self, d_input: usize, d_code: usize, output: Activation, device: &Device) -> (Mlp, Mlp) {
        let mut widths = vec![d_input];
        widths.extend(&self.hidden);
        widths.push(d_code);
        let encoder = Mlp::init(&widths, self.activation, Activation::Identity, false, device);
        widths.reverse();
        let decoder = Mlp::init(&widths, self.activation, output, self.tied, device);
        (encoder, decoder)
    }
}

/// A stack of affine layers with an activation between them and one at the end.
#[derive(Module, Debug)]
pub struct Mlp {
    /// The layers, input side first.
    pub layers: Vec<Affine>,
    /// Activation between layers.
    #[module(skip)]
    pub activation: Activation,
    /// Activation after the last layer.
    #[module(skip)]
    pub output: Activation,
}

impl Mlp {
    fn init(widths: &[usize], activation: Activation, output: Activation, tied: bool, device: &Device) -> Self {
        let layers = widths.windows(2).map(|pair| Affine::init(pair[0], pair[1], tied, device)).collect();
        Self { layers, activation, output }
    }

    /// Activation that follows layer `index`.
    fn activation_after(&self, index: usize) -> Activation {
        if index + 1 == self.layers.len() { self.output } else { self.activation }
    }

    /// The stack applied to `x`; layer `l` is lent `lent[l]`, if there is one.
    fn run(&self, x: Tensor<2>, lent: &[Tensor<2>]) -> Tensor<2> {
        self.layers.iter().enumerate().fold(x, |x, (index, layer)| {
            let z = layer.forward(x, lent.get(index)); // [batch, width of the layer]
            self.activation_after(index).forward(z)
        })
    }
}

impl Encoder for Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.run(x, &[])
    }

    fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        self.layers.iter().enumerate().fold((x, v), |(x, t), (index, layer)| {
            let t = t.matmul(layer.weight(None)); // the tangent takes the weight, not the bias
            self.activation_after(index).jvp(layer.forward(x, None), t)
        })
    }

    fn weights(&self) -> Vec<Tensor<2>> {
        self.layers.iter().map(|layer| layer.weight(None)).collect()
    }
}

impl Decoder for Mlp {
    fn forward(&self, h: Tensor<2>) -> Tensor<2> {
        self.run(h, &[])
    }

    fn forward_tied(&self, h: Tensor<2>, mut encoder_weights: Vec<Tensor<2>>) -> Tensor<2> {
        encoder_weights.reverse(); // the decoder's first layer mirrors the encoder's last
        self.run(h, &encoder_weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Autoencoder;

    #[test]
    fn a_tied_decoder_halves_the_weights_and_still_decodes() {
        let device = Device::default();
        let config = MlpConfig { hidden: vec![6, 5], activation: Activation::Tanh, tied: true };
        let (encoder, decoder) = config.init(8, 3, Activation::Sigmoid, &device);
        assert_eq!(encoder.num_params(), (8 * 6 + 6) + (6 * 5 + 5) + (5 * 3 + 3));
        assert_eq!(decoder.num_params(), 5 + 6 + 8);
        let model = Autoencoder::new(encoder, decoder);
        assert_eq!(model.reconstruct(Tensor::zeros([2, 8], &device)).dims(), [2, 8]);
    }

    #[test]
    fn gradients_of_tied_weights_come_from_both_uses() {
        // r = x W W^T with W = w (one by one): r = w^2 x, so d(r)/d(w) = 2 w x, while an untied encoder alone would give w x.
        let device = Device::default().autodiff();
        let config = MlpConfig { hidden: vec![], activation: Activation::Identity, tied: true };
        let (mut encoder, decoder) = config.init(1, 1, Activation::Identity, &device);
        encoder.layers[0] = Affine::from_tensors(Tensor::from_floats([[3.0]], &device), Tensor::zeros([1], &device));
        let model = Autoencoder::new(encoder, decoder);
        let grads = model.reconstruct(Tensor::from_floats([[2.0]], &device)).sum().backward();
        let weight = model.encoder.layers[0].weight(None);
        assert_eq!(weight.grad(&grads).expect("the weight is trained").into_scalar::<f32>(), 12.0);
    }

    #[test]
    fn a_layer_of_no_units_is_refused_by_name() {
        let error = MlpConfig { hidden: vec![4, 0], ..Default::default() }.check().unwrap_err();
        assert_eq!(error.field, "hidden[1]");
    }
}
