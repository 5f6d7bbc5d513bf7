//! Dictionaries: codes, every term of the loss, and the gradients of all parameters.
//!
//! The reference has the squared error without the factor 1/2: its losses and gradients are twice ours.

use ae_model::{
    Activation, Activity, AnyCode, Autoencoder, Code, Evaluation, Objective,
    code::{BatchTopK, BatchTopKConfig, Gated, JumpReluConfig, TopKConfig},
    network::{DictionaryDecoder, DictionaryEncoder, dictionary::median::geometric_median},
    penalty::{AuxK, Gate, GateReconstruction, L1, Matryoshka, PreActivation, Tanh},
};
use burn::{
    module::{Module, Param, RunningState},
    tensor::{Gradients, Tensor},
};
use serde_json::Value;

use super::{Precision, golden};

type Dictionary = Autoencoder<DictionaryEncoder, DictionaryDecoder>;

/// The cases of the file whose names start with `sae_` and that have gradients.
const NAMES: [&str; 8] = [
    "standard",
    "gated",
    "topk",
    "batchtopk",
    "jumprelu",
    "jumprelu_tanh",
    "jumprelu_quadratic",
    "matryoshka_batchtopk",
];

/// The precision of a case: the values of some files were computed in single precision.
fn of_case(precision: &Precision, case: &Value) -> Precision {
    let single = case["config"]["dtype"] == "float32";
    let tolerance = if single { precision.tolerance.max(1e-5) } else { precision.tolerance };
    Precision::new(precision.device.clone(), precision.dtype, tolerance)
}

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("a number `{name}`"))
}

fn model(precision: &Precision, case: &Value, bias: &str, code: AnyCode) -> Dictionary {
    let params = &case["params"];
    let encoder = DictionaryEncoder {
        weight: Param::from_tensor(precision.tensor(&params["W_enc"])),
        bias: Param::from_tensor(precision.tensor(&params[bias])),
        center: Some(Param::from_tensor(precision.tensor(&params["b_dec"]))),
    };
    let decoder = DictionaryDecoder {
        weight: Param::from_tensor(precision.tensor(&params["W_dec"])),
        bias: None,
        skip: None,
        output: Activation::Identity,
    };
    Autoencoder::new(encoder, decoder).with_code(code)
}

pub(super) fn dictionaries_with_every_code_and_penalty(precision: &Precision) {
    let file = golden("AE_GOLDEN_BEYOND", "golden_beyond.json");
    for name in NAMES {
        let case = &file[format!("sae_{name}")];
        let precision = of_case(precision, case);
        check(&precision, name, case);
    }
}

