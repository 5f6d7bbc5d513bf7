//! A decoder that uses the encoder's weights.

use burn::{
    module::{Module, Param},
    nn::Dropout,
    tensor::Tensor,
};

use super::stack::Between;
use crate::{
    Activation, Latent,
    network::{Decode, Encoder, Norm, affine::activated},
};

/// A stack that uses the weights of its encoder transposed, in reverse order.
#[derive(Module, Debug)]
pub struct TiedMlp {
    /// The bias of each layer, code side first.
    pub biases: Vec<Param<Tensor<1>>>,
    /// The normalization of each hidden layer; empty for none.
    pub norms: Vec<Norm>,
    /// Dropout after each hidden layer.
    pub dropout: Option<Dropout>,
    /// Activation between layers.
    #[module(skip)]
    pub activation: Activation,
    /// Activation after the last layer.
    #[module(skip)]
    pub output: Activation,
}

impl Decode for TiedMlp {
    /// # Panics
    /// The encoder has another number of weights than this decoder has layers: it is not the one it was built with.
    fn decode(&self, latent: &Latent, encoder: &dyn Encoder) -> Tensor<2> {
        let (weights, layers) = (encoder.weights(), self.biases.len());
        assert_eq!(weights.len(), layers, "a tied decoder needs the encoder that it was built with");
        let between = Between::new(&self.norms, &self.dropout, self.activation, self.output);
        between.run(latent.code.clone(), layers, |index, x, activation| {
            let (weight, bias) = (weights[layers - 1 - index].clone().transpose(), self.biases[index].val());
            activated(x, latent.sparse.as_ref().filter(|_| index == 0), weight, bias, activation)
        })
    }

    fn atoms(&self, encoder: &dyn Encoder) -> Option<Tensor<2>> {
        match (encoder.affine(), self.biases.len(), self.output) {
            (Some(weight), 1, Activation::Identity) => Some(weight.transpose()),
            _ => None,
        }
    }
}
