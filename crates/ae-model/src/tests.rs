//! All parts on a batch without rows, and on a batch of one row.

use std::sync::Arc;

use burn::tensor::{Device, Distribution, Tensor};

use crate::{
    Activation, Code, Encoder, Head, Inputs, Jacobian, Layout, Model, Objective, Recipe, Variance,
    code::{CodeConfig, DeterministicConfig, GaussianConfig, LifetimeConfig, TopKConfig},
    corruption::{Corrupt, Corruption, Emphasis, Gaussian, Masking, SaltAndPepper},
    jacobian::Method,
    network::{ConvConfig, MlpConfig, Network, NormKind, finite_difference_jvp, layers::Layer},
    penalty::{Contractive, ContractiveHessian, KlRate, L1},
};

const FEATURES: usize = 12;
const UNITS: usize = 16;

/// Calls `check` without rows and with one row, with and without autodiff.
fn each(check: impl Fn(Tensor<2>)) {
    for batch in [0, 1] {
        for device in [Device::default(), Device::default().autodiff()] {
            check(Tensor::random([batch, FEATURES], Distribution::Uniform(0.0, 1.0), &device));
        }
    }
}

/// The tensor's values, after checking its shape and that they are finite.
fn numbers<const D: usize>(tensor: Tensor<D>, shape: [usize; D], what: &str) -> Vec<f32> {
    assert_eq!(tensor.dims(), shape, "{what}");
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    assert!(values.iter().all(|value| value.is_finite()), "{what}: {values:?}");
    values
}

fn inputs() -> Inputs {
    Inputs::unit(FEATURES).with_image([1, 3, 4])
}

fn networks() -> Vec<Network> {
    let mut networks = vec![MlpConfig::new().with_hidden([]).into()];
    for norm in [NormKind::None, NormKind::Layer, NormKind::Batch] {
        let mlp = MlpConfig::new().with_hidden([7]).with_norm(norm).with_dropout(0.5);
        networks.extend([mlp.clone().into(), mlp.with_tied(true).into()]);
        networks.push(ConvConfig::new().with_channels([3]).with_norm(norm).with_dropout(0.5).into());
    }
    networks
}

#[test]
fn a_network_is_counted_as_it_is_built() {
    let device = Device::default();
    let color = Inputs::unit(2 * 5 * 7).with_image([2, 5, 7]);
    let large = ConvConfig::new().with_channels([3, 4]).with_kernel(5);
    let uneven = MlpConfig::new().with_hidden([9, 7]).with_decoder_hidden([4, 5, 6]);
    let all = [networks(), vec![large.clone().into(), large.with_norm(NormKind::Batch).into(), uneven.into()]].concat();
    for network in all {
        for code in [CodeConfig::from(DeterministicConfig::default()), GaussianConfig::default().into()] {
            for mask_input in [false, true] {
                let recipe = Recipe {
                    code_dim: UNITS,
                    network: network.clone(),
                    code: code.clone(),
                    mask_input,
                    ..Recipe::default()
                };
                if recipe.check_inputs(&color).is_err() {
                    continue; // tied to an encoder with more inputs or outputs
                }
                let (counts, model) = (recipe.counts(&color), recipe.init(&color, &device));
                assert_eq!(counts.parameters, burn::module::Module::num_params(&model), "{network:?}");
                assert_eq!(counts.encoder[0], if mask_input { 140 } else { 70 });
                assert_eq!((counts.decoder[0], counts.decoder.last()), (UNITS, Some(&70)));
                let z = model.encoder.forward(Tensor::zeros([1, counts.encoder[0]], &device));
                assert_eq!(counts.encoder.last(), Some(&z.dims()[1]), "{network:?}");
            }
        }
    }
    // 5x7 pixels become 3x4 with 3 channels, and 2x2 with 4 channels.
    let conv = Network::from(ConvConfig::new().with_channels([3, 4]))
        .counts(&crate::network::Sizes::new(70, 8).with_image(color.image));
    assert_eq!((conv.encoder, conv.decoder), (vec![70, 36, 16, 8], vec![8, 16, 36, 70]));
}

