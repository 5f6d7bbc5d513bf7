//! The encoder of a convolutional network.

use burn::{module::Module, nn::Dropout, tensor::Tensor};

use super::ConvLayer;
use crate::{
    Activation,
    network::{Affine, Encoder, Norm, dropout::dropped},
};

/// Convolutions and an affine layer to the code.
#[derive(Module, Debug)]
pub struct ConvEncoder {
    /// The convolutions, input side first.
    pub convolutions: Vec<ConvLayer>,
    /// The normalization of each convolution; empty for none.
    pub norms: Vec<Norm>,
    /// Dropout after each convolution.
    pub dropout: Option<Dropout>,
    /// The affine layer from the last image, flattened, to the code.
    pub code: Affine,
    /// Channels, height and width of the input.
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

    fn changes_in_training(&self) -> bool {
        !self.norms.is_empty() || self.dropout.is_some()
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
