//! Convolutional networks: strided convolutions down to a small image and an affine layer to the code; an affine layer
//! and transposed convolutions back (Masci et al. 2011).
//!
//! With an odd kernel `k`, padding `(k - 1) / 2` and stride `s`, a side of `n` pixels becomes `ceil(n / s)`. The
//! transposed convolution that mirrors it gives `s (ceil(n / s) - 1) + 1` pixels and pads what is left, at most
//! `s - 1`, so that any size comes back, odd ones too. A convolution is linear: its tangent is the same convolution of
//! the tangent, without the bias.

use burn::{
    config::Config,
    module::{Module, Param},
    nn::{Dropout, Initializer},
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

use super::{
    Affine, AffineConfig, Counts, Decoder, Encoder, Initialization, Norm, NormKind, Sizes,
    affine::projected,
    initialization::UNIFORM,
    mlp::{check_dropout, dropout, dropped},
};
use crate::{Activation, ConfigError, macros::setters};

/// Settings of a convolutional encoder and its mirror.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct ConvConfig {
    /// Channels of each convolution, input side first; the decoder has them in reverse. Each at least 1. Default:
    /// `[16, 32]`.
    pub channels: Vec<usize>,
    /// Side of the kernels in pixels, odd. Default: 3.
    pub kernel: usize,
    /// Step of the kernels in pixels, at least 1: each layer divides the sides of the image by it. Default: 2.
    pub stride: usize,
    /// Activation of the hidden layers. Default: `elu`.
    pub activation: Activation,
    /// Normalisation of the hidden layers, before their activation. Default: `none`.
    pub norm: NormKind,
    /// Share of the hidden values switched off in each training step, in `[0, 1)`. Default: 0.
    pub dropout: f64,
    /// How the weights are drawn before training: `auto` (uniform in `+-1/sqrt(d_in)`), `xavier_uniform`,
    /// `xavier_normal`, `kaiming_uniform`, `kaiming_normal` or `orthogonal`. Default: `auto`.
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

    /// Whether the settings can be built for some image.
    ///
    /// # Errors
    /// No layer, a layer without channels, an even kernel, a stride of 0, or a dropout outside `[0, 1)`.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_dropout(self.dropout)?;
        if self.channels.is_empty() {
            return Err(ConfigError::new(
                "channels",
                "[]",
                "a list of at least one layer's channels, such as [16, 32]",
            ));
        }
        if let Some(layer) = self.channels.iter().position(|&channels| channels == 0) {
            return Err(ConfigError::new(format!("channels[{layer}]"), 0, "at least 1"));
        }
        if self.kernel.is_multiple_of(2) {
            return Err(ConfigError::new("kernel", self.kernel, "odd, so that it has a middle: 3, 5, 7"));
        }
        if self.stride == 0 {
            return Err(ConfigError::new("stride", 0, "at least 1"));
        }
        Ok(())
    }

    /// Whether the settings suit images of `channels, height, width`.
    ///
    /// # Errors
    /// Rows that are no images, or more layers than reduce the image.
    pub fn check_image(&self, image: Option<[usize; 3]>) -> Result<(), ConfigError> {
        let Some([_, height, width]) = image else {
            return Err(ConfigError::new("kind", "conv", "mlp for rows that are not images"));
        };
        let useful = self.stages(height, width).iter().take_while(|size| **size != [1, 1]).count();
        if self.stride > 1 && self.channels.len() > useful {
            let allowed =
                format!("at most {useful} layers: then an image of {height}x{width} is down to a single pixel");
            return Err(ConfigError::new("channels", format!("{:?}", self.channels), allowed));
        }
        Ok(())
    }

    /// The encoder's weights; none if there are more than can be counted.
    pub(super) fn weights(&self, sizes: &Sizes) -> Option<usize> {
        let [_, height, width] = sizes.image?;
        let kernels = self.channels.windows(2).try_fold(0usize, |sum, pair| {
            sum.checked_add(pair[0].checked_mul(pair[1])?.checked_mul(self.kernel.checked_mul(self.kernel)?)?)
        });
        let [height, width] = self.stages(height, width).pop()?;
        let code = self.channels.last()?.checked_mul(height * width)?.checked_mul(sizes.d_code.max(sizes.reads))?;
        kernels?.checked_add(code)
    }

    /// How large encoder and decoder will be together.
    ///
    /// # Panics
    /// Sizes that [`check_image`](Self::check_image) refuses.
    pub(super) fn counts(&self, sizes: &Sizes) -> Counts {
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
        // Weights and biases of the layers between neighbours in a list of channels.
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

    /// Height and width before each layer, and after the last.
    fn stages(&self, height: usize, width: usize) -> Vec<[usize; 2]> {
        let mut stages = vec![[height, width]];
        for _ in &self.channels {
            stages.push(stages[stages.len() - 1].map(|side| side.div_ceil(self.stride)));
        }
        stages
    }

    /// Encoder and decoder; `output` is the decoder's last activation.
    ///
    /// # Panics
    /// Sizes that [`check_image`](Self::check_image) refuses.
    pub fn init(&self, sizes: &Sizes, output: Activation, device: &Device) -> (ConvEncoder, ConvDecoder) {
        (self.encoder(sizes, device), self.decoder(sizes, output, device))
    }

    /// The encoder: convolutions, and an affine layer to what the code reads.
    ///
    /// # Panics
    /// Sizes that [`check_image`](Self::check_image) refuses.
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

    /// The decoder: an affine layer from the code, and transposed convolutions with weights of their own. It is always
    /// the mirror of [`encoder`](Self::encoder): that is what brings the image back to its size. One of other channels
    /// is that of another configuration, since all that it shares with the encoder is the code.
    ///
    /// # Panics
    /// Sizes that [`check_image`](Self::check_image) refuses.
    pub fn decoder(&self, sizes: &Sizes, output: Activation, device: &Device) -> ConvDecoder {
        let [channels, height, width] = image(sizes);
        let up: Vec<usize> = self.channels.iter().rev().copied().chain(std::iter::once(channels)).collect();
        let stages: Vec<[usize; 2]> = self.stages(height, width).into_iter().rev().collect();
        let convolutions = up.windows(2).zip(stages.windows(2)).map(|(channels, sides)| {
            // The padding brings the mirrored size up to the original one.
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

    /// Channels, height and width after the last convolution of the encoder.
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
    sizes.image.expect("a convolutional network is for images")
}

/// Settings of a [`ConvLayer`].
#[derive(Config, Debug, PartialEq)]
pub struct ConvLayerConfig {
    /// Channels that it reads, at least 1.
    pub channels_in: usize,
    /// Channels that it gives, at least 1.
    pub channels_out: usize,
    /// Side of the kernels in pixels, odd. Default: 3.
    #[config(default = 3)]
    pub kernel: usize,
    /// Step in pixels, at least 1. Default: 1.
    #[config(default = 1)]
    pub stride: usize,
    /// Rows and columns added at the end of the result of a transposed convolution, each less than `stride`. Default:
    /// none, a convolution that is not transposed.
    pub padding_out: Option<[usize; 2]>,
    /// How the weight is drawn; the bias is uniform in `+-1/sqrt(d_in)` whatever it says, where `d_in` is how many
    /// values an output pixel sees. Default: as the bias.
    #[config(default = "UNIFORM")]
    pub initializer: Initializer,
}

impl ConvLayerConfig {
    /// The layer, with parameters from the device's generator, drawn when they are first asked for.
    pub fn init(&self, device: &Device) -> ConvLayer {
        let (from, to, k) = (self.channels_in, self.channels_out, self.kernel);
        // Of a transposed convolution an output pixel sees about one in stride^2 of the kernel's entries, and of any
        // other an input pixel is seen by so many.
        let (all, some) = (
            |channels: usize| channels * k * k,
            |channels: usize| (channels * k * k).div_ceil(self.stride * self.stride),
        );
        let (shape, fan_in, fan_out) = match self.padding_out {
            Some(_) => ([from, to, k, k], some(from), all(to)),
            None => ([to, from, k, k], all(from), some(to)),
        };
        ConvLayer {
            weight: self.initializer.init_with(shape, Some(fan_in), Some(fan_out), device),
            bias: UNIFORM.init_with([to], Some(fan_in), None, device),
            stride: self.stride,
            padding_out: self.padding_out,
        }
    }
}

/// A convolution, or a transposed one.
#[derive(Module, Debug)]
pub struct ConvLayer {
    /// `[channels_out, channels_in, k, k]`; `[channels_in, channels_out, k, k]` if transposed.
    pub weight: Param<Tensor<4>>,
    /// `[channels_out]`.
    pub bias: Param<Tensor<1>>,
    /// Step in pixels.
    #[module(skip)]
    pub stride: usize,
    /// Rows and columns added at the end of a transposed convolution's result; none if it is not transposed.
    #[module(skip)]
    pub padding_out: Option<[usize; 2]>,
}

impl ConvLayer {
    /// A convolution with the given weight (`[channels_out, channels_in, k, k]`) and bias (`[channels_out]`).
    pub fn from_tensors(weight: Tensor<4>, bias: Tensor<1>, stride: usize) -> Self {
        Self { weight: Param::from_tensor(weight), bias: Param::from_tensor(bias), stride, padding_out: None }
    }

    /// `[batch, channels_in, height, width] -> [batch, channels_out, ...]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.activated(x, Activation::Identity)
    }

    /// `phi` of it, in one pass where there is a kernel for it.
    pub fn activated(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        self.apply(x, Some(self.bias.val()), activation.kernel())
    }

    /// The tangent of the result along `t`.
    fn tangent(&self, t: Tensor<4>) -> Tensor<4> {
        self.apply(t, None, ae_kernels::Activation::Identity)
    }

    fn apply(&self, x: Tensor<4>, bias: Option<Tensor<1>>, activation: ae_kernels::Activation) -> Tensor<4> {
        let weight = self.weight.val();
        let padding = weight.dims()[2] / 2;
        match self.padding_out {
            None => ae_kernels::conv2d(x, weight, bias, self.stride, padding, activation),
            Some(rest) => ae_kernels::conv_transpose2d(x, weight, bias, self.stride, padding, rest, activation),
        }
    }
}

/// Convolutions and an affine layer to the code.
#[derive(Module, Debug)]
pub struct ConvEncoder {
    /// The convolutions, input side first.
    pub convolutions: Vec<ConvLayer>,
    /// Normalisation of each; none if empty.
    pub norms: Vec<Norm>,
    /// Dropout after each.
    pub dropout: Option<Dropout>,
    /// From the last, flattened, to the code.
    pub code: Affine,
    /// Channels, height and width of what is read.
    #[module(skip)]
    pub image: [usize; 3],
    /// Activation after each convolution.
    #[module(skip)]
    pub activation: Activation,
}

impl Encoder for ConvEncoder {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [channels, height, width] = self.image;
        let x = x.reshape([-1, channels as i64, height as i64, width as i64]);
        let x = self.convolutions.iter().enumerate().fold(x, |x, (index, layer)| {
            // [batch, channels of the layer, height, width]
            let y = match self.norms.get(index) {
                Some(norm) => self.activation.forward(norm.forward(layer.forward(x))),
                None => layer.activated(x, self.activation),
            };
            match &self.dropout {
                Some(dropout) => dropped(dropout, y),
                None => y,
            }
        });
        self.code.forward(x.flatten(1, 3)) // [batch, d_code]
    }

    fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let [channels, height, width] = self.image;
        let image = |rows: Tensor<2>| rows.reshape([-1, channels as i64, height as i64, width as i64]);
        let (x, t) = self.convolutions.iter().enumerate().fold((image(x), image(v)), |(x, t), (index, layer)| {
            let (z, t) = (layer.forward(x), layer.tangent(t));
            let (z, t) = match self.norms.get(index) {
                Some(norm) => norm.jvp(z, t),
                None => (z, t),
            };
            self.activation.jvp(z, t)
        });
        let t: Tensor<2> = t.flatten(1, 3);
        Some((self.code.forward(x.flatten(1, 3)), ae_kernels::matmul(t, self.code.weight.val())))
    }
}

