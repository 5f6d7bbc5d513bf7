//! What a dictionary promises, by itself and in training.

use burn::{
    optim::{AdamConfig, ModuleOptimizer},
    tensor::{Device, Distribution, Tensor, Tolerance},
};

use super::{DictionaryConfig, median::geometric_median};
use crate::{
    Activation, Activity, AnyCode, Autoencoder, Code, Inputs, Model, Objective, Recipe,
    code::{BatchTopK, BatchTopKConfig, CodeConfig, GatedConfig, JumpRelu, JumpReluConfig, TopKConfig},
    constraint::{Tangent, UnitNorm},
    network::{DictionaryDecoder, DictionaryEncoder, Sizes, affine::replaced},
    penalty::{AuxK, Matryoshka, PenaltyConfig},
};

type Dictionary = Autoencoder<DictionaryEncoder, DictionaryDecoder>;

/// A dictionary of `units` for rows of `width` values, with atoms of different lengths.
fn dictionary(width: usize, units: usize, code: AnyCode, device: &Device) -> Dictionary {
    let (encoder, mut decoder) =
        DictionaryConfig::default().init(&Sizes::new(width, units), Activation::Identity, device);
    let lengths = Tensor::<2>::random([units, 1], Distribution::Uniform(0.3, 3.0), device);
    decoder.weight = decoder.weight.map(|atoms| {
        let scaled = atoms.without_autodiff() * lengths.clone().without_autodiff();
        if device.is_autodiff() { Tensor::from_inner(scaled).require_grad() } else { scaled }
    });
    Autoencoder::new(encoder, decoder).with_code(code)
}

fn rows(count: usize, width: usize, device: &Device) -> Tensor<2> {
    Tensor::random([count, width], Distribution::Normal(0.0, 1.0), device)
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// All codes, for 12 units.
fn codes(device: &Device) -> Vec<AnyCode> {
    let jump = JumpReluConfig::new(3.0).with_threshold(0.2).init(12, device);
    let batch = BatchTopKConfig::new(3.0).init(12, device);
    batch.running.update(Tensor::from_floats([0.4], &device.clone().inner()));
    batch.running.value_sync();
    vec![
        AnyCode::from(Activation::Relu),
        AnyCode::new(TopKConfig::new(3).init(12, device)),
        AnyCode::new(batch),
        AnyCode::new(jump),
        AnyCode::new(GatedConfig::default().init(12, device)),
    ]
}

#[test]
fn folding_leaves_atoms_of_length_one_and_the_same_reconstructions() {
    let device = Device::default();
    for code in codes(&device) {
        let model = dictionary(5, 12, code, &device);
        let x = rows(40, 5, &device);
        let (before, lengths) = (model.forward(x.clone(), None), model.parts().lengths().unwrap());
        let folded = model.folded();
        let after = folded.forward(x, None);
        let near = Tolerance::absolute(1e-5);
        after.output.into_data().assert_approx_eq::<f32>(&before.output.into_data(), near);
        let scaled = before.latent.code * lengths.unsqueeze::<2>();
        after.latent.code.into_data().assert_approx_eq::<f32>(&scaled.into_data(), near);
        let lengths = numbers(folded.parts().lengths().unwrap());
        assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-6), "{lengths:?}");
    }
}

#[test]
fn a_batch_keeps_exactly_k_units_a_row_and_one_row_is_top_k() {
    let device = Device::default().autodiff();
    let x = rows(32, 16, &device);
    for units in [20, 300] {
        let of = |k: f64| dictionary(16, units, AnyCode::new(BatchTopKConfig::new(k).init(units, &device)), &device);
        for k in [1.0, 2.5, 4.0] {
            let active = numbers(of(k).encode(x.clone())).iter().filter(|value| **value > 0.0).count();
            assert_eq!(active, (k * 32.0) as usize, "k = {k} of {units}");
        }
        let one = of(3.0);
        let same = one.clone().with_code(TopKConfig::new(3).init(units, &device));
        for row in 0..4 {
            let x = x.clone().slice(row..row + 1);
            assert_eq!(numbers(one.encode(x.clone())), numbers(same.encode(x)));
        }
    }
}

#[test]
fn a_calibrated_code_has_k_active_units_on_the_rows_it_was_calibrated_on() {
    let device = Device::default();
    for (k, units) in [(3.0, 40), (2.5, 400)] {
        let model = dictionary(16, units, AnyCode::new(BatchTopKConfig::new(k).init(units, &device)), &device);
        let batches: Vec<_> = (0..4).map(|_| rows(100, 16, &device)).collect();
        let (model, found) = model.calibrated_on(batches.clone().into_iter());
        assert!(found.unwrap().contains(&format!("on 400 held-out rows {k:.2} units are active")));
        for model in [model.clone(), model.folded()] {
            let active: usize =
                batches.iter().map(|x| numbers(model.encode(x.clone())).iter().filter(|h| **h > 0.0).count()).sum();
            // Folding rounds, which may move a unit across the threshold.
            assert!(active.abs_diff((k * 400.0) as usize) <= 1, "{active} active for k = {k}");
        }
    }
}

