//! Stochastic codes against exact results: a linear one is probabilistic PCA (Tipping and Bishop 1999).

use ae_data::{Batcher, Dataset, Scaling, ScalingMethod};
use ae_model::{
    Activation, Inputs, Model, Recipe,
    code::GaussianConfig,
    likelihood::bound,
    network::{MlpConfig, Network},
    recipe::Output,
    variance::{Named, VarianceConfig},
};
use ae_train::config::TrainingConfig;
use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};

/// The training rows of the digits, with pixels in `[0, 1]`.
fn digits(device: &Device) -> Tensor<2> {
    let dataset = Dataset::new(ae_data::open("digits").unwrap().train);
    let scaling = Scaling::fit(ScalingMethod::MinMax, &dataset).unwrap();
    let rows = dataset.indices().len();
    dataset.batch(0..rows, &Batcher::new(scaling), device).unwrap().x
}

/// A linear network with a Gaussian code of 10 units, trained on `x`.
fn trained(x: &Tensor<2>, variance: VarianceConfig, epochs: usize) -> Model {
    let recipe = Recipe {
        output: Output::Fixed(Activation::Identity),
        network: Network::Mlp(MlpConfig { hidden: Vec::new(), ..MlpConfig::default() }),
        code: GaussianConfig { beta: 1.0.into(), ..GaussianConfig::default() }.into(),
        variance,
        ..Recipe::default()
    };
    let (inputs, device) = (Inputs::real(x.dims()[1]), x.device());
    device.seed(1);
    let (mut model, mut objective) = (recipe.init(&inputs, &device), recipe.objective(&inputs));
    let mut optimizer = TrainingConfig::default().optimizer();
    let (rows, batch) = (x.dims()[0], 256);
    let steps = epochs * rows.div_ceil(batch);
    for step in 0..steps {
        // The stride and the number of rows have no common divisor, so that all rows are visited equally often.
        let picked: Vec<i64> = (0..batch).map(|place| ((step * batch + place) * 1009 % rows) as i64).collect();
        let picked = Tensor::<1, Int>::from_data(picked.as_slice(), &device);
        let progress = step as f64 / steps as f64;
        let rate = 5e-3 * (1.0 + (std::f64::consts::PI * progress).cos());
        (model, _) = objective.step(model, &mut optimizer, rate, x.clone().select(0, picked), progress);
    }
    model
}

/// The mean of `log p(x)` over the rows, and the number of active units as defined by Burda et al. (2016): those whose
/// mean varies over the rows.
fn figures(model: Model, x: &Tensor<2>) -> (f64, usize) {
    let model = model.valid();
    let likelihood = bound(model.log_weights(x.clone(), 50).unwrap()).mean().into_scalar::<f64>();
    let spread: Vec<f32> = model.encode(x.clone()).var(0).into_data().iter().collect();
    (likelihood, spread.iter().filter(|variance| **variance > 0.01).count())
}

/// In closed form for the digits with 10 components: the mean log-likelihood of a training row in nats, and the
/// standard deviation.
const EXACT: (f64, f64) = (17.65586, 0.15005);

#[test]
fn a_linear_gaussian_code_reaches_probabilistic_pca() {
    let x = digits(&Device::default().autodiff());
    let model = trained(&x, VarianceConfig::Named(Named::Learned), 300);
    let (likelihood, active) = figures(model.clone(), &x.without_autodiff());
    assert!(likelihood > EXACT.0 - 0.05 && likelihood <= EXACT.0, "log p(x) {likelihood}");
    assert_eq!(active, 10);
    let sigma = model.variance.as_ref().unwrap().values().sqrt().into_scalar::<f64>();
    println!("log p(x) {likelihood:.3} (exact {}), standard deviation {sigma:.4} (exact {})", EXACT.0, EXACT.1);
    assert!((sigma / EXACT.1 - 1.0).abs() < 0.01, "sigma {sigma}");
}

#[test]
fn with_unit_variance_no_unit_is_active() {
    let x = digits(&Device::default().autodiff());
    let model = trained(&x, VarianceConfig::Fixed(1.0), 100);
    let (likelihood, active) = figures(model.clone(), &x.without_autodiff());
    assert_eq!(active, 0, "the largest eigenvalue of the digits' covariance is 0.70");
    assert!((likelihood + 61.16367).abs() < 0.01, "log p(x) {likelihood}");
}
