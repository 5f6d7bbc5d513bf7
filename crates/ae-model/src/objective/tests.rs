//! Validation, missing values, and targets other than the input.

use burn::tensor::{Device, Tensor};

use super::*;
use crate::{
    Inputs, Model,
    corruption::{CorruptionConfig, GaussianConfig, Masking},
    penalty::{Context, L1, Penalty},
};

fn model(device: &Device) -> Model {
    let mut recipe = (crate::Variant::find("linear").unwrap().recipe)();
    recipe.code_dim = 1;
    recipe.init(&Inputs::real(3), device)
}

#[test]
fn validation_matches_the_corruption() {
    let device = Device::default();
    let model = model(&device);
    let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]], &device);
    let validate = |corruption: CorruptionConfig| {
        Objective { corruption: corruption.init(&Inputs::real(3)), ..Objective::default() }.validate(&model, x.clone())
    };
    assert!(validate(CorruptionConfig::default()).is_none());
    // Noise: the target is clean, and every value counts.
    let noisy = validate(GaussianConfig::new(0.5).into()).unwrap();
    let errors = (noisy.forward.output.clone() - x.clone()).square().sum_dim(1).squeeze_dim::<1>(1).div_scalar(2.0);
    let near = burn::tensor::Tolerance::default();
    noisy.terms[0].value.clone().into_data().assert_approx_eq::<f32>(&errors.into_data(), near);
    // Hidden values: only they count, whether nearly all or nearly none are hidden.
    for (rate, share) in [(1.0 - 1e-12, 1.0), (1e-12, 0.0)] {
        let validation = validate(Masking { rate, rate_max: 0.0 }.into()).unwrap();
        let errors = (validation.forward.output.clone() - x.clone())
            .square()
            .sum_dim(1)
            .squeeze_dim::<1>(1)
            .mul_scalar(share / 2.0);
        validation.terms[0].value.clone().into_data().assert_approx_eq::<f32>(&errors.into_data(), near);
    }
}

#[test]
fn missing_values_reach_neither_loss_nor_gradient() {
    let device = Device::default().autodiff();
    let model = model(&device);
    // A rate at which nothing is hidden: other tests draw from the same generator.
    let corruption = CorruptionConfig::from(Masking { rate: 1e-12, rate_max: 0.0 }).init(&Inputs::real(3));
    let objective = Objective { corruption, ..Objective::default() };
    let loss = |missing: f32| {
        let x = Tensor::<2>::from_floats([[1.0, missing, 3.0]], &device);
        let observed = Tensor::<2>::from_floats([[1.0, 0.0, 1.0]], &device);
        let loss = objective.evaluate(&model, Sample::from(x).with_observed(observed)).loss();
        let gradients = loss.backward();
        let weight = model.layers()[0].clone();
        let crate::network::layers::Layer::Linear { weight, .. } = &weight[0] else { panic!("a linear layer") };
        (loss.into_scalar::<f32>(), weight.grad(&gradients).unwrap().into_data().iter::<f32>().collect::<Vec<_>>())
    };
    assert_eq!(loss(f32::NAN), loss(7.0));
    assert!(loss(f32::NAN).0.is_finite());
}

#[test]
fn a_separate_target_is_reconstructed() {
    let device = Device::default();
    let model = model(&device);
    let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0]], &device);
    let target = Tensor::<2>::from_floats([[0.0, 1.0, -1.0]], &device);
    let objective = Objective::default().with_penalty(L1 { weight: 0.0.into() });
    let evaluation = objective.evaluate(&model, Sample::from(x.clone()).with_target(target.clone()));
    let expected = (model.reconstruct(x) - target).square().sum().div_scalar(2.0);
    evaluation.loss().into_data().assert_approx_eq::<f32>(&expected.into_data(), burn::tensor::Tolerance::default());
    assert_eq!(evaluation.terms.iter().map(|term| &*term.name).collect::<Vec<_>>(), ["squared_error", "l1"]);
}

/// A penalty that is the derivative of the code along a direction of ones, or -1 where it is not given one.
#[derive(Debug)]
struct Along;

impl Penalty for Along {
    fn weight(&self, _: f64) -> f64 {
        1.0
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        let code = &context.latent.code;
        context.tangent.clone().unwrap_or_else(|| code.ones_like().neg()).sum_dim(1).squeeze_dim(1)
    }

    fn direction(&self, _: &crate::Parts, input: &Tensor<2>) -> Option<Tensor<2>> {
        Some(input.ones_like())
    }
}

/// The derivative that comes with the code is that of the code: for layers in kernels and without, for a code whose
/// threshold moves with each batch, and never where training changes the encoder.
#[test]
fn the_derivative_that_comes_with_the_code_is_that_of_the_code() {
    use crate::{Activation, code::BatchTopKConfig, network::MlpConfig};
    let device = Device::default().autodiff();
    let rows: Vec<f32> = (0..60).map(|i| ((i * 7919) % 64) as f32 / 32.0 - 1.0).collect();
    let x = Tensor::<1>::from_floats(rows.as_slice(), &device).reshape([12, 5]);
    let mlp = |activation, dropout| MlpConfig { hidden: vec![7], activation, dropout, ..MlpConfig::default() };
    let recipe = |activation, dropout| crate::Recipe {
        code_dim: 6,
        network: mlp(activation, dropout).into(),
        ..crate::Recipe::default()
    };
    let moving = crate::Recipe { code: BatchTopKConfig::new(2.0).into(), ..recipe(Activation::Tanh, 0.0) };
    for recipe in [recipe(Activation::Tanh, 0.0), recipe(Activation::Gelu, 0.0), moving] {
        let model = recipe.init(&Inputs::real(5), &device);
        let evaluation = Objective::default().with_penalty(Along).evaluate(&model, x.clone());
        let found = evaluation.terms.last().unwrap().value.clone();
        // Both after the batch.
        let expected = model.encode_jvp(x.clone(), x.ones_like(), None).1.sum_dim(1).squeeze_dim::<1>(1);
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), burn::tensor::Tolerance::default());
    }
    let model = recipe(Activation::Tanh, 0.5).init(&Inputs::real(5), &device);
    let evaluation = Objective::default().with_penalty(Along).evaluate(&model, x);
    evaluation.terms.last().unwrap().value.clone().into_data().assert_eq(&[-6.0f32; 12].into(), true);
}
