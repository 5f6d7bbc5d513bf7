//! The settings of a convolutional network.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Device,
};
use schemars::JsonSchema;

use super::{ConvDecoder, ConvEncoder, ConvLayerConfig};
use crate::{
    Activation, ConfigError,
    macros::setters,
    network::{
        Affine, AffineConfig, Counts, Initialization, Norm, NormKind, Sizes,
        dropout::{check_dropout, dropout},
    },
};

/// Settings of a convolutional encoder and its decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct ConvConfig {
    /// Number of channels of each convolution, input side first, each at least 1; the decoder has them in reverse.
    /// Default: `[16, 32]`.
    pub channels: Vec<usize>,
    /// Side of the kernels, in pixels, odd. Default: 3.
    pub kernel: usize,
    /// Stride of the kernels, in pixels, at least 1; each layer divides the sides of the image by it. Default: 2.
    pub stride: usize,
    /// Activation of the hidden layers. Default: `elu`.
    pub activation: Activation,
    /// Normalization of the hidden layers, before their activation. Default: `none`.
    pub norm: NormKind,
    /// Dropout: fraction of the hidden values that is set to 0 in each training step, in `[0, 1)`. Default: 0.
    pub dropout: f64,
    /// Distribution of the initial weights: `auto` (uniform in `+-1/sqrt(d_in)`), `xavier_uniform`, `xavier_normal`,
    /// `kaiming_uniform`, `kaiming_normal` or `orthogonal`. Default: `auto`.
    pub initializer: Initialization,
}

impl Default for ConvConfig {
    fn default() -> Self {
        Self {
            channels: vec![16, 32],
            kernel: 3,
            stride: 2,
            activation: Activation::Elu,
            norm: NormKind::None,
            dropout: 0.0,
            initializer: Initialization::Auto,
        }
    }
}

setters! {
    ConvConfig {
        with_channels(channels: impl Into<Vec<usize>>),
        with_kernel(kernel: usize),
        with_stride(stride: usize),
        with_activation(activation: Activation),
        with_norm(norm: NormKind),
        with_dropout(dropout: f64),
        with_initializer(initializer: Initialization),
    }
}

