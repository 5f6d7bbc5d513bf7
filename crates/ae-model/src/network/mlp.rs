//! Multi-layer perceptrons: `h_0 = x`, `h_{l+1} = phi(h_l W_l + b_l)`, and a last layer without `phi`.
//!
//! Without hidden layers it is one affine map. The decoder mirrors the encoder's widths. Tied weights (each decoder weight is the transpose of the
//! encoder's opposite one, [`TiedMlp`]) halve the parameters, act as a mild regularizer (Vincent et al. 2010), and keep encoder and decoder from
//! being scaled against one another (Rifai et al. 2011). The tangent is carried beside the activation, exactly. Hidden layers may
//! be normalised before their activation ([`norm`](super::norm)) and thinned after it (dropout, Srivastava et al. 2014).

use burn::{
    module::{Module, Param},
    nn::{Dropout, DropoutConfig},
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

use super::{
    Affine, Decode, Encoder, Norm, NormKind, Sizes,
    affine::{bias, projected},
};
use crate::{Activation, ConfigError, Latent};

/// Settings of a multi-layer perceptron and its mirror.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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

    /// The encoder `d_input -> hidden -> d_code`, with random weights drawn from the device's generator.
    pub fn encoder(&self, sizes: &Sizes, device: &Device) -> Mlp {
        self.stack(&[&[sizes.d_input], self.hidden.as_slice(), &[sizes.reads]].concat(), Activation::Identity, device)
    }

    /// Its mirror `d_code -> hidden, reversed -> d_output` with weights of its own, whatever [`tied`](Self::tied) says; `output` is the activation of its
    /// last layer. A decoder of other widths than the encoder's is that of another configuration.
    pub fn decoder(&self, sizes: &Sizes, output: Activation, device: &Device) -> Mlp {
        self.stack(&self.mirrored(sizes), output, device)
    }

    /// Its mirror with the encoder's weights.
    pub fn tied_decoder(&self, sizes: &Sizes, output: Activation, device: &Device) -> TiedMlp {
        let widths = self.mirrored(sizes);
        TiedMlp {
            biases: widths.windows(2).map(|pair| bias(pair[0], pair[1], device)).collect(),
            norms: self.norms(&widths, device),
            dropout: self.dropout_layer(),
            activation: self.activation,
            output,
        }
    }

    fn mirrored(&self, sizes: &Sizes) -> Vec<usize> {
        std::iter::once(sizes.d_code).chain(self.hidden.iter().rev().copied()).chain(std::iter::once(sizes.d_output)).collect()
    }

    fn stack(&self, widths: &[usize], output: Activation, device: &Device) -> Mlp {
        Mlp {
            layers: widths.windows(2).map(|pair| Affine::init(pair[0], pair[1], device)).collect(),
            norms: self.norms(widths, device),
            dropout: self.dropout_layer(),
            activation: self.activation,
            output,
        }
    }

    fn norms(&self, widths: &[usize], device: &Device) -> Vec<Norm> {
        widths[1..widths.len() - 1].iter().filter_map(|&width| self.norm.init(width, device)).collect()
    }

    fn dropout_layer(&self) -> Option<Dropout> {
        (self.dropout > 0.0).then(|| DropoutConfig::new(self.dropout).init())
    }
}

/// Whether `dropout` is a share of units that leaves some.
pub(super) fn check_dropout(dropout: f64) -> Result<(), ConfigError> {
    if (0.0..1.0).contains(&dropout) {
        return Ok(());
    }
    Err(ConfigError::new("dropout", dropout, "at least 0 and less than 1"))
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

    /// The stack applied to `x`, `[batch, d_in] -> [batch, d_out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.forward_from(0, x)
    }

    /// The stack from this layer on.
    fn forward_from(&self, first: usize, x: Tensor<2>) -> Tensor<2> {
        let between = self.between();
        (first..self.layers.len()).fold(x, |x, index| between.layer(index, |activation| self.layers[index].activated(x, activation)))
    }

    fn between(&self) -> Between<'_> {
        Between {
            norms: &self.norms,
            dropout: self.dropout.as_ref(),
            activation: self.activation,
            output: self.output,
            layers: self.layers.len(),
        }
    }
}

