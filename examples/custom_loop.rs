//! Expected: a loss near 0.30 nats after 15 epochs, in about 3 seconds.
//!
//! A training loop of your own, without Burn's Learner. `Objective::step` is one step of it: loss, gradients,
//! optimizer, and what the variant does after each step.
//!
//! `cargo run --example custom_loop`

use ae_data::{Batch, Batcher, Loader, Order, Scaling, ScalingMethod, Split, SplitConfig, open};
use ae_kernels::Adam;
use ae_model::{Autoencoder, Evaluation, Inputs, ModuleCode, ModuleDecoder, ModuleEncoder, Objective, Sample, Variant};
use burn::{
    data::{dataloader::DataLoader, dataset::DatasetError},
    optim::ModuleOptimizer,
    tensor::Device,
};

/// Trains `model` with a step of Adam for each of `steps` samples. `rate` maps the fraction of the training that is
/// done to a learning rate, and `report` is called after each step.
pub fn train<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode, X>(
    mut model: Autoencoder<E, D, C>,
    mut objective: Objective,
    samples: impl Iterator<Item = Result<Sample, X>>,
    steps: usize,
    rate: impl Fn(f64) -> f64,
    mut report: impl FnMut(usize, &Evaluation),
) -> Result<Autoencoder<E, D, C>, X> {
    let mut optimizer = ModuleOptimizer::from(Adam::default());
    for (step, sample) in samples.take(steps).enumerate() {
        let progress = step as f64 / steps as f64;
        let (trained, evaluation) = objective.step(model, &mut optimizer, rate(progress), sample?, progress);
        model = trained;
        report(step, &evaluation);
    }
    Ok(model)
}

/// A learning rate that decreases from `rate` to 0 along a cosine.
pub fn cosine(rate: f64) -> impl Fn(f64) -> f64 {
    move |progress| (0.5 * rate * (1.0 + (std::f64::consts::PI * progress).cos())).max(1e-9)
}

/// The batches of a loader, epoch after epoch, without end.
pub fn batches(loader: &Loader) -> impl Iterator<Item = Result<Sample, DatasetError>> {
    let sample = |batch: Batch| Sample::from(batch.x).with_observed(batch.observed).with_seed(batch.seed);
    (0..).flat_map(|_| loader.iter()).map(move |batch| batch.map(sample))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(1);
    let split = Split::new(open("digits")?, &SplitConfig::default())?;
    let scaling = Scaling::fit(ScalingMethod::Auto, &split.train)?;
    let loader = Loader::new(split.train, Batcher::new(scaling), 64, Order::Shuffled { seed: 1 }, device.clone());

    let recipe = (Variant::find("undercomplete").ok_or("there is no such variant")?.recipe)();
    let (model, objective) = (recipe.init(&Inputs::unit(64), &device), recipe.objective(&Inputs::unit(64)));
    let (epochs, batches_each) = (15, loader.batches());
    let mut sum = 0.0;
    train(
        model,
        objective,
        batches(&loader),
        epochs * batches_each,
        |_| 1e-3,
        |step, evaluation| {
            sum += evaluation.loss().into_scalar::<f32>();
            if (step + 1) % batches_each == 0 {
                println!(
                    "epoch {:>2}: loss {:.4} nats per example",
                    (step + 1) / batches_each,
                    std::mem::take(&mut sum) / batches_each as f32
                );
            }
        },
    )?;
    Ok(())
}
