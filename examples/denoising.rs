//! Expected: a denoising autoencoder reduces noise of 5.8 to 1.2 or less, a plain one to about 1.7, PCA to 1.5; about
//! 15 seconds.
//!
//! Reconstructions of digits with noise N(0, s) for several s: squared error to the clean image, on the test images.
//! For comparison there is PCA, with the best number of components for each s.
//!
//! `cargo run --example denoising`

use ae_data::{Dataset, open};
use ae_train::{
    Config, Error,
    baseline::{Matrix, Pca},
    device,
    evaluation::noise_sse,
};

const NOISE: [f64; 5] = [0.0, 0.1, 0.2, 0.3, 0.5];

fn main() -> Result<(), Error> {
    let device = device::open("auto")?.device;
    let digits = open("digits")?;
    let test = Dataset::new(digits.test.ok_or_else(|| Error::Failed("the digits have no test set".into()))?);
    let train = Dataset::new(digits.train);
    println!("{:<34}{}", "noise", NOISE.map(|noise| format!("{noise:>8}")).concat());
    for (index, name) in ["overcomplete", "denoising"].iter().enumerate() {
        let mut config = Config::of_variant(name)?;
        config.training.epochs = 60;
        let fitted = ae_train::fit(config, device.clone())?;
        let (train, test) =
            (train.scaled(&fitted.trained.schema.scaling)?, test.scaled(&fitted.trained.schema.scaling)?);
        let (train, test) = (Matrix { values: &train, width: 64 }, Matrix { values: &test, width: 64 });
        let row = |label: &str, sse: &dyn Fn(f64) -> Result<f64, Error>| -> Result<(), Error> {
            let cells =
                NOISE.iter().map(|&noise| Ok(format!("{:>8.3}", sse(noise)?))).collect::<Result<Vec<_>, Error>>()?;
            println!("{label:<34}{}", cells.concat());
            Ok(())
        };
        if index == 0 {
            row("the noisy image", &|noise| noise_sse(test, noise, 1, |noisy| Ok(noisy.values.to_vec())))?;
            let components = [4, 8, 12, 16, 24, 32, 48, 64]
                .into_iter()
                .map(|k| Pca::fit(train, k))
                .collect::<Result<Vec<_>, _>>()?;
            row("PCA, best number of components", &|noise| {
                let errors = components.iter().map(|pca| noise_sse(test, noise, 1, |noisy| Ok(pca.reconstruct(noisy))));
                Ok(errors.collect::<Result<Vec<_>, Error>>()?.into_iter().fold(f64::INFINITY, f64::min))
            })?;
        }
        let model = &fitted.trained.model;
        row(name, &|noise| noise_sse(test, noise, 1, |noisy| noisy.through(&device, |x| model.reconstruct(x))))?;
    }
    Ok(())
}
