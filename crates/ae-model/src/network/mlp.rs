//! Multi-layer perceptrons: `h_0 = x`, `h_{l+1} = phi(h_l W_l + b_l)`, and a last layer without `phi`.
//!
//! Without hidden layers it is one affine map. The decoder mirrors the encoder's widths unless it is given its own.
//! Tied weights (each decoder weight is the transpose of the encoder's opposite one, [`TiedMlp`]) halve the
//! parameters, act as a mild regularizer (Vincent et al. 2010), and keep encoder and decoder from being scaled against
//! one another (Rifai et al. 2011). The tangent is carried beside the activation, exactly. Hidden layers may be
//! normalised before their activation ([`norm`](super::norm)) and thinned after it (dropout, Srivastava et al. 2014).

use burn::{
    module::{Module, Param},
    nn::{Dropout, DropoutConfig},
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

use super::{
    Affine, AffineConfig, Counts, Decode, Encoder, Initialization, Norm, NormKind, Sizes,
    affine::{activated, bias, projected},
};
use crate::{Activation, ConfigError, Latent, macros::setters};

/// Settings of a multi-layer perceptron and its decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Widths of the encoder's hidden layers in units, input side first, each at least 1; the decoder has them in
    /// reverse. Default: `[256, 128]`.
    pub hidden: Vec<usize>,
    /// Widths of the decoder's hidden layers in units, code side first, each at least 1; not with `tied` or with
    /// pre-training, which need the mirror. Default: the encoder's in reverse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder_hidden: Option<Vec<usize>>,
    /// Activation of the hidden layers. Default: `elu`.
    pub activation: Activation,
    /// Whether the decoder reads the encoder's weights transposed. Default: false.
    pub tied: bool,
    /// Normalisation of the hidden layers, before their activation. Default: `none`.
    pub norm: NormKind,
    /// Share of the hidden units switched off in each training step, in `[0, 1)`. Default: 0.
    pub dropout: f64,
    /// How the weights are drawn before training: `auto` (uniform in `+-1/sqrt(d_in)`), `xavier_uniform`,
    /// `xavier_normal`, `kaiming_uniform`, `kaiming_normal` or `orthogonal`. Default: `auto`.
    pub initializer: Initialization,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: vec![256, 128],
            decoder_hidden: None,
            activation: Activation::Elu,
            tied: false,
            norm: NormKind::None,
            dropout: 0.0,
            initializer: Initialization::Auto,
        }
    }
}

setters! {
    MlpConfig {
        with_hidden(hidden: impl Into<Vec<usize>>),
        with_activation(activation: Activation),
        with_tied(tied: bool),
        with_norm(norm: NormKind),
        with_dropout(dropout: f64),
        with_initializer(initializer: Initialization),
    }
}

impl MlpConfig {
    /// The default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a decoder of these hidden layers, code side first, in place of the encoder's in reverse.
    #[must_use]
    pub fn with_decoder_hidden(mut self, widths: impl Into<Vec<usize>>) -> Self {
        self.decoder_hidden = Some(widths.into());
        self
    }

