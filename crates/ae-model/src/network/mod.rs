//! Networks: the functions `f` and `g`, without what is done to the code between them.
//!
//! A network is anything that implements [`Encoder`] and [`Decoder`]. The ones here are chosen by a [`Network`] configuration; another Burn
//! project brings its own types and hands them to [`Autoencoder::new`](crate::Autoencoder::new).

pub mod conv;
pub mod layers;
pub mod linear;
pub mod mlp;
pub mod norm;

use ae_kernels::Sparse;
use burn::{
    module::{Module, ModuleDisplay},
    serde::{Deserialize, Serialize},
    tensor::{DType, Device, Tensor},
};

pub use conv::{ConvConfig, ConvDecoder, ConvEncoder};
pub use linear::{Affine, LinearConfig};
pub use mlp::{Mlp, MlpConfig};
pub use norm::{Norm, NormKind};

use crate::{Activation, ConfigError};

/// The map from inputs to codes, before the code's own activation.
pub trait Encoder: Module + ModuleDisplay {
    /// `f(x)`: `[batch, d_input] -> [batch, d_code]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<2>;

    /// `(f(x), J_f(x) v)`: the code and its derivative along `v` (`[batch, d_input]`, one direction per example), of the network as it is
    /// used after training: without dropout, and with the running statistics of a batch norm.
    ///
    /// By default a central difference along `v`, differentiable in the parameters like any other use of [`forward`](Self::forward), with
    /// a relative error near 1e-4 in `f32`. A network whose layers are known carries the tangent exactly instead.
    fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        finite_difference_jvp(|x| self.forward(x), x, v)
    }

    /// The weight matrices, input side first, that a tied decoder reads transposed. None by default: such a network cannot be tied.
    fn weights(&self) -> Vec<Tensor<2>> {
        Vec::new()
    }

    /// The weight `[d_input, d_code]` if the whole network is one affine map: its derivative then has a closed form. None by default.
    fn affine(&self) -> Option<Tensor<2>> {
        None
    }
}

/// The map from codes back to inputs.
pub trait Decoder: Module + ModuleDisplay {
    /// `g(h)`: `[batch, d_code] -> [batch, d_input]`. Under a Bernoulli reconstruction these are logits.
    fn forward(&self, h: Tensor<2>) -> Tensor<2>;

    /// `g(h)` where `encoder_weights` are [`Encoder::weights`]. What [`Autoencoder`](crate::Autoencoder) calls; a decoder with weights of
    /// its own, which is the default, ignores them.
    fn forward_tied(&self, h: Tensor<2>, encoder_weights: Vec<Tensor<2>>) -> Tensor<2> {
        let _ = encoder_weights;
        self.forward(h)
    }

    /// The same of a code of which few units are active, for a decoder that can leave the others out. By default they are multiplied too.
    fn forward_sparse(&self, h: &Sparse, encoder_weights: Vec<Tensor<2>>) -> Tensor<2> {
        self.forward_tied(h.dense(), encoder_weights)
    }
}

/// `(f(x), (f(x + e v) - f(x - e v)) / 2e)` with a step `e` chosen for each example from the sizes of `x` and `v`.
///
/// The step is the cube root of the machine epsilon, relative to the input: there the truncation error (`e^2`) and the rounding error
/// (`epsilon / e`) are of the same size.
pub fn finite_difference_jvp(f: impl Fn(Tensor<2>) -> Tensor<2>, x: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let epsilon = if x.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
    let size = x.clone().detach().abs().max_dim(1).add_scalar(1.0); // [batch, 1]
    let reach = v.clone().detach().abs().max_dim(1).clamp_min(1e-30); // [batch, 1]
    let step = (size / reach).mul_scalar(epsilon.cbrt());
    let offset = v * step.clone();
    let up = f(x.clone() + offset.clone());
    let down = f(x.clone() - offset);
    (f(x), (up - down) / step.mul_scalar(2.0))
}

/// The sizes that a network is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Features that the encoder reads.
    pub d_input: usize,
    /// Features that the decoder gives: fewer than `d_input` if the encoder also reads a mask.
    pub d_output: usize,
    /// Units of the code.
    pub d_code: usize,
    /// Channels, height and width of the images that the decoder gives, if they are images. Channels of a mask come after the image's own.
    pub image: Option<[usize; 3]>,
}

impl Sizes {
    /// Rows of `d_input` features, read and given back, and a code of `d_code` units.
    pub fn new(d_input: usize, d_code: usize) -> Self {
        Self { d_input, d_output: d_input, d_code, image: None }
    }

