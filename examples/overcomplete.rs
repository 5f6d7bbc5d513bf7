//! Expected: the plain autoencoder has the smallest reconstruction error, and each regularized one is best at what it
//! is regularized for; about 30 seconds.
//!
//! A code of 512 units for 64 pixels (for `denoising` 64 units, behind a hidden layer), with and without
//! regularization. Each variant has its defaults and is trained for 60 epochs on digits, or for the number of epochs in
//! the argument. The last row is the plain variant with tied weights, stopped when its reconstruction error is that of
//! the contractive one. It shows what a penalty does in addition to a larger error.
//!
//! The columns, on the 1,797 test images:
//!
//! - error: squared error of the reconstruction;
//! - noise: squared error to the clean image, reconstructed from one with noise N(0, 0.3) (the noise itself is 5.8);
//! - |J|^2: squared norm of the code's derivative;
//! - active, mean: active units per image, and the mean of the units;
//! - probe: accuracy of a linear classifier of the digits that reads the code.
//!
//! For comparison there are the mean image, PCA, and the pixels themselves.
//!
//! `cargo run --example overcomplete`, or `cargo run --example overcomplete -- 600`

use ae_data::{Batcher, Dataset, Rows, Scaling, open};
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
const NOISE: f64 = 0.3;

/// The plain variant with tied weights, after the first even number of epochs with a reconstruction error of at most
/// `error`.
fn stopped_at(error: f64, device: &Device) -> Result<Fitted, Error> {
    let mut config = Config::of_variant("overcomplete")?;
    config.model.network = MlpConfig::new().with_hidden([]).with_tied(true).into();
    config.training.epochs = 0;
    loop {
        config.training.epochs += 2;
        let fitted = ae_train::fit(config.clone(), device.clone())?;
        if fitted.summary.test.model.sse <= error {
            return Ok(fitted);
        }
    }
}

/// The digits, and what the codes are measured with.
struct Digits {
    train: Dataset,
    test: Dataset,
    train_labels: Vec<u32>,
    test_labels: Vec<u32>,
    device: Device,
}

impl Digits {
    fn open(device: Device) -> Result<Self, Error> {
        let digits = open("digits")?;
        let test = digits.test.ok_or_else(|| Error::Failed("the digits have no test set".into()))?;
        let labels = |rows: &Rows| (0..rows.len()).filter_map(|row| rows.label(row)).collect::<Vec<u32>>();
        let (train_labels, test_labels) = (labels(&digits.train), labels(&test));
        Ok(Self { train: Dataset::new(digits.train), test: Dataset::new(test), train_labels, test_labels, device })
    }

    /// Accuracy of a linear classifier that reads the codes of the training and test images.
    fn probe(&self, [train, test]: &[Vec<f32>; 2]) -> Result<f64, Error> {
        let width = train.len() / self.train_labels.len();
        let labelled = |values, labels| Labelled { features: Matrix { values, width }, labels };
        probe::accuracy(labelled(train, &self.train_labels), labelled(test, &self.test_labels), &self.device)
    }

    /// Prints the mean image, PCA and the pixels.
    fn print_baselines(&self, scaling: &Scaling) -> Result<(), Error> {
        let (pixels, test_pixels) = (self.train.scaled(scaling)?, self.test.scaled(scaling)?);
        let [rows, test_rows] = [&pixels, &test_pixels].map(|values| Matrix { values, width: 64 });
        for k in [0, 8, 32] {
            let pca = Pca::fit(rows, k)?;
            let noise = noise_sse(test_rows, NOISE, 1, |noisy| Ok(pca.reconstruct(noisy)))?;
            let name = if k == 0 { "the mean".to_string() } else { format!("PCA {k}") };
            let codes = [rows, test_rows].map(|rows| pca.encode(rows));
            let probe = if k == 0 { "-".to_string() } else { format!("{:.3}", self.probe(&codes)?) };
            let error = pca.errors(test_rows).sse();
            println!("{name:<18}{error:>8.3}{noise:>8.3}{:>9}{:>8}{:>8}{probe:>8}", "-", "-", "-");
        }
        let probe = self.probe(&[pixels, test_pixels])?;
        println!("{:<18}{:>8}{:>8}{:>9}{:>8}{:>8}{probe:>8.3}", "the pixels", "-", "-", "-", "-", "-");
        Ok(())
    }

    fn print(&self, name: &str, fitted: &Fitted) -> Result<(), Error> {
        let (model, scaling) = (&fitted.trained.model, &fitted.trained.schema.scaling);
        let batcher = Batcher::new(scaling.clone());
        let encode = |data: &Dataset| -> Result<Vec<f32>, Error> {
            numbers(model.encode(data.batch(0..data.indices().len(), &batcher, &self.device)?.x))
        };
        let values = self.test.scaled(scaling)?;
        let noise = noise_sse(Matrix { values: &values, width: 64 }, NOISE, 1, |noisy| {
            noisy.through(&self.device, |x| model.reconstruct(x))
        })?;
        let probe = self.probe(&[encode(&self.train)?, encode(&self.test)?])?;
        let (error, code) = (fitted.summary.test.model.sse, &fitted.summary.code);
        println!(
            "{name:<18}{error:>8.3}{noise:>8.3}{:>9.2}{:>8.1}{:>8.3}{probe:>8.3}",
            code.jacobian_norm2, code.l0, code.mean_activation
        );
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let epochs = std::env::args().nth(1).map_or(Ok(60), |epochs| epochs.parse());
    let epochs: usize = epochs.map_err(|_| Error::Usage("the argument must be a number of epochs".to_string()))?;
    let device = device::open("auto")?.device;
    let digits = Digits::open(device.clone())?;
    println!("{:<18}{:>8}{:>8}{:>9}{:>8}{:>8}{:>8}", "", "error", "noise", "|J|^2", "active", "mean", "probe");
    let mut contractive_error = 0.0;
    for (index, name) in VARIANTS.into_iter().enumerate() {
        let mut config = Config::of_variant(name)?;
        config.training.epochs = epochs;
        let fitted = ae_train::fit(config, device.clone())?;
        if index == 0 {
            // The baselines only need the scaling, which is the same for all.
            digits.print_baselines(&fitted.trained.schema.scaling)?;
        }
        if name == "contractive" {
            contractive_error = fitted.summary.test.model.sse;
        }
        digits.print(name, &fitted)?;
    }
    digits.print("tied, stopped", &stopped_at(contractive_error, &device)?)
}
