//! One affine map each way: `f(x) = x W + b`, `g(h) = phi(h V + c)`.
//!
//! `W` is `[d_input, d_code]`, `V` is `[d_code, d_input]`. With an identity output and squared error the optimum spans the subspace of the
//! first `d_code` principal components (Bourlard and Kamp 1988; Baldi and Hornik 1989). Tied weights set `V` to the transpose of `W`.

use ae_kernels::Sparse;
use burn::{
    module::{Module, Param},
    nn::Initializer,
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};

use super::{
    Sizes,
    mlp::{Mlp, MlpConfig},
};
use crate::Activation;

/// Settings of a linear network.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct LinearConfig {
    /// Whether the decoder reads the encoder's weights transposed. Default: false.
    pub tied: bool,
}

impl LinearConfig {
    /// Encoder and decoder of one layer each; `output` is the decoder's activation.
    pub fn init(&self, sizes: &Sizes, output: Activation, device: &Device) -> (Mlp, Mlp) {
        // A multi-layer perceptron without hidden layers is exactly this map.
        MlpConfig { hidden: Vec::new(), tied: self.tied, ..MlpConfig::default() }.init(sizes, output, device)
    }
}

/// `x W + b`, where `W` is the layer's own or lent by the layer that it is tied to.
#[derive(Module, Debug)]
pub struct Affine {
    /// `[d_in, d_out]`; none in a tied layer.
    pub weight: Option<Param<Tensor<2>>>,
    /// `[d_out]`.
    pub bias: Param<Tensor<1>>,
}

impl Affine {
    /// A layer `d_in -> d_out`, uniform in `+-1/sqrt(d_in)` like Burn's and PyTorch's linear layers; without a weight of its own if `tied`.
    pub fn init(d_in: usize, d_out: usize, tied: bool, device: &Device) -> Self {
        let uniform = Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false };
        Self {
            weight: (!tied).then(|| uniform.init_with([d_in, d_out], Some(d_in), Some(d_out), device)),
            bias: uniform.init_with([d_out], Some(d_in), Some(d_out), device),
        }
    }

    /// A layer with the given weight (`[d_in, d_out]`) and bias (`[d_out]`).
    pub fn from_tensors(weight: Tensor<2>, bias: Tensor<1>) -> Self {
        Self { weight: Some(Param::from_tensor(weight)), bias: Param::from_tensor(bias) }
    }

    /// The weight `[d_in, d_out]`: its own, or the lent one transposed.
    ///
    /// # Panics
    /// A tied layer that was lent nothing: its decoder was called apart from its encoder.
    pub fn weight(&self, lent: Option<&Tensor<2>>) -> Tensor<2> {
        match (&self.weight, lent) {
            (Some(weight), _) => weight.val(),
            (None, Some(lent)) => lent.clone().transpose(),
            (None, None) => panic!("a tied decoder has no weights of its own: call it through Autoencoder, which lends it the encoder's"),
        }
    }

    /// `x W + b`: `[batch, d_in] -> [batch, d_out]`.
    pub fn forward(&self, x: Tensor<2>, lent: Option<&Tensor<2>>) -> Tensor<2> {
        self.activated(x, lent, Activation::Identity)
    }

    /// `phi(x W + b)`, in one pass where there is a kernel for it.
    pub fn activated(&self, x: Tensor<2>, lent: Option<&Tensor<2>>, activation: Activation) -> Tensor<2> {
        let (fused, rest) = activation.fused();
        rest.forward(ae_kernels::linear(x, self.weight(lent), self.bias.val(), fused))
    }

    /// The same of an input of which few features are active.
    pub fn activated_sparse(&self, x: &Sparse, lent: Option<&Tensor<2>>, activation: Activation) -> Tensor<2> {
        let (fused, rest) = activation.fused();
        rest.forward(x.linear(self.weight(lent), self.bias.val(), fused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Encoder;

    #[test]
    fn one_layer_worked_by_hand() {
        let device = Device::default();
        let layer = Affine::from_tensors(Tensor::from_floats([[1.0, 2.0], [3.0, 4.0]], &device), Tensor::from_floats([0.5, -0.5], &device));
        let y = layer.forward(Tensor::from_floats([[1.0, 10.0]], &device), None);
        y.into_data().assert_eq(&[[31.5f32, 41.5]].into(), true);
    }

    #[test]
    fn the_tangent_of_a_linear_network_is_the_direction_times_the_weight() {
        let device = Device::default();
        let (encoder, _) = LinearConfig::default().init(&Sizes::new(3, 2), Activation::Identity, &device);
        let v = Tensor::<2>::from_floats([[1.0, -2.0, 0.5]], &device);
        let (_, t) = encoder.jvp(Tensor::zeros([1, 3], &device), v.clone());
        t.into_data().assert_eq(&v.matmul(encoder.layers[0].weight(None)).into_data(), true);
    }
}
