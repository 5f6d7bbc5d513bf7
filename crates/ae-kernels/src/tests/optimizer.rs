use burn::{
    module::{Module, Param},
    optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, decay::WeightDecayConfig},
    tensor::Tensor,
};

use super::*;

/// Parameters of several sizes, one of them larger than a thread's share.
#[derive(Module, Debug)]
struct Parameters {
    matrix: Param<Tensor<2>>,
    vector: Param<Tensor<1>>,
}

#[test]
fn optimizers_equal_burns_and_exchange_states() {
    let device = seeded(8);
    let (matrix, vector) = (random([300, 200], &device), random([13], &device));
    let start = Parameters { matrix: Param::from_tensor(matrix), vector: Param::from_tensor(vector) };
    let steps = |optimizer: &mut ModuleOptimizer, mut model: Parameters, range: std::ops::Range<usize>| {
        for step in range {
            // Gradients of very different magnitudes, including 0.
            let scale = 10f64.powi(step as i32 % 7 - 3);
            let wave = |t: Tensor<1>| (t.mul_scalar(3.0 + step as f64)).sin().mul_scalar(scale).sum();
            let loss = wave(model.matrix.val().flatten(0, 1)) + wave(model.vector.val().slice(0..10));
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(3e-3, model, gradients);
        }
        model
    };
    for decay in [0.0f32, 0.02] {
        let l2 = (decay > 0.0).then(|| WeightDecayConfig::new(decay));
        let pairs: [(&str, ModuleOptimizer, ModuleOptimizer); 3] = [
            (
                "Adam, other betas",
                crate::Adam::default().with_betas(0.5, 0.9).with_weight_decay(decay).into(),
                AdamConfig::new()
                    .with_beta_1(0.5)
                    .with_beta_2(0.9)
                    .with_epsilon(1e-8)
                    .with_weight_decay(l2.clone())
                    .init(),
            ),
            (
                "Adam",
                crate::Adam::default().with_weight_decay(decay).into(),
                AdamConfig::new().with_epsilon(1e-8).with_weight_decay(l2).init(),
            ),
            (
                "AdamW",
                crate::AdamW::new(decay).into(),
                AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(decay).init(),
            ),
        ];
        for (name, mut ours, mut burns) in pairs {
            let (half_ours, half_burns) =
                (steps(&mut ours, start.clone(), 0..15), steps(&mut burns, start.clone(), 0..15));
            // Halfway each optimizer takes over the other's state.
            let (ours_state, burns_state) = (ours.to_record(), burns.to_record());
            let (mut ours, mut burns) = (ours.load_record(burns_state), burns.load_record(ours_state));
            let (all_ours, all_burns) = (steps(&mut ours, half_ours, 15..30), steps(&mut burns, half_burns, 15..30));
            let what = format!("{name}, decay {decay}");
            assert_close(&what, &numbers(all_ours.matrix.val()), &numbers(all_burns.matrix.val()), 1e-6);
            assert_close(&what, &numbers(all_ours.vector.val()), &numbers(all_burns.vector.val()), 1e-6);
            assert!(
                numbers(all_ours.matrix.val() - start.matrix.val()).iter().any(|change| change.abs() > 1e-3),
                "{what}: nothing was learned"
            );
        }
    }
}

#[test]
fn forgotten_averages_are_those_of_a_first_gradient() {
    let device = seeded(9);
    let (matrix, vector) = (random([6, 5], &device), random([6], &device));
    let start = Parameters { matrix: Param::from_tensor(matrix), vector: Param::from_tensor(vector) };
    let gradients = |model: &Parameters, step: usize| {
        let wave = |t: Tensor<1>| t.mul_scalar(2.0 + step as f64).sin().sum();
        let loss = wave(model.matrix.val().flatten(0, 1)) + wave(model.vector.val());
        GradientsParams::from_grads(loss.backward(), model)
    };
    // Rows 1 and 4 of the matrix lose their averages after the third step, and nothing of the vector.
    let run = |forgets: bool| {
        let mut optimizer: ModuleOptimizer = crate::Adam::default().into();
        let mut model = start.clone();
        let mut after = Vec::new();
        for step in 0..5 {
            let gradients = gradients(&model, step);
            let keep = Tensor::<1>::from_floats([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], &model.matrix.device().inner());
            let forgotten = if forgets && step == 2 {
                crate::Forgotten::default().with(model.matrix.val(), keep.unsqueeze_dim(1))
            } else {
                crate::Forgotten::default()
            };
            model = forgotten.during(|| crate::step(&mut optimizer, 1e-2, model, gradients));
            after.push([numbers(model.matrix.val()), numbers(model.vector.val())]);
        }
        after
    };
    let (kept, lost) = (run(false), run(true));
    assert_eq!(kept[..3], lost[..3], "the step itself uses the old averages");
    for step in 3..5 {
        assert_eq!(kept[step][1], lost[step][1], "the vector");
        for row in [0, 2, 3, 5] {
            assert_eq!(kept[step][0][row * 5..][..5], lost[step][0][row * 5..][..5], "row {row} keeps its averages");
        }
    }
    // With averages of 0 in step 4, the update is 0.1 g / (1 - 0.9^4) over the root of 0.001 g^2 / (1 - 0.999^4).
    let size = 1e-2 * (0.1 / (1.0 - 0.9f64.powi(4))) / (0.001 / (1.0 - 0.999f64.powi(4))).sqrt();
    for row in [1, 4] {
        let moved = (0..5).map(|column| f64::from(lost[3][0][row * 5 + column] - lost[2][0][row * 5 + column]).abs());
        moved.for_each(|moved| assert!((moved / size - 1.0).abs() < 1e-3, "row {row}: {moved}, not {size}"));
    }
}
