//! Multi-layer perceptrons: `h_0 = x`, `h_{l+1} = phi(h_l W_l + b_l)`, and a last layer without `phi`.
//!
//! The decoder mirrors the encoder's widths. Tied weights (each decoder weight is the transpose of the encoder's opposite one) halve the
//! parameters and act as a mild regularizer (Vincent et al. 2010). The tangent is carried beside the activation, exactly. Hidden layers may
//! be normalised before their activation ([`norm`](super::norm)) and thinned after it (dropout, Srivastava et al. 2014).

use ae_kernels::Sparse;
use burn::{
    module::Module,
    nn::{Dropout, DropoutConfig},
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};

use super::{Affine, Decoder, Encoder, Norm, NormKind, Sizes};
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
    /// Normalisation of the hidden layers, before their activation. Default: `none`.
    pub norm: NormKind,
    /// Share of the hidden units switched off in each training step, in `[0, 1)`. Default: 0.
    pub dropout: f64,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self { hidden: vec![256, 128], activation: Activation::Elu, tied: false, norm: NormKind::None, dropout: 0.0 }
    }
}

impl MlpConfig {
    /// Whether the settings can be built.
    ///
    /// # Errors
    /// A hidden layer of width 0, or a dropout outside `[0, 1)`.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_dropout(self.dropout)?;
        match self.hidden.iter().position(|&width| width == 0) {
            Some(layer) => Err(ConfigError::new(format!("hidden[{layer}]"), 0, "at least 1 unit (an empty list means no hidden layer)")),
            None => Ok(()),
        }
    }

    /// Encoder `d_input -> hidden -> d_code` and its mirror; `output` is the activation of the decoder's last layer.
    pub fn init(&self, sizes: &Sizes, output: Activation, device: &Device) -> (Mlp, Mlp) {
        let stack = |from: usize, hidden: Vec<usize>, to: usize, last: Activation, tied: bool| {
            let widths: Vec<usize> = [vec![from], hidden.clone(), vec![to]].concat();
            Mlp {
                layers: widths.windows(2).map(|pair| Affine::init(pair[0], pair[1], tied, device)).collect(),
                norms: hidden.iter().filter_map(|&width| self.norm.init(width, device)).collect(),
                dropout: (self.dropout > 0.0).then(|| DropoutConfig::new(self.dropout).init()),
                activation: self.activation,
                output: last,
            }
        };
        let encoder = stack(sizes.d_input, self.hidden.clone(), sizes.d_code, Activation::Identity, false);
        let mirrored = self.hidden.iter().rev().copied().collect();
        (encoder, stack(sizes.d_code, mirrored, sizes.d_output, output, self.tied))
    }
}

/// Whether `dropout` is a share of units that leaves some.
pub(super) fn check_dropout(dropout: f64) -> Result<(), ConfigError> {
    match (0.0..1.0).contains(&dropout) {
        true => Ok(()),
        false => Err(ConfigError::new("dropout", dropout, "at least 0 and less than 1")),
    }
}

/// A stack of affine layers with an activation between them and one at the end.
#[derive(Module, Debug)]
pub struct Mlp {
    /// The layers, input side first.
    pub layers: Vec<Affine>,
    /// Normalisation of each hidden layer; none if empty.
    pub norms: Vec<Norm>,
    /// Dropout after each hidden layer.
    pub dropout: Option<Dropout>,
    /// Activation between layers.
    #[module(skip)]
    pub activation: Activation,
    /// Activation after the last layer.
    #[module(skip)]
    pub output: Activation,
}

impl Mlp {
    /// A stack of the given layers, with `activation` between them and none at the end.
    pub fn new(layers: Vec<Affine>, activation: Activation) -> Self {
        Self { layers, norms: Vec::new(), dropout: None, activation, output: Activation::Identity }
    }

    fn is_last(&self, index: usize) -> bool {
        index + 1 == self.layers.len()
    }

    /// The stack applied to `x`; layer `l` is lent `lent[l]`, if there is one.
    fn run(&self, x: Tensor<2>, lent: &[Tensor<2>]) -> Tensor<2> {
        self.run_from(0, x, lent)
    }

    /// The stack from this layer on.
    fn run_from(&self, first: usize, x: Tensor<2>, lent: &[Tensor<2>]) -> Tensor<2> {
        (first..self.layers.len())
            .fold(x, |x, index| self.layer(index, |layer, activation| layer.activated(x, lent.get(index), activation)))
    }

