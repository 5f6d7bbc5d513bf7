//! Every formula against values and gradients that PyTorch computed in `f64` (`tests/golden/make_golden.py`).
//!
//! Each case runs in `f32`, to 1e-5 of the tensor's largest entry (a few hundred rounding errors of 6e-8), and in
//! `f64`, to 1e-10. `AE_GOLDEN` names another file, such as one made with another seed, `AE_GOLDEN_BEYOND` and
//! `AE_GOLDEN_PARTS` others in place of `golden_beyond.json` and `golden_parts.json`.

use std::{borrow::Cow, cell::Cell, path::Path, sync::Arc};

use ae_model::{
    Activation, AnyCode, Autoencoder, Bernoulli, Code, Corrupt, Encoder, Evaluation, Head, Jacobian, Layout, Loss,
    Objective, Sample, SquaredError, Variance,
    code::{Gaussian, GaussianConfig, LifetimeConfig, TopKConfig},
    corruption::{Change, Emphasis},
    jacobian::Method,
    likelihood::bound,
    network::{
        Affine, Mlp, MlpConfig, Norm, NormKind, Sizes,
        conv::{ConvEncoder, ConvLayer},
    },
    penalty::{Contractive, KlRate, L1},
};
use burn::{
    module::Param,
    tensor::{DType, Device, Gradients, Tensor, TensorData},
};
use serde_json::Value;

/// The file that `variable` names, or this one.
fn golden(variable: &str, file: &str) -> Value {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(file);
    let path = std::env::var(variable).map_or_else(|_| own(), Into::into);
    let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str::<Value>(&file).expect("the golden file is JSON")
}

/// The file's cases.
fn cases() -> Value {
    golden("AE_GOLDEN", "golden.json")["cases"].clone()
}

/// Where to compute and in which precision, and how close the result must be.
pub struct Precision {
    device: Device,
    dtype: DType,
    tolerance: f64,
    /// The largest error so far, in units of its tensor's largest entry.
    worst: Cell<f64>,
}

/// Both precisions of the default device.
#[allow(dead_code, reason = "the suite over the backends has its own")]
fn precisions() -> [Precision; 2] {
    [(DType::F32, 1e-5), (DType::F64, 1e-10)]
        .map(|(dtype, tolerance)| Precision::new(Device::default(), dtype, tolerance))
}

fn flatten(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flatten).collect(),
        value => vec![value.as_f64().expect("a number")],
    }
}

fn shape(value: &Value) -> Vec<usize> {
    match value {
        Value::Array(values) => std::iter::once(values.len()).chain(shape(&values[0])).collect(),
        _ => Vec::new(),
    }
}

impl Precision {
    pub fn new(device: Device, dtype: DType, tolerance: f64) -> Self {
        Self { device, dtype, tolerance, worst: Cell::new(0.0) }
    }

    fn tensor<const D: usize>(&self, value: &Value) -> Tensor<D> {
        let data = TensorData::new(flatten(value), shape(value)).convert_dtype(self.dtype);
        Tensor::from_data(data, (&self.device.clone().autodiff(), self.dtype))
    }

    fn affine(&self, params: &Value, weight: &str, bias: &str) -> Affine {
        Affine::from_tensors(self.tensor(&params[weight]), self.tensor(&params[bias]))
    }

    fn compare<const D: usize>(&self, what: &str, found: Tensor<D>, expected: &Value) {
        let found: Vec<f64> = found.into_data().iter::<f64>().collect();
        let expected = flatten(expected);
        assert_eq!(found.len(), expected.len(), "{what}: number of entries");
        let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = (found - expected).abs();
            if largest > 0.0 {
                self.worst.set(self.worst.get().max(error / largest));
            }
            assert!(
                error <= self.tolerance * largest,
                "{what}[{index}] in {:?}: {found}, expected {expected} (largest entry {largest})",
                self.dtype
            );
        }
    }

    /// The gradient of one parameter; `null` in the file is no dependence.
    fn compare_gradient<const D: usize>(
        &self,
        what: &str,
        parameter: Tensor<D>,
        gradients: &Gradients,
        expected: &Value,
    ) {
        match (parameter.grad(gradients), expected) {
            (Some(found), Value::Null) => {
                assert_eq!(found.abs().max().into_scalar::<f64>(), 0.0, "{what}: no gradient expected")
            }
            (Some(found), expected) => self.compare(what, found, expected),
            (None, expected) => assert!(
                expected.is_null() || flatten(expected).iter().all(|&value| value == 0.0),
                "{what}: no gradient"
            ),
        }
    }
}