    /// Whether the settings can be used.
    ///
    /// # Errors
    /// A hidden layer of width 0, a decoder that is tied and no mirror, or a dropout outside `[0, 1)`.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_dropout(self.dropout)?;
        check_widths("hidden", &self.hidden)?;
        if let Some(widths) = &self.decoder_hidden {
            check_widths("decoder_hidden", widths)?;
            if self.tied && !self.is_mirrored() {
                let allowed = "left out with `tied`: a tied decoder has the encoder's layers in reverse";
                return Err(ConfigError::new("decoder_hidden", format!("{widths:?}"), allowed));
            }
        }
        Ok(())
    }

    /// Whether the decoder has the encoder's hidden widths in reverse, as tied weights and pre-training need it.
    pub fn is_mirrored(&self) -> bool {
        self.decoder_hidden.as_ref().is_none_or(|widths| widths.iter().eq(self.hidden.iter().rev()))
    }

    /// The encoder `d_input -> hidden -> reads`, with random weights from the device's generator, drawn when they are
    /// first asked for.
    pub fn encoder(&self, sizes: &Sizes, device: &Device) -> Mlp {
        self.stack(&self.encoder_widths(sizes), Activation::Identity, device)
    }

    /// The decoder `d_code -> decoder_hidden -> d_output` with weights of its own, whatever [`tied`](Self::tied) says;
    /// `output` is the activation of its last layer.
    pub fn decoder(&self, sizes: &Sizes, output: Activation, device: &Device) -> Mlp {
        self.stack(&self.decoder_widths(sizes), output, device)
    }

    /// The mirror of the encoder, with the encoder's weights.
    ///
    /// # Panics
    /// A decoder that is no [mirror](Self::is_mirrored).
    pub fn tied_decoder(&self, sizes: &Sizes, output: Activation, device: &Device) -> TiedMlp {
        assert!(self.is_mirrored(), "a tied decoder has the encoder's layers in reverse");
        let widths = self.decoder_widths(sizes);
        TiedMlp {
            biases: widths.windows(2).map(|pair| bias(pair[0], pair[1], device)).collect(),
            norms: self.norms(&widths, device),
            dropout: dropout(self.dropout),
            activation: self.activation,
            output,
        }
    }

    /// Widths from the encoder's input to its output.
    pub(super) fn encoder_widths(&self, sizes: &Sizes) -> Vec<usize> {
        [&[sizes.d_input], self.hidden.as_slice(), &[sizes.reads]].concat()
    }

    /// Widths from the decoder's input to its output.
    pub(super) fn decoder_widths(&self, sizes: &Sizes) -> Vec<usize> {
        let hidden = self.decoder_hidden.clone().unwrap_or_else(|| self.hidden.iter().rev().copied().collect());
        [&[sizes.d_code], hidden.as_slice(), &[sizes.d_output]].concat()
    }

    /// How large encoder and decoder will be together.
    pub(super) fn counts(&self, sizes: &Sizes) -> Counts {
        let (encoder, decoder) = (self.encoder_widths(sizes), self.decoder_widths(sizes));
        let weights = |widths: &[usize]| widths.windows(2).map(|pair| pair[0] * pair[1]).sum::<usize>();
        let others = |widths: &[usize]| {
            widths[1..].iter().sum::<usize>()
                + self.norm.parameters() * widths[1..widths.len() - 1].iter().sum::<usize>()
        };
        let own = if self.tied { 0 } else { weights(&decoder) };
        Counts { parameters: weights(&encoder) + others(&encoder) + own + others(&decoder), encoder, decoder }
    }

    fn stack(&self, widths: &[usize], output: Activation, device: &Device) -> Mlp {
        let layer = |from, to| AffineConfig::new(from, to).with_initializer(self.initializer.into()).init(device);
        Mlp {
            layers: widths.windows(2).map(|pair| layer(pair[0], pair[1])).collect(),
            norms: self.norms(widths, device),
            dropout: dropout(self.dropout),
            activation: self.activation,
            output,
        }
    }

    fn norms(&self, widths: &[usize], device: &Device) -> Vec<Norm> {
        widths[1..widths.len() - 1].iter().filter_map(|&width| self.norm.init(width, device)).collect()
    }
}

fn check_widths(field: &str, widths: &[usize]) -> Result<(), ConfigError> {
    match widths.iter().position(|&width| width == 0) {
        Some(layer) => {
            let allowed = "at least 1 unit (an empty list means no hidden layer)";
            Err(ConfigError::new(format!("{field}[{layer}]"), 0, allowed))
        }
        None => Ok(()),
    }
}

/// Whether `dropout` is a share of units that leaves some.
pub(super) fn check_dropout(dropout: f64) -> Result<(), ConfigError> {
    if (0.0..1.0).contains(&dropout) {
        return Ok(());
    }
    Err(ConfigError::new("dropout", dropout, "at least 0 and less than 1"))
}

/// The dropout of this share of the units; none if none are switched off.
pub(super) fn dropout(share: f64) -> Option<Dropout> {
    (share > 0.0).then(|| DropoutConfig::new(share).init())
}

