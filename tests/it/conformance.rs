//! Properties that all variants, codes and networks have.

use ae_data::{Batcher, Dataset, Loader, Order, Scaling, ScalingMethod};
use ae_model::{
    Inputs, Model, Recipe, Registry, Sample, VARIANTS, Variant,
    code::CodeConfig,
    corruption::{GaussianConfig, Masking, SaltAndPepper},
    network::{ConvConfig, MlpConfig, Network, NormKind, layers::Layer},
    penalty::{Contractive, ContractiveHessian, L1},
};
use ae_train::{Config, Which, config::Layers};
use burn::{
    data::dataloader::DataLoader,
    module::{Module, ModuleMapper, Param},
    optim::GradientsParams,
    tensor::{DType, Device, Tensor, TensorData},
};

/// Some digits, scaled, on a training device.
fn digits() -> Tensor<2> {
    let dataset = Dataset::new(ae_data::open("digits").unwrap().train);
    let scaling = Scaling::fit(ScalingMethod::MinMax, &dataset).unwrap();
    dataset.batch(0..64, &Batcher::new(scaling), &Device::default().autodiff()).unwrap().x
}

/// 8x8 images in `[0, 1]`.
fn inputs() -> Inputs {
    Inputs::unit(64).with_image([1, 8, 8])
}

fn model(config: &Config, device: &Device) -> Model {
    config.model.init(&inputs(), device)
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
        let model = model(config, &Device::default().autodiff()).valid();
        let x = x.clone().without_autodiff();
        let code = model.encode(x.clone());
        assert_eq!(code.dims(), [64, config.model.code_dim], "{}", variant.name);
        let forward = model.forward(x.clone(), None);
        forward.latent.code.into_data().assert_eq(&code.clone().into_data(), true);
        let output = model.reconstruction.mean(forward.output);
        // A decoder that reads the input as well has no reconstruction for a code alone.
        if !model.parts().decoder.reads_input() {
            output.into_data().assert_eq(&model.decode(code).into_data(), true);
        }
        assert_eq!(model.reconstruct(x).dims(), [64, 64], "{}", variant.name);
    });
}

#[test]
fn a_configuration_round_trips_through_toml() {
    each(|variant, config| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, config.to_toml()).unwrap();
        assert_eq!(&Config::load(&path, &Registry::default()).unwrap(), config, "{}", variant.name);
    });
}

#[test]
fn a_record_round_trips() {
    let x = digits().without_autodiff();
    each(|_, config| {
        let device = Device::default();
        let (original, other) = (model(config, &device), model(config, &device));
        let bytes = original.clone().into_record().into_bytes().unwrap();
        let other = other.load_record(burn::store::ModuleRecord::from_bytes(bytes).unwrap());
        other.reconstruct(x.clone()).into_data().assert_eq(&original.reconstruct(x.clone()).into_data(), true);
    });
}

#[test]
fn one_step_lowers_the_loss() {
    let x = digits();
    each(|variant, config| {
        let model = model(config, &Device::default().autodiff());
        // The loss without training behavior, before and after: with noise, two different samples would be compared.
        let objective = config.model.objective(&inputs());
        let loss = |model: &Model| {
            objective.evaluate(&model.valid(), x.clone().without_autodiff()).loss().into_scalar::<f32>()
        };
        let before = loss(&model);
        let training = objective.evaluate(&model, x.clone());
        let gradients = GradientsParams::from_grads(training.loss().backward(), &model);
        let stepped = config.training.optimizer().step(config.training.learning_rate / 10.0, model, gradients);
        let after = loss(&stepped);
        assert!(after < before, "{}: {before} -> {after}", variant.name);
    });
}