/// The exact norms of the derivative: the closed form where there is one is `auto`'s, and `exact` takes it too.
const METHODS: [Method; 2] = [Method::Auto, Method::Exact];

fn shallow_autoencoder_with_every_loss_and_penalty(precision: &Precision) {
    let case = &cases()["shallow"];
    let params = &case["params"];
    let encoder = Mlp::new(vec![precision.affine(params, "enc_w", "enc_b")], Activation::Identity);
    let decoder = Mlp::new(vec![precision.affine(params, "dec_w", "dec_b")], Activation::Identity);
    let model = Autoencoder::new(encoder, decoder).with_code(AnyCode::from(Activation::Sigmoid));
    let x = precision.tensor::<2>(&case["input"]);
    // The term by itself: every other has weight 0 or is the reconstruction's.
    let check = |evaluation: Evaluation, name: &str, expected: &str| {
        let term = &case["terms"][expected];
        let value = &evaluation.terms.iter().find(|term| term.name == name).expect("the term is there").value;
        match &term["value"] {
            Value::Number(_) => precision.compare(expected, value.clone().mean(), &term["value"]),
            _ => precision.compare(expected, value.clone(), &term["value"]),
        }
        let gradients = value.clone().mean().backward();
        for (side, layer) in [("enc", &model.encoder.layers[0]), ("dec", &model.decoder.layers[0])] {
            let grads = &term["grads"];
            precision.compare_gradient(
                &format!("{expected} {side}_w"),
                layer.weight.val(),
                &gradients,
                &grads[format!("{side}_w")],
            );
            precision.compare_gradient(
                &format!("{expected} {side}_b"),
                layer.bias.val(),
                &gradients,
                &grads[format!("{side}_b")],
            );
        }
    };
    for reconstruction in [Arc::new(SquaredError) as Arc<dyn Loss>, Arc::new(Bernoulli)] {
        let model = model.clone().with_reconstruction(Head::of(reconstruction.clone(), None));
        let evaluation = Objective::default().evaluate(&model, x.clone());
        precision.compare("code", evaluation.forward.latent.code.clone(), &case["code"]);
        precision.compare("reconstruction", evaluation.forward.output.clone(), &case["reconstruction"]);
        check(evaluation, &reconstruction.name(), &reconstruction.name());
    }
    let observed = precision.tensor::<2>(&case["observed"]);
    // The loss alone counts what is observed here; the network reads everything, as in the reference.
    let evaluation = Objective::default().evaluate(&model, x.clone());
    let value = SquaredError.loss(x.clone(), evaluation.forward.output.clone(), Some(observed));
    let observed = ae_model::Term { name: "observed".into(), weight: 1.0, value };
    check(Evaluation { terms: vec![observed], forward: evaluation.forward }, "observed", "squared_error_observed");

    let rho = case["rho"].as_f64().expect("a rate");
    for method in METHODS {
        let objective = Objective::default()
            .with_penalty(L1::default())
            .with_penalty(KlRate { rate: rho, ..KlRate::default() })
            .with_penalty(Contractive { method, ..Contractive::default() });
        // Burn keeps no graph after a backward pass: one evaluation for each.
        for (name, expected) in [("l1", "l1"), ("kl_rate", "kl_rate"), ("contractive", "jacobian_norm2")] {
            check(objective.evaluate(&model, x.clone()), name, expected);
        }
        let evaluation = objective.evaluate(&model, x.clone());
        let weighted =
            evaluation.terms.iter().map(|term| term.value.clone().mean().mul_scalar(term.weight).into_scalar::<f64>());
        let (sum, loss) = (weighted.sum::<f64>(), evaluation.loss().into_scalar::<f64>());
        assert!(
            (sum - loss).abs() <= precision.tolerance * sum.abs(),
            "the loss is the weighted sum: {loss}, expected {sum}"
        );
    }
}

