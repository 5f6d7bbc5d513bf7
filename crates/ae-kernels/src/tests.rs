//! Every kernel against Burn's own operations: values and gradients, on random and on extreme inputs.

use burn::{
    module::{Module, Param},
    nn::{LinearConfig, LinearLayout},
    optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, decay::WeightDecayConfig},
    tensor::{DType, Device, Distribution, IndexingUpdateOp, Tensor, module},
};

use crate::{
    Activation, Sparse, activate, bernoulli, conv_transpose2d, conv2d, dense, jvp, layer_jacobian_norm2, linear,
    matmul, squared_error, squared_error_of_logits, units,
};

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

/// The numbers, to be compared.
fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().iter::<f32>().collect()
}

#[track_caller]
fn assert_close(what: &str, ours: &[f32], burn: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), burn.len(), "{what}");
    for (index, (a, b)) in ours.iter().zip(burn).enumerate() {
        let close = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + b.abs());
        assert!(close, "{what}, number {index}: {a}, and {b} by Burn");
    }
}

/// Value of `f`, and the gradient of a random sum of it by each input.
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
                |z| activation.by_burn(z[0].clone()),
            );
        }
        let nan = activate(activation, Tensor::<1>::from_floats([f32::NAN], &device));
        assert!(numbers(nan)[0].is_nan(), "{activation:?} hides NaN");
        let nan = [Tensor::<1>::from_floats([f32::NAN], &device)];
        let back = with_gradients(&nan, |z| activate(activation, z[0].clone()));
        assert_ne!(back[1], [0.0], "{activation:?} hides NaN on the way back");
        // What is not f32 is Burn's.
        let double = Tensor::<1>::from_data([-1.5f64, 0.25], (&device, DType::F64));
        assert_eq!(activate(activation, double.clone()).dtype(), DType::F64);
    }
}

/// Slopes at 0 and -0, where the sides differ, are those of Burn's own activations.
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
fn elu_and_softplus_keep_what_is_small() {
    let device = Device::flex();
    let small: Vec<f32> = (0..60).map(|i| -(0.6f32.powi(i))).collect();
    let z = Tensor::<1>::from_floats(small.as_slice(), &device);
    let exact = |z: &f32| f64::from(*z).exp_m1() as f32;
    for (found, z) in numbers(activate(Activation::Elu, z)).iter().zip(&small) {
        assert!((found / exact(z) - 1.0).abs() < 3e-7, "{found} at {z}");
    }
    // The slope of softplus far below 0 is e^z, not the rounding of 1 - e^-y.
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
            activation.by_burn(z).into_data().iter::<f64>().collect::<Vec<_>>()
        };
        let (_, slope) = jvp(activation, &z, &z.ones_like()).unwrap();
        let expected: Vec<f32> = at(1e-5).iter().zip(at(-1e-5)).map(|(up, down)| ((up - down) / 2e-5) as f32).collect();
        assert_close(&format!("{activation:?}"), &numbers(slope), &expected, 1e-6);
    }
}

#[test]
fn what_values_do_not_say_is_declined() {
    let device = Device::flex();
    let z = random([3, 4], &device);
    for activation in [Activation::Gelu, Activation::Silu] {
        assert!(layer_jacobian_norm2(&z, &z, activation).is_none() && Sparse::top_k(&z, 2, activation).is_none());
    }
}

#[test]
fn tangents_beside_activations() {
    let device = seeded(11).inner();
    let extreme = Tensor::<2>::from_floats([[0.0, -0.0, 1e-30, -20.0, 20.0, 1e30, -1e30]], &device);
    for activation in ACTIVATIONS {
        for z in [random([67, 501], &device).mul_scalar(4.0), extreme.clone()] {
            let t: Tensor<2> = random(z.dims(), &device);
            let (y, tangent) = jvp(activation, &z, &t).unwrap();
            // The derivative is symmetric, so that the gradient of `sum t phi(z)` is the tangent.
            let tracked = z.clone().autodiff().require_grad();
            let gradients = (activation.by_burn(tracked.clone()) * t.autodiff()).sum().backward();
            assert_close(&format!("{activation:?}"), &numbers(y), &numbers(activation.by_burn(z)), 2e-5);
            assert_close(
                &format!("{activation:?}, tangent"),
                &numbers(tangent),
                &numbers(tracked.grad(&gradients).unwrap()),
                2e-5,
            );
        }
    }
    let tracked = extreme.clone().autodiff().require_grad();
    assert!(jvp(Activation::Tanh, &tracked, &tracked).is_none(), "a tangent that has a gradient is Burn's");
}

