//! Networks: the functions `f` and `g`, without what is done to the code between them.
//!
//! A network is anything that implements [`Encoder`] and [`Decoder`]. The ones here are chosen by a [`Network`]
//! configuration; another Burn project brings its own types and hands them to
//! [`Autoencoder::new`](crate::Autoencoder::new).

pub mod affine;
pub mod conv;
pub mod initialization;
pub mod layers;
pub mod mlp;
pub mod norm;

use burn::{
    module::Module,
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

pub use affine::{Affine, AffineConfig};
pub use conv::{ConvConfig, ConvDecoder, ConvEncoder, ConvLayer, ConvLayerConfig};
pub use initialization::Initialization;
pub use mlp::{Mlp, MlpConfig, TiedMlp};
pub use norm::{Norm, NormKind};

use crate::{
    Activation, ConfigError, Latent,
    macros::delegate,
    precision::{epsilon, tiny},
};

/// The map from inputs to codes, before the code's own activation.
pub trait Encoder {
    /// `f(x)`: `[batch, d_input] -> [batch, d_code]`, or as many numbers as the [code reads](crate::Code::reads).
    fn forward(&self, x: Tensor<2>) -> Tensor<2>;

    /// `(f(x), J_f(x) v)`: the result and its derivative along `v` (`[batch, d_input]`, one direction per example), of
    /// the network as it is used after training: without dropout, and with the running statistics of a batch norm. In
    /// differentiable tensor operations, so that a loss on the tangent trains the network. None by default: central
    /// differences of the network with its training flags off are then taken, with a relative error near 1e-4 in `f32`.
    fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let _ = (x, v);
        None
    }

    /// `J_f(x)^T u` for `u` of `[batch, d_code]`, of the same network and differentiable in the same way. None by
    /// default: an exact norm of the derivative then takes a pass for each input, never one for each unit of the code.
    fn vjp(&self, x: Tensor<2>, u: Tensor<2>) -> Option<Tensor<2>> {
        let _ = (x, u);
        None
    }

    /// The weight matrices, input side first, that a tied decoder reads transposed. None by default: such a network
    /// cannot be tied.
    fn weights(&self) -> Vec<Tensor<2>> {
        Vec::new()
    }

    /// The weight `[d_input, d_code]` if the whole network is one affine map: its derivative then has a closed form.
    /// None by default.
    fn affine(&self) -> Option<Tensor<2>> {
        None
    }
}

/// The map from codes back to inputs.
pub trait Decoder {
    /// `g(h)`: `[batch, d_code] -> [batch, d_output]`. Under a Bernoulli reconstruction these are logits.
    fn forward(&self, h: Tensor<2>) -> Tensor<2>;

    /// The decoder with `project(weight)` in the place of the weight `[d_code, width]` by which the units of the code
    /// enter it, for a [constraint](crate::constraint). None by default: a decoder without such a weight.
    fn map_atoms(self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self>
    where
        Self: Sized,
    {
        let _ = project;
        None
    }
}

/// A decoder as a model uses it. Every [`Decoder`] is one; implement it directly for a decoder that reads more than the
/// code: the encoder's weights, as a [tied](TiedMlp) one does, or the active units alone.
pub trait Decode {
    /// The decoder's output for a latent, `[batch, d_output]`.
    fn decode(&self, latent: &Latent, encoder: &dyn Encoder) -> Tensor<2>;

    /// As [`Decoder::map_atoms`].
    fn map_atoms(self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self>
    where
        Self: Sized,
    {
        let _ = project;
        None
    }
}

impl<D: Decoder> Decode for D {
    fn decode(&self, latent: &Latent, _encoder: &dyn Encoder) -> Tensor<2> {
        self.forward(latent.code.clone())
    }

    fn map_atoms(self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self> {
        Decoder::map_atoms(self, project)
    }
}

/// `(f(x), (f(x + e v) - f(x - e v)) / 2e)` with a step `e` chosen for each example from the sizes of `x` and `v`
/// (both `[batch, d_input]`); each of `[batch, d_code]`.
///
/// The step is the cube root of the machine epsilon, relative to the input: there the truncation error (`e^2`) and the
/// rounding error (`epsilon / e`) are of the same size.
pub fn finite_difference_jvp(f: impl Fn(Tensor<2>) -> Tensor<2>, x: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let dtype = x.dtype();
    let size = x.clone().detach().abs().max_dim(1).add_scalar(1.0); // [batch, 1]
    let reach = v.clone().detach().abs().max_dim(1).clamp_min(tiny(dtype).max(1e-30)); // [batch, 1]
    let step = (size / reach).mul_scalar(epsilon(dtype).cbrt());
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
    /// Numbers that the encoder gives, of which the code makes its units: as many, or more
    /// ([`Code::reads`](crate::Code::reads)).
    pub reads: usize,
    /// Channels, height and width of the images that the decoder gives, if they are images. Channels of a mask come
    /// after the image's own.
    pub image: Option<[usize; 3]>,
}

impl Sizes {
    /// Rows of `d_input` features, read and given back, and a code of `d_code` units.
    pub fn new(d_input: usize, d_code: usize) -> Self {
        Self { d_input, d_output: d_input, d_code, reads: d_code, image: None }
    }

