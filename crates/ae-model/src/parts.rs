//! The parts of a model as trait objects, for penalties and derivatives.

use burn::{
    module::{Flag, Module, ModuleMapper, Param},
    tensor::Tensor,
};

use crate::{
    Code, Encoder, Latent,
    network::{Decode, finite_difference_jvp},
};

/// Encoder, code and decoder of a model as trait objects, and how they are connected. Returned by
/// [`Autoencoder::parts`](crate::Autoencoder::parts).
pub struct Parts<'a> {
    /// The encoder `f`.
    pub encoder: &'a dyn Encoder,
    /// The code, which is computed from `f(x)`.
    pub code: &'a dyn Code,
    /// The decoder `g`.
    pub decoder: &'a dyn Decode,
    /// Whether the encoder also reads which values are visible, as a second half of its input.
    pub mask_input: bool,
    /// Encoder and code with training switched off: without dropout, and with the running statistics of a batch norm.
    pub(crate) without_training: WithoutTraining<'a>,
}

/// Creates encoder and code with training switched off.
type WithoutTraining<'a> = Box<dyn Fn() -> (Box<dyn Encoder>, Box<dyn Code>) + 'a>;

impl Parts<'_> {
    /// The latent of an input of which only some values are `visible` (1 or 0, `[batch, d_input]` like `x`; all values
    /// if `None`).
    pub fn encode(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Latent {
        let read = self.read(x, visible);
        self.with_input(self.code_of(self.encoder.forward(read.clone())), read)
    }

    /// The latent with what the encoder read, if the decoder reads it, too.
    pub(crate) fn with_input(&self, latent: Latent, read: Tensor<2>) -> Latent {
        Latent { input: self.decoder.reads_input().then_some(read), ..latent }
    }

    /// The latent for the encoder's output `z`, `[batch, reads]`.
    pub fn code_of(&self, z: Tensor<2>) -> Latent {
        match self.lengths() {
            Some(lengths) => self.code.forward_by(z, &lengths),
            None => self.code.forward(z),
        }
    }

    /// The matrix `W`, `[d_code, d_output]`, if the decoder is `h W + b`.
    pub fn atoms(&self) -> Option<Tensor<2>> {
        self.decoder.atoms(self.encoder)
    }

    /// The lengths of the decoder's atoms, `[d_code]`, by which units are compared, without a gradient; `None` where
    /// they are compared by their values.
    pub fn lengths(&self) -> Option<Tensor<1>> {
        self.decoder.lengths().map(Tensor::detach)
    }

    /// The decoder's output for a latent, `[batch, d_output]`.
    pub fn decode(&self, latent: &Latent) -> Tensor<2> {
        self.decoder.decode(latent, self.encoder)
    }

    /// The code and its derivative along `v`, `(h, J_h v)`, at the point that the network reads.
    ///
    /// `x`, `v` and `visible` are `[batch, d_input]`. A value that is not visible is read as 0, whatever `x` holds
    /// there, but `v` is still applied there: set `v` to 0 at those values for the derivative with respect to `x`.
    pub fn encode_jvp(&self, x: Tensor<2>, v: Tensor<2>, visible: Option<Tensor<2>>) -> (Tensor<2>, Tensor<2>) {
        let v = self.tangent(v);
        let read = self.read(x, visible);
        let (z, t) = self.encoder.jvp(read.clone(), v.clone()).unwrap_or_else(|| {
            let (encoder, _) = (self.without_training)();
            finite_difference_jvp(|x| encoder.forward(x), read, v)
        });
        self.code_jvp(z, t)
    }

    /// The direction of the encoder's input for one of `x`: the mask is not an input to differentiate by.
    pub(crate) fn tangent(&self, v: Tensor<2>) -> Tensor<2> {
        if self.mask_input { Tensor::cat(vec![v.clone(), v.zeros_like()], 1) } else { v }
    }

    /// The code of `z`, and its derivative along the tangent `t`.
    pub(crate) fn code_jvp(&self, z: Tensor<2>, t: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let lengths = self.lengths();
        let jvp = match &lengths {
            Some(lengths) => self.code.jvp_by(z.clone(), t.clone(), lengths),
            None => self.code.jvp(z.clone(), t.clone()),
        };
        jvp.unwrap_or_else(|| {
            let (_, code) = (self.without_training)();
            let code = |z| match &lengths {
                Some(lengths) => code.forward_by(z, lengths).code,
                None => code.forward(z).code,
            };
            finite_difference_jvp(code, z, t)
        })
    }

    /// The slope of each unit, `dh_j / dz_j`, `[batch, d_code]`, of a code whose derivative is
    /// [diagonal](Code::is_diagonal).
    pub(crate) fn slopes(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<2> {
        let z = self.encoder.forward(self.read(x, visible));
        let ones = z.ones_like();
        self.code_jvp(z, ones).1
    }

    /// The input of the encoder: `x` with 0 where it is not visible, followed by the mask if the encoder reads it.
    pub(crate) fn read(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<2> {
        let x = match &visible {
            Some(visible) => mask_missing(x, visible),
            None => x,
        };
        match (self.mask_input, visible) {
            (false, _) => x,
            (true, Some(visible)) => Tensor::cat(vec![x, visible], 1),
            (true, None) => Tensor::cat(vec![x.clone(), x.ones_like()], 1),
        }
    }
}

/// `x` with 0 where it is not `visible`, even if it holds `NaN` there.
pub(crate) fn mask_missing(x: Tensor<2>, visible: &Tensor<2>) -> Tensor<2> {
    x.mask_fill(visible.clone().lower_equal_elem(0.5), 0.0)
}

/// A copy of a module with every training flag off. Its parameters are trained as the module's own.
pub(crate) fn without_training<M: Module>(module: &M) -> M {
    struct Off;
    impl ModuleMapper for Off {
        fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
            flag.with_value(false)
        }
    }
    module.clone().map(&mut Off)
}
