use burn::tensor::Tensor;

use super::*;
use crate::{bernoulli, squared_error, squared_error_of_logits};

#[test]
fn losses() {
    let device = seeded(4);
    for (batch, width) in [(1, 1), (7, 17), (128, 784)] {
        let x = random([batch, width], &device);
        let weights = random([batch, width], &device).abs();
        for weights in [None, Some(weights)] {
            let at = |t: &[Tensor<2>]| (on(&x, &t[0]), weights.as_ref().map(|weights| on(weights, &t[0])));
            let ours = |t: &[Tensor<2>]| {
                let (x, weights) = at(t);
                squared_error(x, t[0].clone(), weights)
            };
            let burn = |t: &[Tensor<2>]| {
                let (x, weights) = at(t);
                let error = (x - t[0].clone()).square().mul_scalar(0.5);
                let error = weights.map_or(error.clone(), |weights| error * weights);
                error.sum_dim(1).squeeze_dim::<1>(1)
            };
            assert_same("squared error", &[random([batch, width], &device)], ours, burn);
            let ours = |t: &[Tensor<2>]| {
                let (x, weights) = at(t);
                bernoulli(x, t[0].clone(), weights)
            };
            let burn = |t: &[Tensor<2>]| {
                let (x, weights) = at(t);
                let l = t[0].clone();
                let error = l.clone().clamp_min(0.0) - x * l.clone() + l.abs().neg().exp().log1p();
                let error = weights.map_or(error.clone(), |weights| error * weights);
                error.sum_dim(1).squeeze_dim::<1>(1)
            };
            assert_same("bernoulli", &[random([batch, width], &device).mul_scalar(3.0)], ours, burn);
            if width > 1 {
                let extreme = Tensor::<1>::from_floats([1e4, -1e4, 100.0, -100.0, 20.0, -20.0, 1e-8], &device);
                let extreme =
                    extreme.repeat_dim(0, batch * width / 7 + 1).slice(0..batch * width).reshape([batch, width]);
                assert_same("bernoulli far away", &[extreme], ours, burn);
            }
            let ours = |t: &[Tensor<2>]| {
                let (x, weights) = at(t);
                squared_error_of_logits(x, t[0].clone(), weights)
            };
            let burn = |t: &[Tensor<2>]| {
                let (x, weights) = at(t);
                let error = (x - Activation::Sigmoid.with_burn(t[0].clone())).square().mul_scalar(0.5);
                let error = weights.map_or(error.clone(), |weights| error * weights);
                error.sum_dim(1).squeeze_dim::<1>(1)
            };
            assert_same("squared error of logits", &[random([batch, width], &device)], ours, burn);
        }
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
