//! Expected: a top-k code finds the atoms that the data consist of (mean match near 1, all of them found), and PCA and
//! an unregularized code of the same width do not; about 12 seconds.
//!
//! Data with a known solution: a dictionary of 64 unit vectors (atoms) in 32 dimensions, and rows that are each the sum
//! of three atoms, with weights between 0.5 and 1.5. In 32 dimensions at most 32 directions are orthogonal, so that no
//! linear method can separate 64. Sparsity can.
//!
//! The match of an atom is the largest cosine between it and a direction of the decoder. An atom is found if its match
//! is above 0.9.
//!
//! `cargo run --example sparse_features`

use ae_model::{
    Activation, AnyCode, Autoencoder, Objective, Sample,
    code::TopKConfig,
    constraint::UnitNorm,
    network::{Mlp, MlpConfig, Sizes},
    penalty::L1,
};
use ae_train::{
    Error,
    baseline::{Matrix, Pca},
    device,
    evaluation::numbers,
};
use burn::{
    module::Module,
    tensor::{Device, Distribution, Tensor},
};

/// The training loop; it also has a `main` of its own.
#[path = "custom_loop.rs"]
#[allow(dead_code)]
mod custom_loop;

const ATOMS: usize = 64;
const DIMENSIONS: usize = 32;
const ACTIVE: usize = 3;
const STEPS: usize = 4000;
const BATCH: usize = 256;

fn main() -> Result<(), Error> {
    let device = device::open("auto")?.device;
    let training = device.clone().autodiff();
    device.seed(1);
    let atoms = Tensor::<2>::random([ATOMS, DIMENSIONS], Distribution::Normal(0.0, 1.0), &device);
    let atoms = atoms.clone() / atoms.square().sum_dim(1).sqrt();

    println!("{:<44}{:>12}{:>12}", format!("{ATOMS} atoms in {DIMENSIONS} dimensions"), "mean match", "found");
    let line = |name: &str, directions: Tensor<2>| -> Result<(), Error> {
        let cosines = atoms.clone().matmul(directions.transpose()); // [ATOMS, directions]
        let best = numbers(cosines.abs().max_dim(1))?;
        let found = best.iter().filter(|&&cosine| cosine > 0.9).count();
        println!("{name:<44}{:>12.3}{:>12}", best.iter().sum::<f32>() / ATOMS as f32, format!("{found} of {ATOMS}"));
        Ok(())
    };
    let unit = |rows: Tensor<2>| rows.clone() / rows.square().sum_dim(1).sqrt().clamp_min(1e-12);

    line(
        "as many random directions",
        unit(Tensor::random([2 * ATOMS, DIMENSIONS], Distribution::Normal(0.0, 1.0), &device)),
    )?;
    let sample = numbers(rows(&atoms, 4000))?;
    let pca = Pca::fit(Matrix { values: &sample, width: DIMENSIONS }, DIMENSIONS)?;
    let identity: Vec<f32> =
        (0..DIMENSIONS * DIMENSIONS).map(|i| f32::from(u8::from(i / DIMENSIONS == i % DIMENSIONS))).collect();
    let axes = pca.encode(Matrix { values: &identity, width: DIMENSIONS });
    let axes = Tensor::<1>::from_floats(axes.as_slice(), &device).reshape([DIMENSIONS, DIMENSIONS]).transpose();
    line("PCA, all components", unit(axes))?;

    // Without the constraint the model could evade the penalty with a small code and large decoder directions.
    let free = Objective::default().with_constraint(UnitNorm);
    let l1 = free.clone().with_penalty(L1 { weight: 0.03.into() });
    let top_k = TopKConfig { k: ACTIVE, k_start: 24, anneal: 0.5, activation: Activation::Relu };
    for (name, code, objective) in [
        ("overcomplete, no regularizer", AnyCode::from(Activation::Relu), free.clone()),
        ("sparse, L1 0.03", AnyCode::from(Activation::Relu), l1),
        ("top-k, k from 24 to 3", AnyCode::new(top_k.init(2 * ATOMS, &device)), free),
    ] {
        let model = train(code, objective, &atoms, &training)?;
        line(name, unit(model.decoder.layers[0].weight.val()))?;
    }
    Ok(())
}

/// New rows, each the sum of three atoms with weights in `[0.5, 1.5]`.
fn rows(atoms: &Tensor<2>, count: usize) -> Tensor<2> {
    let device = atoms.device();
    let draw = Tensor::<2>::random([count, ATOMS], Distribution::Uniform(0.0, 1.0), &device);
    // The units with the largest uniform draws are a random choice.
    let least = draw.clone().topk(ACTIVE, 1).min_dim(1); // [count, 1]
    let weights = Tensor::<2>::random([count, ATOMS], Distribution::Uniform(0.5, 1.5), &device);
    weights.mask_fill(draw.clone().lower(least.expand(draw.shape())), 0.0).matmul(atoms.clone())
}

fn train(
    code: AnyCode,
    objective: Objective,
    atoms: &Tensor<2>,
    device: &Device,
) -> Result<Autoencoder<Mlp, Mlp>, Error> {
    device.seed(2);
    let (config, sizes) = (MlpConfig { hidden: Vec::new(), ..MlpConfig::default() }, Sizes::new(DIMENSIONS, 2 * ATOMS));
    let (encoder, decoder) = (config.encoder(&sizes, device), config.decoder(&sizes, Activation::Identity, device));
    let model = Autoencoder::new(encoder, decoder).with_code(code);
    let samples = std::iter::repeat_with(|| Ok(Sample::from(Tensor::from_inner(rows(atoms, BATCH)))));
    custom_loop::train(model, objective, samples, STEPS, custom_loop::cosine(3e-3), |_, _| {})
        .map(|model| model.valid())
}
