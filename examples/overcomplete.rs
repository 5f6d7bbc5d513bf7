//! Expect the plain autoencoder to copy best and every regularized one to be best at what it was regularized for; about
//! 30 seconds.
//!
//! A code of 512 units for 64 pixels (of 64 for `denoising`, behind a hidden layer), with and without regularizers,
//! each the default of its variant, trained for 60 epochs on digits, or for as many as are named. Last the plain one
//! with tied weights, stopped where it copies as badly as the contractive one: what a penalty does beyond copying less.
//! On the 1,797 test images: squared error of the copy; squared error to the clean image from one with noise N(0, 0.3)
//! (the noise itself is 5.8); squared norm of the code's derivative; units active per image and their mean; and the
//! share of digits that a linear classifier reads from the code. Beside them the mean image, PCA and the pixels
//! themselves.
//!
//! `cargo run --example overcomplete`, or `cargo run --example overcomplete -- 600`

use ae_data::{Batcher, Dataset, Rows, open};
use ae_model::network::MlpConfig;
use ae_train::{
    Config, Error, Fitted,
    baseline::{Matrix, Pca},
    device,
    evaluation::{noise_sse, numbers},
    probe::{self, Labelled},
};
use burn::tensor::Device;

const VARIANTS: [&str; 7] =
    ["overcomplete", "sparse", "sparse_kl", "k_sparse", "winner_take_all", "contractive", "denoising"];
const STOPPED: &str = "tied, stopped";
const NOISE: f64 = 0.3;

/// The plain variant with tied weights after the first even number of epochs that gives a copy error of at most `copy`.
fn stopped_at(copy: f64, device: &Device) -> Result<Fitted, Error> {
    let mut config = Config::of_variant("overcomplete")?;
    config.model.network = MlpConfig::new().with_hidden([]).with_tied(true).into();
    config.training.epochs = 0;
    loop {
        config.training.epochs += 2;
        let fitted = ae_train::fit(config.clone(), device.clone())?;
        if fitted.summary.test.model.sse <= copy {
            return Ok(fitted);
        }
    }
}

fn main() -> Result<(), Error> {
    let epochs = std::env::args().nth(1).map_or(Ok(60), |epochs| epochs.parse());
    let epochs: usize = epochs.map_err(|_| Error::Usage("the argument is a number of epochs".to_string()))?;
    let device = device::open("auto")?.device;
    let digits = open("digits")?;
    let labels = |rows: &Rows| (0..rows.len()).filter_map(|row| rows.label(row)).collect::<Vec<u32>>();
    let (train_labels, test) =
        (labels(&digits.train), digits.test.ok_or_else(|| Error::Failed("digits has a test set".into()))?);
    let test_labels = labels(&test);
    let (train, test) = (Dataset::new(digits.train), Dataset::new(test));
    let probe = |codes: &[Vec<f32>; 2]| -> Result<f64, Error> {
        let part = |codes: &'_ [f32], labels: &[u32]| codes.len() / labels.len();
        let [train, test] = codes;
        let features = |values| Matrix { values, width: part(train, &train_labels) };
        let train = Labelled { features: features(train), labels: &train_labels };
        probe::accuracy(train, Labelled { features: features(test), labels: &test_labels }, &device)
    };

    println!("{:<18}{:>8}{:>8}{:>9}{:>8}{:>8}{:>8}", "", "copy", "noise", "|J|^2", "active", "mean", "probe");
    let mut contractive_copy = 0.0;
    for (index, name) in VARIANTS.iter().copied().chain([STOPPED]).enumerate() {
        let fitted = match name {
            STOPPED => stopped_at(contractive_copy, &device)?,
            name => {
                let mut config = Config::of_variant(name)?;
                config.training.epochs = epochs;
                ae_train::fit(config, device.clone())?
            }
        };
        let batcher = Batcher::new(fitted.trained.schema.scaling.clone());
        let scaled = |data: &Dataset| data.scaled(&fitted.trained.schema.scaling);
        if index == 0 {
            // The baselines need the scaling alone, which is the same for all.
            let (pixels, test_pixels) = (scaled(&train)?, scaled(&test)?);
            let (rows, test_rows) = (Matrix { values: &pixels, width: 64 }, Matrix { values: &test_pixels, width: 64 });
            for k in [0, 8, 32] {
                let pca = Pca::fit(rows, k)?;
                let noise = noise_sse(test_rows, NOISE, 1, |noisy| Ok(pca.reconstruct(noisy)))?;
                let name = if k == 0 { "the mean".to_string() } else { format!("PCA {k}") };
                let codes = [rows, test_rows].map(|rows| pca.encode(rows));
                let probe = if k == 0 { "-".to_string() } else { format!("{:.3}", probe(&codes)?) };
                println!(
                    "{name:<18}{:>8.3}{noise:>8.3}{:>9}{:>8}{:>8}{probe:>8}",
                    pca.errors(test_rows).sse(),
                    "-",
                    "-",
                    "-"
                );
            }
            println!(
                "{:<18}{:>8}{:>8}{:>9}{:>8}{:>8}{:>8.3}",
                "the pixels",
                "-",
                "-",
                "-",
                "-",
                "-",
                probe(&[pixels, test_pixels])?
            );
        }
        let model = &fitted.trained.model;
        let encode = |data: &Dataset| -> Result<Vec<f32>, Error> {
            numbers(model.encode(data.batch(0..data.indices().len(), &batcher, &device)?.x))
        };
        let values = scaled(&test)?;
        let noise = noise_sse(Matrix { values: &values, width: 64 }, NOISE, 1, |noisy| {
            noisy.through(&device, |x| model.reconstruct(x))
        })?;
        let (copy, code) = (fitted.summary.test.model.sse, fitted.summary.code);
        if name == "contractive" {
            contractive_copy = copy;
        }
        let probe = probe(&[encode(&train)?, encode(&test)?])?;
        println!(
            "{name:<18}{copy:>8.3}{noise:>8.3}{:>9.2}{:>8.1}{:>8.3}{probe:>8.3}",
            code.jacobian_norm2, code.l0, code.mean_activation
        );
    }
    Ok(())
}
