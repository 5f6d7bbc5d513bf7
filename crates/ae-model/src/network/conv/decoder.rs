//! The decoder of a convolutional network.

use burn::{module::Module, nn::Dropout, tensor::Tensor};

use super::ConvLayer;
use crate::{
    Activation,
    network::{Affine, Decoder, Norm, affine::replaced, dropout::dropped},
};

/// An affine layer from the code, and transposed convolutions.
#[derive(Module, Debug)]
pub struct ConvDecoder {
    /// The affine layer from the code to a small image, flattened.
    pub code: Affine,
    /// The transposed convolutions, code side first.
    pub convolutions: Vec<ConvLayer>,
    /// The normalization before each convolution; empty for none.
    pub norms: Vec<Norm>,
    /// Dropout before each convolution.
    pub dropout: Option<Dropout>,
    /// Channels, height and width of the small image.
    #[module(skip)]
    pub image: [usize; 3],
    /// Activation before each convolution.
    #[module(skip)]
    pub activation: Activation,
    /// Activation after the last convolution.
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
        self.code.weight = replaced(self.code.weight, project);
        Some(self)
    }
}
