//! A stack of affine layers.

use burn::{
    module::{Module, Param},
    nn::Dropout,
    tensor::Tensor,
};

use crate::{
    Activation, Latent,
    network::{Affine, Decode, Encoder, Norm, affine::replaced, dropout::dropped},
};

/// A stack of affine layers, with an activation between them and one at the end.
#[derive(Module, Debug)]
pub struct Mlp {
    /// The layers, input side first.
    pub layers: Vec<Affine>,
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

impl Mlp {
    /// A stack of the given layers, with `activation` between them and none at the end.
    pub fn new(layers: Vec<Affine>, activation: Activation) -> Self {
        Self { layers, norms: Vec::new(), dropout: None, activation, output: Activation::Identity }
    }

    /// The stack applied to `x`, `[batch, d_in] -> [batch, d_out]`. Without layers it returns `x`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.between().run(x, self.layers.len(), |index, x, activation| self.layers[index].activated(x, activation))
    }

    /// [`jvp`](Encoder::jvp) with values and tangents in one matrix; `None` if there is no kernel for one of the
    /// layers.
    fn jvp_in_kernels(&self, x: &Tensor<2>, v: &Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let declined = |activation| matches!(activation, Activation::Gelu | Activation::Silu);
        let is_hidden_declined = self.layers.len() > 1 && declined(self.activation);
        if !self.norms.is_empty() || self.layers.is_empty() || is_hidden_declined || declined(self.output) {
            return None;
        }
        let rows = x.dims()[0];
        let pair = Tensor::cat(vec![x.clone(), v.clone()], 0);
        let last = self.layers.len() - 1;
        let pair = self.layers.iter().enumerate().try_fold(pair, |pair, (index, layer)| {
            let activation = if index == last { self.output } else { self.activation };
            ae_kernels::linear_jvp(&pair, &layer.weight.val(), &layer.bias.val(), activation.kernel())
        })?;
        Some((pair.clone().slice(0..rows), pair.slice(rows..2 * rows)))
    }

    fn between(&self) -> Between<'_> {
        Between::new(&self.norms, &self.dropout, self.activation, self.output)
    }
}

/// What follows each layer of a stack, tied or not.
pub(super) struct Between<'a> {
    norms: &'a [Norm],
    dropout: Option<&'a Dropout>,
    activation: Activation,
    output: Activation,
}

impl<'a> Between<'a> {
    pub(super) fn new(
        norms: &'a [Norm],
        dropout: &'a Option<Dropout>,
        activation: Activation,
        output: Activation,
    ) -> Self {
        Self { norms, dropout: dropout.as_ref(), activation, output }
    }

    /// Applies a stack of `layers` layers to `x`; `apply(index, x, activation)` is the output of a layer with an
    /// activation.
    pub(super) fn run(
        &self,
        x: Tensor<2>,
        layers: usize,
        apply: impl Fn(usize, Tensor<2>, Activation) -> Tensor<2>,
    ) -> Tensor<2> {
        (0..layers).fold(x, |x, index| {
            if index + 1 == layers {
                return apply(index, x, self.output);
            }
            let y = match self.norms.get(index) {
                Some(norm) => self.activation.forward(norm.forward(apply(index, x, Activation::Identity))),
                None => apply(index, x, self.activation),
            };
            match self.dropout {
                Some(dropout) => dropped(dropout, y),
                None => y,
            }
        })
    }
}

impl Encoder for Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        Mlp::forward(self, x)
    }

    fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        if let Some(both) = self.jvp_in_kernels(&x, &v) {
            return Some(both);
        }
        let last = self.layers.len().saturating_sub(1);
        Some(self.layers.iter().enumerate().fold((x, v), |(x, t), (index, layer)| {
            let t = ae_kernels::matmul(t, layer.weight.val()); // the tangent has no bias
            let z = layer.forward(x);
            if index == last {
                return self.output.jvp(z, t);
            }
            let (z, t) = match self.norms.get(index) {
                Some(norm) => norm.jvp(z, t),
                None => (z, t),
            };
            self.activation.jvp(z, t)
        }))
    }

    fn changes_in_training(&self) -> bool {
        !self.norms.is_empty() || self.dropout.is_some()
    }

    fn vjp(&self, x: Tensor<2>, u: Tensor<2>) -> Option<Tensor<2>> {
        if !self.norms.is_empty() {
            return None;
        }
        let last = self.layers.len().saturating_sub(1);
        // A forward pass for the slopes of each layer, then a backward pass through the weights.
        let (_, slopes) = self.layers.iter().enumerate().fold((x, Vec::new()), |(x, mut slopes), (index, layer)| {
            let z = layer.forward(x);
            let ones = z.ones_like();
            let (y, slope) = if index == last { self.output.jvp(z, ones) } else { self.activation.jvp(z, ones) };
            slopes.push(slope);
            (y, slopes)
        });
        let back = |u: Tensor<2>, (layer, slope): (&Affine, Tensor<2>)| {
            ae_kernels::matmul(u * slope, layer.weight.val().transpose())
        };
        Some(self.layers.iter().zip(slopes).rev().fold(u, back))
    }

    fn weights(&self) -> Vec<Tensor<2>> {
        self.layers.iter().map(|layer| layer.weight.val()).collect()
    }

    fn affine(&self) -> Option<Tensor<2>> {
        match self.layers.as_slice() {
            [layer] if self.output == Activation::Identity => Some(layer.weight.val()),
            _ => None,
        }
    }

    fn units(&self) -> Option<(&Param<Tensor<2>>, &Param<Tensor<1>>)> {
        match self.layers.as_slice() {
            [layer] if self.output == Activation::Identity => Some((&layer.weight, &layer.bias)),
            _ => None,
        }
    }

    fn units_mut(&mut self) -> Option<(&mut Param<Tensor<2>>, &mut Param<Tensor<1>>)> {
        match self.layers.as_mut_slice() {
            [layer] if self.output == Activation::Identity => Some((&mut layer.weight, &mut layer.bias)),
            _ => None,
        }
    }
}

impl Decode for Mlp {
    fn decode(&self, latent: &Latent, _encoder: &dyn Encoder) -> Tensor<2> {
        self.between().run(latent.code.clone(), self.layers.len(), |index, x, activation| {
            self.layers[index].activated_by(x, latent.sparse.as_ref().filter(|_| index == 0), activation)
        })
    }

    fn atoms(&self, _encoder: &dyn Encoder) -> Option<Tensor<2>> {
        self.affine()
    }

    fn map_atoms(mut self, project: &dyn Fn(Tensor<2>) -> Tensor<2>) -> Option<Self> {
        let first = self.layers.first_mut()?;
        first.weight = replaced(first.weight.clone(), project);
        Some(self)
    }

    fn first_weight(&self) -> Option<&Param<Tensor<2>>> {
        self.layers.first().map(|layer| &layer.weight)
    }
}