fn check(precision: &Precision, name: &str, case: &Value) {
    let (config, params, coefficients) = (&case["config"], &case["params"], &case["coefficients"]);
    let x = precision.tensor::<2>(&case["x"]);
    let device = x.device();
    let units = params["W_dec"].as_array().expect("rows").len();
    let bias = if name == "gated" { "b_gate" } else { "b_enc" };
    let code = match name {
        "standard" => AnyCode::from(Activation::Relu),
        "gated" => AnyCode::new(gated(precision, params)),
        "topk" => AnyCode::new(TopKConfig::new(number(config, "k") as usize).init(units, &device)),
        "batchtopk" | "matryoshka_batchtopk" => {
            let code = BatchTopKConfig::new(number(config, "k")).init(units, &device);
            let before = Tensor::<1>::from_floats([number(case, "threshold_before") as f32], &device.clone().inner());
            code.running.update(before);
            AnyCode::new(code)
        }
        _ => {
            let target = config["target_l0"].as_f64().unwrap_or(0.0);
            let mut jump = JumpReluConfig {
                // Half the reference's: `(L0 - k)^2 / k` here is `2 (L0 - k)^2 / k` there.
                weight: (number(coefficients, "l0") * if target > 0.0 { 1.0 } else { 0.5 }).into(),
                bandwidth: number(config, "jumprelu_bandwidth"),
                target,
                each: true,
                through_input: config["jumprelu_ste_to_input"] == true,
                ..JumpReluConfig::default()
            };
            if name == "jumprelu_tanh" {
                jump.weight = 0.0.into();
            }
            let mut code = jump.init(units, &device);
            code.threshold = Param::from_tensor(precision.tensor(&params["threshold"]));
            AnyCode::new(code)
        }
    };
    let mut objective = Objective::default();
    let half = |name: &str| number(coefficients, name) / 2.0;
    objective = match name {
        "standard" => objective.with_penalty(L1::new(half("l1"))),
        "gated" => objective
            .with_penalty(Gate::new(half("l1")))
            .with_penalty(GateReconstruction::default().with_frozen(config["frozen"] == true)),
        "jumprelu_tanh" => {
            let tanh = Tanh { weight: half("l0").into(), scale: number(config, "jumprelu_tanh_scale") };
            let raised = number(config, "pre_act_loss_coefficient") / 2.0;
            objective.with_penalty(tanh).with_penalty(PreActivation { weight: raised.into(), dead_after: 1 })
        }
        "jumprelu" | "jumprelu_quadratic" => objective,
        _ => objective.with_penalty(AuxK::new(number(config, "aux_loss_coefficient")).with_dead_after(1)),
    };
    if name == "matryoshka_batchtopk" {
        let widths = config["matryoshka_widths"].as_array().expect("widths");
        let share = |width: &Value| width.as_f64().expect("a width") / units as f64;
        objective =
            objective.with_penalty(Matryoshka::new(widths.iter().map(share).filter(|w| *w < 1.0).collect::<Vec<_>>()));
    }
    let dead: Vec<f32> =
        case["dead"].as_array().expect("flags").iter().map(|dead| if dead == true { 10.0 } else { 0.0 }).collect();
    let activity = Activity { idle: RunningState::new(Tensor::from_floats(dead.as_slice(), &device.clone().inner())) };
    let model = model(precision, case, bias, code).with_activity(activity);

    let evaluation = objective.evaluate(&model, x.clone());
    let lengths = model.parts().lengths().expect("a dictionary has lengths");
    let latent = evaluation.forward.latent.code.clone();
    // The reference's top-k codes are already multiplied by the lengths.
    let acts = if config["rescale_acts_by_decoder_norm"] == true { latent * lengths.unsqueeze::<2>() } else { latent };
    precision.compare(&format!("{name} code"), acts, &case["feature_acts"]);
    precision.compare(&format!("{name} reconstruction"), evaluation.forward.output.clone(), &case["sae_out"]);
    terms(precision, name, case, &evaluation);
    let loss = evaluation.loss().mul_scalar(2.0);
    precision.compare(&format!("{name} loss"), loss.clone(), &Value::from(vec![number(case, "loss")]));
    gradients(precision, name, case, bias, &model, &loss.backward());
    if let Some(code) = model.code.get::<BatchTopK>() {
        let (after, expected) = (f64::from(code.threshold()), number(case, "threshold_after"));
        assert!((after - expected).abs() < 1e-6 * expected, "{name} threshold: {after}, expected {expected}");
    }
    let output = |model: &Dictionary| model.reconstruct(x.clone().without_autodiff());
    let trained = model.valid();
    precision.compare(&format!("{name} trained output"), output(&trained), &case["inference_out"]);
    let folded = trained.clone().folded();
    precision.compare(&format!("{name} folded output"), output(&folded), &case["inference_out"]);
    // The reference's top-k codes are stored with atoms of length 1.
    let stored = if config["rescale_acts_by_decoder_norm"] == true { folded } else { trained };
    precision.compare(&format!("{name} trained code"), stored.encode(x.without_autodiff()), &case["inference_acts"]);
}

/// The code of the reference's parameters: its magnitudes are `(z - b_gate) e^r + b_mag`.
fn gated(precision: &Precision, params: &Value) -> Gated {
    let vector = |name: &str| precision.tensor::<1>(&params[name]);
    let shift = vector("b_mag") - vector("b_gate") * vector("r_mag").exp();
    Gated {
        scale: Param::from_tensor(vector("r_mag")),
        shift: Param::from_tensor(Tensor::from_inner(shift.without_autodiff())),
    }
}