/// An affine layer from the code, and transposed convolutions.
#[derive(Module, Debug)]
pub struct ConvDecoder {
    /// From the code to a small image, flattened.
    pub code: Affine,
    /// The transposed convolutions, code side first.
    pub convolutions: Vec<ConvLayer>,
    /// Normalisation before each; none if empty.
    pub norms: Vec<Norm>,
    /// Dropout before each.
    pub dropout: Option<Dropout>,
    /// Channels, height and width of the small image.
    #[module(skip)]
    pub image: [usize; 3],
    /// Activation before each convolution.
    #[module(skip)]
    pub activation: Activation,
    /// Activation after the last.
    #[module(skip)]
    pub output: Activation,
}

impl Decoder for ConvDecoder {
    fn forward(&self, h: Tensor<2>) -> Tensor<2> {
        let [channels, height, width] = self.image;
        let z = self.code.forward(h).reshape([-1, channels as i64, height as i64, width as i64]);
        let z = self.convolutions.iter().enumerate().fold(z, |z, (index, layer)| {
            let z = match self.norms.get(index) {
                Some(norm) => norm.forward(z),
                None => z,
            };
            let y = self.activation.forward(z);
            layer.forward(match &self.dropout {
                Some(dropout) => dropped(dropout, y),
                None => y,
            })
        });
        self.output.forward(z.flatten(1, 3)) // [batch, d_output]
    }

