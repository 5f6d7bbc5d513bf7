//! Convolutional networks (Masci et al. 2011): strided convolutions to a small image and an affine layer to the code;
//! an affine layer from the code and transposed convolutions back to the image.
//!
//! With an odd kernel `k`, padding `(k - 1) / 2` and stride `s`, a side of `n` pixels becomes `ceil(n / s)`. The
//! corresponding transposed convolution returns `s (ceil(n / s) - 1) + 1` pixels, and is padded by the rest, at most
//! `s - 1`. So images of any size are reconstructed, also of odd size.
//!
//! A convolution is linear: its tangent is the same convolution of the tangent, without the bias.

mod config;
mod decoder;
mod encoder;
mod layer;
#[cfg(test)]
mod tests;

pub use config::ConvConfig;
pub use decoder::ConvDecoder;
pub use encoder::ConvEncoder;
pub use layer::{ConvLayer, ConvLayerConfig};