/// Compares each term of the loss, weighted and averaged over the batch.
fn terms(precision: &Precision, name: &str, case: &Value, evaluation: &Evaluation) {
    let of = |name: &str| {
        let term = evaluation.terms.iter().find(|term| term.name == name).unwrap_or_else(|| panic!("a term `{name}`"));
        term.value.clone().mean().mul_scalar(2.0 * term.weight)
    };
    let losses = case["losses"].as_object().expect("losses");
    let inner: f64 =
        losses.iter().filter(|(name, _)| name.starts_with("inner_")).map(|(_, v)| v.as_f64().unwrap()).sum();
    for (loss, expected) in losses {
        let found = match (loss.as_str(), name) {
            ("mse_loss", _) => of("squared_error"),
            ("l1_loss", "gated") => of("gate"),
            ("l1_loss", _) => of("l1"),
            ("l0_loss", "jumprelu_tanh") => of("tanh"),
            ("l0_loss", _) => of("l0_penalty"),
            ("pre_act_loss", _) => of("pre_activation"),
            ("auxiliary_reconstruction_loss", "gated") => of("gate_reconstruction"),
            ("auxiliary_reconstruction_loss", _) => of("aux_k"),
            _ => continue,
        };
        precision.compare(&format!("{name} {loss}"), found, &Value::from(vec![expected.as_f64().expect("a number")]));
    }
    if inner > 0.0 {
        precision.compare(&format!("{name} inner losses"), of("matryoshka"), &Value::from(vec![inner]));
    }
}

fn gradients(precision: &Precision, name: &str, case: &Value, bias: &str, model: &Dictionary, gradients: &Gradients) {
    let expected = &case["grads"];
    let compare = |what: &str, parameter: Tensor<2>| {
        precision.compare_gradient(&format!("{name} {what}"), parameter, gradients, &expected[what])
    };
    compare("W_enc", model.encoder.weight.val());
    compare("W_dec", model.decoder.weight.val());
    let center = model.encoder.center.as_ref().expect("a center").val();
    precision.compare_gradient(&format!("{name} b_dec"), center, gradients, &expected["b_dec"]);
    let Some(code) = model.code.get::<Gated>() else {
        precision.compare_gradient(&format!("{name} {bias}"), model.encoder.bias.val(), gradients, &expected[bias]);
        if let Some(threshold) = model.code.thresholds() {
            precision.compare_gradient(&format!("{name} threshold"), threshold, gradients, &expected["threshold"]);
        }
        return;
    };
    // By the reference's parameters, of which ours are functions.
    let by = |tensor: Tensor<1>| tensor.grad(gradients).expect("a gradient");
    let (gate, scale) = (precision.tensor::<1>(&case["params"]["b_gate"]).without_autodiff(), code.scale.val());
    let factor = scale.clone().exp().without_autodiff();
    let by_shift = by(code.shift.val());
    precision.compare(&format!("{name} b_mag"), by_shift.clone(), &expected["b_mag"]);
    let by_scale = by(scale) - gate * factor.clone() * by_shift.clone();
    precision.compare(&format!("{name} r_mag"), by_scale, &expected["r_mag"]);
    precision.compare(&format!("{name} b_gate"), by(model.encoder.bias.val()) - factor * by_shift, &expected["b_gate"]);
}

pub(super) fn the_geometric_median(precision: &Precision) {
    let case = &golden("AE_GOLDEN_BEYOND", "golden_beyond.json")["geometric_median"];
    let points = precision.tensor::<2>(&case["points"]).without_autodiff();
    // The iteration ends when it moves by less than 1e-7.
    let near = Precision::new(precision.device.clone(), precision.dtype, precision.tolerance.max(1e-6));
    near.compare("geometric median", geometric_median(&points), &case["median"]);
}