#[test]
fn matryoshka_with_the_whole_width_only_is_batch_top_k() {
    let device = Device::default().autodiff();
    let model = dictionary(16, 300, AnyCode::new(BatchTopKConfig::new(4.0).init(300, &device)), &device);
    let x = rows(20, 16, &device);
    let gradients = |objective: Objective| {
        let loss = objective.evaluate(&model, x.clone()).loss();
        let by = loss.clone().backward();
        let weights = [model.encoder.weight.val(), model.decoder.weight.val()];
        (numbers(loss), weights.map(|weight| numbers(weight.grad(&by).unwrap())))
    };
    let nothing_more = Matryoshka::new([0.9999]);
    assert_eq!(gradients(Objective::default()), gradients(Objective::default().with_penalty(nothing_more)));
}

#[test]
fn prefixes_are_the_same_with_and_without_a_kernel() {
    let device = Device::default();
    let model = dictionary(16, 300, AnyCode::new(TopKConfig::new(4).init(300, &device)), &device);
    let x = rows(20, 16, &device);
    let forward = model.forward(x.clone(), None);
    assert_eq!(forward.latent.sparse.is_some(), cfg!(feature = "kernels"));
    let value = |sparse: bool| {
        let mut latent = forward.latent.clone();
        latent.sparse = latent.sparse.filter(|_| sparse);
        let parts = model.parts();
        let context = crate::penalty::Context {
            tangent: None,
            model: &parts,
            input: x.clone(),
            target: x.clone(),
            visible: None,
            latent: &latent,
            output: forward.output.clone(),
            progress: 1.0,
            weights: None,
            idle: None,
            epoch_rows: 0,
            head: &model.reconstruction,
            reconstruction: &|x, output, weights| model.loss(x, output, weights),
        };
        crate::Penalty::value(&Matryoshka::default(), &context)
    };
    value(true).into_data().assert_approx_eq::<f32>(&value(false).into_data(), Tolerance::relative(1e-5));
}

#[test]
fn aux_k_only_touches_units_that_are_dead() {
    let device = Device::default().autodiff();
    let units = 60;
    let model = dictionary(8, units, AnyCode::new(BatchTopKConfig::new(2.0).init(units, &device)), &device);
    let x = rows(30, 8, &device);
    let dead = [3usize, 10, 41];
    let mut idle = vec![0.0f32; units];
    dead.iter().for_each(|unit| idle[*unit] = 1000.0);
    let objective = || Objective::default().with_penalty(AuxK::new(1.0).with_dead_after(100));
    let with = |idle: &[f32], objective: Objective| {
        let activity = Activity::new(units, &device);
        activity.idle.update(Tensor::from_floats(idle, &device.clone().inner()));
        let model = model.clone().with_activity(activity);
        let evaluation = objective.evaluate(&model, x.clone());
        let by = evaluation.loss().backward();
        let center = model.encoder.center.as_ref().unwrap().val();
        let gradients = [
            numbers(model.encoder.weight.val().grad(&by).unwrap().transpose()),
            numbers(model.decoder.weight.val().grad(&by).unwrap()),
            numbers(model.encoder.bias.val().grad(&by).unwrap()),
            numbers(center.grad(&by).unwrap()),
        ];
        (numbers(evaluation.loss()), gradients)
    };
    let (none, plain) = (vec![0.0; units], with(&vec![0.0; units], Objective::default()));
    assert_eq!(with(&none, objective()), plain, "without dead units nothing changes");
    let (loss, changed) = with(&idle, objective());
    assert!(loss[0] > plain.0[0], "the error of the dead units is in the loss");
    // The center is in the encoder's input, so that the dead units reach it; the bias of the reconstruction is not.
    for (what, width) in [(0, 8), (1, 8), (2, 1)] {
        for unit in 0..units {
            let of = |all: &[Vec<f32>; 4]| all[what][unit * width..(unit + 1) * width].to_vec();
            let is_same = of(&changed)
                .iter()
                .zip(of(&plain.1))
                .all(|(now, before)| (now - before).abs() <= 1e-6 * (1.0 + before.abs()));
            assert_eq!(is_same, !dead.contains(&unit), "parameter {what} of unit {unit}");
        }
    }
}

