//! The encoder of a dictionary.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};

use crate::{Activation, network::Encoder};

/// `z = (x - c) W + b`.
#[derive(Module, Debug)]
pub struct DictionaryEncoder {
    /// The weight `W`, `[d_input, reads]`.
    pub weight: Param<Tensor<2>>,
    /// The bias `b`, `[reads]`.
    pub bias: Param<Tensor<1>>,
    /// The center `c`, which the decoder adds again, `[d_input]`; nothing is subtracted if `None`.
    pub center: Option<Param<Tensor<1>>>,
}

impl DictionaryEncoder {
    /// Input and bias after the center has been subtracted.
    fn centered(&self, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let bias = self.bias.val();
        let Some(center) = &self.center else { return (x, bias) };
        let center = center.val();
        let constant = center.clone().detach();
        let x = x - constant.clone().unsqueeze::<2>();
        if !center.device().is_autodiff() {
            return (x, bias);
        }
        // The derivative by the center is -W times that by the bias. Through the difference above it would be the sum
        // over the batch of the derivative by the input, which costs a product as large as the layer itself.
        let moved = (center - constant).unsqueeze::<2>();
        let shift = ae_kernels::matmul(moved, self.weight.val().detach());
        (x, bias - shift.squeeze_dim::<1>(0))
    }
}

impl Encoder for DictionaryEncoder {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (x, bias) = self.centered(x);
        ae_kernels::linear(x, self.weight.val(), bias, Activation::Identity.kernel())
    }

    fn changes_in_training(&self) -> bool {
        false
    }

    fn jvp(&self, x: Tensor<2>, v: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        Some((self.forward(x), ae_kernels::matmul(v, self.weight.val())))
    }

    fn vjp(&self, _x: Tensor<2>, u: Tensor<2>) -> Option<Tensor<2>> {
        Some(ae_kernels::matmul(u, self.weight.val().transpose()))
    }

    fn weights(&self) -> Vec<Tensor<2>> {
        vec![self.weight.val()]
    }

    fn affine(&self) -> Option<Tensor<2>> {
        Some(self.weight.val())
    }

    fn units(&self) -> Option<(&Param<Tensor<2>>, &Param<Tensor<1>>)> {
        Some((&self.weight, &self.bias))
    }

    fn units_mut(&mut self) -> Option<(&mut Param<Tensor<2>>, &mut Param<Tensor<1>>)> {
        Some((&mut self.weight, &mut self.bias))
    }

    fn center(&self) -> Option<Tensor<1>> {
        self.center.as_ref().map(Param::val)
    }
}