fn deep_encoders_and_their_derivatives_for_every_activation(precision: &Precision) {
    let cases = cases();
    let mut seen = 0;
    for activation in Activation::ALL {
        let Some(case) = cases.get(format!("deep_{activation}")) else { continue };
        seen += 1;
        let params = &case["params"];
        let network =
            Mlp::new(vec![precision.affine(params, "w1", "b1"), precision.affine(params, "w2", "b2")], activation);
        let (code, derivative) = network
            .jvp(precision.tensor(&case["input"]), precision.tensor(&case["direction"]))
            .expect("a tangent rule");
        precision.compare(&format!("{activation} code"), code.clone(), &case["code"]);
        precision.compare(
            &format!("{activation} forward"),
            Encoder::forward(&network, precision.tensor(&case["input"])),
            &case["code"],
        );
        precision.compare(&format!("{activation} jvp"), derivative.clone(), &case["jvp"]);
        let check = |name: &str, norm: Tensor<1>| {
            let term = &case["terms"][name];
            precision.compare(&format!("{activation} {name}"), norm.clone(), &term["value"]);
            let gradients = norm.mean().backward();
            for (index, layer) in network.layers.iter().enumerate() {
                let (weight, bias) = (format!("w{}", index + 1), format!("b{}", index + 1));
                let what = format!("{activation} {name}");
                precision.compare_gradient(
                    &format!("{what} {weight}"),
                    layer.weight.val(),
                    &gradients,
                    &term["grads"][&weight],
                );
                precision.compare_gradient(
                    &format!("{what} {bias}"),
                    layer.bias.val(),
                    &gradients,
                    &term["grads"][&bias],
                );
            }
        };
        check("jvp_norm2", derivative.square().sum_dim(1).squeeze_dim::<1>(1));
        let model = Autoencoder::new(network.clone(), network.clone());
        for method in METHODS {
            check(
                "jacobian_norm2",
                Jacobian { method, probes: 1 }.norm2(&model.parts(), precision.tensor(&case["input"]), None),
            );
        }
    }
    assert_eq!(seen, 8, "every activation but the identity has a case");
}

fn a_convolutional_encoder_and_the_norm_of_its_derivative(precision: &Precision) {
    let case = &cases()["conv_tanh"];
    let params = &case["params"];
    let convolution =
        ConvLayer::from_tensors(precision.tensor(&params["conv_w"]), precision.tensor(&params["conv_b"]), 2);
    let encoder = ConvEncoder {
        convolutions: vec![convolution],
        norms: Vec::new(),
        dropout: None,
        code: precision.affine(params, "w", "b"),
        image: [1, 6, 6],
        activation: Activation::Tanh,
    };
    let x = precision.tensor::<2>(&case["input"]);
    precision.compare("conv code", encoder.forward(x.clone()), &case["code"]);
    let model = Autoencoder::new(encoder.clone(), Mlp::new(Vec::new(), Activation::Identity));
    let term = &case["terms"]["jacobian_norm2"];
    let norm2 = Jacobian { method: Method::Exact, probes: 1 }.norm2(&model.parts(), x, None);
    precision.compare("conv jacobian_norm2", norm2.clone(), &term["value"]);
    let gradients = norm2.mean().backward();
    let (grads, layer) = (&term["grads"], &encoder.convolutions[0]);
    precision.compare_gradient("conv_w", layer.weight.val(), &gradients, &grads["conv_w"]);
    precision.compare_gradient("conv_b", layer.bias.val(), &gradients, &grads["conv_b"]);
    precision.compare_gradient("conv w", encoder.code.weight.val(), &gradients, &grads["w"]);
    precision.compare_gradient("conv b", encoder.code.bias.val(), &gradients, &grads["b"]);
}