impl ConvConfig {
    /// The default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// There are no layers, a layer has no channels, the kernel is even, the stride is 0, or the dropout is outside
    /// `[0, 1)`.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_dropout(self.dropout)?;
        if self.channels.is_empty() {
            return Err(ConfigError::new("channels", "[]", "a list with at least one layer, such as [16, 32]"));
        }
        if let Some(layer) = self.channels.iter().position(|&channels| channels == 0) {
            return Err(ConfigError::new(format!("channels[{layer}]"), 0, "at least 1"));
        }
        if self.kernel.is_multiple_of(2) {
            return Err(ConfigError::new("kernel", self.kernel, "odd, such as 3, 5 or 7"));
        }
        if self.stride == 0 {
            return Err(ConfigError::new("stride", 0, "at least 1"));
        }
        Ok(())
    }

    /// Checks the settings for images of `channels, height, width`.
    ///
    /// # Errors
    /// The rows are not images, or there are more layers than can reduce the image.
    pub fn check_image(&self, image: Option<[usize; 3]>) -> Result<(), ConfigError> {
        let Some([_, height, width]) = image else {
            return Err(ConfigError::new("kind", "conv", "mlp, because the rows are not images"));
        };
        let useful = self.stages(height, width).iter().take_while(|size| **size != [1, 1]).count();
        if self.stride > 1 && self.channels.len() > useful {
            let allowed =
                format!("at most {useful} layers, which reduce an image of {height}x{width} to a single pixel");
            return Err(ConfigError::new("channels", format!("{:?}", self.channels), allowed));
        }
        Ok(())
    }

    /// The number of weights of the encoder; `None` if it overflows.
    pub(in crate::network) fn weights(&self, sizes: &Sizes) -> Option<usize> {
        let [_, height, width] = sizes.image?;
        let kernels = self.channels.windows(2).try_fold(0usize, |sum, pair| {
            sum.checked_add(pair[0].checked_mul(pair[1])?.checked_mul(self.kernel.checked_mul(self.kernel)?)?)
        });
        let [height, width] = self.stages(height, width).pop()?;
        let code = self.channels.last()?.checked_mul(height * width)?.checked_mul(sizes.d_code.max(sizes.reads))?;
        kernels?.checked_add(code)
    }

    /// The size of encoder and decoder together.
    ///
    /// # Panics
    /// [`check_image`](Self::check_image) refuses the sizes.
    pub(in crate::network) fn counts(&self, sizes: &Sizes) -> Counts {
        let [channels, height, width] = image(sizes);
        let stages = self.stages(height, width);
        let maps: Vec<usize> = self
            .channels
            .iter()
            .zip(&stages[1..])
            .map(|(channels, [height, width])| channels * height * width)
            .collect();
        let smallest = maps[maps.len() - 1];
        let affine = |from: usize, to: usize| from * to + to;
        // Weights and biases of the layers between adjacent entries of a list of channels.
        let layers = |channels: &[usize]| {
            channels.windows(2).map(|pair| affine(pair[0] * self.kernel * self.kernel, pair[1])).sum::<usize>()
        };
        let read = sizes.d_input / (height * width);
        let down = [&[read], self.channels.as_slice()].concat();
        let up: Vec<usize> = self.channels.iter().rev().copied().chain([channels]).collect();
        let norms = 2 * self.norm.parameters() * self.channels.iter().sum::<usize>();
        let codes = affine(smallest, sizes.reads) + affine(sizes.d_code, smallest);
        Counts {
            parameters: layers(&down) + layers(&up) + norms + codes,
            encoder: [&[sizes.d_input], maps.as_slice(), &[sizes.reads]].concat(),
            decoder: [sizes.d_code].into_iter().chain(maps.into_iter().rev()).chain([sizes.d_output]).collect(),
        }
    }

    /// Height and width before each layer, and after the last one.
    fn stages(&self, height: usize, width: usize) -> Vec<[usize; 2]> {
        let mut stages = vec![[height, width]];
        for _ in &self.channels {
            stages.push(stages[stages.len() - 1].map(|side| side.div_ceil(self.stride)));
        }
        stages
    }

    /// Encoder and decoder; `output` is the activation of the decoder's last layer.
    ///
    /// # Panics
    /// [`check_image`](Self::check_image) refuses the sizes.
    pub fn init(&self, sizes: &Sizes, output: Activation, device: &Device) -> (ConvEncoder, ConvDecoder) {
        (self.encoder(sizes, device), self.decoder(sizes, output, device))
    }

    /// The encoder: convolutions, and an affine layer to the values that the code reads.
    ///
    /// # Panics
    /// [`check_image`](Self::check_image) refuses the sizes.
    pub fn encoder(&self, sizes: &Sizes, device: &Device) -> ConvEncoder {
        let [_, height, width] = image(sizes);
        let channels = sizes.d_input / (height * width);
        let down: Vec<usize> = std::iter::once(channels).chain(self.channels.iter().copied()).collect();
        ConvEncoder {
            convolutions: down.windows(2).map(|pair| self.layer(pair[0], pair[1]).init(device)).collect(),
            norms: self.norms(&self.channels, device),
            dropout: dropout(self.dropout),
            code: self.affine(self.smallest(sizes).iter().product(), sizes.reads, device),
            image: [channels, height, width],
            activation: self.activation,
        }
    }

    /// The decoder: an affine layer from the code, and transposed convolutions with weights of their own.
    ///
    /// It always has the layers of [`encoder`](Self::encoder) in reverse, so that the image has its original size. For
    /// a decoder with other channels use another configuration: the two share only the code.
    ///
    /// # Panics
    /// [`check_image`](Self::check_image) refuses the sizes.
    pub fn decoder(&self, sizes: &Sizes, output: Activation, device: &Device) -> ConvDecoder {
        let [channels, height, width] = image(sizes);
        let up: Vec<usize> = self.channels.iter().rev().copied().chain(std::iter::once(channels)).collect();
        let stages: Vec<[usize; 2]> = self.stages(height, width).into_iter().rev().collect();
        let convolutions = up.windows(2).zip(stages.windows(2)).map(|(channels, sides)| {
            // The padding adds what is missing from the original size.
            let rest = [0, 1].map(|side| sides[1][side] - ((sides[0][side] - 1) * self.stride + 1));
            self.layer(channels[0], channels[1]).with_padding_out(Some(rest)).init(device)
        });
        let image = self.smallest(sizes);
        ConvDecoder {
            code: self.affine(sizes.d_code, image.iter().product(), device),
            convolutions: convolutions.collect(),
            norms: self.norms(&up[..up.len() - 1], device),
            dropout: dropout(self.dropout),
            image,
            activation: self.activation,
            output,
        }
    }

    /// Channels, height and width after the encoder's last convolution.
    fn smallest(&self, sizes: &Sizes) -> [usize; 3] {
        let [_, height, width] = image(sizes);
        let stages = self.stages(height, width);
        let [height, width] = stages[stages.len() - 1];
        [self.channels[self.channels.len() - 1], height, width]
    }

    fn layer(&self, from: usize, to: usize) -> ConvLayerConfig {
        ConvLayerConfig::new(from, to)
            .with_kernel(self.kernel)
            .with_stride(self.stride)
            .with_initializer(self.initializer.into())
    }

    fn affine(&self, from: usize, to: usize, device: &Device) -> Affine {
        AffineConfig::new(from, to).with_initializer(self.initializer.into()).init(device)
    }

    fn norms(&self, channels: &[usize], device: &Device) -> Vec<Norm> {
        channels.iter().filter_map(|&channels| self.norm.init(channels, device)).collect()
    }
}

fn image(sizes: &Sizes) -> [usize; 3] {
    sizes.image.expect("a convolutional network needs images")
}