    fn map_atoms(mut self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self> {
        self.code.weight = projected(self.code.weight, project);
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;
    use crate::network::{finite_difference_jvp, in_double_precision};

    #[test]
    fn any_size_comes_back() {
        let device = Device::default();
        for (image, stride, layers) in [
            ([1, 8, 8], 2, 3),
            ([3, 7, 5], 2, 2),
            ([2, 1, 9], 3, 2),
            ([1, 6, 10], 4, 1),
            ([1, 5, 5], 1, 2),
            ([1, 11, 4], 3, 1),
        ] {
            let config = ConvConfig { channels: vec![3; layers], stride, ..Default::default() };
            config.check_image(Some(image)).unwrap();
            let features = image.iter().product();
            let (encoder, decoder) =
                config.init(&Sizes::new(features, 4).with_image(Some(image)), Activation::Identity, &device);
            let x = Tensor::<2>::ones([2, features], &device);
            let h = encoder.forward(x);
            assert_eq!(h.dims(), [2, 4], "{image:?}");
            assert_eq!(decoder.forward(h).dims(), [2, features], "{image:?}");
        }
    }

    #[test]
    fn the_tangent_is_that_of_central_differences_with_every_norm() {
        let device = Device::default();
        for norm in [NormKind::None, NormKind::Layer, NormKind::Batch] {
            let config = ConvConfig {
                channels: vec![3, 4],
                norm,
                activation: Activation::Tanh,
                dropout: 0.5,
                ..Default::default()
            };
            let (encoder, _) =
                config.init(&Sizes::new(42, 5).with_image(Some([1, 7, 6])), Activation::Identity, &device);
            let encoder = in_double_precision(encoder);
            let random =
                |distribution| Tensor::<2>::random([3, 42], distribution, &device).cast(burn::tensor::DType::F64);
            let (x, v) = (random(Distribution::Uniform(0.0, 1.0)), random(Distribution::Normal(0.0, 1.0)));
            let (code, tangent) = encoder.jvp(x.clone(), v.clone()).unwrap();
            let (same, estimate) = finite_difference_jvp(|x| encoder.forward(x), x, v);
            code.into_data().assert_approx_eq::<f64>(&same.into_data(), Tolerance::absolute(1e-9));
            tangent.into_data().assert_approx_eq::<f64>(&estimate.into_data(), Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn what_cannot_be_built_is_refused_by_name() {
        let config = ConvConfig::default();
        assert_eq!(config.check_image(None).unwrap_err().field, "kind");
        let deep = ConvConfig { channels: vec![4; 5], ..Default::default() };
        let error = deep.check_image(Some([1, 8, 8])).unwrap_err().to_string();
        assert!(error.contains("at most 3 layers"), "{error}");
        assert_eq!(ConvConfig { kernel: 4, ..Default::default() }.check().unwrap_err().field, "kernel");
        assert_eq!(ConvConfig { channels: vec![], ..Default::default() }.check().unwrap_err().field, "channels");
        assert_eq!(ConvConfig { channels: vec![4, 0], ..Default::default() }.check().unwrap_err().field, "channels[1]");
        assert_eq!(ConvConfig { stride: 0, ..Default::default() }.check().unwrap_err().field, "stride");
        assert_eq!(ConvConfig { dropout: 1.0, ..Default::default() }.check().unwrap_err().field, "dropout");
    }
}