/// The running statistics of all batch norms.
fn averages(model: &Model) -> Vec<f32> {
    let of = |layer| match layer {
        Layer::BatchNorm { mean, variance, .. } => {
            Tensor::cat(vec![mean, variance], 0).into_data().iter::<f32>().collect()
        }
        _ => Vec::new(),
    };
    model.layers().into_iter().flatten().flat_map(of).collect()
}

#[test]
fn networks_and_derivatives() {
    each(|x| {
        let ([batch, _], device) = (x.dims(), x.device());
        for network in networks() {
            let name = format!("{network:?}, {batch} rows");
            let recipe = Recipe { code_dim: UNITS, network, ..Recipe::default() };
            let model = recipe.init(&inputs(), &device);
            let before = averages(&model);
            numbers(model.reconstruct(x.clone()), [batch, FEATURES], &name);
            numbers(model.encode_visible(x.clone(), Some(x.ones_like())), [batch, UNITS], &name);
            numbers(model.decode(Tensor::ones([batch, UNITS], &device)), [batch, FEATURES], &name);
            numbers(model.impute(x.clone(), x.zeros_like()), [batch, FEATURES], &name);
            let after = averages(&model);
            assert!(after.iter().all(|value| value.is_finite()), "{name}: {after:?}");
            assert!(batch == 1 || before == after, "{name}: a batch without rows has no statistics");

            let (h, t) = model.encode_jvp(x.clone(), x.ones_like(), None);
            numbers(h, [batch, UNITS], &name);
            numbers(t, [batch, UNITS], &name);
            let (_, t) = finite_difference_jvp(|x| model.encoder.forward(x), x.clone(), x.ones_like());
            numbers(t, [batch, UNITS], &name);
            if let Some(u) = model.encoder.vjp(x.clone(), Tensor::ones([batch, UNITS], &device)) {
                numbers(u, [batch, FEATURES], &name);
            }
            let parts = model.parts();
            numbers(Jacobian::matrix(&parts, x.clone(), None), [batch, FEATURES, UNITS], &name);
            for method in [Method::Auto, Method::Exact, Method::Hutchinson] {
                let jacobian = Jacobian::new(method);
                numbers(jacobian.norm2(&parts, x.clone(), None), [batch], &name);
                numbers(jacobian.norm2_of(&parts, x.clone(), None, &model.encode(x.clone())), [batch], &name);
                numbers(jacobian.difference2(&parts, x.clone(), x.ones_like(), None), [batch], &name);
            }
        }
    });
}

fn check_code(code: &mut dyn Code, x: &Tensor<2>, name: &str) {
    let [batch, _] = x.dims();
    code.after_step(0.5);
    let z = Tensor::random([batch, code.reads(UNITS)], Distribution::Normal(0.0, 1.0), &x.device());
    for latent in [code.forward(z.clone()), code.draw(z.clone())] {
        numbers(latent.code.clone(), [batch, UNITS], name);
        numbers(code.given(latent.code.clone()).code, [batch, UNITS], name);
        let terms = code.terms(&latent, 0.5).into_iter().map(|term| term.value);
        for value in terms.chain(code.log_ratio(&latent)).chain(code.divergence(&latent)) {
            numbers(value, [batch], name);
        }
    }
    if let Some((h, t)) = code.jvp(z.clone(), z.ones_like()) {
        numbers(h, [batch, UNITS], name);
        numbers(t, [batch, UNITS], name);
    }
}

#[test]
fn codes() {
    each(|x| {
        let device = x.device();
        check_code(&mut DeterministicConfig::new(Activation::Elu).init(UNITS, &device), &x, "deterministic");
        // With few enough units for the sparse kernels, and with more.
        check_code(&mut TopKConfig::new(1).init(UNITS, &device), &x, "few");
        check_code(&mut TopKConfig::new(5).with_k_start(9).with_anneal(1.0).init(UNITS, &device), &x, "many");
        check_code(&mut GaussianConfig::new().init(UNITS, &device), &x, "gaussian");
        check_code(&mut GaussianConfig::new().with_beta(2.0).with_free_bits(0.1).init(UNITS, &device), &x, "free bits");
        let mut lifetime = LifetimeConfig::new(0.1).with_activation(Activation::Tanh).init(UNITS, &device);
        check_code(&mut lifetime, &x, "lifetime");
        let threshold = numbers(lifetime.threshold.value_sync(), [UNITS], "threshold");
        assert!(x.dims()[0] == 1 || threshold.iter().all(|&value| value == 0.0), "a batch without rows has no winners");
    });
}

