//! What every variant keeps, run over the list of variants.

use ae_data::{Batcher, Dataset, Scaling, ScalingMethod};
use ae_model::{Objective, VARIANTS, Variant};
use ae_train::Config;
use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{Device, Tensor},
};

/// Some digits, scaled, on a training device.
fn digits() -> Tensor<2> {
    let dataset = Dataset::new(ae_data::open("digits").unwrap().train);
    let scaling = Scaling::fit(ScalingMethod::MinMax, &dataset);
    dataset.batch(0..64, &Batcher::new(scaling), &Device::default().autodiff()).x
}

fn each(check: impl Fn(&Variant, &Config)) {
    for variant in VARIANTS {
        check(variant, &Config::of_variant(variant.name).unwrap());
    }
}

#[test]
fn shapes_and_forward_is_decode_of_encode() {
    let x = digits();
    each(|variant, config| {
        let model = config.model.init(64, true, &Device::default().autodiff()).valid();
        let x = x.clone().without_autodiff();
        let code = model.encode(x.clone());
        assert_eq!(code.dims(), [64, config.model.code_dim], "{}", variant.name);
        let forward = model.forward(x.clone());
        forward.code.into_data().assert_eq(&code.clone().into_data(), true);
        model.reconstruction.mean(forward.output).into_data().assert_eq(&model.decode(code).into_data(), true);
        assert_eq!(model.reconstruct(x).dims(), [64, 64], "{}", variant.name);
    });
}

#[test]
fn a_configuration_round_trips_through_toml() {
    each(|variant, config| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, config.to_toml()).unwrap();
        assert_eq!(&Config::load(&path).unwrap(), config, "{}", variant.name);
    });
}

#[test]
fn a_record_round_trips() {
    let x = digits().without_autodiff();
    each(|_, config| {
        let device = Device::default();
        let model = config.model.init(64, true, &device);
        let bytes = model.clone().into_record().into_bytes().unwrap();
        let other = config.model.init(64, true, &device).load_record(burn::store::ModuleRecord::from_bytes(bytes).unwrap());
        other.reconstruct(x.clone()).into_data().assert_eq(&model.reconstruct(x.clone()).into_data(), true);
    });
}

#[test]
fn one_step_lowers_the_loss() {
    let x = digits();
    each(|variant, config| {
        let model = config.model.init(64, true, &Device::default().autodiff());
        let objective = Objective::default();
        let before = objective.evaluate(&model, x.clone(), None).loss();
        let gradients = GradientsParams::from_grads(before.backward(), &model);
        let model = config.training.optimizer().step(config.training.learning_rate / 10.0, model, gradients);
        let (before, after) = (before.into_scalar::<f32>(), objective.evaluate(&model, x.clone(), None).loss().into_scalar::<f32>());
        assert!(after < before, "{}: {before} -> {after}", variant.name);
    });
}