fn a_top_k_code_and_the_gradient_through_its_kept_units(precision: &Precision) {
    let case = &cases()["top_k"];
    let params = &case["params"];
    let k = case["k"].as_u64().expect("a number of units") as usize;
    let encoder = Mlp::new(vec![precision.affine(params, "enc_w", "enc_b")], Activation::Identity);
    let decoder = Mlp::new(vec![precision.affine(params, "dec_w", "dec_b")], Activation::Identity);
    let code = TopKConfig { k, activation: Activation::Relu, ..TopKConfig::default() }.init(8, &precision.device);
    let model = Autoencoder::new(encoder, decoder).with_code(code);
    let evaluation = Objective::default().evaluate(&model, precision.tensor::<2>(&case["input"]));
    precision.compare("top_k code", evaluation.forward.latent.code.clone(), &case["code"]);
    precision.compare("top_k reconstruction", evaluation.forward.output.clone(), &case["reconstruction"]);
    let term = &case["terms"]["squared_error"];
    precision.compare("top_k squared_error", evaluation.terms[0].value.clone(), &term["value"]);
    let gradients = evaluation.loss().backward();
    for (side, layer) in [("enc", &model.encoder.layers[0]), ("dec", &model.decoder.layers[0])] {
        let grads = &term["grads"];
        precision.compare_gradient(
            &format!("top_k {side}_w"),
            layer.weight.val(),
            &gradients,
            &grads[format!("{side}_w")],
        );
        precision.compare_gradient(
            &format!("top_k {side}_b"),
            layer.bias.val(),
            &gradients,
            &grads[format!("{side}_b")],
        );
    }
}

fn a_gaussian_code_and_the_evidence_lower_bound(precision: &Precision) {
    let case = &cases()["gaussian_code"];
    let params = &case["params"];
    let (mean, log_variance) =
        (precision.affine(params, "mean_w", "mean_b"), precision.affine(params, "logvar_w", "logvar_b"));
    let decoder = precision.affine(params, "dec_w", "dec_b");
    let x = precision.tensor::<2>(&case["input"]);
    let of = |layer: &Affine| Encoder::forward(&Mlp::new(vec![layer.clone()], Activation::Identity), x.clone());
    // As the encoder gives them: the means, then the logarithms of the variances.
    let evaluate = || {
        let z = Tensor::cat(vec![of(&mean), of(&log_variance)], 1);
        let latent = Gaussian::with_noise(z, precision.tensor(&case["noise"]));
        let logits = decoder.clone().forward(latent.code.clone());
        (latent, logits)
    };
    let (latent, logits) = evaluate();
    precision.compare("gaussian code", latent.code, &case["code"]);
    precision.compare("gaussian logits", logits, &case["logits"]);
    let code = GaussianConfig::default().init(3, &precision.device);
    for name in ["kl_normal", "bernoulli", "negative_elbo"] {
        let (latent, logits) = evaluate();
        let divergence = code.terms(&latent, 1.0).remove(0);
        assert_eq!(divergence.weight, 1.0);
        let loss = Bernoulli.loss(x.clone(), logits, None);
        let value = match name {
            "kl_normal" => divergence.value,
            "bernoulli" => loss,
            _ => loss + divergence.value,
        };
        let term = &case["terms"][name];
        precision.compare(name, value.clone(), &term["value"]);
        let gradients = value.mean().backward();
        for (part, layer) in [("mean", &mean), ("logvar", &log_variance), ("dec", &decoder)] {
            let (weight, bias) = (format!("{part}_w"), format!("{part}_b"));
            precision.compare_gradient(
                &format!("{name} {weight}"),
                layer.weight.val(),
                &gradients,
                &term["grads"][&weight],
            );
            precision.compare_gradient(&format!("{name} {bias}"), layer.bias.val(), &gradients, &term["grads"][&bias]);
        }
    }
}