#[test]
fn every_variant_combines_with_every_penalty_and_corruption_and_with_a_convolutional_network() {
    let x = digits();
    each(|variant, config| {
        for network in [
            config.model.network.clone(),
            Network::Conv(ConvConfig { norm: NormKind::Batch, dropout: 0.1, ..ConvConfig::default() }),
        ] {
            let mut recipe = config.model.clone();
            recipe.network = network;
            if recipe.penalty.needing_atoms().is_some() && !recipe.network.has_atoms() {
                assert_eq!(recipe.check().unwrap_err().field, "network.kind");
                recipe.penalty = Default::default();
            }
            recipe.corruption = recipe.corruption.clone().with(GaussianConfig::default());
            recipe.corruption = recipe.corruption.clone().with(Masking::default());
            recipe.penalty = recipe.penalty.clone().with(L1::default());
            recipe.penalty = recipe.penalty.clone().with(Contractive::default());
            recipe.penalty = recipe.penalty.clone().with(ContractiveHessian::default());
            recipe.check().unwrap();
            let inputs = if recipe.network.is_dictionary() { variant.inputs(inputs()) } else { inputs() };
            recipe.check_inputs(&inputs).unwrap();
            let model = recipe.init(&inputs, &Device::default().autodiff());
            let objective = recipe.objective(&inputs);
            let evaluation = objective.evaluate(&model, x.clone());
            assert_eq!(
                evaluation.terms.iter().map(|term| term.name.clone()).collect::<Vec<_>>(),
                objective.terms(&model),
                "{}",
                variant.name
            );
            let gradients = GradientsParams::from_grads(evaluation.loss().backward(), &model);
            let stepped = config.training.optimizer().step(1e-3, model, gradients);
            let evaluation = objective.evaluate(&stepped.valid(), x.clone().without_autodiff());
            for term in &evaluation.terms {
                let value = term.value.clone().mean().into_scalar::<f32>();
                assert!(value.is_finite() && value >= 0.0, "{} {}: {value}", variant.name, term.name);
            }
            let norm = evaluation.terms.iter().find(|term| term.name == "contractive").unwrap().value.clone();
            // The threshold of a code that is calibrated after training may be above everything after one step.
            assert!(
                norm.mean().into_scalar::<f32>() > 0.0 || recipe.reads_rows(),
                "{}: the derivative is measured without autodiff too",
                variant.name
            );
        }
    });
}

/// Whether a trained model can evade its penalty by scaling: an objective without a minimum decreases forever while the
/// encoder shrinks and the decoder grows. Returns the change of the loss when the encoder is scaled by `by`.
fn scaled_away(recipe: &Recipe, by: f32) -> f32 {
    let x = digits();
    let device = Device::default().autodiff();
    device.seed(1);
    let (mut model, mut objective) = (recipe.init(&inputs(), &device), recipe.objective(&inputs()));
    let mut optimizer = ae_train::config::TrainingConfig::default().optimizer();
    for _ in 0..1000 {
        (model, _) = objective.step(model, &mut optimizer, 5e-3, x.clone(), 0.0);
    }
    let (model, x) = (model.valid(), x.without_autodiff());
    let loss = |model: &Model| objective.evaluate(model, x.clone()).loss().into_scalar::<f32>();
    let offset = |model: &Model| {
        let latent = model.parts().encode(x.clone(), None);
        model.parts().decode(&latent).mean_dim(0).squeeze_dim::<1>(0)
    };
    let before = offset(&model);
    let scale = |model: Model, shift: Option<Tensor<1>>| {
        let last = [0, 1].map(|side| model.layers()[side].len() - 1);
        let mut seen = [0; 2];
        model.map_layers(|is_decoder, layer| {
            let (place, factor) = (seen[usize::from(is_decoder)], if is_decoder { 1.0 / by } else { by });
            seen[usize::from(is_decoder)] += 1;
            match (layer, &shift) {
                // The mean output stays the same: if a unit's center is not 0, the bias compensates for the difference.
                (Layer::Linear { weight, bias }, Some(shift)) if is_decoder && place == last[1] => {
                    Layer::Linear { weight, bias: bias + shift.clone() }
                }
                (Layer::Linear { weight, bias }, None) if is_decoder => {
                    Layer::Linear { weight: weight.mul_scalar(factor), bias }
                }
                (Layer::Linear { weight, bias }, None) => {
                    Layer::Linear { weight: weight.mul_scalar(factor), bias: bias.mul_scalar(factor) }
                }
                (layer, _) => layer,
            }
        })
    };
    let scaled = objective.clone().after_step(scale(model.clone(), None), 1.0);
    let shift = before - offset(&scaled);
    loss(&scale(scaled, Some(shift))) - loss(&model)
}

#[test]
fn no_penalty_can_be_evaded_by_scaling() {
    let linear_output = |mut recipe: Recipe| {
        recipe.output = ae_model::recipe::Output::Fixed(ae_model::Activation::Identity);
        recipe
    };
    for variant in VARIANTS.iter().filter(|variant| !(variant.recipe)().penalty.is_empty()) {
        let recipe = linear_output((variant.recipe)());
        for by in [0.5, 0.9] {
            let change = scaled_away(&recipe, by);
            if recipe.network.is_dictionary() {
                assert!(change.abs() < 1e-4, "{}: a dictionary's loss does not depend on the scale", variant.name);
                continue;
            }
            assert!(change > 0.0, "{}: the loss falls by {} when the encoder shrinks to {by}", variant.name, -change);
        }
    }
    // Without tied weights the loss decreases: the test can fail.
    let mut free = linear_output((Variant::find("contractive").unwrap().recipe)());
    free.network = Network::Mlp(MlpConfig { hidden: Vec::new(), ..MlpConfig::default() });
    assert!(scaled_away(&free, 0.9) < 0.0, "without tied weights the contractive objective has no minimum");
}