#[test]
fn what_units_do() {
    let device = seeded(12).inner();
    for shape in [[1, 1], [5, 3], [33, 70], [257, 513]] {
        let code: Tensor<2> = random(shape, &device);
        for bounds in [[None, None], [Some(-0.5), None], [Some(-0.5), Some(0.75)]] {
            let (ours, burn) = (units(&code, 0.3, bounds).unwrap(), crate::by_burn::units(&code, 0.3, bounds).unwrap());
            assert_eq!(
                (ours.active, ours.saturated, &ours.peak),
                (burn.active, burn.saturated, &burn.peak),
                "{shape:?} {bounds:?}"
            );
            assert!((ours.size - burn.size).abs() <= 1e-5 * burn.size, "{} and {} by Burn", ours.size, burn.size);
        }
    }
    let code = Tensor::<2>::from_floats([[0.0, f32::NAN, -1e30], [f32::INFINITY, 1e-30, -0.0]], &device);
    let ours = units(&code, 1e-6, [Some(-1.0), Some(1.0)]).unwrap();
    assert_eq!((ours.active, ours.saturated), (2.0, 2.0));
    assert!(ours.size.is_nan(), "a sum hides NaN");
}

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
                activation.by_burn(module::linear(t[0].clone(), t[1].clone(), Some(on(&bias, &t[0]))))
            };
            assert_same(&what, &inputs, ours, burn);
        }
        // Views: a weight that is read transposed, as tied decoders do, and rows of a larger tensor.
        let inputs = [random([batch + 2, d_in], &device), random([d_out, d_in], &device)];
        let bias = random([d_out], &device);
        let view = |t: &[Tensor<2>]| (t[0].clone().slice(1..batch + 1), t[1].clone().transpose());
        let ours = |t: &[Tensor<2>]| {
            let (x, w) = view(t);
            linear(x, w, on(&bias, &t[0]), Activation::Tanh)
        };
        let burn = |t: &[Tensor<2>]| {
            let (x, w) = view(t);
            Activation::Tanh.by_burn(module::linear(x, w, Some(on(&bias, &t[0]))))
        };
        assert_same("views", &inputs, ours, burn);
        for layout in [LinearLayout::Row, LinearLayout::Col] {
            for bias in [false, true] {
                let layer = LinearConfig::new(d_in, d_out).with_bias(bias).with_layout(layout).init(&device);
                let plain = layer.clone().valid();
                let at = |x: &Tensor<2>| if x.device().is_autodiff() { layer.clone() } else { plain.clone() };
                let ours = |t: &[Tensor<2>]| dense(&at(&t[0]), t[0].clone(), Activation::Sigmoid);
                let burn = |t: &[Tensor<2>]| Activation::Sigmoid.by_burn(at(&t[0]).forward(t[0].clone()));
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

/// The tensor where `other` is: with or without autodiff.
fn on<const D: usize, const E: usize>(tensor: &Tensor<D>, other: &Tensor<E>) -> Tensor<D> {
    if other.device().is_autodiff() { tensor.clone() } else { tensor.clone().without_autodiff() }
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
        // Burn's own activations are cheap enough to be computed again on the way back.
        let y = (0..3).fold(x, |x, _| linear(x, w.clone(), b.clone(), Activation::Tanh).exp().sin());
        let gradients = squared_error(y.zeros_like(), y, None).mean().backward();
        [numbers(w.grad(&gradients).expect("trained")), numbers(b.grad(&gradients).expect("trained"))].concat()
    };
    let kept = gradients(&Device::flex().autodiff());
    assert!(kept.iter().any(|gradient| gradient.abs() > 1e-3));
    assert_close("checkpointing", &gradients(&Device::flex().autodiff().gradient_checkpointing()), &kept, 1e-6);
}

#[test]
fn the_bias_has_a_gradient_and_hardly_active_gradients_are_summed_sparsely() {
    let device = seeded(3);
    let (x, w) = (random([50, 40], &device), random([40, 120], &device));
    // One in 50 of the layer's numbers matters.
    let kept = random([50, 120], &device).greater_elem(2.05).float();
    let inputs = [x, w, random([1, 120], &device)];
    let ours = |t: &[Tensor<2>]| {
        linear(t[0].clone(), t[1].clone(), t[2].clone().flatten(0, 1), Activation::Sigmoid) * on(&kept, &t[0])
    };
    let burn = |t: &[Tensor<2>]| {
        Activation::Sigmoid.by_burn(t[0].clone().matmul(t[1].clone()) + t[2].clone()) * on(&kept, &t[0])
    };
    assert_same("sparse gradient", &inputs, ours, burn);
}

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
                let error = (x - Activation::Sigmoid.by_burn(t[0].clone())).square().mul_scalar(0.5);
                let error = weights.map_or(error.clone(), |weights| error * weights);
                error.sum_dim(1).squeeze_dim::<1>(1)
            };
            assert_same("squared error of logits", &[random([batch, width], &device)], ours, burn);
        }
        // A weight for each example, which is Burn's.
        let weights = random([batch, 1], &device).abs();
        let ours = |t: &[Tensor<2>]| squared_error(on(&x, &t[0]), t[0].clone(), Some(on(&weights, &t[0])));
        let burn = |t: &[Tensor<2>]| {
            let error = (on(&x, &t[0]) - t[0].clone()).square().mul_scalar(0.5) * on(&weights, &t[0]);
            error.sum_dim(1).squeeze_dim::<1>(1)
        };
        assert_same("a weight for each example", &[random([batch, width], &device)], ours, burn);
        // An input that is trained too, which is Burn's.
        let both = [random([batch, width], &device), random([batch, width], &device)];
        let burn =
            |t: &[Tensor<2>]| (t[0].clone() - t[1].clone()).square().mul_scalar(0.5).sum_dim(1).squeeze_dim::<1>(1);
        assert_same("squared error of both", &both, |t| squared_error(t[0].clone(), t[1].clone(), None), burn);
    }
}

