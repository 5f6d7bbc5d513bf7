//! The settings of a multi-layer perceptron.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Device,
};
use schemars::JsonSchema;

use super::{Mlp, TiedMlp};
use crate::{
    Activation, ConfigError,
    macros::setters,
    network::{
        AffineConfig, Counts, Initialization, Norm, NormKind, Sizes,
        affine::bias,
        dropout::{check_dropout, dropout},
    },
};

/// Settings of a multi-layer perceptron and its decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Widths of the encoder's hidden layers, in units, input side first, each at least 1; an empty list is a single
    /// affine layer. Default: `[256, 128]`.
    pub hidden: Vec<usize>,
    /// Widths of the decoder's hidden layers, in units, code side first, each at least 1; with `tied` or pre-training
    /// they must be those of the encoder in reverse. Default: the encoder's in reverse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder_hidden: Option<Vec<usize>>,
    /// Activation of the hidden layers. Default: `elu`.
    pub activation: Activation,
    /// Whether the decoder uses the encoder's weights transposed: true or false. Default: false.
    pub tied: bool,
    /// Normalization of the hidden layers, before their activation. Default: `none`.
    pub norm: NormKind,
    /// Dropout: fraction of the hidden units that is set to 0 in each training step, in `[0, 1)`. Default: 0.
    pub dropout: f64,
    /// Distribution of the initial weights: `auto` (uniform in `+-1/sqrt(d_in)`), `xavier_uniform`, `xavier_normal`,
    /// `kaiming_uniform`, `kaiming_normal` or `orthogonal`. Default: `auto`.
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

    /// Sets the widths of the decoder's hidden layers, code side first.
    #[must_use]
    pub fn with_decoder_hidden(mut self, widths: impl Into<Vec<usize>>) -> Self {
        self.decoder_hidden = Some(widths.into());
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A hidden layer has no units, a tied decoder has layers of its own, or the dropout is outside `[0, 1)`.
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

    /// Whether the decoder has the encoder's hidden layers in reverse, as tied weights and pre-training need.
    pub fn is_mirrored(&self) -> bool {
        self.decoder_hidden.as_ref().is_none_or(|widths| widths.iter().eq(self.hidden.iter().rev()))
    }

    /// The encoder `d_input -> hidden -> reads`. Its random weights are drawn from the device's generator when they are
    /// first used.
    pub fn encoder(&self, sizes: &Sizes, device: &Device) -> Mlp {
        self.stack(&self.encoder_widths(sizes), Activation::Identity, device)
    }

    /// The decoder `d_code -> decoder_hidden -> d_output` with weights of its own, whatever [`tied`](Self::tied) says.
    /// `output` is the activation of its last layer.
    pub fn decoder(&self, sizes: &Sizes, output: Activation, device: &Device) -> Mlp {
        self.stack(&self.decoder_widths(sizes), output, device)
    }

    /// The decoder with the encoder's layers in reverse, and the encoder's weights.
    ///
    /// # Panics
    /// The decoder has [layers of its own](Self::is_mirrored).
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
    pub(in crate::network) fn encoder_widths(&self, sizes: &Sizes) -> Vec<usize> {
        [&[sizes.d_input], self.hidden.as_slice(), &[sizes.reads]].concat()
    }

    /// Widths from the decoder's input to its output.
    pub(in crate::network) fn decoder_widths(&self, sizes: &Sizes) -> Vec<usize> {
        let hidden = self.decoder_hidden.clone().unwrap_or_else(|| self.hidden.iter().rev().copied().collect());
        [&[sizes.d_code], hidden.as_slice(), &[sizes.d_output]].concat()
    }

    /// The size of encoder and decoder together.
    pub(in crate::network) fn counts(&self, sizes: &Sizes) -> Counts {
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
            let allowed = "at least 1 (an empty list means no hidden layers)";
            Err(ConfigError::new(format!("{field}[{layer}]"), 0, allowed))
        }
        None => Ok(()),
    }
}