/// All codes, on a small network with all penalties and corruptions that are compatible with them.
fn of_every_code(check: impl Fn(&str, &Recipe)) {
    for code in CodeConfig::all(Registry::default().codes()) {
        let mut recipe = Recipe { code_dim: 40, code, ..Recipe::default() };
        recipe.network =
            Network::Mlp(MlpConfig { hidden: vec![48], norm: NormKind::Batch, dropout: 0.1, ..MlpConfig::default() });
        recipe.corruption = recipe.corruption.clone().with(GaussianConfig::default());
        recipe.corruption = recipe.corruption.clone().with(SaltAndPepper::default());
        recipe.corruption = recipe.corruption.clone().with(Masking::default());
        recipe.penalty = recipe.penalty.clone().with(L1::default());
        recipe.penalty = recipe.penalty.clone().with(Contractive::default());
        recipe.check().unwrap();
        check(recipe.code.name(), &recipe);
    }
}

#[test]
fn every_code_trains_on_a_single_row() {
    let x = digits().slice(0..1);
    of_every_code(|name, recipe| {
        let mut recipe = recipe.clone();
        // A batch of one row has no variance.
        recipe.network = Network::Mlp(MlpConfig { hidden: vec![48], ..MlpConfig::default() });
        let model = recipe.init(&inputs(), &Device::default().autodiff());
        let mut objective = recipe.objective(&inputs());
        let mut optimizer = ae_train::config::TrainingConfig::default().optimizer();
        let (model, evaluation) = objective.step(model, &mut optimizer, 1e-3, x.clone(), 0.5);
        assert!(evaluation.loss().into_scalar::<f32>().is_finite(), "{name}");
        let after = objective.evaluate(&model.valid(), x.clone().without_autodiff());
        assert!(after.loss().into_scalar::<f32>().is_finite(), "{name}: after a step");
    });
}

#[test]
fn a_frozen_model_does_not_change() {
    let x = digits();
    of_every_code(|name, recipe| {
        let model = recipe.init(&inputs(), &Device::default().autodiff()).freeze();
        let bytes = |model: &Model| model.clone().into_record().into_bytes().unwrap();
        let before = bytes(&model);
        let once = model.reconstruct(x.clone()).into_data();
        model.reconstruct(x.clone()).into_data().assert_eq(&once, true);
        model.valid().reconstruct(x.clone().without_autodiff()).into_data().assert_eq(&once, true);
        assert!(bytes(&model) == before, "{name}: using it changed it");
    });
}

/// Parameters in half precision.
struct Half;

impl ModuleMapper for Half {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(DType::BF16))
    }
}

#[test]
fn models_compute_in_half_precision() {
    let x = digits().without_autodiff();
    of_every_code(|name, recipe| {
        let model = recipe.init(&inputs(), &Device::default());
        let full = model.reconstruct(x.clone());
        let half = model.map(&mut Half).reconstruct(x.clone().cast(DType::BF16)).cast(DType::F32);
        let difference = (full - half).abs().mean().into_scalar::<f32>();
        assert!(difference < 0.05, "{name}: {difference}");
    });
}

#[test]
fn a_plain_loop_trains_as_the_trainer_does() {
    crate::in_its_own_process(".".as_ref(), "conformance::a_plain_loop_alone");
}

