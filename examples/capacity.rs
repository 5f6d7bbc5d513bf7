//! Expected: the widest network reproduces 50 images from one number each (train fvu below 0.05), and is worse than the
//! mean on other images (test fvu above 1); about 20 seconds.
//!
//! A code with a single unit, and networks of increasing capacity. With enough capacity the code becomes an index of
//! the training images: the decoder memorizes them, and the network is useless for other images.
//!
//! `fvu` is the fraction of variance unexplained: 0 is a perfect reconstruction, 1 is as good as the mean. For
//! comparison there are PCA with one component, an undercomplete network that cannot memorize, and the same widest
//! network trained on all 3,823 images.
//!
//! `cargo run --example capacity`

use ae_data::{Batcher, Dataset, Loader, Order, Scaling, ScalingMethod, open};
use ae_model::{
    Activation, Inputs, Model, Objective, Recipe,
    network::{MlpConfig, Network},
    recipe::Output,
};
use ae_train::{
    Error,
    baseline::{Matrix, Pca},
    device,
    evaluation::model_errors,
};
use burn::{module::Module, tensor::Device};

/// The training loop; it also has a `main` of its own.
#[path = "custom_loop.rs"]
#[allow(dead_code)]
mod custom_loop;

/// Number of images to memorize.
const FEW: usize = 50;

/// A network with a code of one unit, and how it is trained.
struct Trial {
    name: &'static str,
    network: Network,
    images: usize,
    steps: usize,
    rate: f64,
}

fn deep(width: usize) -> Network {
    Network::Mlp(MlpConfig { hidden: vec![width; 2], activation: Activation::LeakyRelu, ..MlpConfig::default() })
}

fn main() -> Result<(), Error> {
    let device = device::open("auto")?.device;
    let digits = open("digits")?;
    let test = Dataset::new(digits.test.ok_or_else(|| Error::Failed("the digits have no test set".into()))?);
    let all = Dataset::new(digits.train);
    let scaling = Scaling::fit(ScalingMethod::MinMax, &all)?;
    let test_values = test.scaled(&scaling)?;
    let test_rows = Matrix { values: &test_values, width: 64 };
    let few = all.select((0..FEW).collect());

    println!("{:<36}{:>12}{:>8}{:>12}{:>11}", "a code of one unit", "parameters", "images", "train fvu", "test fvu");
    let line = |name: &str, parameters: usize, images: usize, train: f64, test: f64| {
        println!("{name:<36}{parameters:>12}{images:>8}{train:>12.3}{test:>11.3}");
    };
    let pca = |dataset: &Dataset| -> Result<(), Error> {
        let values = dataset.scaled(&scaling)?;
        let rows = Matrix { values: &values, width: 64 };
        let pca = Pca::fit(rows, 1)?;
        line("PCA, one component", 128, dataset.indices().len(), pca.errors(rows).fvu(), pca.errors(test_rows).fvu());
        Ok(())
    };
    pca(&few)?;
    let trials = [
        Trial { name: "linear", network: linear(), images: FEW, steps: 3000, rate: 1e-2 },
        Trial { name: "64-8-8-1-8-8-64", network: deep(8), images: FEW, steps: 3000, rate: 2e-3 },
        Trial { name: "64-64-64-1-64-64-64", network: deep(64), images: FEW, steps: 3000, rate: 2e-3 },
        Trial { name: "64-512-512-1-512-512-64", network: deep(512), images: FEW, steps: 3000, rate: 3e-3 },
        Trial {
            name: "64-512-512-1-512-512-64",
            network: deep(512),
            images: all.indices().len(),
            steps: 1500,
            rate: 1e-3,
        },
    ];
    for trial in trials {
        let dataset = if trial.images == FEW { &few } else { &all };
        if trial.images != FEW {
            pca(&all)?;
        }
        let model = train(&trial, dataset, &scaling, &device)?;
        let batcher = Batcher::new(scaling.clone());
        let values = dataset.scaled(&scaling)?;
        let fvu = |dataset: &Dataset, rows: Matrix| {
            Ok::<_, Error>(model_errors(&model, dataset, &batcher, rows, &device)?.fvu())
        };
        let (train, test) = (fvu(dataset, Matrix { values: &values, width: 64 })?, fvu(&test, test_rows)?);
        line(trial.name, model.num_params(), trial.images, train, test);
    }
    Ok(())
}

/// One affine layer each way.
fn linear() -> Network {
    Network::Mlp(MlpConfig { hidden: Vec::new(), ..MlpConfig::default() })
}

/// Trains with batches of 64, Adam, and a learning rate that decreases to 0 along a cosine.
fn train(trial: &Trial, dataset: &Dataset, scaling: &Scaling, device: &Device) -> Result<Model, Error> {
    let training = device.clone().autodiff();
    training.seed(1);
    let output = if trial.network == linear() { Output::Fixed(Activation::Identity) } else { Output::Auto };
    let recipe = Recipe { code_dim: 1, network: trial.network.clone(), output, ..Recipe::default() };
    let model = recipe.init(&Inputs::unit(64), &training);
    let loader = Loader::new(dataset.clone(), Batcher::new(scaling.clone()), 64, Order::Shuffled { seed: 1 }, training);
    let (samples, rate) = (custom_loop::batches(&loader), custom_loop::cosine(trial.rate));
    let model = custom_loop::train(model, Objective::default(), samples, trial.steps, rate, |_, _| {});
    Ok(model.map_err(|error| Error::Failed(error.to_string()))?.valid())
}
