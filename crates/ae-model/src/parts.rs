//! A model by its parts, whatever their types: what penalties and derivatives look at.

use burn::{
    module::{Flag, Module, ModuleMapper, Param},
    tensor::Tensor,
};

use crate::{
    Code, Encoder, Latent,
    network::{Decode, finite_difference_jvp},
};

/// Encoder, code and decoder as trait objects, and what else decides how they are put together. From
/// [`Autoencoder::parts`](crate::Autoencoder::parts).
pub struct Parts<'a> {
    /// `f`.
    pub encoder: &'a dyn Encoder,
    /// What is made of `f(x)`.
    pub code: &'a dyn Code,
    /// `g`.
    pub decoder: &'a dyn Decode,
    /// Whether the encoder also reads which values are visible, as a second half of its input.
    pub mask_input: bool,
    /// Encoder and code as they are after training: without dropout, with the running statistics of a batch norm.
    pub(crate) settled: Settled<'a>,
}

/// Makes the two parts as they are after training.
type Settled<'a> = Box<dyn Fn() -> (Box<dyn Encoder>, Box<dyn Code>) + 'a>;

impl Parts<'_> {
    /// The latent of an input of which only some values are `visible` (1 or 0, `[batch, d_input]` like `x`; all if
    /// none).
    pub fn encode(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Latent {
        self.code.forward(self.encoder.forward(self.read(x, visible)))
    }

    /// The decoder's output for a latent, `[batch, d_output]`.
    pub fn decode(&self, latent: &Latent) -> Tensor<2> {
        self.decoder.decode(latent, self.encoder)
    }

    /// The code and its derivative along `v`, `(h, J_h v)`, at what the network reads; `x`, `v` and `visible` are
    /// `[batch, d_input]`. What is not visible is read as 0 whatever `x` holds there, and yet `v` is followed there:
    /// set it to 0 where the derivative by `x` itself is meant.
    pub fn encode_jvp(&self, x: Tensor<2>, v: Tensor<2>, visible: Option<Tensor<2>>) -> (Tensor<2>, Tensor<2>) {
        // What is visible is no input to differentiate by.
        let v = if self.mask_input { Tensor::cat(vec![v.clone(), v.zeros_like()], 1) } else { v };
        let read = self.read(x, visible);
        let (z, t) = self.encoder.jvp(read.clone(), v.clone()).unwrap_or_else(|| {
            let (encoder, _) = (self.settled)();
            finite_difference_jvp(|x| encoder.forward(x), read, v)
        });
        self.code_jvp(z, t)
    }

    /// The code of `z`, and its derivative along the tangent `t`.
    fn code_jvp(&self, z: Tensor<2>, t: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        self.code.jvp(z.clone(), t.clone()).unwrap_or_else(|| {
            let (_, code) = (self.settled)();
            finite_difference_jvp(|z| code.forward(z).code, z, t)
        })
    }

    /// The slope of each unit, `dh_j / dz_j`, `[batch, d_code]`, of a code whose derivative is
    /// [diagonal](Code::is_diagonal).
    pub(crate) fn slopes(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<2> {
        let z = self.encoder.forward(self.read(x, visible));
        let ones = z.ones_like();
        self.code_jvp(z, ones).1
    }

    /// What the encoder reads: the visible values, 0 elsewhere, and what is visible if it reads that too.
    pub(crate) fn read(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<2> {
        let x = match &visible {
            Some(visible) => blank(x, visible),
            None => x,
        };
        match (self.mask_input, visible) {
            (false, _) => x,
            (true, Some(visible)) => Tensor::cat(vec![x, visible], 1),
            (true, None) => Tensor::cat(vec![x.clone(), x.ones_like()], 1),
        }
    }
}

/// `x` with 0 where nothing is `visible`, whatever it holds there: `NaN`, too.
pub(crate) fn blank(x: Tensor<2>, visible: &Tensor<2>) -> Tensor<2> {
    x.mask_fill(visible.clone().lower_equal_elem(0.5), 0.0)
}

/// A copy of a module with every training flag off: as it is after training, with parameters that are trained like the
/// module's own.
pub(crate) fn settled<M: Module>(module: &M) -> M {
    struct Off;
    impl ModuleMapper for Off {
        fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
            flag.with_value(false)
        }
    }
    module.clone().map(&mut Off)
}
