//! Networks without a tangent rule of their own.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

/// A module in double precision: in single precision the central difference of a steep network has a larger error than
/// a test should allow.
pub(crate) fn in_double_precision<M: burn::module::Module>(module: M) -> M {
    struct Double;

    impl burn::module::ModuleMapper for Double {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(burn::tensor::DType::F64))
        }
    }

    module.map(&mut Double)
}

use burn::tensor::Tolerance;

use super::*;

use crate::{Activation, Autoencoder, Jacobian, jacobian::Method};

/// A user's network: its encoder has dropout, and no tangent rule of its own.
#[derive(Module, Debug)]
struct Opaque {
    inner: Mlp,
    dropout: burn::nn::Dropout,
}

impl Opaque {
    fn new(inner: Mlp) -> Self {
        Self { inner, dropout: burn::nn::DropoutConfig::new(0.5).init() }
    }
}

impl Encoder for Opaque {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.dropout.forward(self.inner.forward(x))
    }
}

fn networks(device: &Device) -> (Mlp, Mlp) {
    let config = MlpConfig { hidden: vec![7], activation: Activation::Tanh, ..Default::default() };
    let sizes = Sizes::new(5, 3);
    (config.encoder(&sizes, device), config.decoder(&sizes, Activation::Identity, device))
}

#[test]
fn the_default_tangent_is_close_to_the_exact_one() {
    let device = Device::default();
    let (inner, decoder) = networks(&device);
    let x = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Uniform(-2.0, 2.0), &device);
    let v = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Normal(0.0, 1.0), &device);
    let (code, exact) = inner.jvp(x.clone(), v.clone()).unwrap();
    let model = Autoencoder::new(Opaque::new(inner), decoder);
    let (same_code, estimate) = model.encode_jvp(x.clone(), v, None);
    same_code.into_data().assert_eq(&code.into_data(), true);
    estimate.into_data().assert_approx_eq::<f32>(&exact.into_data(), Tolerance::absolute(1e-3));
    let (_, still) = model.encode_jvp(x.clone(), x.zeros_like(), None);
    assert_eq!(still.abs().sum().into_scalar::<f32>(), 0.0, "a zero direction has a zero derivative");
}

#[test]
fn a_contractive_penalty_trains_a_network_without_a_tangent_rule() {
    let device = Device::default().autodiff();
    let (inner, decoder) = networks(&device);
    let x = Tensor::<2>::random([6, 5], burn::tensor::Distribution::Uniform(-2.0, 2.0), &device);
    let exact = Jacobian { method: Method::Exact, probes: 1 };
    let weight = inner.layers[0].weight.val();
    let gradient = |norm2: Tensor<1>| weight.grad(&norm2.mean().backward()).expect("the weight is trained");
    let known = gradient(exact.norm2(&Autoencoder::new(inner.clone(), decoder.clone()).parts(), x.clone(), None));
    // On a training device, where dropout acts: with two masks the outputs would differ by far more.
    let estimate = gradient(exact.norm2(&Autoencoder::new(Opaque::new(inner.clone()), decoder).parts(), x, None));
    estimate.into_data().assert_approx_eq::<f32>(&known.into_data(), Tolerance::absolute(5e-3));
}
