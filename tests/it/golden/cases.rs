//! One formula or part at a time.

use std::sync::Arc;

use ae_model::{
    Activation, AnyCode, Autoencoder, Bernoulli, Code, Encoder, Evaluation, Head, Jacobian, Loss, Objective,
    SquaredError, Variance,
    code::{Gaussian, GaussianConfig, TopKConfig},
    jacobian::Method,
    likelihood::bound,
    network::{
        Affine, Mlp,
        conv::{ConvEncoder, ConvLayer},
    },
    penalty::{Contractive, KlRate, L1},
};
use burn::tensor::Tensor;
use serde_json::Value;

use super::{METHODS, Precision, golden};

/// The cases of `golden.json`.
fn cases() -> Value {
    golden("AE_GOLDEN", "golden.json")["cases"].clone()
}

pub(super) fn shallow_autoencoder_with_every_loss_and_penalty(precision: &Precision) {
    let case = &cases()["shallow"];
    let params = &case["params"];
    let encoder = Mlp::new(vec![precision.affine(params, "enc_w", "enc_b")], Activation::Identity);
    let decoder = Mlp::new(vec![precision.affine(params, "dec_w", "dec_b")], Activation::Identity);
    let model = Autoencoder::new(encoder, decoder).with_code(AnyCode::from(Activation::Sigmoid));
    let x = precision.tensor::<2>(&case["input"]);
    // Compares a single term: its value is taken before weighting.
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
    // Only the loss ignores missing values here; the network reads all values, as in the reference.
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
        // Burn frees the graph after a backward pass: each term needs an evaluation of its own.
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

pub(super) fn deep_encoders_and_their_derivatives_for_every_activation(precision: &Precision) {
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

pub(super) fn a_convolutional_encoder_and_the_norm_of_its_derivative(precision: &Precision) {
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

pub(super) fn a_top_k_code_and_the_gradient_through_its_kept_units(precision: &Precision) {
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

pub(super) fn a_gaussian_code_and_the_evidence_lower_bound(precision: &Precision) {
    let case = &cases()["gaussian_code"];
    let params = &case["params"];
    let (mean, log_variance) =
        (precision.affine(params, "mean_w", "mean_b"), precision.affine(params, "logvar_w", "logvar_b"));
    let decoder = precision.affine(params, "dec_w", "dec_b");
    let x = precision.tensor::<2>(&case["input"]);
    let of = |layer: &Affine| Encoder::forward(&Mlp::new(vec![layer.clone()], Activation::Identity), x.clone());
    // In the order of the encoder's outputs: the means, then the logarithms of the variances.
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

pub(super) fn divergence_free_bits_and_importance_weights(precision: &Precision) {
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
