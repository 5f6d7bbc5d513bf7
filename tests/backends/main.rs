//! Every backend that was built in, compared with the golden values and with `flex`: the formulas, the kernels, the
//! losses and gradients of every variant, and a short training run. It prints the largest difference of each.
//!
//! `cargo test -p ae-train --features wgpu,ndarray --test backends`. A device that `ae devices` reports as unusable is
//! skipped, with the reason.
//!
//! # Tolerances
//!
//! The golden values are in `f64`. In `f32`, each of the few hundred operations behind a value has a relative rounding
//! error of 6e-8, and a sum of 64 to 512 values in another order a few times that: 1e-5 of a tensor's largest entry.
//! On a GPU, `exp`, `log` and `tanh` may have an error of 4 units in the last place instead of 1: 4e-5.
//!
//! In a training run of 100 steps of Adam, whose first steps have the size of the learning rate whatever the gradient,
//! rounding errors grow: 1% of the loss.

#[path = "../it/golden/mod.rs"]
mod golden;

use std::{process::ExitCode, time::Instant};

use ae_data::{Batcher, Dataset, Scaling, ScalingMethod};
use ae_kernels::Activation;
use ae_model::{Code, Inputs, Model, VARIANTS, code::TopKConfig, corruption::CorruptionConfig};
use ae_train::{
    Config,
    device::{self, Found},
};
use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::LinearConfig,
    optim::{GradientsParams, ModuleOptimizer},
    store::ModuleRecord,
    tensor::{DType, Device, Tensor, TensorData},
};

/// Units of the code and of a hidden layer, and number of rows: small, because a GPU compiles kernels for each shape.
const UNITS: usize = 8;
const ROWS: usize = 16;

/// Steps of the short training run.
const STEPS: usize = 100;

fn main() -> ExitCode {
    let found = device::found();
    let reference = Device::flex();
    println!(
        "{:<52}{:>10}{:>10}{:>10}{:>10}{:>9}",
        "largest difference", "golden", "kernels", "variants", "training", "seconds"
    );
    let mut failed = false;
    for found in &found {
        if let Some(problem) = &found.problem {
            println!("{:<52}skipped: {problem}", title(found));
            continue;
        }
        let began = Instant::now();
        let device = found.open().unwrap_or_else(|error| panic!("{error}")).device;
        let tolerance = if found.is_gpu() { 4e-5 } else { 1e-5 };
        let golden = golden::all(&golden::Precision::new(device.clone(), DType::F32, tolerance));
        let contraction = has_contraction(&device);
        let kernels = difference(&kernels(&device, contraction), &kernels(&reference, contraction));
        let variants = variants(&reference, &device);
        let training = training(&reference, &device);
        let limits = [(golden, tolerance), (kernels, tolerance), (variants, 4.0 * tolerance), (training, 0.01)];
        let cells: String = limits.iter().map(|(difference, _)| format!("{difference:>10.1e}")).collect();
        let wrong = limits.iter().any(|(difference, limit)| difference.is_nan() || difference > limit);
        failed |= wrong;
        let verdict = if wrong { "  too large" } else { "" };
        println!("{:<52}{cells}{:>9.1}{verdict}", title(found), began.elapsed().as_secs_f64());
    }
    println!("{} passed, {} failed", usize::from(!failed), usize::from(failed));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn title(found: &Found) -> String {
    if found.is_gpu() { format!("{}: {}", found.name, found.describe()) } else { found.name.clone() }
}

/// Scaled digits.
fn digits(rows: usize, device: &Device) -> Tensor<2> {
    let dataset = Dataset::new(ae_data::open("digits").unwrap().train);
    let scaling = Scaling::fit(ScalingMethod::MinMax, &dataset).unwrap();
    dataset.batch(0..rows, &Batcher::new(scaling), device).unwrap().x
}

/// The variant's configuration with small layers and without random corruption.
fn config(name: &str) -> Config {
    let mut config = Config::of_variant(name).unwrap();
    config.model.code_dim = UNITS;
    if let ae_model::network::Network::Mlp(mlp) = &mut config.model.network {
        mlp.hidden = mlp.hidden.iter().map(|_| 2 * UNITS).collect();
        mlp.dropout = 0.0;
    }
    if let Some(top_k) = config.model.code.get::<TopKConfig>() {
        config.model.code = TopKConfig { k: 3, k_start: 3, ..top_k.clone() }.into();
    }
    config.model.corruption = CorruptionConfig::default();
    config
}

/// The results of a model for some rows: reconstruction, loss terms, and the gradient of each parameter.
fn computed(config: &Config, record: ModuleRecord, rows: &TensorData, device: &Device) -> Vec<Vec<f32>> {
    let device = device.clone().autodiff();
    let inputs = Inputs::unit(64).with_image([1, 8, 8]);
    let mut model: Model = config.model.init(&inputs, &device).load_record(record);
    if model.code.is_stochastic() {
        // Uses the mean: samples differ between backends.
        model.code = model.code.freeze();
    }
    let x = Tensor::<2>::from_data(rows.clone(), &device);
    let evaluation = config.model.objective(&inputs).evaluate(&model, x);
    let mut values = vec![numbers(evaluation.forward.output.clone())];
    values.extend(evaluation.terms.iter().map(|term| numbers(term.value.clone())));
    let gradients = GradientsParams::from_grads(evaluation.loss().backward(), &model);
    let mut visitor = Gradients { gradients, values };
    model.visit(&mut visitor);
    visitor.values
}

struct Gradients {
    gradients: GradientsParams,
    values: Vec<Vec<f32>>,
}

impl ModuleVisitor for Gradients {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            self.values.push(numbers(gradient));
        }
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The largest difference, relative to the largest entry of its tensor.
fn difference(found: &[Vec<f32>], expected: &[Vec<f32>]) -> f64 {
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), expected.iter().map(Vec::len).collect::<Vec<_>>());
    let of_tensor = |(found, expected): (&Vec<f32>, &Vec<f32>)| {
        let largest = expected.iter().fold(0.0f64, |largest, &value| largest.max(f64::from(value.abs())));
        let error = found.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        if largest > 1e-12 { error / largest } else { error }
    };
    found.iter().zip(expected).map(of_tensor).fold(0.0, f64::max)
}