fn divergence_free_bits_and_importance_weights(precision: &Precision) {
    let file = golden("AE_GOLDEN_BEYOND", "golden_beyond.json");
    let z = |case: &Value| Tensor::cat(vec![precision.tensor::<2>(&case["mu"]), precision.tensor(&case["logvar"])], 1);
    let case = &file["kl"];
    let latent = Gaussian::with_noise(z(case), precision.tensor(&case["eps"]));
    precision.compare("kl z", latent.code.clone(), &case["z"]);
    precision.compare("kl_per_dim", Gaussian::divergence_of_units(&z(case)), &case["kl_per_dim"]);
    let free = GaussianConfig { free_bits: 0.5, ..GaussianConfig::default() }.init(4, &precision.device);
    let terms = free.terms(&latent, 1.0);
    precision.compare("kl", terms[0].value.clone(), &case["kl"]);
    precision.compare("free bits", terms[1].value.clone().mean(), &case["free_bits_half_batch_mean"]);

    let case = &file["iwae_linear_gaussian"];
    let decoder = Affine::from_tensors(precision.tensor::<2>(&case["W"]).transpose(), precision.tensor(&case["b"]));
    let variance = Variance::fixed(1.0, &precision.device);
    variance.value.update(precision.tensor::<1>(&serde_json::json!([case["sigma2"]])).without_autodiff());
    let x = precision.tensor::<2>(&case["x"]);
    let code = GaussianConfig::default().init(4, &precision.device);
    let log_weights = case["eps"].as_array().expect("samples").iter().map(|noise| {
        let latent = Gaussian::with_noise(z(case), precision.tensor(noise));
        let ratio = code.log_ratio(&latent).expect("a stochastic code");
        (ratio - variance.loss(x.clone(), decoder.clone().forward(latent.code), None)).unsqueeze_dim::<2>(0)
    });
    let log_weights = Tensor::cat(log_weights.collect(), 0);
    precision.compare("log_w", log_weights.clone(), &case["log_w"]);
    precision.compare("iwae_6", bound(log_weights), &case["iwae_6"]);
}

/// Hides given values: what a corruption draws at random otherwise.
#[derive(Debug)]
struct Hides(Tensor<2>);

impl Corrupt for Hides {
    fn name(&self) -> Cow<'static, str> {
        "hides".into()
    }

    fn apply(&self, x: Tensor<2>, _columns: &Layout) -> Change {
        Change { x, replaced: None, hidden: Some(self.0.clone()) }
    }
}

