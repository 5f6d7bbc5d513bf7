//! A convolution, or a transposed one.

use burn::{
    config::Config,
    module::{Module, Param},
    nn::Initializer,
    tensor::{Device, Tensor},
};

use crate::{Activation, network::initialization::UNIFORM};

/// Settings of a [`ConvLayer`].
#[derive(Config, Debug, PartialEq)]
pub struct ConvLayerConfig {
    /// Number of input channels, at least 1.
    pub channels_in: usize,
    /// Number of output channels, at least 1.
    pub channels_out: usize,
    /// Side of the kernels, in pixels, odd. Default: 3.
    #[config(default = 3)]
    pub kernel: usize,
    /// Stride, in pixels, at least 1. Default: 1.
    #[config(default = 1)]
    pub stride: usize,
    /// Rows and columns that a transposed convolution adds at the end of its output, each less than `stride`. Default:
    /// `None`, a convolution that is not transposed.
    pub padding_out: Option<[usize; 2]>,
    /// Distribution of the initial weight. Default: uniform in `+-1/sqrt(d_in)`, where `d_in` is the number of inputs
    /// of an output pixel. The bias always has this distribution.
    #[config(default = "UNIFORM")]
    pub initializer: Initializer,
}

impl ConvLayerConfig {
    /// The layer. Its parameters are drawn from the device's generator when they are first used.
    pub fn init(&self, device: &Device) -> ConvLayer {
        let (from, to, k) = (self.channels_in, self.channels_out, self.kernel);
        // In a transposed convolution an output pixel depends on about one in stride^2 of the kernel's entries. In any
        // other, an input pixel contributes through that many.
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
    /// The weight: `[channels_out, channels_in, k, k]`, or `[channels_in, channels_out, k, k]` if transposed.
    pub weight: Param<Tensor<4>>,
    /// The bias, `[channels_out]`.
    pub bias: Param<Tensor<1>>,
    /// Stride, in pixels.
    #[module(skip)]
    pub stride: usize,
    /// Rows and columns added at the end of a transposed convolution's output; `None` if it is not transposed.
    #[module(skip)]
    pub padding_out: Option<[usize; 2]>,
}

impl ConvLayer {
    /// A convolution with the given weight (`[channels_out, channels_in, k, k]`) and bias (`[channels_out]`).
    pub fn from_tensors(weight: Tensor<4>, bias: Tensor<1>, stride: usize) -> Self {
        Self { weight: Param::from_tensor(weight), bias: Param::from_tensor(bias), stride, padding_out: None }
    }

    /// The layer applied to `x`: `[batch, channels_in, height, width] -> [batch, channels_out, ...]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.activated(x, Activation::Identity)
    }

    /// The layer followed by an activation, in one pass where there is a kernel.
    pub fn activated(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        self.apply(x, Some(self.bias.val()), activation.kernel())
    }

    /// The derivative of the output along `t`.
    pub(super) fn tangent(&self, t: Tensor<4>) -> Tensor<4> {
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