/// What Burn's dropout makes of `x`, with random numbers of [`ae_kernels::seeded`]: Burn's own are of the device's
/// generator.
pub(super) fn dropped<const D: usize>(dropout: &Dropout, x: Tensor<D>) -> Tensor<D> {
    if !dropout.training.is_enabled() || !x.device().is_autodiff() || dropout.prob == 0.0 {
        return x;
    }
    let kept = 1.0 - dropout.prob;
    let mask = ae_kernels::bernoulli_like(&x, kept).div_scalar(kept);
    x * mask
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

    /// The stack applied to `x`, `[batch, d_in] -> [batch, d_out]`. Without layers that is `x`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.between().run(x, self.layers.len(), |index, x, activation| self.layers[index].activated(x, activation))
    }

    fn between(&self) -> Between<'_> {
        Between::new(&self.norms, &self.dropout, self.activation, self.output)
    }
}

/// What follows the layers of a stack, tied or not.
struct Between<'a> {
    norms: &'a [Norm],
    dropout: Option<&'a Dropout>,
    activation: Activation,
    output: Activation,
}

impl<'a> Between<'a> {
    fn new(norms: &'a [Norm], dropout: &'a Option<Dropout>, activation: Activation, output: Activation) -> Self {
        Self { norms, dropout: dropout.as_ref(), activation, output }
    }