#[test]
fn sparse_codes() {
    let device = seeded(5);
    for (batch, width, k, d_out) in [(1, 1, 1, 1), (5, 40, 40, 3), (33, 500, 7, 20), (128, 6144, 32, 50)] {
        for activation in [Activation::Relu, Activation::Identity, Activation::Sigmoid] {
            let dense = |z: &Tensor<2>| {
                let y = activation.by_burn(z.clone());
                let (values, places) = z.clone().detach().topk_with_indices(k, 1);
                y * z.zeros_like().detach().scatter(1, places, values.ones_like(), IndexingUpdateOp::Add)
            };
            let bias = random([d_out], &device);
            let inputs = [random([batch, width], &device), random([width, d_out], &device)];
            let sparse = |z: &Tensor<2>| Sparse::top_k(z, k, activation).expect("a kernel");
            assert_same("dense", &inputs[..1], |t| sparse(&t[0]).dense(), |t| dense(&t[0]));
            for after in [Activation::Identity, Activation::Tanh, Activation::Gelu] {
                let ours = |t: &[Tensor<2>]| sparse(&t[0]).linear(t[1].clone(), on(&bias, &t[0]), after);
                let burn =
                    |t: &[Tensor<2>]| after.by_burn(module::linear(dense(&t[0]), t[1].clone(), Some(on(&bias, &t[0]))));
                assert_same(&format!("{k} of {width}, {after:?}"), &inputs, ours, burn);
            }
        }
    }
}

