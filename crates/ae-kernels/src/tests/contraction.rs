use burn::tensor::Tensor;

use super::*;
use crate::{Activation, layer_jacobian_norm2};

#[test]
fn contractions() {
    let device = seeded(7);
    for activation in ACTIVATIONS.into_iter().filter(|activation| !activation.keeps_slopes()) {
        // Away from the kinks, where either one-sided slope is right.
        let h = activation.with_burn(random([9, 33], &device));
        let inputs = [h.abs().add_scalar(0.05).mul_scalar(0.4), random([21, 33], &device)];
        let burn = |t: &[Tensor<2>]| {
            let h = t[0].clone();
            let slope = match activation {
                Activation::Identity | Activation::Relu | Activation::LeakyRelu(_) | Activation::Elu => {
                    h.clone() * 0.0 + 1.0
                }
                Activation::Tanh => h.square().neg() + 1.0,
                Activation::Sigmoid => h.clone() - h.square(),
                Activation::Softplus => h.neg().exp().neg() + 1.0,
                Activation::Gelu | Activation::Silu => unreachable!(),
            };
            (slope.square() * t[1].clone().square().sum_dim(0)).sum_dim(1).squeeze_dim::<1>(1)
        };
        let ours = |t: &[Tensor<2>]| layer_jacobian_norm2(&t[0], &t[1], activation).expect("a kernel");
        assert_same(&format!("{activation:?}"), &inputs, ours, burn);
    }
    let below = Tensor::<2>::from_floats([[-0.5, 2.0]], &device);
    let ones = Tensor::<2>::ones([1, 2], &device);
    let norm2 = |activation| numbers(layer_jacobian_norm2(&below, &ones, activation).expect("a kernel"));
    assert_eq!(norm2(Activation::Elu), [0.25 + 1.0]);
    assert_eq!(norm2(Activation::Relu), [1.0]);
    assert_close("leaky", &norm2(Activation::LeakyRelu(0.1)), &[1.01], 1e-6);
}
