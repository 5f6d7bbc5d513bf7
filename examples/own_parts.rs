//! Expect a validation loss near 0.42, of which 0.34 is the copy, and about three quarters of the units active; about 5 seconds.
//!
//! A code, a penalty, a corruption and a reconstruction loss that this project does not have, trained by Burn's Learner with its metrics.
//!
//! `cargo run --example own_parts`

use std::{borrow::Cow, sync::Arc};

use ae_data::{Batcher, Loader, Order, Scaling, ScalingMethod, Split, SplitConfig, open};
use ae_model::{
    Activation, Autoencoder, Code, Corrupt, Latent, Layout, Loss, Objective, Penalty,
    corruption::Change,
    network::{MlpConfig, Sizes},
    penalty::Context,
    train::Silent,
};
use ae_train::{config::TrainingConfig, metrics::Mean, trainee};
use burn::{
    module::{Module, Param},
    tensor::{Device, Distribution, Tensor, activation::sigmoid},
    train::{Learner, SupervisedTraining},
};

/// `h = z sigmoid(10 (z - t))`: units below a threshold that is learned are nearly off.
#[derive(Module, Debug)]
struct Gated {
    threshold: Param<Tensor<1>>,
}

impl Code for Gated {
    fn forward(&self, z: Tensor<2>) -> Latent {
        let gate = sigmoid((z.clone() - self.threshold.val().unsqueeze()).mul_scalar(10.0));
        (z * gate).into()
    }
}

/// `sum_j log(1 + h_j^2)`, a Student-t prior on the code.
#[derive(Debug)]
struct StudentT(f64);

impl Penalty for StudentT {
    fn name(&self) -> Cow<'static, str> {
        "student_t".into()
    }

    fn weight(&self, _progress: f64) -> f64 {
        self.0
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        context.latent.code.clone().square().log1p().sum_dim(1).squeeze_dim(1)
    }
}

/// Each image loses contrast by a factor of its own.
#[derive(Debug)]
struct Fading;

impl Corrupt for Fading {
    fn name(&self) -> Cow<'static, str> {
        "fading".into()
    }

    fn apply(&self, x: Tensor<2>, _columns: &Layout) -> Change {
        let factor = x.clone().slice([0..x.dims()[0], 0..1]).random_like(Distribution::Uniform(0.5, 1.0));
        Change { x: x * factor, replaced: None, hidden: None }
    }
}

/// `sum_i log cosh(x_i - r_i)`, half a squared error near 0 and an absolute one far away.
#[derive(Debug)]
struct LogCosh;

impl Loss for LogCosh {
    fn name(&self) -> Cow<'static, str> {
        "log_cosh".into()
    }

    fn mean(&self, output: Tensor<2>) -> Tensor<2> {
        output
    }

    fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let value = (x - output).cosh().log();
        weights.map_or(value.clone(), |weights| value * weights).sum_dim(1).squeeze_dim(1)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default();
    let training = device.clone().autodiff();
    training.seed(1);
    let split = Split::new(open("digits")?, &SplitConfig::default())?;
    let batcher = Batcher::new(Scaling::fit(ScalingMethod::Auto, &split.train)?);
    let loader = |dataset, order| Arc::new(Loader::new(dataset, batcher.clone(), 64, order, device.clone()));
    let (train, validation) =
        (loader(split.train.clone(), Order::Shuffled { seed: 1 }), loader(split.validation.clone(), Order::Sequential));

    let (network, sizes) = (MlpConfig { hidden: vec![128], ..MlpConfig::default() }, Sizes::new(64, 32));
    let model = Autoencoder::new(network.encoder(&sizes, &training), network.decoder(&sizes, Activation::Sigmoid, &training))
        .with_code(Gated { threshold: Param::from_tensor(Tensor::zeros([32], &training)) })
        .with_reconstruction(LogCosh);
    let objective = Objective::default().with_penalty(StudentT(0.02)).with_corruption(Fading);

    let config = TrainingConfig { epochs: 30, ..TrainingConfig::default() };
    let folder = tempfile::tempdir()?;
    let schedule = config.schedule(train.batches())?;
    let result = SupervisedTraining::new(folder.path(), train, validation)
        .metrics((Mean::loss("loss"), Mean::loss("student_t"), Mean::new("code_l0", |step| (step.code_l0, step.examples as f64))))
        .renderer(Box::new(Silent))
        .num_epochs(config.epochs)
        .launch(Learner::new(trainee(model, objective.clone()), config.optimizer(), schedule));

    let model = result.model.model;
    let x = split.validation.batch(0..382, &batcher, &device)?.x;
    let evaluation = objective.evaluate(&model, x);
    println!("validation loss {:.3}", evaluation.loss().into_scalar::<f32>());
    for term in &evaluation.terms {
        println!("{:<12}{:>8.3}  times {}", term.name, term.value.clone().mean().into_scalar::<f32>(), term.weight);
    }
    let active = evaluation.forward.latent.code.abs().greater_elem(0.1).float().mean().into_scalar::<f32>();
    println!("active units: {:.0} %", 100.0 * active);
    Ok(())
}