    /// A stack of so many layers, applied to `x`: `apply(index, x, activation)` is what a layer gives, with an
    /// activation.
    fn run(&self, x: Tensor<2>, layers: usize, apply: impl Fn(usize, Tensor<2>, Activation) -> Tensor<2>) -> Tensor<2> {
        (0..layers).fold(x, |x, index| {
            if index + 1 == layers {
                return apply(index, x, self.output);
            }
            let y = match self.norms.get(index) {
                Some(norm) => self.activation.forward(norm.forward(apply(index, x, Activation::Identity))),
                None => apply(index, x, self.activation),
            };
            match self.dropout {
                Some(dropout) => dropped(dropout, y),
                None => y,
            }
        })
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
        let back = |u: Tensor<2>, (layer, slope): (&Affine, Tensor<2>)| {
            ae_kernels::matmul(u * slope, layer.weight.val().transpose())
        };
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
        self.between().run(latent.code.clone(), self.layers.len(), |index, x, activation| {
            self.layers[index].activated_by(x, latent.sparse.as_ref().filter(|_| index == 0), activation)
        })
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
    /// The bias of each layer, code side first.
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
        let (weights, layers) = (encoder.weights(), self.biases.len());
        assert_eq!(weights.len(), layers, "a tied decoder needs the encoder that it was built with");
        let between = Between::new(&self.norms, &self.dropout, self.activation, self.output);
        between.run(latent.code.clone(), layers, |index, x, activation| {
            let (weight, bias) = (weights[layers - 1 - index].clone().transpose(), self.biases[index].val());
            activated(x, latent.sparse.as_ref().filter(|_| index == 0), weight, bias, activation)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Autoencoder,
        network::{NetworkDecoder, NetworkEncoder},
    };

    #[test]
    fn a_tied_decoder_halves_the_weights_and_still_decodes() {
        let device = Device::default();
        let config = MlpConfig { hidden: vec![6, 5], activation: Activation::Tanh, tied: true, ..Default::default() };
        let sizes = Sizes::new(8, 3);
        let (encoder, decoder) =
            (config.encoder(&sizes, &device), config.tied_decoder(&sizes, Activation::Sigmoid, &device));
        assert_eq!(encoder.num_params(), (8 * 6 + 6) + (6 * 5 + 5) + (5 * 3 + 3));
        assert_eq!(decoder.num_params(), 5 + 6 + 8);
        let model = Autoencoder::new(encoder, decoder);
        assert_eq!(model.reconstruct(Tensor::zeros([2, 8], &device)).dims(), [2, 8]);
    }

    #[test]
    fn gradients_of_tied_weights_come_from_both_uses() {
        // r = x W W^T with W = w (one by one): r = w^2 x, so d(r)/d(w) = 2 w x, while an untied encoder alone would
        // give w x.
        let device = Device::default().autodiff();
        let config = MlpConfig { hidden: vec![], tied: true, ..Default::default() };
        let sizes = Sizes::new(1, 1);
        let (mut encoder, decoder) =
            (config.encoder(&sizes, &device), config.tied_decoder(&sizes, Activation::Identity, &device));
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
    fn a_stack_without_layers_changes_nothing() {
        let x = Tensor::<2>::from_floats([[1.0, -2.0]], &Device::default());
        let (stack, data) = (Mlp::new(Vec::new(), Activation::Relu), x.clone().into_data());
        Encoder::forward(&stack, x.clone()).into_data().assert_eq(&data, true);
        stack.decode(&x.clone().into(), &stack).into_data().assert_eq(&data, true);
        stack.jvp(x.ones_like(), x.clone()).unwrap().1.into_data().assert_eq(&data, true);
        stack.vjp(x.ones_like(), x.clone()).unwrap().into_data().assert_eq(&data, true);
        assert!(stack.affine().is_none() && stack.weights().is_empty());
    }

    #[test]
    fn a_decoder_has_widths_of_its_own_where_it_is_given_them() {
        let device = Device::default();
        let sizes = Sizes::new(8, 3).with_reads(6);
        let widths = |decoder: &Mlp| decoder.layers.iter().map(|layer| layer.weight.val().dims()).collect::<Vec<_>>();
        let mirror = MlpConfig::new().with_hidden([7, 5]);
        assert!(mirror.is_mirrored() && mirror.clone().with_decoder_hidden([5, 7]).is_mirrored());
        assert_eq!(widths(&mirror.decoder(&sizes, Activation::Identity, &device)), [[3, 5], [5, 7], [7, 8]]);
        for (given, expected) in [(vec![], vec![[3, 8]]), (vec![4], vec![[3, 4], [4, 8]])] {
            let config = mirror.clone().with_norm(NormKind::Layer).with_decoder_hidden(given);
            config.check().unwrap();
            assert!(!config.is_mirrored());
            let network = crate::network::Network::from(config.clone());
            let (encoder, decoder) = network.init(&sizes, Activation::Identity, &device);
            let (NetworkEncoder::Mlp(encoder), NetworkDecoder::Mlp(decoder)) = (encoder, decoder) else {
                panic!("perceptrons")
            };
            assert_eq!((widths(&encoder), widths(&decoder)), (vec![[8, 7], [7, 5], [5, 6]], expected));
            assert_eq!(decoder.norms.len(), decoder.layers.len() - 1);
            assert_eq!(decoder.forward(Tensor::zeros([2, 3], &device)).dims(), [2, 8]);
        }
    }

    #[test]
    fn a_decoder_of_its_own_widths_cannot_be_tied() {
        let config = MlpConfig::new().with_hidden([7, 5]).with_tied(true);
        config.clone().with_decoder_hidden([5, 7]).check().unwrap();
        let error = config.with_decoder_hidden([5]).check().unwrap_err().to_string();
        assert!(error.starts_with("`decoder_hidden` is [5], but must be left out with `tied`"), "{error}");
        assert_eq!(MlpConfig::new().with_decoder_hidden([3, 0]).check().unwrap_err().field, "decoder_hidden[1]");
    }

    #[test]
    fn tangents_pass_through_norms_and_leave_dropout_out() {
        let device = Device::default();
        for norm in [NormKind::None, NormKind::Layer, NormKind::Batch] {
            let config = MlpConfig {
                hidden: vec![7, 6],
                activation: Activation::Tanh,
                norm,
                dropout: 0.5,
                ..Default::default()
            };
            let encoder = super::super::in_double_precision(config.encoder(&Sizes::new(5, 3), &device));
            let random =
                |distribution| Tensor::<2>::random([6, 5], distribution, &device).cast(burn::tensor::DType::F64);
            let x = random(burn::tensor::Distribution::Uniform(-2.0, 2.0));
            let v = random(burn::tensor::Distribution::Normal(0.0, 1.0));
            let (code, tangent) = encoder.jvp(x.clone(), v.clone()).unwrap();
            let (same, estimate) = super::super::finite_difference_jvp(|x| Encoder::forward(&encoder, x), x, v);
            code.into_data().assert_approx_eq::<f64>(&same.into_data(), burn::tensor::Tolerance::absolute(1e-9));
            tangent.into_data().assert_approx_eq::<f64>(&estimate.into_data(), burn::tensor::Tolerance::absolute(1e-5));
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
            forwards
                .into_data()
                .assert_approx_eq::<f32>(&backwards.into_data(), burn::tensor::Tolerance::absolute(1e-5));
        }
    }
}