    /// The same for images of `channels, height, width`.
    pub fn with_image(mut self, image: Option<[usize; 3]>) -> Self {
        self.image = image;
        self
    }

    /// The same with an encoder that reads a mask beside its input: twice as many features.
    pub fn with_mask(mut self) -> Self {
        self.d_input = 2 * self.d_output;
        self
    }
}

/// The largest network that is built: 8 GB of weights, and four times that while it is trained. More is a slip of the keyboard, and would end
/// in the system killing the program.
pub const MOST_WEIGHTS: usize = 2_000_000_000;

/// Which of this crate's networks to build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", tag = "kind", rename_all = "snake_case")]
pub enum Network {
    /// One affine map each way: [`linear`].
    Linear(LinearConfig),
    /// Hidden layers, mirrored in the decoder: [`mlp`].
    Mlp(MlpConfig),
    /// Strided convolutions, mirrored by transposed ones in the decoder: [`conv`].
    Conv(ConvConfig),
}

impl From<LinearConfig> for Network {
    fn from(config: LinearConfig) -> Self {
        Self::Linear(config)
    }
}

impl From<MlpConfig> for Network {
    fn from(config: MlpConfig) -> Self {
        Self::Mlp(config)
    }
}

impl From<ConvConfig> for Network {
    fn from(config: ConvConfig) -> Self {
        Self::Conv(config)
    }
}

impl Network {
    /// Whether the settings can be built for some data.
    ///
    /// # Errors
    /// A field outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Linear(_) => Ok(()),
            Self::Mlp(config) => config.check(),
            Self::Conv(config) => config.check(),
        }
    }

    /// The numbers that are trained, up to a few biases; none if there are more than can be counted.
    fn weights(&self, sizes: &Sizes) -> Option<usize> {
        let chain = |widths: &[usize]| widths.windows(2).try_fold(0usize, |sum, pair| sum.checked_add(pair[0].checked_mul(pair[1])?));
        let (from, to) = (sizes.d_input.max(sizes.d_output), sizes.d_code);
        let one_way = match self {
            Self::Linear(_) => chain(&[from, to]),
            Self::Mlp(config) => chain(&[&[from], config.hidden.as_slice(), &[to]].concat()),
            Self::Conv(config) => config.weights(sizes),
        };
        one_way?.checked_mul(2)
    }

    /// Whether the settings can be built for data of these sizes.
    ///
    /// # Errors
    /// A network of more than [`MOST_WEIGHTS`]; a convolutional network for data without an image shape, or with more layers than the image
    /// can be halved; tied weights for an encoder that reads a mask.
    pub fn check_sizes(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        if let Self::Conv(config) = self {
            config.check_image(sizes.image)?;
        }
        if self.weights(sizes).is_none_or(|weights| weights > MOST_WEIGHTS) {
            let found = self.weights(sizes).map_or("beyond counting".to_string(), |weights| weights.to_string());
            let allowed = format!("at most {MOST_WEIGHTS}: make its layers or `code_dim` (now {}) narrower", sizes.d_code);
            return Err(ConfigError::new("number of weights", found, allowed));
        }
        match self {
            Self::Linear(LinearConfig { tied: true }) | Self::Mlp(MlpConfig { tied: true, .. }) if sizes.d_input != sizes.d_output => Err(
                ConfigError::new("tied", true, "false with `mask_input`: the encoder's first layer is then wider than the decoder's last"),
            ),
            Self::Linear(_) | Self::Mlp(_) | Self::Conv(_) => Ok(()),
        }
    }

    /// Encoder and decoder of these sizes, with random weights drawn from the device's generator; `output` is the decoder's last activation.
    ///
    /// # Panics
    /// Sizes that [`check_sizes`](Self::check_sizes) refuses.
    pub fn init(&self, sizes: &Sizes, output: Activation, device: &Device) -> (NetworkEncoder, NetworkDecoder) {
        match self {
            Self::Linear(config) => {
                let (encoder, decoder) = config.init(sizes, output, device);
                (NetworkEncoder::Mlp(encoder), NetworkDecoder::Mlp(decoder))
            }
            Self::Mlp(config) => {
                let (encoder, decoder) = config.init(sizes, output, device);
                (NetworkEncoder::Mlp(encoder), NetworkDecoder::Mlp(decoder))
            }
            Self::Conv(config) => {
                let (encoder, decoder) = config.init(sizes, output, device);
                (NetworkEncoder::Conv(encoder), NetworkDecoder::Conv(decoder))
            }
        }
    }
}