    /// The same for images of `channels, height, width`.
    pub fn with_image(mut self, image: Option<[usize; 3]>) -> Self {
        self.image = image;
        self
    }

    /// The same with an encoder that gives `reads` numbers for the units of the code.
    pub fn with_reads(mut self, reads: usize) -> Self {
        self.reads = reads;
        self
    }

    /// The same with an encoder that reads a mask beside its input: twice as many features.
    pub fn with_mask(mut self) -> Self {
        self.d_input = 2 * self.d_output;
        self
    }
}

/// How large a network is, counted before it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Parameters of encoder and decoder together, the running statistics of batch norms among them.
    pub parameters: usize,
    /// Numbers of an example that the encoder reads, and that each of its layers gives.
    pub encoder: Vec<usize>,
    /// Numbers of an example that the decoder reads, and that each of its layers gives.
    pub decoder: Vec<usize>,
}

/// The largest network that is built: 8 GB of weights, and four times that while it is trained. More is a slip of the
/// keyboard, and would end in the system killing the program.
pub const MOST_WEIGHTS: usize = 2_000_000_000;

/// Which of this crate's networks to build: `mlp`, or `conv` for images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", tag = "kind", rename_all = "snake_case")]
pub enum Network {
    /// Hidden layers, or none, mirrored in the decoder unless it has its own: [`mlp`].
    Mlp(MlpConfig),
    /// Strided convolutions, mirrored by transposed ones in the decoder: [`conv`].
    Conv(ConvConfig),
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
    /// Whether the settings can be used, as far as that can be said without the data.
    ///
    /// # Errors
    /// A field outside its range, or settings that exclude each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Mlp(config) => config.check(),
            Self::Conv(config) => config.check(),
        }
    }

    /// Whether the decoder reads the encoder's weights.
    pub fn is_tied(&self) -> bool {
        matches!(self, Self::Mlp(MlpConfig { tied: true, .. }))
    }

    /// The weights of encoder and decoder, tied ones twice; none if there are more than can be counted.
    pub(crate) fn weights(&self, sizes: &Sizes) -> Option<usize> {
        let chain = |widths: Vec<usize>| {
            widths.windows(2).try_fold(0usize, |sum, pair| sum.checked_add(pair[0].checked_mul(pair[1])?))
        };
        match self {
            Self::Mlp(config) => chain(config.encoder_widths(sizes))?.checked_add(chain(config.decoder_widths(sizes))?),
            Self::Conv(config) => config.weights(sizes)?.checked_mul(2),
        }
    }

    /// Whether the settings can be built for data of these sizes.
    ///
    /// # Errors
    /// A network of more than [`MOST_WEIGHTS`]; a convolutional network for data without an image shape, or with more
    /// layers than the image can be halved; tied weights for an encoder that reads a mask, or that gives more numbers
    /// than the code has units.
    pub fn check_sizes(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        if let Self::Conv(config) = self {
            config.check_image(sizes.image)?;
        }
        let weights = self.weights(sizes);
        if weights.is_none_or(|weights| weights > MOST_WEIGHTS) {
            let found = weights.map_or("beyond counting".to_string(), |weights| weights.to_string());
            let allowed = format!(
                "narrower, or `code_dim` (now {}) smaller: the number of weights is {found}, and at most {MOST_WEIGHTS} are built",
                sizes.d_code
            );
            let (field, widths) = match self {
                Self::Mlp(config) => ("hidden", &config.hidden),
                Self::Conv(config) => ("channels", &config.channels),
            };
            return Err(ConfigError::new(field, format!("{widths:?}"), allowed));
        }
        if self.is_tied() && sizes.d_input != sizes.d_output {
            let allowed = "false with `mask_input`: the encoder's first layer is then wider than the decoder's last";
            return Err(ConfigError::new("tied", true, allowed));
        }
        if self.is_tied() && sizes.reads != sizes.d_code {
            let allowed = "false with this code, which reads more numbers of the encoder than the decoder reads of it";
            return Err(ConfigError::new("tied", true, allowed));
        }
        Ok(())
    }

    /// How large the network will be.
    ///
    /// # Panics
    /// Sizes that [`check_sizes`](Self::check_sizes) refuses.
    pub fn counts(&self, sizes: &Sizes) -> Counts {
        match self {
            Self::Mlp(config) => config.counts(sizes),
            Self::Conv(config) => config.counts(sizes),
        }
    }

