//! The autoencoder: an encoder, a code and a decoder of any kind, put together.
//!
//! `z = f(x)`, `h = code(z)`, `o = g(h)`, and the reconstruction `r` is what `o` stands for under the reconstruction loss: `o` itself for
//! squared error, `sigmoid(o)` for Bernoulli.

use burn::{module::Module, tensor::Tensor};

use crate::{Code, Decoder, Encoder, Reconstruction, code::CodeConfig};

/// An encoder, a code and a decoder.
#[derive(Module, Debug)]
pub struct Autoencoder<E: Encoder, D: Decoder> {
    /// `f`: `[batch, d_input] -> [batch, d_code]`.
    pub encoder: E,
    /// What is done to `f(x)` before it is the code.
    pub code: Code,
    /// `g`: `[batch, d_code] -> [batch, d_input]`.
    pub decoder: D,
    /// What the decoder's output stands for, and how its error is counted.
    #[module(skip)]
    pub reconstruction: Reconstruction,
}

/// One pass through the model.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The code `h`, `[batch, d_code]`.
    pub code: Tensor<2>,
    /// The decoder's output, `[batch, d_input]`: the reconstruction itself, or its logits under Bernoulli.
    pub output: Tensor<2>,
}

impl<E: Encoder, D: Decoder> Autoencoder<E, D> {
    /// An autoencoder with the encoder's output as its code and squared error as its reconstruction loss.
    pub fn new(encoder: E, decoder: D) -> Self {
        let code = CodeConfig::default().init();
        Self { encoder, code, decoder, reconstruction: Reconstruction::SquaredError }
    }

    /// The same with another code.
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The same with another reconstruction loss.
    pub fn with_reconstruction(mut self, reconstruction: Reconstruction) -> Self {
        self.reconstruction = reconstruction;
        self
    }

    /// The code `h`: `[batch, d_input] -> [batch, d_code]`.
    pub fn encode(&self, x: Tensor<2>) -> Tensor<2> {
        self.code.forward(self.encoder.forward(x))
    }

    /// The code and its derivative along `v`, `(h, J_h(x) v)`; `x` and `v` are `[batch, d_input]`.
    pub fn encode_jvp(&self, x: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let (z, t) = self.encoder.jvp(x, v);
        self.code.jvp(z, t)
    }

    /// The reconstruction of a code: `[batch, d_code] -> [batch, d_input]`.
    pub fn decode(&self, h: Tensor<2>) -> Tensor<2> {
        self.reconstruction.mean(self.decode_output(h))
    }

    /// The reconstruction `r` of an input: `[batch, d_input] -> [batch, d_input]`.
    pub fn reconstruct(&self, x: Tensor<2>) -> Tensor<2> {
        self.decode(self.encode(x))
    }

    /// Code and decoder output together, as a loss needs them.
    pub fn forward(&self, x: Tensor<2>) -> Forward {
        let code = self.encode(x);
        Forward { output: self.decode_output(code.clone()), code }
    }

    fn decode_output(&self, h: Tensor<2>) -> Tensor<2> {
        self.decoder.forward_tied(h, self.encoder.weights())
    }
}
