use burn::tensor::Tensor;

use super::*;
use crate::{bernoulli, squared_error, squared_error_of_logits};

type Loss = fn(Tensor<2>, Tensor<2>, Option<Tensor<2>>) -> Tensor<1>;

/// Compares a loss with Burn's operations, with and without weights, for inputs of several shapes.
fn assert_loss(what: &str, loss: Loss, per_value: fn(Tensor<2>, Tensor<2>) -> Tensor<2>, scale: f64) {
    let device = seeded(4);
    for (batch, width) in [(1, 1), (7, 17), (128, 784)] {
        let x = random([batch, width], &device);
        let mut outputs = vec![random([batch, width], &device).mul_scalar(scale)];
        if width > 1 {
            let extreme = Tensor::<1>::from_floats([1e4, -1e4, 100.0, -100.0, 20.0, -20.0, 1e-8], &device);
            outputs.push(extreme.repeat_dim(0, batch * width / 7 + 1).slice(0..batch * width).reshape([batch, width]));
        }
        for weights in [None, Some(random([batch, width], &device).abs())] {
            let at = |t: &[Tensor<2>]| (on(&x, &t[0]), weights.as_ref().map(|weights| on(weights, &t[0])));
            let ours = |t: &[Tensor<2>]| {
                let (x, weights) = at(t);
                loss(x, t[0].clone(), weights)
            };
            let burn = |t: &[Tensor<2>]| {
                let (x, weights) = at(t);
                let error = per_value(x, t[0].clone());
                let error = weights.map_or(error.clone(), |weights| error * weights);
                error.sum_dim(1).squeeze_dim::<1>(1)
            };
            for output in &outputs {
                assert_same(what, std::slice::from_ref(output), ours, burn);
            }
        }
    }
}

#[test]
fn squared_errors() {
    assert_loss("squared error", squared_error, |x, r| (x - r).square().mul_scalar(0.5), 1.0);
}

#[test]
fn bernoulli_losses() {
    let per_value = |x: Tensor<2>, l: Tensor<2>| l.clone().clamp_min(0.0) - x * l.clone() + l.abs().neg().exp().log1p();
    assert_loss("bernoulli", bernoulli, per_value, 3.0);
}

#[test]
fn squared_errors_of_logits() {
    let per_value = |x: Tensor<2>, l: Tensor<2>| (x - Activation::Sigmoid.with_burn(l)).square().mul_scalar(0.5);
    assert_loss("squared error of logits", squared_error_of_logits, per_value, 1.0);
}

#[test]
fn inputs_without_a_kernel() {
    let device = seeded(4);
    for (batch, width) in [(1, 1), (7, 17), (128, 784)] {
        let x = random([batch, width], &device);
        // A weight for each example is left to Burn.
        let weights = random([batch, 1], &device).abs();
        let ours = |t: &[Tensor<2>]| squared_error(on(&x, &t[0]), t[0].clone(), Some(on(&weights, &t[0])));
        let burn = |t: &[Tensor<2>]| {
            let error = (on(&x, &t[0]) - t[0].clone()).square().mul_scalar(0.5) * on(&weights, &t[0]);
            error.sum_dim(1).squeeze_dim::<1>(1)
        };
        assert_same("a weight for each example", &[random([batch, width], &device)], ours, burn);
        // An input that needs a gradient too is left to Burn.
        let both = [random([batch, width], &device), random([batch, width], &device)];
        let burn =
            |t: &[Tensor<2>]| (t[0].clone() - t[1].clone()).square().mul_scalar(0.5).sum_dim(1).squeeze_dim::<1>(1);
        assert_same("squared error of both", &both, |t| squared_error(t[0].clone(), t[1].clone(), None), burn);
    }
}