#[test]
fn missing_values_do_not_count_for_dead_units() {
    let device = Device::default().autodiff();
    let model = dictionary(8, 60, AnyCode::new(BatchTopKConfig::new(2.0).init(60, &device)), &device);
    let x = rows(30, 8, &device);
    let observed = x.clone().without_autodiff().greater_elem(-0.5).float();
    let value = |hidden: f32| {
        let activity = Activity::new(60, &device);
        activity.idle.update(Tensor::full([60], 1000.0, &device.clone().inner()));
        let model = model.clone().with_activity(activity);
        let x = x.clone().mask_fill(Tensor::from_inner(observed.clone()).lower_elem(0.5), hidden);
        let sample = crate::Sample::from(x).with_observed(Tensor::from_inner(observed.clone()));
        let evaluation =
            Objective::default().with_penalty(AuxK::new(1.0).with_dead_after(100)).evaluate(&model, sample);
        let term = evaluation.terms.into_iter().find(|term| term.name == "aux_k").unwrap();
        numbers(term.value)
    };
    assert_eq!(value(0.0), value(100.0));
    assert!(value(0.0).iter().sum::<f32>() > 0.0);
    // A value that is missing adds nothing, whatever the dead units say there.
    let nothing = Tensor::from_inner(observed.clone().zeros_like());
    let activity = Activity::new(60, &device);
    activity.idle.update(Tensor::full([60], 1000.0, &device.clone().inner()));
    let model = model.clone().with_activity(activity);
    let sample = crate::Sample::from(x.clone()).with_observed(nothing);
    let evaluation = Objective::default().with_penalty(AuxK::new(1.0).with_dead_after(100)).evaluate(&model, sample);
    assert!(evaluation.terms.iter().all(|term| numbers(term.value.clone()).iter().all(|value| *value == 0.0)));
}

#[test]
fn a_calibration_with_too_few_positive_values_says_how_many_units_are_active() {
    let device = Device::default();
    let mut code = BatchTopKConfig::new(3.0).init(4, &device);
    let scores = Tensor::<2>::from_floats([[1.0, -1.0, 2.0, -3.0], [-1.0, -1.0, 0.5, -3.0]], &device);
    let found = code.calibrate(&mut [scores].into_iter()).unwrap();
    assert!(found.contains("calibrated for k = 3: on 2 held-out rows 1.50 units are active"), "{found}");
}

#[test]
fn projected_atoms_stay_at_length_one_and_their_gradients_orthogonal() {
    let device = Device::default().autodiff();
    let mut model = dictionary(8, 40, AnyCode::new(TopKConfig::new(4).init(40, &device)), &device);
    let mut objective = Objective::default().with_constraint(UnitNorm).with_constraint(Tangent);
    model = objective.after_step(model, 0.0);
    let mut optimizer: ModuleOptimizer = AdamConfig::new().init();
    for step in 0..10 {
        let x = rows(30, 8, &device);
        let by = objective.evaluate(&model, x.clone()).loss().backward();
        let gradients = burn::optim::GradientsParams::from_grads(by, &model);
        let mut projected = objective.projected(&model, gradients);
        let atoms = model.decoder.weight.val().without_autodiff();
        let along = (projected.remove::<2>(model.decoder.weight.id).unwrap() * atoms).sum_dim(1);
        assert!(along.abs().max().into_scalar::<f32>() < 1e-6);
        (model, _) = objective.step(model, &mut optimizer, 1e-2, x, step as f64 / 10.0);
        let lengths = numbers(model.parts().lengths().unwrap());
        assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-6), "{lengths:?}");
    }
}

#[test]
fn the_estimated_derivatives_by_a_threshold_are_those_of_the_averages() {
    // z is uniform on [0, 1] and the threshold 1/2: E L0 = 1 - theta and E h = (1 - theta^2) / 2, with the derivatives
    // -1 and -theta, whatever the bandwidth.
    let device = Device::default().autodiff();
    let count = 100_000;
    let values: Vec<f32> = (0..count).map(|i| (i as f32 + 0.5) / count as f32).collect();
    let z = Tensor::<1>::from_floats(values.as_slice(), &device).reshape([count, 1]);
    for bandwidth in [0.01, 0.1, 1.0] {
        let config = JumpReluConfig { bandwidth, target: 0.0, threshold: 0.5, ..JumpReluConfig::default() };
        let code = config.init(1, &device);
        let by = |value: Tensor<1>| {
            let gradient = code.threshold.val().grad(&value.mean().backward()).unwrap();
            gradient.into_scalar::<f64>()
        };
        let latent = code.forward(z.clone());
        let l0 = by(code.terms(&latent, 1.0)[0].value.clone());
        let h = by(code.forward(z.clone()).code.squeeze_dim(1));
        assert!((l0 + 1.0).abs() < 1e-3 && (h + 0.5).abs() < 1e-3, "{bandwidth}: {l0}, {h}");
    }
}

