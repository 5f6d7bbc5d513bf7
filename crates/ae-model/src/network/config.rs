//! The networks that a configuration can select.

use burn::{
    module::{Module, Param},
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

use super::{
    conv::{ConvConfig, ConvDecoder, ConvEncoder},
    dictionary::{DictionaryConfig, DictionaryDecoder, DictionaryEncoder},
    mlp::{Mlp, MlpConfig, TiedMlp},
    norm::NormKind,
    sizes::{Counts, MAX_WEIGHTS, Sizes},
    traits::{Decode, Encoder},
};
use crate::{Activation, ConfigError, Latent, macros::delegate};

/// The network to build: `mlp`, `conv` for images, or `dictionary` for sparse codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", tag = "kind", rename_all = "snake_case")]
pub enum Network {
    /// A [`mlp`](super::mlp), a multi-layer perceptron. The decoder has the encoder's hidden layers in reverse, or its
    /// own.
    Mlp(MlpConfig),
    /// A [`conv`](super::conv) network: strided convolutions in the encoder, and transposed convolutions in reverse in
    /// the decoder.
    Conv(ConvConfig),
    /// A [`dictionary`](super::dictionary): one atom for each unit of the code, and one affine layer that reads them.
    Dictionary(DictionaryConfig),
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

impl From<DictionaryConfig> for Network {
    fn from(config: DictionaryConfig) -> Self {
        Self::Dictionary(config)
    }
}

impl Network {
    /// Checks the settings, as far as possible without the data.
    ///
    /// # Errors
    /// A field is outside its range, or two settings exclude each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Mlp(config) => config.check(),
            Self::Conv(config) => config.check(),
            Self::Dictionary(config) => config.check(),
        }
    }

    /// The name of its kind.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mlp(_) => "mlp",
            Self::Conv(_) => "conv",
            Self::Dictionary(_) => "dictionary",
        }
    }

    /// Whether it is a dictionary.
    pub fn is_dictionary(&self) -> bool {
        matches!(self, Self::Dictionary(_))
    }

    /// Whether its decoder is a single layer.
    pub fn has_atoms(&self) -> bool {
        match self {
            Self::Mlp(config) => config.decoder_hidden.as_ref().unwrap_or(&config.hidden).is_empty(),
            Self::Conv(_) => false,
            Self::Dictionary(_) => true,
        }
    }

    /// Whether its layers are normalized over the rows of a batch.
    pub fn norms_batches(&self) -> bool {
        match self {
            Self::Mlp(MlpConfig { norm, .. }) | Self::Conv(ConvConfig { norm, .. }) => *norm == NormKind::Batch,
            Self::Dictionary(_) => false,
        }
    }

    /// The fraction of units that are dropped at random in training.
    pub fn dropout(&self) -> f64 {
        match self {
            Self::Mlp(MlpConfig { dropout, .. }) | Self::Conv(ConvConfig { dropout, .. }) => *dropout,
            Self::Dictionary(_) => 0.0,
        }
    }

    /// Whether the decoder uses the encoder's weights.
    pub fn is_tied(&self) -> bool {
        matches!(self, Self::Mlp(MlpConfig { tied: true, .. }))
    }

    /// The number of weights of encoder and decoder, counting tied ones twice; `None` if it overflows.
    pub(crate) fn weights(&self, sizes: &Sizes) -> Option<usize> {
        let chain = |widths: Vec<usize>| {
            widths.windows(2).try_fold(0usize, |sum, pair| sum.checked_add(pair[0].checked_mul(pair[1])?))
        };
        match self {
            Self::Mlp(config) => chain(config.encoder_widths(sizes))?.checked_add(chain(config.decoder_widths(sizes))?),
            Self::Conv(config) => config.weights(sizes)?.checked_mul(2),
            Self::Dictionary(config) => {
                let skip = if config.skip { chain(vec![sizes.d_input, sizes.d_output])? } else { 0 };
                let sides =
                    chain(vec![sizes.d_input, sizes.reads])?.checked_add(chain(vec![sizes.d_code, sizes.d_output])?)?;
                sides.checked_add(skip)
            }
        }
    }

    /// Checks the settings for data of these sizes.
    ///
    /// # Errors
    /// The network has more than [`MAX_WEIGHTS`] weights; a convolutional network is for data without an image shape,
    /// or has more layers than can reduce the image; weights are tied, but the encoder reads a mask, or has more
    /// outputs than the code has units.
    pub fn check_sizes(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        match self {
            Self::Mlp(_) => {}
            Self::Conv(config) => config.check_image(sizes.image)?,
            Self::Dictionary(config) => config.check_sizes(sizes)?,
        }
        let weights = self.weights(sizes);
        if weights.is_none_or(|weights| weights > MAX_WEIGHTS) {
            let found = weights.map_or("too large to count".to_string(), |weights| weights.to_string());
            let allowed = format!(
                "narrower, or `code_dim` (now {}) smaller: the number of weights is {found}, and may be at most \
                 {MAX_WEIGHTS}",
                sizes.d_code
            );
            let (field, widths) = match self {
                Self::Mlp(config) => ("hidden", format!("{:?}", config.hidden)),
                Self::Conv(config) => ("channels", format!("{:?}", config.channels)),
                Self::Dictionary(_) => {
                    let allowed = format!(
                        "another, or `model.code_dim` (now {}) smaller: the number of weights is {found}, and may be \
                         at most {MAX_WEIGHTS}",
                        sizes.d_code
                    );
                    return Err(ConfigError::new("kind", "dictionary", allowed));
                }
            };
            return Err(ConfigError::new(field, widths, allowed));
        }
        if self.is_tied() && sizes.d_input != sizes.d_output {
            let allowed =
                "false with `mask_input`, which makes the encoder's first layer wider than the decoder's last";
            return Err(ConfigError::new("tied", true, allowed));
        }
        if self.is_tied() && sizes.reads != sizes.d_code {
            let allowed = "false with this code, which needs more encoder outputs than the decoder has inputs";
            return Err(ConfigError::new("tied", true, allowed));
        }
        Ok(())
    }

    /// The size of the network.
    ///
    /// # Panics
    /// [`check_sizes`](Self::check_sizes) refuses the sizes.
    pub fn counts(&self, sizes: &Sizes) -> Counts {
        match self {
            Self::Mlp(config) => config.counts(sizes),
            Self::Conv(config) => config.counts(sizes),
            Self::Dictionary(config) => config.counts(sizes),
        }
    }

    /// Encoder and decoder of these sizes, with random weights from the device's generator. `output` is the activation
    /// of the decoder's last layer.
    ///
    /// # Panics
    /// [`check_sizes`](Self::check_sizes) refuses the sizes.
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
            Self::Dictionary(config) => {
                let (encoder, decoder) = config.init(sizes, output, device);
                (NetworkEncoder::Dictionary(encoder), NetworkDecoder::Dictionary(decoder))
            }
        }
    }
}

