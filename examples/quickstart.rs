//! Expected: a test error of about half of PCA's (sse about 0.65 and 1.289) after about 5 seconds of training.
//!
//! The whole workflow: open data, train with Burn's Learner, load the saved model, encode and reconstruct.
//!
//! `cargo run --example quickstart`

use std::sync::Arc;

use ae_data::{Batcher, Dataset, open};
use ae_train::{Config, Outcome, Run, device, reporter::Lines};
use burn::train::Interrupter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What to train: a variant's defaults, with one change.
    let mut config = Config::of_variant("undercomplete")?;
    config.training.epochs = 40;

    // Train. The run folder holds everything that is needed later.
    let folder = tempfile::tempdir()?;
    let device = device::open("auto")?;
    let run = Run::create(config, Some(&folder.path().join("run")))?;
    let Outcome::Finished(summary) =
        run.train(device.device.clone(), &device.name, Arc::new(Lines), Interrupter::new())?
    else {
        return Err("the training was interrupted".into());
    };
    println!(
        "test sse {:.3}; PCA of the same width {:.3}; the mean {:.3}",
        summary.test.model.sse, summary.test.pca.sse, summary.test.mean.sse
    );

    // Use it: the scaling that was fitted to the training rows is saved with the run.
    let model = run.model(device.device.clone())?;
    let digits = Dataset::new(open("digits")?.test.ok_or("the digits have no test set")?);
    let schema = run.folder.schema()?;
    let batch = digits.batch(0..1, &Batcher::new(schema.scaling.clone()), &device.device)?;
    let code = model.encode(batch.x.clone());
    println!("code of the first test digit: {:.2?}", code.into_data().iter::<f32>().collect::<Vec<_>>());
    let reconstruction: Vec<f32> = model.reconstruct(batch.x).into_data().iter::<f32>().collect();
    let reconstruction = schema.scaling.invert(&reconstruction, schema.d_input);
    let shade = |value: f64| [" ", ".", "+", "#"][(value / 16.0 * 3.99).clamp(0.0, 3.0) as usize];
    let original = digits.rows().row(0)?;
    println!("the digit and its reconstruction:");
    for (left, right) in original.chunks(8).zip(reconstruction.chunks(8)) {
        let line = |pixels: &[f64]| pixels.iter().map(|&value| shade(value).repeat(2)).collect::<String>();
        println!("  {}    {}", line(left), line(right));
    }
    Ok(())
}