#[test]
fn jump_relu_comes_to_a_target_ten_times_away() {
    // Other tests draw from Burn's generator meanwhile; these numbers depend on the seed alone.
    for seed in [7, 8] {
        ae_kernels::seeded(seed, &Device::default(), || comes_to_a_target_ten_times_away(seed));
    }
}

fn comes_to_a_target_ten_times_away(seed: u64) {
    let (plain, device, width, units, target) = (Device::default(), Device::default().autodiff(), 16, 64, 2.0);
    let directions = || ae_kernels::normal_like(&Tensor::<2>::zeros([units, width], &plain), 1.0);
    let code =
        JumpReluConfig::new(target).with_weight(100.0).with_threshold(1e-3).with_bandwidth(0.5).init(units, &device);
    let (mut encoder, mut decoder) =
        DictionaryConfig::default().init(&Sizes::new(width, units), Activation::Identity, &device);
    let atoms = directions();
    let atoms = atoms.clone() / atoms.square().sum_dim(1).sqrt();
    encoder.weight = replaced(encoder.weight, &|_| atoms.clone().transpose());
    decoder.weight = replaced(decoder.weight, &|_| atoms.clone());
    let mut model = Autoencoder::new(encoder, decoder).with_code(code);
    let mut objective = Objective::default();
    let mut optimizer: ModuleOptimizer = AdamConfig::new().init();
    // Two of 64 directions in each row.
    let directions = directions();
    let batch = || {
        let strength = ae_kernels::uniform_like(&Tensor::<2>::zeros([128, units], &plain));
        let kept = strength.greater_elem(1.0 - target / units as f64).float();
        Tensor::from_inner(kept.matmul(directions.clone()))
    };
    let l0 = |model: &Autoencoder<_, _, JumpRelu>, x: Tensor<2>| {
        model.encode(x).greater_elem(0.0).float().sum_dim(1).mean().into_scalar::<f64>()
    };
    assert!(l0(&model, batch()) > 10.0 * target, "the start is ten times away");
    for step in 0..2000 {
        let progress = step as f64 / 2000.0;
        (model, _) = objective.step(model, &mut optimizer, 1e-2 * (1.0 - progress), batch(), progress);
    }
    let seen = (0..10).map(|_| l0(&model, batch())).sum::<f64>() / 10.0;
    assert!((seen - target).abs() < 0.1 * target, "seed {seed}: {seen} active units, the target is {target}");
}

#[test]
fn the_geometric_median_is_not_moved_by_far_rows() {
    let device = Device::default();
    let spread = rows(700, 6, &device);
    let near = geometric_median(&spread);
    let far = Tensor::cat(vec![spread, rows(300, 6, &device).mul_scalar(1e3).add_scalar(1e6)], 0);
    let moved = (geometric_median(&far) - near).abs().max().into_scalar::<f32>();
    assert!(moved < 1.5, "moved by {moved}, with a spread of 1");
    assert_eq!(numbers(geometric_median(&Tensor::from_floats([[1.0, -2.0]], &device))), [1.0, -2.0]);
    assert_eq!(numbers(geometric_median(&Tensor::from_floats([[3.0, 3.0]; 4], &device))), [3.0, 3.0]);
}

#[test]
fn a_model_starts_at_the_median_and_at_its_target() {
    let device = Device::default().autodiff();
    let recipe = Recipe { code_dim: 50, ..(crate::variants::jump_relu::VARIANT.recipe)() };
    let recipe = Recipe { code: CodeConfig::from(JumpReluConfig::new(4.0)), ..recipe };
    let x = rows(400, 10, &device).without_autodiff().add_scalar(3.0);
    let model: Model = recipe.init(&Inputs::real(10), &device).started_on(x.clone(), None);
    let crate::network::NetworkEncoder::Dictionary(encoder) = &model.encoder else { panic!("a dictionary") };
    let center = encoder.center.as_ref().unwrap().val();
    assert_eq!(numbers(center), numbers(geometric_median(&x)));
    let active = model.encode(Tensor::from_inner(x)).greater_elem(0.0).float().sum().into_scalar::<f64>() / 400.0;
    assert!((active - 4.0).abs() < 0.05, "{active} units are active");
    assert!(PenaltyConfig::default().is_empty() && model.code.get::<BatchTopK>().is_none());
}