/// Values of both signs that are not exact in binary.
fn wave<const D: usize>(shape: [usize; D], phase: f32) -> TensorData {
    let count = shape.iter().product();
    TensorData::new((0..count).map(|index| (index as f32 * 0.73 + phase).sin()).collect::<Vec<f32>>(), shape)
}

/// Whether a device has a kernel for the contractive penalty of a layer. Other devices compute it from the formula, in
/// [`variants`].
fn has_contraction(device: &Device) -> bool {
    let ones = Tensor::<2>::ones([1, 1], device);
    ae_kernels::layer_jacobian_norm2(&ones, &ones, Activation::Tanh).is_some()
}

/// The results of the kernels: layers and losses with their gradients, and parameters after some optimizer steps. The
/// sizes are not multiples of a workgroup's.
fn kernels(device: &Device, contraction: bool) -> Vec<Vec<f32>> {
    let device = device.clone().autodiff();
    [layers(&device, contraction), losses(&device), optimizers(&device)].concat()
}

fn tensor(shape: [usize; 2], phase: f32, device: &Device) -> Tensor<2> {
    Tensor::from_data(wave(shape, phase), device)
}

fn layers(device: &Device, contraction: bool) -> Vec<Vec<f32>> {
    let tensor = |shape, phase| tensor(shape, phase, device);
    let mut values = Vec::new();
    let activations = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu(0.1),
        Activation::Elu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Softplus,
        Activation::Gelu,
        Activation::Silu,
    ];
    for activation in activations {
        let [x, w] = [tensor([11, 37], 0.1).require_grad(), tensor([37, 41], 0.2).require_grad()];
        let b = Tensor::<1>::from_data(wave([41], 0.3), device).require_grad();
        let y = ae_kernels::linear(x.clone(), w.clone(), b.clone(), activation);
        let gradients = (y.clone() * tensor([11, 41], 0.4)).sum().backward();
        values.extend([y, x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap()].map(numbers));
        values.push(numbers(b.grad(&gradients).unwrap()));
        // A GPU has no kernel for the last three, and no backend has one for the last two.
        if !contraction || matches!(activation, Activation::Softplus | Activation::Gelu | Activation::Silu) {
            continue;
        }
        // Away from the kinks, where either one-sided slope is right.
        let h = (tensor([11, 41], 0.1).abs() * 0.4 + 0.05).require_grad();
        let norms = ae_kernels::layer_jacobian_norm2(&h, &w, activation).expect("a kernel");
        let gradients = (norms.clone() * Tensor::<1>::from_data(wave([11], 0.2), device)).sum().backward();
        values.push(numbers(norms));
        values
            .extend([h.grad(&gradients), w.grad(&gradients)].map(|gradient| gradient.map(numbers).unwrap_or_default()));
    }
    values
}

