//! Every kernel against Burn's own operations: values and gradients, on random and on extreme inputs.

mod activation;
mod contraction;
mod conv;
mod layer;
mod loss;
mod optimizer;
mod sparse;
mod tangent;
mod threads;
mod units;

use burn::tensor::{Device, Distribution, Tensor};

use crate::Activation;

const ACTIVATIONS: [Activation; 9] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu(0.01),
    Activation::Elu,
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Softplus,
    Activation::Gelu,
    Activation::Silu,
];

fn seeded(seed: u64) -> Device {
    let device = Device::flex().autodiff();
    device.seed(seed);
    device
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// The tensor's values, to be compared.
fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().iter::<f32>().collect()
}

/// The tensor on the kind of device that `other` is on: with or without autodiff.
fn on<const D: usize, const E: usize>(tensor: &Tensor<D>, other: &Tensor<E>) -> Tensor<D> {
    if other.device().is_autodiff() { tensor.clone() } else { tensor.clone().without_autodiff() }
}

#[track_caller]
fn assert_close(what: &str, ours: &[f32], burn: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), burn.len(), "{what}");
    for (index, (a, b)) in ours.iter().zip(burn).enumerate() {
        let close = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + b.abs());
        assert!(close, "{what}, value {index}: {a}, Burn has {b}");
    }
}

/// The value of `f`, and the gradient of a weighted sum of it by each input.
fn with_gradients<const I: usize, const O: usize>(
    inputs: &[Tensor<I>],
    f: impl Fn(&[Tensor<I>]) -> Tensor<O>,
) -> Vec<Vec<f32>> {
    let inputs: Vec<_> = inputs.iter().map(|input| input.clone().detach().require_grad()).collect();
    let y = f(&inputs);
    let count = y.shape().num_elements();
    let direction: Vec<f32> = (0..count).map(|i| ((i * 7919 + 13) % 17) as f32 / 8.0 - 1.0).collect();
    let direction = Tensor::<1>::from_floats(direction.as_slice(), &y.device()).reshape(y.shape());
    let gradients = (y.clone() * direction).sum().backward();
    let by = inputs.iter().map(|input| input.grad(&gradients).map(numbers).unwrap_or_default());
    std::iter::once(numbers(y)).chain(by).collect()
}

#[track_caller]
fn assert_same<const I: usize, const O: usize>(
    what: &str,
    inputs: &[Tensor<I>],
    ours: impl Fn(&[Tensor<I>]) -> Tensor<O>,
    burn: impl Fn(&[Tensor<I>]) -> Tensor<O>,
) {
    let plain: Vec<_> = inputs.iter().map(|input| input.clone().without_autodiff()).collect();
    assert_close(&format!("{what}, without autodiff"), &numbers(ours(&plain)), &numbers(burn(&plain)), 2e-5);
    let (ours, burn) = (with_gradients(inputs, ours), with_gradients(inputs, burn));
    for (index, (ours, burn)) in ours.iter().zip(&burn).enumerate() {
        assert_close(
            &format!("{what}, {}", if index == 0 { "value".into() } else { format!("gradient {index}") }),
            ours,
            burn,
            2e-5,
        );
    }
}
