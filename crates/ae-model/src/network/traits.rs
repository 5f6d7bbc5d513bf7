//! What a network must implement.

use burn::{module::Param, tensor::Tensor};

use crate::{
    Latent,
    precision::{epsilon, tiny},
};

/// The map from inputs to codes, before the code's own activation.
pub trait Encoder {
    /// `f(x)`: `[batch, d_input] -> [batch, d_code]`, or as many values as the [code reads](crate::Code::reads).
    fn forward(&self, x: Tensor<2>) -> Tensor<2>;

    /// `(f(x), J_f(x) v)`: the result, and its derivative along `v` (`[batch, d_input]`, one direction per example).
    ///
    /// Both are of the network with training switched off: without dropout, and with the running statistics of a batch
    /// norm. They must consist of differentiable tensor operations, so that a loss on the tangent trains the network.
    ///
    /// Default: `None`, and central differences are used, with a relative error near 1e-4 in `f32`.
    fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let _ = (x, v);
        None
    }

    /// Whether [`forward`](Self::forward) differs from the value of [`jvp`](Self::jvp) in training, by dropout or a
    /// batch norm. Otherwise a loss that needs both computes `jvp` alone.
    ///
    /// Default: true.
    fn changes_in_training(&self) -> bool {
        true
    }

    /// `J_f(x)^T u` for `u` of `[batch, d_code]`, of the same network and differentiable in the same way.
    ///
    /// Default: `None`, and an exact norm of the derivative takes one pass for each input, even if there are fewer
    /// units in the code.
    fn vjp(&self, x: Tensor<2>, u: Tensor<2>) -> Option<Tensor<2>> {
        let _ = (x, u);
        None
    }

    /// The weight matrices, input side first, that a tied decoder reads transposed. Default: none, and the network
    /// cannot be tied.
    fn weights(&self) -> Vec<Tensor<2>> {
        Vec::new()
    }

    /// The weight `[d_input, d_code]` if the whole network is one affine map, whose derivative has a closed form.
    /// Default: `None`.
    fn affine(&self) -> Option<Tensor<2>> {
        None
    }

    /// The parameters of the units if the whole network is one affine map: weight `[d_input, d_code]` and bias
    /// `[d_code]`. Default: `None`.
    fn units(&self) -> Option<(&Param<Tensor<2>>, &Param<Tensor<1>>)> {
        None
    }

    /// As [`units`](Self::units), for [resampling](crate::Resample). Default: `None`.
    fn units_mut(&mut self) -> Option<(&mut Param<Tensor<2>>, &mut Param<Tensor<1>>)> {
        None
    }

    /// What it subtracts from the input, `[d_input]`, and a [dictionary](super::dictionary)'s decoder adds again.
    /// Default: `None`, nothing.
    fn center(&self) -> Option<Tensor<1>> {
        None
    }
}

/// The map from codes to reconstructions.
pub trait Decoder {
    /// `g(h)`: `[batch, d_code] -> [batch, d_output]`. Under a Bernoulli reconstruction these are logits.
    fn forward(&self, h: Tensor<2>) -> Tensor<2>;

    /// The decoder with `project(weight)` in place of its first weight `[d_code, width]`, for a
    /// [constraint](crate::constraint). Default: `None`, there is no such weight.
    fn map_atoms(self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self>
    where
        Self: Sized,
    {
        let _ = project;
        None
    }

    /// The parameter that [`map_atoms`](Self::map_atoms) changes, for a constraint that also changes its gradient.
    /// Default: `None`.
    fn first_weight(&self) -> Option<&Param<Tensor<2>>> {
        None
    }
}

/// A decoder as a model uses it. Every [`Decoder`] is one. Implement it directly for a decoder that reads more than the
/// code: the encoder's weights, as a [tied](super::TiedMlp) one does, or only the active units.
pub trait Decode {
    /// The decoder's output for a latent, `[batch, d_output]`.
    fn decode(&self, latent: &Latent, encoder: &dyn Encoder) -> Tensor<2>;

    /// The decoder's outputs for the first `w` units only, for each `w` of `widths` (in ascending order):
    /// `[widths * batch, d_output]`, all rows of the first width first. Default: `None`, and each is decoded by itself.
    fn prefixes(&self, latent: &Latent, encoder: &dyn Encoder, widths: &[usize]) -> Option<Tensor<2>> {
        let _ = (latent, encoder, widths);
        None
    }

    /// Whether it also reads the input of the encoder, [`Latent::input`]. Default: false.
    fn reads_input(&self) -> bool {
        false
    }

    /// The matrix `W`, `[d_code, d_output]`, of a decoder `h W + b`, where `b` may depend on the input. Default:
    /// `None`, it is another function.
    fn atoms(&self, encoder: &dyn Encoder) -> Option<Tensor<2>> {
        let _ = encoder;
        None
    }

    /// The length of each unit's atom, `[d_code]`, where units are compared by what they add to the reconstruction.
    /// Default: `None`, they are compared by their values.
    fn lengths(&self) -> Option<Tensor<1>> {
        None
    }

    /// As [`Decoder::map_atoms`].
    fn map_atoms(self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self>
    where
        Self: Sized,
    {
        let _ = project;
        None
    }

    /// As [`Decoder::first_weight`].
    fn first_weight(&self) -> Option<&Param<Tensor<2>>> {
        None
    }
}

impl<D: Decoder> Decode for D {
    fn decode(&self, latent: &Latent, _encoder: &dyn Encoder) -> Tensor<2> {
        self.forward(latent.code.clone())
    }

    fn map_atoms(self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self> {
        Decoder::map_atoms(self, project)
    }

    fn first_weight(&self) -> Option<&Param<Tensor<2>>> {
        Decoder::first_weight(self)
    }
}

/// `(f(x), (f(x + e v) - f(x - e v)) / 2e)`, each `[batch, d_code]`, for `x` and `v` of `[batch, d_input]`.
///
/// The step `e` is chosen for each example: relative to the input, it is the cube root of the machine epsilon. There
/// the truncation error (`e^2`) and the rounding error (`epsilon / e`) are of the same size.
pub fn finite_difference_jvp(f: impl Fn(Tensor<2>) -> Tensor<2>, x: Tensor<2>, v: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let dtype = x.dtype();
    let size = x.clone().detach().abs().max_dim(1).add_scalar(1.0); // [batch, 1]
    let reach = v.clone().detach().abs().max_dim(1).clamp_min(tiny(dtype).max(1e-30)); // [batch, 1]
    let step = (size / reach).mul_scalar(epsilon(dtype).cbrt());
    let offset = v * step.clone();
    let up = f(x.clone() + offset.clone());
    let down = f(x.clone() - offset);
    (f(x), (up - down) / step.mul_scalar(2.0))
}