#[test]
fn penalties_and_objectives() {
    let recipe = Recipe { code_dim: UNITS, code: Activation::Sigmoid.into(), ..Recipe::default() };
    let objective = Objective::default()
        .with_penalty(L1::new(0.1))
        .with_penalty(KlRate::new(0.1).with_weight(0.2))
        .with_penalty(Contractive::new(0.1))
        .with_penalty(Contractive::new(0.1).with_method(Method::Hutchinson).with_probes(2))
        .with_penalty(ContractiveHessian::new(0.1).with_std(0.2).with_samples(2));
    each(|x| {
        let model = recipe.init(&inputs(), &x.device());
        let evaluation = objective.evaluate(&model, x.clone());
        for term in &evaluation.terms {
            numbers(term.value.clone(), [x.dims()[0]], &term.name);
        }
        numbers(evaluation.per_example(), [x.dims()[0]], "the sum");
        let loss = evaluation.loss().into_scalar::<f32>();
        assert!(loss.is_finite() || (x.dims()[0] == 0 && loss.is_nan()), "{loss}");
    });
}

#[test]
#[should_panic(expected = "a step of training needs at least one row")]
fn a_step_on_no_rows() {
    let device = Device::default().autodiff();
    let model = Recipe::default().init(&inputs(), &device);
    let mut optimizer = ae_kernels::Adam::default().into();
    Objective::default().step(model, &mut optimizer, 1e-3, Tensor::zeros([0, FEATURES], &device), 0.0);
}

#[test]
fn corruptions_and_losses() {
    let table = Layout { numbers: 5, booleans: 2, categories: vec![2, 3] };
    let corruptions: [Arc<dyn Corrupt>; 4] = [
        Arc::new(Gaussian { std: 0.1 }),
        Arc::new(SaltAndPepper::new(0.3).with_low(0.1).with_high(0.9)),
        Arc::new(Masking::new(0.3)),
        Arc::new(Masking::new(0.3).with_rate_max(0.5)),
    ];
    each(|x| {
        let shape @ [batch, _] = x.dims();
        for layout in [None, Some(table.clone())] {
            for part in &corruptions {
                let name = format!("{part:?}, {batch} rows of {layout:?}");
                let corruption = Corruption { parts: vec![part.clone()], emphasis: Some(Emphasis::default()) };
                let corrupted = corruption.apply(x.clone(), Some(x.ones_like()), layout.as_ref());
                for tensor in
                    [Some(corrupted.x), corrupted.visible, corrupted.weights, corrupted.hidden].into_iter().flatten()
                {
                    numbers(tensor, shape, &name);
                }
            }
            for weights in [None, Some(x.ones_like())] {
                let name = format!("{batch} rows of {layout:?}");
                let head = Head::new(crate::SquaredError, layout.clone());
                numbers(head.mean(x.clone()), shape, &name);
                numbers(head.loss(x.clone(), x.ones_like(), weights.clone()), [batch], &name);
                numbers(head.constant(x.clone(), weights.clone()), [batch], &name);
                numbers(head.squared_error(x.clone(), x.ones_like(), weights), [batch], &name);
            }
        }
        for (columns, variance) in [
            (1, Variance::fixed(0.5, &x.device())),
            (1, Variance::fitted(1, &x.device())),
            (FEATURES, Variance::fitted(FEATURES, &x.device())),
        ] {
            for weights in [None, Some(x.ones_like())] {
                numbers(variance.loss(x.clone(), x.ones_like(), weights), [batch], "variance");
                let values = numbers(variance.values(), [columns], "variance");
                assert!(
                    batch == 1 || values.iter().all(|&value| value == 0.5 || value == 1.0),
                    "a batch without rows has no variance"
                );
            }
        }
    });
}

#[test]
fn activations() {
    each(|x| {
        for activation in Activation::ALL {
            let (y, t) = activation.jvp(x.clone(), x.ones_like());
            numbers(y, x.dims(), activation.name());
            numbers(t, x.dims(), activation.name());
        }
    });
}