#[test]
#[ignore = "run by a_plain_loop_trains_as_the_trainer_does"]
fn a_plain_loop_alone() {
    let x = digits().without_autodiff();
    // The trainings with a target are in `transcoders`.
    let reconstructs = |variant: &Variant| !variant.training.target;
    each(|variant, config| {
        if !reconstructs(variant) {
            return;
        }
        let mut config = config.clone();
        (config.training.epochs, config.training.pretrain_epochs) = (1, 0);
        config.training.schedule = ae_train::config::Schedule::Constant;
        let fitted = ae_train::fit(config.clone(), Device::default()).unwrap();

        let device = Device::default().autodiff();
        let mut model = ae_kernels::alone(config.seed, &device, || config.model.init(&inputs(), &device));
        let mut objective = config.model.objective(&inputs());
        let rows = fitted.trained.rows(None, &Default::default(), Which::Train).unwrap();
        let tensor = |rows: &Dataset| {
            let values = rows.scaled(&fitted.trained.schema.scaling).unwrap();
            let shape = [values.len() / 64, 64];
            Tensor::<2>::from_data(TensorData::new(values, shape), &Device::default())
        };
        if config.model.reads_rows() {
            model = model.started_on(tensor(&rows), None);
            objective.epoch_rows = rows.indices().len();
        }
        let order = Order::Shuffled { seed: config.seed };
        let loader = Loader::new(
            rows,
            Batcher::new(fitted.trained.schema.scaling.clone()),
            config.training.batch_size,
            order,
            device,
        );
        let mut optimizer = config.training.optimizer();
        for (step, batch) in loader.iter().enumerate() {
            let batch = batch.unwrap();
            let sample = Sample::from(batch.x).with_seed(batch.seed);
            let progress = step as f64 / loader.batches() as f64;
            (model, _) = objective.step(model, &mut optimizer, config.training.learning_rate, sample, progress);
        }
        let mut model = objective.after_step(model, 1.0).valid();
        if config.model.reads_rows() {
            let held_out = fitted.trained.rows(None, &Default::default(), Which::Validation).unwrap();
            model = model.calibrated_on([tensor(&held_out)].into_iter()).0.folded();
        }
        let (expected, found) = (fitted.trained.model.reconstruct(x.clone()), model.reconstruct(x.clone()));
        let difference = (expected - found).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-4, "{}: {difference}", variant.name);
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let folder = folder.path();
            scope.spawn(move || {
                let variants = VARIANTS.iter().filter(|variant| !variant.training.target);
                for variant in variants.skip(half).step_by(2) {
                    let weights = ["a", "b"].map(|name| {
                        let out = format!("{}-{name}", variant.name);
                        let small = ["--set", "data.validation=0.9", "--set", "training.batch_size=16"];
                        crate::ae_ok(
                            folder,
                            &[&["train", "--variant", variant.name, "--epochs", "1", "--out", &out][..], &small]
                                .concat(),
                        );
                        std::fs::read(folder.join(out).join("model.safetensors")).unwrap()
                    });
                    assert!(weights[0] == weights[1], "{}: the same seed gave other weights", variant.name);
                }
            });
        }
    });
}

