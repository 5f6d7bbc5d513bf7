//! Expect a loss near 0.31 nats after 15 epochs, in about 3 seconds.
//!
//! No Learner: the loop is yours, and `Objective::step` is a step of it: loss, gradients, optimizer, and what the variant asks for after each step.
//!
//! `cargo run --example custom_loop`

use ae_data::{Batcher, Loader, Order, Scaling, ScalingMethod, Split, SplitConfig, open};
use ae_kernels::Adam;
use ae_model::{Inputs, Sample, Variant};
use burn::{data::dataloader::DataLoader, optim::ModuleOptimizer, tensor::Device};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(1);
    let split = Split::new(open("digits")?, &SplitConfig::default())?;
    let scaling = Scaling::fit(ScalingMethod::Auto, &split.train)?;
    let loader = Loader::new(split.train, Batcher::new(scaling), 64, Order::Shuffled { seed: 1 }, device.clone());

    let recipe = (Variant::find("undercomplete").ok_or("a variant of this name")?.recipe)();
    let mut model = recipe.init(&Inputs::unit(64), &device);
    let mut objective = recipe.objective(&Inputs::unit(64));
    let mut optimizer = ModuleOptimizer::from(Adam::default());
    let (epochs, mut step) = (15, 0);
    for epoch in 1..=epochs {
        let mut sum = 0.0;
        for batch in loader.iter() {
            let batch = batch?;
            let sample = Sample::from(batch.x).with_observed(batch.observed);
            let progress = step as f64 / (epochs * loader.batches()) as f64;
            let (trained, evaluation) = objective.step(model, &mut optimizer, 1e-3, sample, progress);
            (model, step) = (trained, step + 1);
            sum += evaluation.loss().into_scalar::<f32>();
        }
        println!("epoch {epoch:>2}: loss {:.4} nats per example", sum / loader.batches() as f32);
    }
    Ok(())
}
