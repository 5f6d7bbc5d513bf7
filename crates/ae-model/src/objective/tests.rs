//! Validation, missing values, and targets other than the input.

use burn::tensor::{Device, Tensor};

use super::*;
use crate::{
    Inputs, Model,
    corruption::{CorruptionConfig, GaussianConfig, Masking},
    penalty::L1,
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