/// Invalid settings, and the field that the error must name.
const WRONG: &[(&[&str], &str)] = &[
    (&["model.code_dim=0"], "model.code_dim"),
    (&["model.output=sigmoid", "model.reconstruction=bernoulli"], "model.output"),
    (&["model.network.kind=mlp", "model.network.hidden=[4,0]"], "model.network.hidden[1]"),
    (&["model.network.kind=mlp", "model.network.dropout=1"], "model.network.dropout"),
    (&["model.network.kind=conv", "model.network.kernel=2"], "model.network.kernel"),
    (&["model.network.kind=conv", "model.network.channels=[]"], "model.network.channels"),
    (&["model.network.kind=conv", "model.network.stride=0"], "model.network.stride"),
    (&["model.code.kind=top_k", "model.code.k=0"], "model.code.k"),
    (&["model.code.kind=top_k", "model.code.k=100000"], "model.code.k"),
    (&["model.code.kind=top_k", "model.code.k=2", "model.code.anneal=0"], "model.code.anneal"),
    (&["model.code.kind=top_k", "model.code.k=2", "model.code.k_start=1"], "model.code.k_start"),
    (&["model.code.kind=lifetime", "model.code.rate=0"], "model.code.rate"),
    (&["model.code.kind=batch_top_k", "model.code.k=0"], "model.code.k"),
    (&["model.code.kind=batch_top_k", "model.code.k=2", "model.code.k_start=1"], "model.code.k_start"),
    (&["model.code.kind=batch_top_k", "model.code.k=2", "model.code.anneal=2"], "model.code.anneal"),
    (&["model.code.kind=jump_relu", "model.code.target=-1"], "model.code.target"),
    (&["model.code.kind=jump_relu", "model.code.target=2", "model.code.bandwidth=0"], "model.code.bandwidth"),
    (&["model.code.kind=jump_relu", "model.code.target=2", "model.code.threshold=-1"], "model.code.threshold"),
    (&["model.network.kind=dictionary", "model.network.length=0"], "model.network.length"),
    (&["model.network.kind=dictionary", "model.network.center=true", "model.mask_input=true"], "model.network.center"),
    (
        &[
            "model.mask_input=false",
            "model.network.kind=dictionary",
            "model.output=sigmoid",
            "model.penalty.aux_k.weight=1",
        ],
        "model.output",
    ),
    (
        &["model.resample.every=5", "model.network.kind=mlp", "model.network.hidden=[5]", "model.output=auto"],
        "model.network.kind",
    ),
    (&["model.penalty.matryoshka.widths=[0.5,0.2]"], "model.penalty.matryoshka.widths"),
    (&["model.penalty.tanh.scale=0"], "model.penalty.tanh.scale"),
    (&["model.corruption.gaussian.std=-1"], "model.corruption.gaussian.std"),
    (&["model.corruption.masking.rate=1.5"], "model.corruption.masking.rate"),
    (
        &["model.corruption.masking.rate=0.5", "model.corruption.masking.rate_max=0.2"],
        "model.corruption.masking.rate_max",
    ),
    (&["model.corruption.salt_and_pepper.rate=0"], "model.corruption.salt_and_pepper.rate"),
    (&["model.corruption.salt_and_pepper.low=2"], "model.corruption.salt_and_pepper.high"),
    (&["model.corruption.gaussian.std=0.1", "model.corruption.emphasis.intact=-1"], "model.corruption.emphasis.intact"),
    (&["model.penalty.l1.weight=-1"], "model.penalty.l1.weight"),
    (&["model.penalty.l1.weight={from=0.0,to=0.1,over=2.0}"], "model.penalty.l1.weight.over"),
    (&["model.code.kind=gaussian", "model.code.beta=-1"], "model.code.beta"),
    (&["model.variance=0"], "model.variance"),
    (&["model.variance=learned", "model.reconstruction=bernoulli"], "model.reconstruction"),
    (
        &["model.code.kind=deterministic", "model.code.activation=sigmoid", "model.penalty.kl_rate.rate=1"],
        "model.penalty.kl_rate.rate",
    ),
    (
        &["model.code.kind=deterministic", "model.code.activation=tanh", "model.penalty.kl_rate.weight=1"],
        "model.code.activation",
    ),
    (&["model.penalty.contractive.probes=0"], "model.penalty.contractive.probes"),
    (&["model.penalty.contractive_hessian.std=nan"], "model.penalty.contractive_hessian.std"),
    (&["training.learning_rate=0"], "training.learning_rate"),
    (&["training.batch_size=0"], "training.batch_size"),
    (&["training.epochs=0"], "training.epochs"),
    (&["model.network.kind=conv", "training.pretrain_epochs=3"], "training.pretrain_epochs"),
    (&["model.network.kind=mlp", "model.network.decoder_hidden=[4,0]"], "model.network.decoder_hidden[1]"),
    (
        &["model.network.kind=mlp", "model.network.tied=true", "model.network.decoder_hidden=[3]"],
        "model.network.decoder_hidden",
    ),
    (
        &[
            "model.network.kind=mlp",
            "model.network.tied=false",
            "model.network.decoder_hidden=[3]",
            "training.pretrain_epochs=3",
        ],
        "training.pretrain_epochs",
    ),
];

#[test]
fn every_bad_setting_is_refused_by_name() {
    each(|variant, _| {
        for (settings, field) in WRONG {
            let set: Vec<String> = settings.iter().map(|setting| setting.to_string()).collect();
            let layers = Layers { variant: Some(variant.name), set: &set, ..Layers::default() };
            let error = Config::from_layers(&layers, &Registry::default())
                .expect_err(&format!("{} with {settings:?} was accepted", variant.name));
            // A penalty of a dictionary already refuses some other networks.
            let needs_atoms = (variant.recipe)().penalty.needing_atoms().is_some();
            if needs_atoms && *field == "training.pretrain_epochs" && error.to_string().contains("`model.network.kind`")
            {
                continue;
            }
            assert!(
                error.to_string().contains(&format!("`{field}` is ")),
                "{} with {settings:?}: {error}",
                variant.name
            );
            assert_eq!(error.exit_code(), 2);
        }
    });
}

#[test]
fn networks_that_do_not_match_the_data_are_refused_by_name() {
    let refused = |recipe: &Recipe, inputs: &Inputs| recipe.check_inputs(inputs).unwrap_err().field;
    let conv = Recipe { network: Network::Conv(ConvConfig::default()), ..Recipe::default() };
    assert_eq!(refused(&conv, &Inputs::unit(64)), "network.kind");
    let deep = Recipe {
        network: Network::Conv(ConvConfig { channels: vec![4; 9], ..ConvConfig::default() }),
        ..Recipe::default()
    };
    assert_eq!(refused(&deep, &inputs()), "network.channels");
    let tied = Recipe {
        network: Network::Mlp(MlpConfig { tied: true, ..MlpConfig::default() }),
        mask_input: true,
        ..Recipe::default()
    };
    assert_eq!(refused(&tied, &inputs()), "network.tied");
}
