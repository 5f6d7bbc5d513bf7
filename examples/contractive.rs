//! Expected: the squared norm of the contractive code's derivative is about 24 times smaller than the plain one's, and
//! concentrated in fewer directions; about 20 seconds.
//!
//! The derivative of the code with respect to the image, on test digits: its squared norm and its singular values,
//! averaged over 200 images. The first singular value is how far the code moves for a unit step of the image in the
//! direction that moves it most; the second one is for the direction that moves it second most, and so on. For
//! comparison there is PCA with 32 components, whose derivative is 1 along each.
//!
//! `cargo run --example contractive`

use ae_data::{Batcher, Dataset, open};
use ae_model::{Jacobian, penalty::ContractiveHessian};
use ae_train::{
    Config, Error,
    baseline::{Matrix, Pca},
    device,
    evaluation::numbers,
};
use faer::MatRef;

/// Number of images that the spectrum is averaged over.
const IMAGES: usize = 200;
/// Indices of the singular values that are printed.
const SHOWN: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

fn main() -> Result<(), Error> {
    let device = device::open("auto")?.device;
    let digits = open("digits")?;
    let test = Dataset::new(digits.test.ok_or_else(|| Error::Failed("the digits have no test set".into()))?);
    println!("{:<24}{:>8}{:>9}   singular value number", "", "error", "|J|^2");
    println!("{:<24}{:>8}{:>9}{}", "", "", "", SHOWN.map(|number| format!("{number:>8}")).concat());
    for name in ["overcomplete", "denoising", "contractive", "contractive + hessian"] {
        let mut config = Config::of_variant(name.split(' ').next().unwrap_or(name))?;
        config.training.epochs = 60;
        if name.contains("hessian") {
            config.model.penalty = config
                .model
                .penalty
                .clone()
                .with(ContractiveHessian { weight: 100.0.into(), ..ContractiveHessian::default() });
        }
        let fitted = ae_train::fit(config, device.clone())?;
        if name == "overcomplete" {
            // The derivative of a projection on 32 orthogonal directions is 1 along each of them and 0 along the
            // others.
            let scaling = &fitted.trained.schema.scaling;
            let (train, test) = (Dataset::new(digits.train.clone()).scaled(scaling)?, test.scaled(scaling)?);
            let [train, test] = [&train, &test].map(|values| Matrix { values, width: 64 });
            let shown = SHOWN.map(|number| format!("{:>8.3}", if number <= 32 { 1.0 } else { 0.0 })).concat();
            println!("{:<24}{:>8.3}{:>9.2}{shown}", "PCA 32", Pca::fit(train, 32)?.errors(test).sse(), 32.0);
        }
        let x = test.batch(0..IMAGES, &Batcher::new(fitted.trained.schema.scaling.clone()), &device)?.x;
        let matrices = Jacobian::matrix(&fitted.trained.model.parts(), x, None);
        let [_, inputs, units] = matrices.dims();
        let mut spectrum = vec![0.0; inputs.min(units)];
        for matrix in numbers(matrices)?.chunks_exact(inputs * units) {
            let matrix: Vec<f64> = matrix.iter().map(|&value| f64::from(value)).collect();
            let values = MatRef::from_row_major_slice(&matrix, inputs, units).singular_values();
            let values = values.map_err(|error| Error::Failed(format!("no singular values: {error:?}")))?;
            spectrum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / IMAGES as f64);
        }
        let shown = SHOWN.map(|number| format!("{:>8.3}", spectrum[number - 1])).concat();
        println!("{name:<24}{:>8.3}{:>9.2}{shown}", fitted.summary.test.model.sse, fitted.summary.code.jacobian_norm2);
    }
    Ok(())
}
