use burn::tensor::Tensor;

use super::*;
use crate::linear_jvp;

/// `phi'(z)` by Burn's operations, differentiable: the derivative of the activation at each value.
fn slope(activation: Activation, z: Tensor<2>) -> Tensor<2> {
    let positive = || z.clone().greater_equal_elem(0.0).float();
    match activation {
        Activation::Identity => z.ones_like(),
        Activation::Relu => z.clone().greater_elem(0.0).float(),
        Activation::LeakyRelu(below) => positive() + positive().neg().add_scalar(1.0).mul_scalar(below),
        Activation::Elu => z.clone().clamp_max(0.0).exp(),
        Activation::Tanh => z.clone().tanh().square().neg().add_scalar(1.0),
        Activation::Sigmoid => {
            let y = burn::tensor::activation::sigmoid(z.clone());
            y.clone() * y.neg().add_scalar(1.0)
        }
        Activation::Softplus => burn::tensor::activation::sigmoid(z.clone()),
        Activation::Gelu | Activation::Silu => unreachable!("they are declined"),
    }
}

/// Values, and gradients by both halves, the weight and the bias.
#[test]
fn layers_with_tangents() {
    let device = seeded(23);
    for (rows, inputs, width) in [(1, 1, 1), (3, 5, 7), (64, 96, 130), (200, 40, 300)] {
        let (pair, w, b) = (
            random([2 * rows, inputs], &device),
            random([inputs, width], &device).mul_scalar(0.3),
            random([1, width], &device),
        );
        for activation in ACTIVATIONS {
            if activation.keeps_slopes() {
                assert!(linear_jvp(&pair, &w, &b.clone().flatten(0, 1), activation).is_none());
                continue;
            }
            assert_same(
                &format!("{activation:?}, {rows} x {inputs} x {width}"),
                &[pair.clone(), w.clone(), b.clone()],
                |t| linear_jvp(&t[0], &t[1], &t[2].clone().flatten(0, 1), activation).expect("a kernel"),
                |t| {
                    let (x, v) = (t[0].clone().slice(0..rows), t[0].clone().slice(rows..2 * rows));
                    let z = x.matmul(t[1].clone()) + t[2].clone();
                    let y = activation.with_burn(z.clone());
                    Tensor::cat(vec![y, slope(activation, z) * v.matmul(t[1].clone())], 0)
                },
            );
        }
    }
}