fn losses(device: &Device) -> Vec<Vec<f32>> {
    let tensor = |shape, phase| tensor(shape, phase, device);
    let mut values = Vec::new();
    for loss in [ae_kernels::squared_error, ae_kernels::bernoulli, ae_kernels::squared_error_of_logits] {
        for weights in [None, Some(tensor([11, 37], 0.7).abs())] {
            let r = tensor([11, 37], 0.6).require_grad();
            let rows = loss(tensor([11, 37], 0.5).abs(), r.clone(), weights);
            let mean = ae_kernels::batch_mean(rows.clone() * Tensor::<1>::from_data(wave([11], 0.8), device));
            let gradients = mean.backward();
            values.extend([numbers(rows), numbers(r.grad(&gradients).unwrap())]);
        }
    }
    values
}

fn optimizers(device: &Device) -> Vec<Vec<f32>> {
    let tensor = |shape, phase| tensor(shape, phase, device);
    let mut values = Vec::new();
    let adam = |decay| ModuleOptimizer::from(ae_kernels::Adam::default().with_weight_decay(decay));
    for make in [&|| adam(0.0), &|| adam(0.02), &|| ModuleOptimizer::from(ae_kernels::AdamW::new(0.02))]
        as [&dyn Fn() -> ModuleOptimizer; 3]
    {
        let mut model = LinearConfig::new(37, 41).init(device);
        model.weight = Param::from_tensor(tensor([37, 41], 0.9));
        model.bias = Some(Param::from_tensor(Tensor::<1>::from_data(wave([41], 1.0), device)));
        let mut optimizer = make();
        for step in 0..6 {
            let y = model.forward(tensor([11, 37], step as f32));
            let gradients = GradientsParams::from_grads(y.square().mean().backward(), &model);
            model = ae_kernels::step(&mut optimizer, 1e-2, model, gradients);
            if step == 2 {
                // The optimizer's state is written to a record and read again.
                optimizer = make().load_record(optimizer.to_record());
            }
        }
        values.extend([numbers(model.weight.val()), numbers(model.bias.unwrap().val())]);
    }
    values
}

/// The largest difference of the variants' reconstructions, losses and gradients from those of `reference`.
fn variants(reference: &Device, device: &Device) -> f64 {
    let rows = digits(ROWS, reference).into_data();
    let of = |name: &str| {
        let config = config(name);
        reference.seed(1);
        let record = config.model.init(&Inputs::unit(64).with_image([1, 8, 8]), reference).into_record();
        difference(&computed(&config, record.clone(), &rows, device), &computed(&config, record, &rows, reference))
    };
    VARIANTS.iter().map(|variant| of(variant.name)).fold(0.0, f64::max)
}

/// The relative difference of the loss after a short training run from that of `reference`.
fn training(reference: &Device, device: &Device) -> f64 {
    let config = config("undercomplete");
    let inputs = Inputs::unit(64).with_image([1, 8, 8]);
    reference.seed(1);
    let record = config.model.init(&inputs, reference).into_record();
    let rows = digits(4 * ROWS, reference).into_data();
    let loss = |device: &Device| {
        let device = device.clone().autodiff();
        let mut model: Model = config.model.init(&inputs, &device).load_record(record.clone());
        let (objective, mut optimizer) = (config.model.objective(&inputs), config.training.optimizer());
        let x = Tensor::<2>::from_data(rows.clone(), &device);
        for _ in 0..STEPS {
            let gradients =
                GradientsParams::from_grads(objective.evaluate(&model, x.clone()).loss().backward(), &model);
            model = ae_kernels::step(&mut optimizer, 1e-2, model, gradients);
        }
        let x = x.without_autodiff();
        f64::from(objective.evaluate(&model.valid(), x).loss().into_scalar::<f32>())
    };
    let (found, expected) = (loss(device), loss(reference));
    (found - expected).abs() / expected
}