fn parts_that_are_combined(precision: &Precision) {
    let file = golden("AE_GOLDEN_PARTS", "golden_parts.json");
    let x = |name: &str| precision.tensor::<2>(&file[name]["x"]);
    let affine = |name: &str, weight: &str, bias: &str| precision.affine(&file[name]["params"], weight, bias);
    let stack = |layer: &Affine| Mlp::new(vec![layer.clone()], Activation::Identity);
    // The value, and its gradient by each parameter.
    let check = |name: &str, value: Tensor<1>, parameters: &[(&str, Tensor<2>)], vectors: &[(&str, Tensor<1>)]| {
        let case = &file[name];
        // A difference of derivatives cancels, and a norm divides by a spread of a few rows: each costs a digit of
        // `f32`.
        let is_near = matches!(name, "hessian" | "batch_norm") && precision.dtype == DType::F32;
        let near = Precision::new(precision.device.clone(), precision.dtype, 10.0 * precision.tolerance);
        let precision = if is_near { &near } else { precision };
        precision.compare(name, value.clone(), &case["value"]);
        let gradients = value.mean().backward();
        assert_eq!(
            parameters.len() + vectors.len(),
            case["params"].as_object().expect("parameters").len(),
            "{name}: every parameter"
        );
        for (parameter, tensor) in parameters {
            precision.compare_gradient(
                &format!("{name} {parameter}"),
                tensor.clone(),
                &gradients,
                &case["grads"][parameter],
            );
        }
        for (parameter, tensor) in vectors {
            if case["grads"][parameter].is_null() {
                // A gradient of 0 comes out as the rounding of what cancels.
                let rounding =
                    tensor.grad(&gradients).map_or(0.0, |gradient| gradient.abs().max().into_scalar::<f64>());
                assert!(rounding <= precision.tolerance, "{name} {parameter}: {rounding}, expected 0");
                continue;
            }
            precision.compare_gradient(
                &format!("{name} {parameter}"),
                tensor.clone(),
                &gradients,
                &case["grads"][parameter],
            );
        }
    };
    let all = |name: &str, value: Tensor<1>, encoder: &Affine, decoder: &Affine| {
        let matrices = [("w", encoder.weight.val()), ("v", decoder.weight.val())];
        check(name, value, &matrices, &[("b", encoder.bias.val()), ("c", decoder.bias.val())]);
    };
    let two = |name: &str| (affine(name, "w", "b"), affine(name, "v", "c"));

    let encoder = affine("hessian", "w", "b");
    let model = Autoencoder::new(stack(&encoder), Mlp::new(Vec::new(), Activation::Identity))
        .with_code(AnyCode::from(Activation::Sigmoid));
    let (from, step) = (x("hessian"), precision.tensor::<2>(&file["hessian"]["step"]));
    for method in METHODS {
        let value =
            Jacobian { method, probes: 1 }.difference2(&model.parts(), from.clone(), from.clone() + step.clone(), None);
        check("hessian", value, &[("w", encoder.weight.val())], &[("b", encoder.bias.val())]);
    }

    let (encoder, decoder) = two("lifetime");
    let code = LifetimeConfig { rate: 0.5, activation: Activation::Relu }.init(4, &precision.device);
    code.threshold.update(Tensor::zeros([4], (&precision.device, precision.dtype)));
    let model = Autoencoder::new(stack(&encoder), stack(&decoder)).with_code(code);
    let evaluation = Objective::default().evaluate(&model, x("lifetime"));
    precision.compare("lifetime code", evaluation.forward.latent.code.clone(), &file["lifetime"]["code"]);
    all("lifetime", evaluation.terms[0].value.clone(), &encoder, &decoder);

    let (encoder, decoder) = two("emphasis");
    let model = Autoencoder::new(stack(&encoder), stack(&decoder)).with_code(AnyCode::from(Activation::Sigmoid));
    let mut objective = Objective::default().with_corruption(Hides(precision.tensor(&file["emphasis"]["hidden"])));
    objective.corruption.emphasis = Some(Emphasis { changed: 1.5, intact: 0.25 });
    let evaluation = objective.evaluate(&model, x("emphasis"));
    all("emphasis", evaluation.terms[0].value.clone(), &encoder, &decoder);

    let head = Head::new(SquaredError, Some(Layout { numbers: 1, booleans: 1, categories: vec![2, 3] }));
    let output = precision.tensor::<2>(&file["mixed"]["params"]["output"]).require_grad();
    check("mixed", head.loss(x("mixed"), output.clone(), None), &[("output", output)], &[]);

    let encoder = affine("tied", "w", "b");
    let bias = precision.tensor::<1>(&file["tied"]["params"]["c"]);
    let config = MlpConfig { hidden: Vec::new(), ..MlpConfig::default() };
    let mut decoder = config.tied_decoder(&Sizes::new(5, 3), Activation::Identity, &precision.device);
    decoder.biases = vec![Param::from_tensor(bias)];
    let model = Autoencoder::new(stack(&encoder), decoder).with_code(AnyCode::from(Activation::Tanh));
    let value = Objective::default().evaluate(&model, x("tied")).terms[0].value.clone();
    let vectors = [("b", encoder.bias.val()), ("c", model.decoder.biases[0].val())];
    check("tied", value, &[("w", encoder.weight.val())], &vectors);

    for (name, kind) in [("layer_norm", NormKind::Layer), ("batch_norm", NormKind::Batch)] {
        let (encoder, decoder) = two(name);
        let vector = |part: &str| Param::from_tensor(precision.tensor::<1>(&file[name]["params"][part]));
        let mut norm = kind.init(4, &precision.device).expect("a norm");
        let (gamma, beta) = (vector("gamma"), vector("beta"));
        match &mut norm {
            Norm::Layer(layer) => (layer.gamma, layer.beta) = (gamma.clone(), beta.clone()),
            Norm::Batch(batch) => {
                (batch.gamma, batch.beta) = (gamma.clone(), beta.clone());
                let still = |value: f64| Tensor::full([4], value, (&precision.device, precision.dtype));
                batch.running_mean.update(still(0.0));
                batch.running_var.update(still(1.0));
            }
        }
        let network =
            Mlp { norms: vec![norm], ..Mlp::new(vec![encoder.clone(), decoder.clone()], Activation::Softplus) };
        let value = SquaredError.loss(x(name), network.forward(x(name)), None);
        let vectors =
            [("b", encoder.bias.val()), ("c", decoder.bias.val()), ("gamma", gamma.val()), ("beta", beta.val())];
        check(name, value, &[("w", encoder.weight.val()), ("v", decoder.weight.val())], &vectors);
    }

    let (encoder, decoder) = two("sparse_top_k");
    let code = TopKConfig { k: 2, activation: Activation::Relu, ..TopKConfig::default() }.init(32, &precision.device);
    let model = Autoencoder::new(stack(&encoder), stack(&decoder)).with_code(code);
    all(
        "sparse_top_k",
        Objective::default().evaluate(&model, x("sparse_top_k")).terms[0].value.clone(),
        &encoder,
        &decoder,
    );

    let (encoder, decoder) = two("mask");
    let model = Autoencoder::new(stack(&encoder), stack(&decoder))
        .with_code(AnyCode::from(Activation::Sigmoid))
        .with_mask_input(true);
    let observed = precision.tensor::<2>(&file["mask"]["observed"]);
    // What stands where nothing was observed is not looked at.
    let input = x("mask").mask_fill(observed.clone().lower_equal_elem(0.5), f64::NAN);
    let evaluation = Objective::default().evaluate(&model, Sample::from(input).with_observed(observed));
    all("mask", evaluation.terms[0].value.clone(), &encoder, &decoder);
}

