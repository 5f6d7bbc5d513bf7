//! The autoencoder: an encoder, a code and a decoder of any kind, put together.
//!
//! `z = f(x)`, `h = code(z)`, `o = g(h)`, and the reconstruction `r` is what `o` stands for under the reconstruction loss: `o` itself for
//! squared error, `sigmoid(o)` for Bernoulli.

use burn::{module::Module, tensor::Tensor};

use crate::{Activation, Code, Decoder, Encoder, Head};

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
    pub reconstruction: Head,
    /// Whether the encoder also reads which values are visible (1 or 0), as a second half of its input.
    #[module(skip)]
    pub mask_input: bool,
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
        let code = Activation::Identity.into();
        Self { encoder, code, decoder, reconstruction: Head::default(), mask_input: false }
    }

    /// The same with another code.
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The same with another reconstruction loss.
    pub fn with_reconstruction(mut self, reconstruction: impl Into<Head>) -> Self {
        self.reconstruction = reconstruction.into();
        self
    }

    /// The same with an encoder that reads, beside its input, which values of it are visible: twice as many features.
    pub fn with_mask_input(mut self, mask_input: bool) -> Self {
        self.mask_input = mask_input;
        self
    }

    /// The code `h`: `[batch, d_input] -> [batch, d_code]`.
    pub fn encode(&self, x: Tensor<2>) -> Tensor<2> {
        self.encode_visible(x, None)
    }

    /// The code of an input of which only some values are `visible` (1 or 0, like `x` `[batch, d_input]`; all if none). Whatever `x` holds
    /// elsewhere, `NaN` too, is not looked at.
    pub fn encode_visible(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<2> {
        self.code.forward(self.encoder.forward(self.read(x, visible)))
    }

    /// The code and its derivative along `v`, `(h, J_h(x) v)`; `x`, `v` and `visible` are `[batch, d_input]`.
    pub fn encode_jvp(&self, x: Tensor<2>, v: Tensor<2>, visible: Option<Tensor<2>>) -> (Tensor<2>, Tensor<2>) {
        // What is visible is no input to differentiate by.
        let v = if self.mask_input { Tensor::cat(vec![v.clone(), v.zeros_like()], 1) } else { v };
        let (z, t) = self.encoder.jvp(self.read(x, visible), v);
        self.code.jvp(z, t)
    }

    /// The slope of each unit of the code, `dh_j / dz_j`, `[batch, d_code]`.
    pub(crate) fn slopes(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<2> {
        let z = self.encoder.forward(self.read(x, visible));
        let ones = z.ones_like();
        self.code.jvp(z, ones).1
    }

    /// The reconstruction of a code: `[batch, d_code] -> [batch, d_input]`.
    pub fn decode(&self, h: Tensor<2>) -> Tensor<2> {
        self.reconstruction.mean(self.decode_output(h))
    }

    /// The reconstruction `r` of an input: `[batch, d_input] -> [batch, d_input]`.
    pub fn reconstruct(&self, x: Tensor<2>) -> Tensor<2> {
        self.reconstruct_visible(x, None)
    }

    /// The reconstruction of an input of which only some values are `visible`.
    pub fn reconstruct_visible(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<2> {
        self.reconstruction.mean(self.forward(x, visible).output)
    }

    /// `x` with what is not `visible` (0; both `[batch, d_input]`) filled in by the reconstruction. What is visible stays as it is.
    pub fn impute(&self, x: Tensor<2>, visible: Tensor<2>) -> Tensor<2> {
        let filled = self.reconstruct_visible(x.clone(), Some(visible.clone()));
        x.mask_where(visible.lower_equal_elem(0.5), filled)
    }

    /// Code and decoder output together, as a loss needs them.
    pub fn forward(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Forward {
        let z = self.encoder.forward(self.read(x, visible));
        match self.code.sparse(&z) {
            Some(h) => {
                drop(z); // the widest tensor of all: its memory becomes the code's
                Forward { output: self.decoder.forward_sparse(&h, self.encoder.weights()), code: h.dense() }
            }
            None => {
                let code = self.code.forward(z);
                Forward { output: self.decoder.forward_tied(code.clone(), self.encoder.weights()), code }
            }
        }
    }

    fn decode_output(&self, h: Tensor<2>) -> Tensor<2> {
        match self.code.sparse_of(&h) {
            Some(h) => self.decoder.forward_sparse(&h, self.encoder.weights()),
            None => self.decoder.forward_tied(h, self.encoder.weights()),
        }
    }

    /// What the encoder reads: the visible values, 0 elsewhere, and what is visible if it reads that too.
    fn read(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<2> {
        let x = match &visible {
            Some(visible) => x.mask_fill(visible.clone().lower_equal_elem(0.5), 0.0),
            None => x,
        };
        match (self.mask_input, visible) {
            (false, _) => x,
            (true, Some(visible)) => Tensor::cat(vec![x, visible], 1),
            (true, None) => Tensor::cat(vec![x.clone(), x.ones_like()], 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{
        Activation,
        network::{MlpConfig, Sizes},
    };

    #[test]
    fn imputing_fills_in_what_is_missing_and_nothing_else() {
        let device = Device::default();
        for mask_input in [false, true] {
            let sizes = Sizes::new(3, 2);
            let sizes = if mask_input { sizes.with_mask() } else { sizes };
            let (encoder, decoder) = MlpConfig::default().init(&sizes, Activation::Sigmoid, &device);
            let model = Autoencoder::new(encoder, decoder).with_mask_input(mask_input);
            let visible = Tensor::<2>::from_floats([[1.0, 0.0, 1.0]], &device);
            let filled = |missing: f32| -> Vec<f32> {
                let x = Tensor::<2>::from_floats([[0.25, missing, -7.0]], &device);
                model.impute(x, visible.clone()).into_data().iter::<f32>().collect()
            };
            let values = filled(f32::NAN);
            assert_eq!((values[0], values[2]), (0.25, -7.0));
            assert!(values[1] > 0.0 && values[1] < 1.0, "{values:?}");
            assert_eq!(values, filled(123.0), "what stands where nothing is visible is not looked at");
        }
    }
}