/// The encoder of a [`Network`]: one concrete type, so that a program that chooses at run time is compiled once.
#[derive(Module, Debug)]
pub enum NetworkEncoder {
    /// A stack of affine layers; one layer for a linear network.
    Mlp(Mlp),
    /// Strided convolutions and an affine layer.
    Conv(ConvEncoder),
}

impl Encoder for NetworkEncoder {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Mlp(network) => Encoder::forward(network, x),
            Self::Conv(network) => network.forward(x),
        }
    }

    fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match self {
            Self::Mlp(network) => network.jvp(x, v),
            Self::Conv(network) => network.jvp(x, v),
        }
    }

    fn weights(&self) -> Vec<Tensor<2>> {
        match self {
            Self::Mlp(network) => network.weights(),
            Self::Conv(network) => network.weights(),
        }
    }

    fn affine(&self) -> Option<Tensor<2>> {
        match self {
            Self::Mlp(network) => network.affine(),
            Self::Conv(network) => network.affine(),
        }
    }
}

/// The decoder of a [`Network`].
#[derive(Module, Debug)]
pub enum NetworkDecoder {
    /// A stack of affine layers; one layer for a linear network.
    Mlp(Mlp),
    /// An affine layer and transposed convolutions.
    Conv(ConvDecoder),
}

impl Decoder for NetworkDecoder {
    fn forward(&self, h: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Mlp(network) => Decoder::forward(network, h),
            Self::Conv(network) => network.forward(h),
        }
    }

    fn forward_tied(&self, h: Tensor<2>, encoder_weights: Vec<Tensor<2>>) -> Tensor<2> {
        match self {
            Self::Mlp(network) => network.forward_tied(h, encoder_weights),
            Self::Conv(network) => network.forward_tied(h, encoder_weights),
        }
    }

    fn forward_sparse(&self, h: &Sparse, encoder_weights: Vec<Tensor<2>>) -> Tensor<2> {
        match self {
            Self::Mlp(network) => network.forward_sparse(h, encoder_weights),
            Self::Conv(network) => network.forward_sparse(h, encoder_weights),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    /// A network of another project: an encoder that gives no tangent rule of its own.
    #[derive(Module, Debug)]
    struct Opaque {
        inner: Mlp,
    }

    impl Encoder for Opaque {
        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            Encoder::forward(&self.inner, x)
        }
    }

    #[test]
    fn the_default_tangent_is_close_to_the_exact_one() {
        let device = Device::default();
        let config = MlpConfig { hidden: vec![7], activation: Activation::Tanh, ..Default::default() };
        let (inner, _) = config.init(&Sizes::new(5, 3), Activation::Identity, &device);
        let x = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Uniform(-2.0, 2.0), &device);
        let v = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Normal(0.0, 1.0), &device);
        let (code, exact) = inner.jvp(x.clone(), v.clone());
        let (same_code, estimate) = Opaque { inner }.jvp(x.clone(), v);
        same_code.into_data().assert_eq(&code.into_data(), true);
        estimate.into_data().assert_approx_eq::<f32>(&exact.into_data(), Tolerance::absolute(1e-3));
    }

    #[test]
    fn a_zero_direction_has_a_zero_derivative() {
        let device = Device::default();
        let (inner, _) = LinearConfig::default().init(&Sizes::new(4, 2), Activation::Identity, &device);
        let x = Tensor::<2>::ones([1, 4], &device);
        let (_, derivative) = Opaque { inner }.jvp(x.clone(), x.zeros_like());
        assert_eq!(derivative.abs().sum().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn a_contractive_penalty_trains_a_network_that_gives_no_tangent_rule() {
        use crate::{Autoencoder, Jacobian, jacobian::Method};
        let device = Device::default().autodiff();
        let config = MlpConfig { hidden: vec![7], activation: Activation::Tanh, ..Default::default() };
        let (inner, decoder) = config.init(&Sizes::new(5, 3), Activation::Identity, &device);
        let x = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Uniform(-2.0, 2.0), &device);
        let exact = Jacobian { method: Method::Exact, probes: 1 };
        let weight = inner.layers[0].weight(None);
        let gradient = |norm2: Tensor<1>| weight.grad(&norm2.mean().backward()).expect("the weight is trained");
        let known = gradient(exact.norm2(&Autoencoder::new(inner.clone(), decoder.clone()), x.clone(), None));
        let estimate = gradient(exact.norm2(&Autoencoder::new(Opaque { inner: inner.clone() }, decoder), x, None));
        estimate.into_data().assert_approx_eq::<f32>(&known.into_data(), Tolerance::absolute(5e-3));
    }
}