#[test]
fn the_largest_are_found_among_equals_infinities_and_nan() {
    let device = Device::flex();
    let kept = |row: &[f32], k: usize| {
        let z = Tensor::<1>::from_floats(row, &device).unsqueeze_dim::<2>(0);
        let h = numbers(Sparse::top_k(&z, k, Activation::Identity).expect("a kernel").dense());
        (0..row.len()).filter(|&i| h[i] != 0.0).collect::<Vec<_>>()
    };
    assert_eq!(kept(&[1.0; 100], 3), [0, 1, 2]);
    assert_eq!(kept(&[f32::NEG_INFINITY; 70], 2), [0, 1]);
    let mut row: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1000) as f32).collect();
    row[17] = f32::INFINITY;
    row[400] = f32::NAN;
    let mut best: Vec<usize> = (0..1000).filter(|&i| i != 400).collect();
    best.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    best.truncate(50);
    best.sort_unstable();
    assert_eq!(kept(&row, 50), best);
    let h = Tensor::<2>::from_floats([[0.0, -3.0, 0.0, 0.5], [0.0, 0.0, 0.0, -0.0]], &device);
    let of = Sparse::of(&h, 2).expect("at most two in a row");
    assert_eq!(numbers(of.dense()), numbers(h.clone()));
    assert!(Sparse::of(&h, 1).is_none(), "a row has two");
    assert_eq!(kept(&[f32::NAN, 2.0, f32::NAN], 2), [0, 1], "NaN is kept where nothing else is left");
}

#[test]
fn convolutions() {
    let device = seeded(6);
    for (kernel, stride, height, width) in
        [(1, 1, 3, 4), (3, 1, 5, 7), (3, 2, 28, 27), (5, 2, 9, 9), (3, 3, 10, 11), (5, 4, 6, 13)]
    {
        let padding = kernel / 2;
        let what = format!("kernel {kernel}, stride {stride}, {height} x {width}");
        let bias = random([6], &device);
        let inputs = [random([3, 4, height, width], &device), random([6, 4, kernel, kernel], &device)];
        let options = || burn::tensor::ops::ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
        for phi in [Activation::Elu, Activation::Silu] {
            let inputs = [inputs[0].clone().mul_scalar(0.3), inputs[1].clone()];
            let ours =
                |t: &[Tensor<4>]| conv2d(t[0].clone(), t[1].clone(), Some(on(&bias, &t[0])), stride, padding, phi);
            let burn = |t: &[Tensor<4>]| {
                phi.by_burn(module::conv2d(t[0].clone(), t[1].clone(), Some(on(&bias, &t[0])), options()))
            };
            assert_same(&format!("{what}, {phi:?}"), &inputs, ours, burn);
        }
        let no_bias = |t: &[Tensor<4>]| module::conv2d(t[0].clone(), t[1].clone(), None, options());
        assert_same(
            &what,
            &inputs,
            |t| conv2d(t[0].clone(), t[1].clone(), None, stride, padding, Activation::Identity),
            no_bias,
        );

        for (rest, phi) in
            [([0, 0], Activation::Sigmoid), ([stride - 1, 0], Activation::Sigmoid), ([0, 0], Activation::Gelu)]
        {
            // Small, for sums over all images lose digits where GELU's slope is 1 nearly everywhere.
            let inputs =
                [random([3, 4, height, width], &device).mul_scalar(0.3), random([4, 6, kernel, kernel], &device)];
            let ours = |t: &[Tensor<4>]| {
                conv_transpose2d(t[0].clone(), t[1].clone(), Some(on(&bias, &t[0])), stride, padding, rest, phi)
            };
            let burn = |t: &[Tensor<4>]| {
                let options = burn::tensor::ops::ConvTransposeOptions::new([stride; 2], [padding; 2], rest, [1, 1], 1);
                phi.by_burn(module::conv_transpose2d(t[0].clone(), t[1].clone(), Some(on(&bias, &t[0])), options))
            };
            assert_same(&format!("transposed, {what}, {phi:?}"), &inputs, ours, burn);
        }
    }
}