    /// One layer and what follows it; `apply` gives the layer's result with an activation, `[batch, width of the layer]`.
    fn layer(&self, index: usize, apply: impl FnOnce(&Affine, Activation) -> Tensor<2>) -> Tensor<2> {
        let layer = &self.layers[index];
        if self.is_last(index) {
            return apply(layer, self.output);
        }
        let y = match self.norms.get(index) {
            Some(norm) => self.activation.forward(norm.forward(apply(layer, Activation::Identity))),
            None => apply(layer, self.activation),
        };
        match &self.dropout {
            Some(dropout) => dropout.forward(y),
            None => y,
        }
    }
}

impl Encoder for Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.run(x, &[])
    }

    fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        self.layers.iter().enumerate().fold((x, v), |(x, t), (index, layer)| {
            let t = ae_kernels::matmul(t, layer.weight(None)); // the tangent takes the weight, not the bias
            let z = layer.forward(x, None);
            if self.is_last(index) {
                return self.output.jvp(z, t);
            }
            let (z, t) = match self.norms.get(index) {
                Some(norm) => norm.jvp(z, t),
                None => (z, t),
            };
            self.activation.jvp(z, t)
        })
    }

    fn weights(&self) -> Vec<Tensor<2>> {
        self.layers.iter().map(|layer| layer.weight(None)).collect()
    }

    fn affine(&self) -> Option<Tensor<2>> {
        match self.layers.as_slice() {
            [layer] if self.output == Activation::Identity => Some(layer.weight(None)),
            _ => None,
        }
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

    fn forward_sparse(&self, h: &Sparse, mut encoder_weights: Vec<Tensor<2>>) -> Tensor<2> {
        encoder_weights.reverse();
        let first = self.layer(0, |layer, activation| layer.activated_sparse(h, encoder_weights.first(), activation));
        self.run_from(1, first, &encoder_weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Autoencoder;

    #[test]
    fn a_tied_decoder_halves_the_weights_and_still_decodes() {
        let device = Device::default();
        let config = MlpConfig { hidden: vec![6, 5], activation: Activation::Tanh, tied: true, ..Default::default() };
        let (encoder, decoder) = config.init(&Sizes::new(8, 3), Activation::Sigmoid, &device);
        assert_eq!(encoder.num_params(), (8 * 6 + 6) + (6 * 5 + 5) + (5 * 3 + 3));
        assert_eq!(decoder.num_params(), 5 + 6 + 8);
        let model = Autoencoder::new(encoder, decoder);
        assert_eq!(model.reconstruct(Tensor::zeros([2, 8], &device)).dims(), [2, 8]);
    }

    #[test]
    fn gradients_of_tied_weights_come_from_both_uses() {
        // r = x W W^T with W = w (one by one): r = w^2 x, so d(r)/d(w) = 2 w x, while an untied encoder alone would give w x.
        let device = Device::default().autodiff();
        let config = MlpConfig { hidden: vec![], tied: true, ..Default::default() };
        let (mut encoder, decoder) = config.init(&Sizes::new(1, 1), Activation::Identity, &device);
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

    #[test]
    fn tangents_pass_through_norms_and_leave_dropout_out() {
        let device = Device::default();
        for norm in [NormKind::None, NormKind::Layer, NormKind::Batch] {
            let config = MlpConfig { hidden: vec![7, 6], activation: Activation::Tanh, norm, dropout: 0.5, ..Default::default() };
            let (encoder, _) = config.init(&Sizes::new(5, 3), Activation::Identity, &device);
            let x = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Uniform(-2.0, 2.0), &device);
            let v = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Normal(0.0, 1.0), &device);
            let (code, tangent) = encoder.jvp(x.clone(), v.clone());
            let (same, estimate) = super::super::finite_difference_jvp(|x| Encoder::forward(&encoder, x), x, v);
            code.into_data().assert_approx_eq::<f32>(&same.into_data(), burn::tensor::Tolerance::absolute(1e-5));
            tangent.into_data().assert_approx_eq::<f32>(&estimate.into_data(), burn::tensor::Tolerance::absolute(5e-3));
        }
    }

    #[test]
    fn dropout_acts_in_training_alone() {
        let training = Device::default().autodiff();
        let config = MlpConfig { hidden: vec![64], dropout: 0.5, ..Default::default() };
        let (encoder, _) = config.init(&Sizes::new(5, 3), Activation::Identity, &training);
        let x = Tensor::<2>::ones([2, 5], &training);
        let different = |a: Tensor<2>, b: Tensor<2>| (a - b).abs().max().into_scalar::<f32>();
        assert!(different(Encoder::forward(&encoder, x.clone()), Encoder::forward(&encoder, x.clone())) > 0.0);
        let (encoder, x) = (encoder.valid(), x.without_autodiff());
        assert_eq!(different(Encoder::forward(&encoder, x.clone()), Encoder::forward(&encoder, x)), 0.0);
    }
}
