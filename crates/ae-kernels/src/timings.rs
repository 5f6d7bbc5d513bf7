//! Timings, with the system's allocator:
//! `cargo test -p ae-kernels --lib timings -- --ignored --nocapture --test-threads 1`.

use std::time::Instant;

use burn::{
    nn::{Linear, LinearConfig},
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{Device, Distribution, Tensor},
};

use crate::{Activation, dense, layer_jacobian_norm2, linear, squared_error, step, units};

/// The median time of each piece of work in microseconds, and the median of the ratios of the first one's times to its
/// own. The pieces are timed in turns.
fn compare<const N: usize>(rounds: usize, calls: usize, mut work: [&mut dyn FnMut(); N]) -> [(f64, f64); N] {
    let mut times = [(); N].map(|()| Vec::new());
    for _ in 0..rounds {
        for (work, times) in work.iter_mut().zip(&mut times) {
            let began = Instant::now();
            (0..calls).for_each(|_| work());
            times.push(began.elapsed().as_secs_f64() * 1e6 / calls as f64);
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let first = times[0].clone();
    times.map(|times| {
        (median(times.clone()), median(first.iter().zip(&times).map(|(first, time)| first / time).collect()))
    })
}

/// A layer of 784 inputs and 256 units on 128 rows, forward and backward: with its activation inside the kernel, and
/// with Burn's activation after it.
#[test]
#[ignore = "measures"]
fn activations_in_a_layer() {
    let device = Device::flex().autodiff();
    let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let (x, w) = (random([128, 784]), random([784, 256]).mul_scalar(0.05));
    let b = Tensor::<1>::zeros([256], &device);
    for activation in
        [Activation::Relu, Activation::Elu, Activation::Tanh, Activation::Softplus, Activation::Gelu, Activation::Silu]
    {
        let step = |layer: &dyn Fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>| {
            let (w, b) = (w.clone().require_grad(), b.clone().require_grad());
            drop(layer(x.clone(), w, b).sum().backward());
        };
        let plain = |layer: &dyn Fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>| {
            drop(layer(x.clone().without_autodiff(), w.clone().without_autodiff(), b.clone().without_autodiff()));
        };
        let ours = |x, w, b| linear(x, w, b, activation);
        let burns = |x, w, b| activation.with_burn(linear(x, w, b, Activation::Identity));
        for (what, [(before, _), (now, ratio)]) in [
            ("forward and backward", compare(31, 20, [&mut || step(&burns), &mut || step(&ours)])),
            ("forward only", compare(31, 20, [&mut || plain(&burns), &mut || plain(&ours)])),
        ] {
            println!("{activation:?}, {what}: {before:.0} us with Burn, {now:.0} us with the kernel, ratio {ratio:.2}");
        }
    }
}

/// The contractive penalty of a layer of 784 inputs and 1,000 units on 256 rows, and the statistics of its code.
#[test]
#[ignore = "measures"]
fn penalties_and_figures() {
    let device = Device::flex().autodiff();
    let h = Tensor::<2>::random([256, 1000], Distribution::Uniform(0.0, 1.0), &device);
    let w = Tensor::<2>::random([784, 1000], Distribution::Normal(0.0, 0.05), &device);
    let plain = h.clone().inner();
    let mut penalty = || {
        let (h, w) = (h.clone().require_grad(), w.clone().require_grad());
        drop(layer_jacobian_norm2(&h, &w, Activation::Sigmoid).expect("a kernel").sum().backward());
    };
    let mut figures = || drop(units(&plain, 0.05, [Some(0.01), Some(0.99)]).expect("on this machine"));
    let [(penalty, _), (figures, _)] = compare(31, 20, [&mut penalty, &mut figures]);
    println!("penalty forward and backward: {penalty:.0} us, statistics: {figures:.0} us");
}

/// Training steps with Adam on a batch of 128, for networks of several widths, and the number of page faults of each
/// step.
#[test]
#[ignore = "measures"]
fn training_steps() {
    let device = Device::flex().autodiff();
    for widths in [
        vec![64, 32, 10, 32, 64],
        vec![784, 256, 64, 256, 784],
        vec![784, 512, 784],
        vec![784, 1000, 500, 250, 1000, 784],
    ] {
        let mut model: Vec<Linear> =
            widths.windows(2).map(|pair| LinearConfig::new(pair[0], pair[1]).init(&device)).collect();
        let mut optimizer: ModuleOptimizer = crate::Adam::default().into();
        let x = Tensor::<2>::random([128, widths[0]], Distribution::Uniform(0.0, 1.0), &device);
        let mut train = || {
            let last = model.len() - 1;
            let layers = model.iter().enumerate();
            let r = layers.fold(x.clone(), |x, (index, layer)| {
                dense(layer, x, if index == last { Activation::Sigmoid } else { Activation::Relu })
            });
            let gradients = GradientsParams::from_grads(squared_error(x.clone(), r, None).mean().backward(), &model);
            model = step(&mut optimizer, 1e-3, std::mem::take(&mut model), gradients);
        };
        (0..20).for_each(|_| train());
        let before = faults();
        let [(time, _)] = compare(31, 10, [&mut train]);
        println!("{widths:?}: {time:.0} us per step, {} page faults", (faults() - before) / 310);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("at most {}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("unknown"));
}

/// Minor page faults of this process so far; 0 where the system does not report them.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(7)?.parse().ok()).unwrap_or(0)
}