#[test]
fn contractions() {
    let device = seeded(7);
    for activation in ACTIVATIONS.into_iter().filter(|activation| !activation.keeps_slopes()) {
        // Away from the kinks, at which either slope is right.
        let h = activation.by_burn(random([9, 33], &device));
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

/// Parameters of several sizes, one of them larger than what one thread is given.
#[derive(Module, Debug)]
struct Parameters {
    matrix: Param<Tensor<2>>,
    vector: Param<Tensor<1>>,
}

#[test]
fn optimizers_are_burns_to_a_millionth_and_read_each_others_state() {
    let device = seeded(8);
    let (matrix, vector) = (random([300, 200], &device), random([13], &device));
    let start = Parameters { matrix: Param::from_tensor(matrix), vector: Param::from_tensor(vector) };
    let steps = |optimizer: &mut ModuleOptimizer, mut model: Parameters, range: std::ops::Range<usize>| {
        for step in range {
            // Gradients of very different sizes, 0 among them.
            let scale = 10f64.powi(step as i32 % 7 - 3);
            let wave = |t: Tensor<1>| (t.mul_scalar(3.0 + step as f64)).sin().mul_scalar(scale).sum();
            let loss = wave(model.matrix.val().flatten(0, 1)) + wave(model.vector.val().slice(0..10));
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(3e-3, model, gradients);
        }
        model
    };
    for decay in [0.0f32, 0.02] {
        let l2 = (decay > 0.0).then(|| WeightDecayConfig::new(decay));
        let pairs: [(&str, ModuleOptimizer, ModuleOptimizer); 3] = [
            (
                "Adam, other betas",
                crate::Adam::default().with_betas(0.5, 0.9).with_weight_decay(decay).into(),
                AdamConfig::new()
                    .with_beta_1(0.5)
                    .with_beta_2(0.9)
                    .with_epsilon(1e-8)
                    .with_weight_decay(l2.clone())
                    .init(),
            ),
            (
                "Adam",
                crate::Adam::default().with_weight_decay(decay).into(),
                AdamConfig::new().with_epsilon(1e-8).with_weight_decay(l2).init(),
            ),
            (
                "AdamW",
                crate::AdamW::new(decay).into(),
                AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(decay).init(),
            ),
        ];
        for (name, mut ours, mut burns) in pairs {
            let (half_ours, half_burns) =
                (steps(&mut ours, start.clone(), 0..15), steps(&mut burns, start.clone(), 0..15));
            // Halfway each takes the other's state over.
            let (ours_state, burns_state) = (ours.to_record(), burns.to_record());
            let (mut ours, mut burns) = (ours.load_record(burns_state), burns.load_record(ours_state));
            let (all_ours, all_burns) = (steps(&mut ours, half_ours, 15..30), steps(&mut burns, half_burns, 15..30));
            let what = format!("{name}, decay {decay}");
            assert_close(&what, &numbers(all_ours.matrix.val()), &numbers(all_burns.matrix.val()), 1e-6);
            assert_close(&what, &numbers(all_ours.vector.val()), &numbers(all_burns.vector.val()), 1e-6);
            assert!(
                numbers(all_ours.matrix.val() - start.matrix.val()).iter().any(|change| change.abs() > 1e-3),
                "{what}: nothing was learnt"
            );
        }
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    use burn::optim::Optimizer;
    let device = Device::flex();
    let refused = |work: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
    let zeros = |length: usize| Tensor::<1>::zeros([length], &device);
    // Kept, so that the optimizer writes to a buffer of its own.
    let parameters = zeros(4);
    assert!(refused(&|| drop(crate::Adam::default().step(1e-3, parameters.clone(), zeros(2), None))));
    let (_, state) = crate::Adam::default().step(1e-3, zeros(2), zeros(2), None);
    assert!(refused(&|| drop(crate::Adam::default().step(1e-3, parameters.clone(), zeros(4), state.clone()))));
    let images = |shape| Tensor::<4>::zeros(shape, &device);
    let weight = || images([2, 2, 3, 3]);
    assert!(refused(&|| drop(conv2d(images([1, 1, 4, 4]), weight(), None, 1, 1, Activation::Relu))));
    assert!(refused(&|| drop(conv_transpose2d(images([1, 1, 4, 4]), weight(), None, 1, 1, [0, 0], Activation::Relu))));
    let matrix = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device);
    assert!(refused(&|| drop(matmul(matrix([1024, 1000]), matrix([1001, 1024])))));
    assert!(refused(&|| drop(activate(Activation::LeakyRelu(-0.1), zeros(3)))));
    // And the threads are as they were.
    assert_eq!(numbers(matmul(matrix([512, 512]), matrix([512, 512]))), vec![0.0; 512 * 512]);
}

/// What [`numbers_are_the_same_on_any_number_of_threads`] compares: a few of all kernels that sum over a batch.
fn fingerprint() -> u64 {
    let device = seeded(13);
    let (x, w, b) = (random([512, 96], &device), random([96, 160], &device), random([160], &device));
    let (images, kernel) = (random([300, 3, 12, 12], &device), random([8, 3, 3, 3], &device));
    let layer = with_gradients(&[x, w], |t| linear(t[0].clone(), t[1].clone(), b.clone(), Activation::Tanh));
    let conv = with_gradients(&[images, kernel], |t| conv2d(t[0].clone(), t[1].clone(), None, 2, 1, Activation::Elu));
    let h = random([512, 300], &device).mul_scalar(0.1);
    let contraction = with_gradients(&[h, random([700, 300], &device)], |t| {
        layer_jacobian_norm2(&t[0], &t[1], Activation::Sigmoid).expect("a kernel")
    });
    let bias = with_gradients(&[random([1, 160], &device)], |t| {
        linear(
            random([512, 96], &seeded(14)),
            random([96, 160], &seeded(15)),
            t[0].clone().flatten(0, 1),
            Activation::Sigmoid,
        )
    });
    let sloped = with_gradients(&[random([512, 96], &device), random([96, 160], &device)], |t| {
        linear(t[0].clone(), t[1].clone(), b.clone(), Activation::Gelu)
    });
    let all = units(&random([700, 300], &device).inner(), 0.3, [Some(-1.0), None]).unwrap();
    let figures = [all.active, all.size, all.saturated].map(|figure| vec![figure as f32]);
    let all =
        [layer, conv, contraction, bias, sloped, vec![all.peak], figures.to_vec()].into_iter().flatten().flatten();
    all.fold(0xcbf2_9ce4_8422_2325, |hash, value| (hash ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn numbers_are_the_same_on_any_number_of_threads() {
    const CHILD: &str = "AE_FINGERPRINT";
    if std::env::var_os(CHILD).is_some() {
        return println!("fingerprint {:x} on {} threads", fingerprint(), crate::threads::count());
    }
    // Alone in its process: other tests draw from the same generator.
    let on = |threads: &str| {
        let name = "tests::numbers_are_the_same_on_any_number_of_threads";
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"));
        let child = child.args([name, "--exact", "--nocapture"]).env(CHILD, "1").env("RAYON_NUM_THREADS", threads);
        let output = String::from_utf8(child.output().expect("this program can be started").stdout).expect("text");
        let line = output
            .lines()
            .find_map(|line| line.split_once("fingerprint "))
            .unwrap_or_else(|| panic!("{output}"))
            .1
            .to_string();
        assert!(line.ends_with(&format!(" on {threads} threads")), "{line}");
        line.split_whitespace().next().map(str::to_string)
    };
    let one = on("1");
    assert!(one.is_some());
    assert_eq!(on("2"), one);
    assert_eq!(on("5"), one);
}

#[test]
fn older_machines_pass_the_same_tests() {
    if std::env::var_os("AE_KERNELS").is_some() {
        return; // this is one of the runs below
    }
    for level in ["avx2", "any"] {
        let tests = std::process::Command::new(std::env::current_exe().expect("this program"))
            .env("AE_KERNELS", level)
            .output();
        let tests = tests.expect("this program can be started");
        assert!(tests.status.success(), "AE_KERNELS={level}:\n{}", String::from_utf8_lossy(&tests.stdout));
    }
}
