use burn::{
    module::Module,
    nn::{LinearConfig, LinearLayout},
    tensor::{Device, Tensor, module},
};

use super::*;
use crate::{Activation, dense, linear, matmul, squared_error};

#[test]
fn layers() {
    let device = seeded(2);
    for (batch, d_in, d_out) in [(1, 1, 1), (3, 5, 2), (64, 32, 64), (130, 300, 70), (257, 64, 513)] {
        for activation in ACTIVATIONS {
            let bias = random([d_out], &device);
            let inputs = [random([batch, d_in], &device), random([d_in, d_out], &device).mul_scalar(0.3)];
            let what = format!("{activation:?} {batch} x {d_in} x {d_out}");
            let ours = |t: &[Tensor<2>]| linear(t[0].clone(), t[1].clone(), on(&bias, &t[0]), activation);
            let burn = |t: &[Tensor<2>]| {
                activation.with_burn(module::linear(t[0].clone(), t[1].clone(), Some(on(&bias, &t[0]))))
            };
            assert_same(&what, &inputs, ours, burn);
        }
        // Views: a weight that is read transposed, as in tied decoders, and rows of a larger tensor.
        let inputs = [random([batch + 2, d_in], &device), random([d_out, d_in], &device)];
        let bias = random([d_out], &device);
        let view = |t: &[Tensor<2>]| (t[0].clone().slice(1..batch + 1), t[1].clone().transpose());
        let ours = |t: &[Tensor<2>]| {
            let (x, w) = view(t);
            linear(x, w, on(&bias, &t[0]), Activation::Tanh)
        };
        let burn = |t: &[Tensor<2>]| {
            let (x, w) = view(t);
            Activation::Tanh.with_burn(module::linear(x, w, Some(on(&bias, &t[0]))))
        };
        assert_same("views", &inputs, ours, burn);
        for layout in [LinearLayout::Row, LinearLayout::Col] {
            for bias in [false, true] {
                let layer = LinearConfig::new(d_in, d_out).with_bias(bias).with_layout(layout).init(&device);
                let plain = layer.clone().valid();
                let at = |x: &Tensor<2>| if x.device().is_autodiff() { layer.clone() } else { plain.clone() };
                let ours = |t: &[Tensor<2>]| dense(&at(&t[0]), t[0].clone(), Activation::Sigmoid);
                let burn = |t: &[Tensor<2>]| Activation::Sigmoid.with_burn(at(&t[0]).forward(t[0].clone()));
                assert_same("a layer of Burn's", &[random([batch, d_in], &device)], ours, burn);
                let stacked = |t: &[Tensor<2>]| {
                    let y = dense(&at(&t[0]), t[0].clone().reshape([1, batch, 1, d_in]), Activation::Sigmoid);
                    assert_eq!(y.dims(), [1, batch, 1, d_out]);
                    y.reshape([batch, d_out])
                };
                assert_same("a layer of Burn's, of rank 4", &[random([batch, d_in], &device)], stacked, burn);
            }
        }
        let inputs = [random([batch, d_in], &device), random([d_in, d_out], &device)];
        assert_same("matmul", &inputs, |t| matmul(t[0].clone(), t[1].clone()), |t| t[0].clone().matmul(t[1].clone()));
    }
}

#[test]
fn kernels_and_burns_operations_mix_under_gradient_checkpointing() {
    // Drawn once: other tests draw from the same generator meanwhile.
    let (x, w, b): (Tensor<2>, Tensor<2>, Tensor<1>) = {
        let device = Device::flex();
        (random([20, 30], &device), random([30, 30], &device).mul_scalar(0.2), random([30], &device))
    };
    let [x, w] = [x, w].map(Tensor::into_data);
    let b = b.into_data();
    let gradients = |device: &Device| {
        let x = Tensor::<2>::from_data(x.clone(), device);
        let (w, b) = (
            Tensor::<2>::from_data(w.clone(), device).require_grad(),
            Tensor::<1>::from_data(b.clone(), device).require_grad(),
        );
        // Burn's own activations are cheap enough to be computed again in the backward pass.
        let y = (0..3).fold(x, |x, _| linear(x, w.clone(), b.clone(), Activation::Tanh).exp().sin());
        let gradients = squared_error(y.zeros_like(), y, None).mean().backward();
        [numbers(w.grad(&gradients).expect("trained")), numbers(b.grad(&gradients).expect("trained"))].concat()
    };
    let kept = gradients(&Device::flex().autodiff());
    assert!(kept.iter().any(|gradient| gradient.abs() > 1e-3));
    assert_close("checkpointing", &gradients(&Device::flex().autodiff().gradient_checkpointing()), &kept, 1e-6);
}

#[test]
fn gradients_of_a_bias_and_sparse_gradients() {
    let device = seeded(3);
    let (x, w) = (random([50, 40], &device), random([40, 120], &device));
    // One in 50 of the layer's gradients is not 0.
    let kept = random([50, 120], &device).greater_elem(2.05).float();
    let inputs = [x, w, random([1, 120], &device)];
    let ours = |t: &[Tensor<2>]| {
        linear(t[0].clone(), t[1].clone(), t[2].clone().flatten(0, 1), Activation::Sigmoid) * on(&kept, &t[0])
    };
    let burn = |t: &[Tensor<2>]| {
        Activation::Sigmoid.with_burn(t[0].clone().matmul(t[1].clone()) + t[2].clone()) * on(&kept, &t[0])
    };
    assert_same("sparse gradient", &inputs, ours, burn);
}
