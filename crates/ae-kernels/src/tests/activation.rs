use burn::tensor::{DType, Device, Tensor};

use super::*;
use crate::{Activation, Sparse, activate, jvp, layer_jacobian_norm2, linear};

#[test]
fn activations() {
    let device = seeded(1);
    let extreme = [0.0, -0.0, 1e-30, -1e-30, 20.0, -20.0, 87.0, -87.0, 1e4, -1e4, 1e30, -1e30];
    for activation in ACTIVATIONS {
        for z in [random([37, 1003], &device).mul_scalar(4.0), Tensor::<2>::from_floats([extreme], &device)] {
            assert_same(
                &format!("{activation:?}"),
                &[z],
                |z| activate(activation, z[0].clone()),
                |z| activation.with_burn(z[0].clone()),
            );
        }
        let nan = activate(activation, Tensor::<1>::from_floats([f32::NAN], &device));
        assert!(numbers(nan)[0].is_nan(), "{activation:?} hides NaN");
        let nan = [Tensor::<1>::from_floats([f32::NAN], &device)];
        let back = with_gradients(&nan, |z| activate(activation, z[0].clone()));
        assert_ne!(back[1], [0.0], "{activation:?} hides NaN in the backward pass");
        // Tensors that are not f32 are left to Burn.
        let double = Tensor::<1>::from_data([-1.5f64, 0.25], (&device, DType::F64));
        assert_eq!(activate(activation, double.clone()).dtype(), DType::F64);
    }
}

/// Slopes at 0 and -0, where the one-sided slopes differ, equal those of Burn's own activations.
#[test]
fn slopes_at_zero_are_burns() {
    use burn::tensor::activation;
    let device = seeded(16);
    type OfBurn = fn(Tensor<1>) -> Tensor<1>;
    let pairs: [(Activation, OfBurn); 8] = [
        (Activation::Relu, activation::relu),
        (Activation::LeakyRelu(0.01), |z| activation::leaky_relu(z, 0.01)),
        (Activation::Elu, |z| activation::elu(z, 1.0)),
        (Activation::Tanh, activation::tanh),
        (Activation::Sigmoid, activation::sigmoid),
        (Activation::Softplus, |z| activation::softplus(z, 1.0)),
        (Activation::Gelu, activation::gelu),
        (Activation::Silu, activation::silu),
    ];
    for (ours, burns) in pairs {
        for zero in [0.0f32, -0.0] {
            let z = [Tensor::<1>::from_floats([zero, 1.0], &device)];
            let found = with_gradients(&z, |z| activate(ours, z[0].clone()));
            let layer = with_gradients(&z, |z| {
                let one = z[0].ones_like().slice(0..1).unsqueeze_dim(0);
                linear(z[0].clone().unsqueeze_dim(1), one, z[0].zeros_like().slice(0..1), ours).squeeze_dim::<1>(1)
            });
            let expected = with_gradients(&z, |z| burns(z[0].clone()));
            for (found, expected) in found.iter().chain(&layer).zip(expected.iter().chain(&expected)) {
                assert_close(&format!("{ours:?} at {zero:?}"), found, expected, 1e-6);
            }
        }
    }
}

#[test]
fn elu_and_softplus_are_accurate_for_small_values() {
    let device = Device::flex();
    let small: Vec<f32> = (0..60).map(|i| -(0.6f32.powi(i))).collect();
    let z = Tensor::<1>::from_floats(small.as_slice(), &device);
    let exact = |z: &f32| f64::from(*z).exp_m1() as f32;
    for (found, z) in numbers(activate(Activation::Elu, z)).iter().zip(&small) {
        assert!((found / exact(z) - 1.0).abs() < 3e-7, "{found} at {z}");
    }
    // Far below 0 the slope of softplus is e^z, not the rounding error of 1 - e^-y.
    let z = Tensor::<1>::from_floats([-10.0, -30.0, -60.0], &device);
    let (y, slope) = jvp(Activation::Softplus, &z, &z.ones_like()).unwrap();
    for ((y, slope), z) in numbers(y).into_iter().zip(numbers(slope)).zip([-10.0f64, -30.0, -60.0]) {
        let (value, exact) = (z.exp().ln_1p(), 1.0 / (1.0 + (-z).exp()));
        assert!(
            (f64::from(y) / value - 1.0).abs() < 1e-6 && (f64::from(slope) / exact - 1.0).abs() < 1e-6,
            "{y}, {slope} at {z}"
        );
    }
}

#[test]
fn tangents_agree_with_differences() {
    let device = seeded(17).inner();
    let z: Tensor<2> = random([33, 70], &device).mul_scalar(3.0);
    for activation in [Activation::Softplus, Activation::Gelu, Activation::Silu] {
        let at = |shift: f64| {
            let z = z.clone().cast(DType::F64).add_scalar(shift);
            activation.with_burn(z).into_data().iter::<f64>().collect::<Vec<_>>()
        };
        let (_, slope) = jvp(activation, &z, &z.ones_like()).unwrap();
        let expected: Vec<f32> = at(1e-5).iter().zip(at(-1e-5)).map(|(up, down)| ((up - down) / 2e-5) as f32).collect();
        assert_close(&format!("{activation:?}"), &numbers(slope), &expected, 1e-6);
    }
}

#[test]
fn activations_whose_slopes_are_kept_are_declined() {
    let device = Device::flex();
    let z = random([3, 4], &device);
    for activation in [Activation::Gelu, Activation::Silu] {
        assert!(layer_jacobian_norm2(&z, &z, activation).is_none() && Sparse::top_k(&z, 2, activation).is_none());
    }
}

#[test]
fn tangents_equal_gradients() {
    let device = seeded(11).inner();
    let extreme = Tensor::<2>::from_floats([[0.0, -0.0, 1e-30, -20.0, 20.0, 1e30, -1e30]], &device);
    for activation in ACTIVATIONS {
        for z in [random([67, 501], &device).mul_scalar(4.0), extreme.clone()] {
            let t: Tensor<2> = random(z.dims(), &device);
            let (y, tangent) = jvp(activation, &z, &t).unwrap();
            // The derivative is symmetric, so that the gradient of `sum t phi(z)` is the tangent.
            let tracked = z.clone().autodiff().require_grad();
            let gradients = (activation.with_burn(tracked.clone()) * t.autodiff()).sum().backward();
            assert_close(&format!("{activation:?}"), &numbers(y), &numbers(activation.with_burn(z)), 2e-5);
            assert_close(
                &format!("{activation:?}, tangent"),
                &numbers(tangent),
                &numbers(tracked.grad(&gradients).unwrap()),
                2e-5,
            );
        }
    }
    let tracked = extreme.clone().autodiff().require_grad();
    assert!(jvp(Activation::Tanh, &tracked, &tracked).is_none(), "tensors on an autodiff device are left to Burn");
}