/// What follows each layer of a stack.
struct Between<'a> {
    norms: &'a [Norm],
    dropout: Option<&'a Dropout>,
    activation: Activation,
    output: Activation,
    layers: usize,
}

impl Between<'_> {
    /// One layer and what follows it; `apply` gives the layer's result with an activation, `[batch, width of the layer]`.
    fn layer(&self, index: usize, apply: impl FnOnce(Activation) -> Tensor<2>) -> Tensor<2> {
        if index + 1 == self.layers {
            return apply(self.output);
        }
        let y = match self.norms.get(index) {
            Some(norm) => self.activation.forward(norm.forward(apply(Activation::Identity))),
            None => apply(self.activation),
        };
        match self.dropout {
            Some(dropout) => dropout.forward(y),
            None => y,
        }
    }
}

impl Encoder for Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        Mlp::forward(self, x)
    }

    fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let last = self.layers.len().saturating_sub(1);
        Some(self.layers.iter().enumerate().fold((x, v), |(x, t), (index, layer)| {
            let t = ae_kernels::matmul(t, layer.weight.val()); // the tangent takes the weight, not the bias
            let z = layer.forward(x);
            if index == last {
                return self.output.jvp(z, t);
            }
            let (z, t) = match self.norms.get(index) {
                Some(norm) => norm.jvp(z, t),
                None => (z, t),
            };
            self.activation.jvp(z, t)
        }))
    }

    fn vjp(&self, x: Tensor<2>, u: Tensor<2>) -> Option<Tensor<2>> {
        if !self.norms.is_empty() {
            return None;
        }
        let last = self.layers.len().saturating_sub(1);
        // Forwards for the slopes of each layer, then back through the weights.
        let (_, slopes) = self.layers.iter().enumerate().fold((x, Vec::new()), |(x, mut slopes), (index, layer)| {
            let z = layer.forward(x);
            let ones = z.ones_like();
            let (y, slope) = if index == last { self.output.jvp(z, ones) } else { self.activation.jvp(z, ones) };
            slopes.push(slope);
            (y, slopes)
        });
        let back = |u: Tensor<2>, (layer, slope): (&Affine, Tensor<2>)| ae_kernels::matmul(u * slope, layer.weight.val().transpose());
        Some(self.layers.iter().zip(slopes).rev().fold(u, back))
    }

    fn weights(&self) -> Vec<Tensor<2>> {
        self.layers.iter().map(|layer| layer.weight.val()).collect()
    }

    fn affine(&self) -> Option<Tensor<2>> {
        match self.layers.as_slice() {
            [layer] if self.output == Activation::Identity => Some(layer.weight.val()),
            _ => None,
        }
    }
}

impl Decode for Mlp {
    fn decode(&self, latent: &Latent, _encoder: &dyn Encoder) -> Tensor<2> {
        let (Some(h), Some(layer)) = (&latent.sparse, self.layers.first()) else { return Mlp::forward(self, latent.code.clone()) };
        let first = self.between().layer(0, |activation| layer.activated_sparse(h, activation));
        self.forward_from(1, first)
    }

