//! Expect a loss near 0.31 nats after 15 epochs, in about 3 seconds.
//!
//! No Learner: the loop is yours, `Objective` gives the loss and its terms, Burn the gradients and the optimizer.
//!
//! `cargo run --example custom_loop`

use ae_data::{Batcher, Loader, Order, Scaling, ScalingMethod, Split, SplitConfig, open};
use ae_kernels::Adam;
use ae_model::{Inputs, Objective, Variant};
use burn::{
    data::dataloader::DataLoader,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::Device,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(1);
    let split = Split::new(open("digits")?, &SplitConfig::default())?;
    let scaling = Scaling::fit(ScalingMethod::Auto, &split.train)?;
    let loader = Loader::new(split.train, Batcher::new(scaling), 64, Order::Shuffled { seed: 1 }, device.clone());

    let recipe = (Variant::find("undercomplete").ok_or("a variant of this name")?.recipe)();
    let mut model = recipe.init(&Inputs::unit(64), &device);
    let objective = Objective::default();
    let mut optimizer = ModuleOptimizer::from(Adam::default());
    for epoch in 1..=15 {
        let mut sum = 0.0;
        for batch in loader.iter() {
            let batch = batch?;
            let loss = objective.evaluate(&model, batch.x, batch.observed).loss();
            sum += loss.clone().into_scalar::<f32>();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-3, model, gradients);
        }
        println!("epoch {epoch:>2}: loss {:.4} nats per example", sum / loader.batches() as f32);
    }
    Ok(())
}