/// Every case of the files.
const CASES: [fn(&Precision); 7] = [
    shallow_autoencoder_with_every_loss_and_penalty,
    deep_encoders_and_their_derivatives_for_every_activation,
    a_convolutional_encoder_and_the_norm_of_its_derivative,
    a_top_k_code_and_the_gradient_through_its_kept_units,
    a_gaussian_code_and_the_evidence_lower_bound,
    divergence_free_bits_and_importance_weights,
    parts_that_are_combined,
];

/// Runs every case, and gives the largest error in units of its tensor's largest entry.
///
/// # Panics
/// An error beyond the tolerance.
#[allow(dead_code, reason = "for the suite over the backends")]
pub fn all(precision: &Precision) -> f64 {
    CASES.iter().for_each(|case| case(precision));
    precision.worst.get()
}

#[test]
fn golden_shallow_autoencoder_with_every_loss_and_penalty() {
    precisions().iter().for_each(shallow_autoencoder_with_every_loss_and_penalty);
}

#[test]
fn golden_deep_encoders_and_their_derivatives_for_every_activation() {
    precisions().iter().for_each(deep_encoders_and_their_derivatives_for_every_activation);
}

#[test]
fn golden_a_convolutional_encoder_and_the_norm_of_its_derivative() {
    precisions().iter().for_each(a_convolutional_encoder_and_the_norm_of_its_derivative);
}

#[test]
fn golden_a_top_k_code_and_the_gradient_through_its_kept_units() {
    precisions().iter().for_each(a_top_k_code_and_the_gradient_through_its_kept_units);
}

#[test]
fn golden_a_gaussian_code_and_the_evidence_lower_bound() {
    precisions().iter().for_each(a_gaussian_code_and_the_evidence_lower_bound);
}

#[test]
fn golden_divergence_free_bits_and_importance_weights() {
    precisions().iter().for_each(divergence_free_bits_and_importance_weights);
}

#[test]
fn golden_parts_that_are_combined() {
    precisions().iter().for_each(parts_that_are_combined);
}