    /// Encoder and decoder of these sizes, with random weights drawn from the device's generator; `output` is the
    /// decoder's last activation.
    ///
    /// # Panics
    /// Sizes that [`check_sizes`](Self::check_sizes) refuses.
    pub fn init(&self, sizes: &Sizes, output: Activation, device: &Device) -> (NetworkEncoder, NetworkDecoder) {
        match self {
            Self::Mlp(config) => {
                let encoder = NetworkEncoder::Mlp(config.encoder(sizes, device));
                let decoder = if config.tied {
                    NetworkDecoder::Tied(config.tied_decoder(sizes, output, device))
                } else {
                    NetworkDecoder::Mlp(config.decoder(sizes, output, device))
                };
                (encoder, decoder)
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
    /// A stack of affine layers.
    Mlp(Mlp),
    /// Strided convolutions and an affine layer.
    Conv(ConvEncoder),
}

impl NetworkEncoder {
    fn part(&self) -> &dyn Encoder {
        match self {
            Self::Mlp(network) => network,
            Self::Conv(network) => network,
        }
    }
}

impl Encoder for NetworkEncoder {
    delegate! {
        fn forward(&self, x: Tensor<2>) -> Tensor<2>;
        fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)>;
        fn vjp(&self, x: Tensor<2>, u: Tensor<2>) -> Option<Tensor<2>>;
        fn weights(&self) -> Vec<Tensor<2>>;
        fn affine(&self) -> Option<Tensor<2>>;
    }
}

/// The decoder of a [`Network`].
#[derive(Module, Debug)]
pub enum NetworkDecoder {
    /// A stack of affine layers.
    Mlp(Mlp),
    /// A stack that reads the encoder's weights transposed.
    Tied(TiedMlp),
    /// An affine layer and transposed convolutions.
    Conv(ConvDecoder),
}

impl NetworkDecoder {
    fn part(&self) -> &dyn Decode {
        match self {
            Self::Mlp(network) => network,
            Self::Tied(network) => network,
            Self::Conv(network) => network,
        }
    }
}

impl Decode for NetworkDecoder {
    delegate! {
        fn decode(&self, latent: &Latent, encoder: &dyn Encoder) -> Tensor<2>;
    }

    fn map_atoms(self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self> {
        match self {
            Self::Mlp(network) => network.map_atoms(project).map(Self::Mlp),
            Self::Tied(_) => None,
            Self::Conv(network) => Decode::map_atoms(network, project).map(Self::Conv),
        }
    }
}

/// A module in double precision: in single precision a central difference of a steep network is off by more than a test
/// should allow.
#[cfg(test)]
pub(crate) fn in_double_precision<M: burn::module::Module>(module: M) -> M {
    struct Double;

    impl burn::module::ModuleMapper for Double {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(burn::tensor::DType::F64))
        }
    }

    module.map(&mut Double)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    use crate::{Autoencoder, Jacobian, jacobian::Method};

    /// A network of another project: an encoder that gives no tangent rule of its own, and has dropout.
    #[derive(Module, Debug)]
    struct Opaque {
        inner: Mlp,
        dropout: burn::nn::Dropout,
    }

    impl Opaque {
        fn new(inner: Mlp) -> Self {
            Self { inner, dropout: burn::nn::DropoutConfig::new(0.5).init() }
        }
    }

    impl Encoder for Opaque {
        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            self.dropout.forward(self.inner.forward(x))
        }
    }

    fn networks(device: &Device) -> (Mlp, Mlp) {
        let config = MlpConfig { hidden: vec![7], activation: Activation::Tanh, ..Default::default() };
        let sizes = Sizes::new(5, 3);
        (config.encoder(&sizes, device), config.decoder(&sizes, Activation::Identity, device))
    }

    #[test]
    fn the_default_tangent_is_close_to_the_exact_one() {
        let device = Device::default();
        let (inner, decoder) = networks(&device);
        let x = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Uniform(-2.0, 2.0), &device);
        let v = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Normal(0.0, 1.0), &device);
        let (code, exact) = inner.jvp(x.clone(), v.clone()).unwrap();
        let model = Autoencoder::new(Opaque::new(inner), decoder);
        let (same_code, estimate) = model.encode_jvp(x.clone(), v, None);
        same_code.into_data().assert_eq(&code.into_data(), true);
        estimate.into_data().assert_approx_eq::<f32>(&exact.into_data(), Tolerance::absolute(1e-3));
        let (_, still) = model.encode_jvp(x.clone(), x.zeros_like(), None);
        assert_eq!(still.abs().sum().into_scalar::<f32>(), 0.0, "a zero direction has a zero derivative");
    }

    #[test]
    fn a_contractive_penalty_trains_a_network_that_gives_no_tangent_rule() {
        let device = Device::default().autodiff();
        let (inner, decoder) = networks(&device);
        let x = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Uniform(-2.0, 2.0), &device);
        let exact = Jacobian { method: Method::Exact, probes: 1 };
        let weight = inner.layers[0].weight.val();
        let gradient = |norm2: Tensor<1>| weight.grad(&norm2.mean().backward()).expect("the weight is trained");
        let known = gradient(exact.norm2(&Autoencoder::new(inner.clone(), decoder.clone()).parts(), x.clone(), None));
        // On a training device, where its dropout acts: two masks would differ by far more than their difference.
        let estimate = gradient(exact.norm2(&Autoencoder::new(Opaque::new(inner.clone()), decoder).parts(), x, None));
        estimate.into_data().assert_approx_eq::<f32>(&known.into_data(), Tolerance::absolute(5e-3));
    }
}