/// The encoder of a [`Network`]: one concrete type, so that a program that selects a network at run time is compiled
/// once.
#[derive(Module, Debug)]
pub enum NetworkEncoder {
    /// A multi-layer perceptron.
    Mlp(Mlp),
    /// Strided convolutions and an affine layer.
    Conv(ConvEncoder),
    /// One affine layer around a center.
    Dictionary(DictionaryEncoder),
}

impl NetworkEncoder {
    fn part(&self) -> &dyn Encoder {
        match self {
            Self::Mlp(network) => network,
            Self::Conv(network) => network,
            Self::Dictionary(network) => network,
        }
    }
}

impl Encoder for NetworkEncoder {
    delegate! {
        fn forward(&self, x: Tensor<2>) -> Tensor<2>;
        fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)>;
        fn changes_in_training(&self) -> bool;
        fn vjp(&self, x: Tensor<2>, u: Tensor<2>) -> Option<Tensor<2>>;
        fn weights(&self) -> Vec<Tensor<2>>;
        fn affine(&self) -> Option<Tensor<2>>;
        fn units(&self) -> Option<(&Param<Tensor<2>>, &Param<Tensor<1>>)>;
        fn center(&self) -> Option<Tensor<1>>;
    }

    fn units_mut(&mut self) -> Option<(&mut Param<Tensor<2>>, &mut Param<Tensor<1>>)> {
        match self {
            Self::Mlp(network) => network.units_mut(),
            Self::Conv(network) => network.units_mut(),
            Self::Dictionary(network) => network.units_mut(),
        }
    }
}

/// The decoder of a [`Network`].
#[derive(Module, Debug)]
pub enum NetworkDecoder {
    /// A multi-layer perceptron.
    Mlp(Mlp),
    /// A multi-layer perceptron that uses the encoder's weights transposed.
    Tied(TiedMlp),
    /// An affine layer and transposed convolutions.
    Conv(ConvDecoder),
    /// One atom for each unit.
    Dictionary(DictionaryDecoder),
}

impl NetworkDecoder {
    fn part(&self) -> &dyn Decode {
        match self {
            Self::Mlp(network) => network,
            Self::Tied(network) => network,
            Self::Conv(network) => network,
            Self::Dictionary(network) => network,
        }
    }
}

impl Decode for NetworkDecoder {
    delegate! {
        fn decode(&self, latent: &Latent, encoder: &dyn Encoder) -> Tensor<2>;
        fn prefixes(&self, latent: &Latent, encoder: &dyn Encoder, widths: &[usize]) -> Option<Tensor<2>>;
        fn atoms(&self, encoder: &dyn Encoder) -> Option<Tensor<2>>;
        fn lengths(&self) -> Option<Tensor<1>>;
        fn reads_input(&self) -> bool;
        fn first_weight(&self) -> Option<&Param<Tensor<2>>>;
    }

    fn map_atoms(self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self> {
        match self {
            Self::Mlp(network) => network.map_atoms(project).map(Self::Mlp),
            Self::Tied(_) => None,
            Self::Conv(network) => Decode::map_atoms(network, project).map(Self::Conv),
            Self::Dictionary(network) => network.map_atoms(project).map(Self::Dictionary),
        }
    }
}