    fn map_atoms(mut self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self> {
        let first = self.layers.first_mut()?;
        first.weight = projected(first.weight.clone(), project);
        Some(self)
    }
}

/// A stack that reads the weights of its encoder transposed, the last of them first.
#[derive(Module, Debug)]
pub struct TiedMlp {
    /// Of each layer, code side first.
    pub biases: Vec<Param<Tensor<1>>>,
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

impl Decode for TiedMlp {
    /// # Panics
    /// An encoder that has not as many weights as this decoder has layers: it was built with another one.
    fn decode(&self, latent: &Latent, encoder: &dyn Encoder) -> Tensor<2> {
        let weights = encoder.weights();
        assert_eq!(weights.len(), self.biases.len(), "a tied decoder needs the encoder that it was built with");
        let between = Between {
            norms: &self.norms,
            dropout: self.dropout.as_ref(),
            activation: self.activation,
            output: self.output,
            layers: self.biases.len(),
        };
        let layers = weights.into_iter().rev().zip(&self.biases).enumerate();
        layers.fold(latent.code.clone(), |x, (index, (weight, bias))| {
            between.layer(index, |activation| {
                let (fused, rest) = activation.fused();
                let (weight, bias) = (weight.transpose(), bias.val());
                rest.forward(match latent.sparse.as_ref().filter(|_| index == 0) {
                    Some(h) => h.linear(weight, bias, fused),
                    None => ae_kernels::linear(x, weight, bias, fused),
                })
            })
        })
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
        let sizes = Sizes::new(8, 3);
        let (encoder, decoder) = (config.encoder(&sizes, &device), config.tied_decoder(&sizes, Activation::Sigmoid, &device));
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
        let sizes = Sizes::new(1, 1);
        let (mut encoder, decoder) = (config.encoder(&sizes, &device), config.tied_decoder(&sizes, Activation::Identity, &device));
        encoder.layers[0] = Affine::from_tensors(Tensor::from_floats([[3.0]], &device), Tensor::zeros([1], &device));
        let model = Autoencoder::new(encoder, decoder);
        let grads = model.reconstruct(Tensor::from_floats([[2.0]], &device)).sum().backward();
        let weight = model.encoder.layers[0].weight.val();
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
            let encoder = config.encoder(&Sizes::new(5, 3), &device);
            let x = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Uniform(-2.0, 2.0), &device);
            let v = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Normal(0.0, 1.0), &device);
            let (code, tangent) = encoder.jvp(x.clone(), v.clone()).unwrap();
            let (same, estimate) = super::super::finite_difference_jvp(|x| Encoder::forward(&encoder, x), x, v);
            code.into_data().assert_approx_eq::<f32>(&same.into_data(), burn::tensor::Tolerance::absolute(1e-5));
            tangent.into_data().assert_approx_eq::<f32>(&estimate.into_data(), burn::tensor::Tolerance::absolute(5e-3));
        }
    }

    #[test]
    fn dropout_acts_in_training_alone() {
        let training = Device::default().autodiff();
        let config = MlpConfig { hidden: vec![64], dropout: 0.5, ..Default::default() };
        let encoder = config.encoder(&Sizes::new(5, 3), &training);
        let x = Tensor::<2>::ones([2, 5], &training);
        let different = |a: Tensor<2>, b: Tensor<2>| (a - b).abs().max().into_scalar::<f32>();
        assert!(different(Encoder::forward(&encoder, x.clone()), Encoder::forward(&encoder, x.clone())) > 0.0);
        let (encoder, x) = (encoder.valid(), x.without_autodiff());
        assert_eq!(different(Encoder::forward(&encoder, x.clone()), Encoder::forward(&encoder, x)), 0.0);
    }

    #[test]
    fn backwards_and_forwards_agree() {
        // u . (J v) = (J^T u) . v, whatever u and v.
        let device = Device::default();
        let random = |width| Tensor::<2>::random([6, width], burn::tensor::Distribution::Normal(0.0, 1.0), &device);
        for hidden in [vec![], vec![7, 4]] {
            let config = MlpConfig { hidden, activation: Activation::Softplus, ..Default::default() };
            let encoder = config.encoder(&Sizes::new(5, 3), &device);
            let (x, v, u) = (random(5), random(5), random(3));
            let forwards = (encoder.jvp(x.clone(), v.clone()).unwrap().1 * u.clone()).sum_dim(1);
            let backwards = (encoder.vjp(x, u).unwrap() * v).sum_dim(1);
            forwards.into_data().assert_approx_eq::<f32>(&backwards.into_data(), burn::tensor::Tolerance::absolute(1e-5));
        }
    }
}
