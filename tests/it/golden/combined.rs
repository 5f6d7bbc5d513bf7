//! Parts that are combined in a model.

use std::borrow::Cow;

use ae_model::{
    Activation, AnyCode, Autoencoder, Corrupt, Head, Jacobian, Layout, Loss, Objective, Sample, SquaredError,
    code::{LifetimeConfig, TopKConfig},
    corruption::{Change, Emphasis},
    network::{Affine, Mlp, MlpConfig, Norm, NormKind, Sizes},
};
use burn::{
    module::Param,
    tensor::{DType, Tensor},
};
use serde_json::Value;

use super::{METHODS, Precision, golden};

/// A corruption that hides the given values instead of random ones.
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

/// A case of the file, with its name.
struct Case<'a> {
    precision: &'a Precision,
    name: &'static str,
    values: Value,
}

impl<'a> Case<'a> {
    fn new(precision: &'a Precision, name: &'static str) -> Self {
        Self { precision, name, values: golden("AE_GOLDEN_PARTS", "golden_parts.json")[name].clone() }
    }

    fn x(&self) -> Tensor<2> {
        self.precision.tensor(&self.values["x"])
    }

    /// An encoder of one layer, with the parameters `w` and `b`.
    fn encoder(&self) -> Affine {
        self.precision.affine(&self.values["params"], "w", "b")
    }

    /// A decoder of one layer, with the parameters `v` and `c`.
    fn decoder(&self) -> Affine {
        self.precision.affine(&self.values["params"], "v", "c")
    }

    fn vector(&self, parameter: &str) -> Tensor<1> {
        self.precision.tensor(&self.values["params"][parameter])
    }

    /// Compares a value, and its gradient by each parameter.
    fn check(&self, value: Tensor<1>, matrices: &[(&str, Tensor<2>)], vectors: &[(&str, Tensor<1>)]) {
        let name = self.name;
        // A difference of derivatives cancels, and a norm divides by the standard deviation of a few rows: each costs
        // one digit of `f32`.
        let loses_digits = matches!(name, "hessian" | "batch_norm") && self.precision.dtype == DType::F32;
        let near = Precision::new(self.precision.device.clone(), self.precision.dtype, 10.0 * self.precision.tolerance);
        let precision = if loses_digits { &near } else { self.precision };
        precision.compare(name, value.clone(), &self.values["value"]);
        let gradients = value.mean().backward();
        let parameters = self.values["params"].as_object().expect("parameters").len();
        assert_eq!(matrices.len() + vectors.len(), parameters, "{name}: every parameter");
        let expected = &self.values["grads"];
        for (parameter, tensor) in matrices {
            precision.compare_gradient(
                &format!("{name} {parameter}"),
                tensor.clone(),
                &gradients,
                &expected[parameter],
            );
        }
        for (parameter, tensor) in vectors {
            if expected[parameter].is_null() {
                // A gradient of 0 is only the rounding error of terms that cancel.
                let rounding =
                    tensor.grad(&gradients).map_or(0.0, |gradient| gradient.abs().max().into_scalar::<f64>());
                assert!(rounding <= precision.tolerance, "{name} {parameter}: {rounding}, expected 0");
                continue;
            }
            precision.compare_gradient(
                &format!("{name} {parameter}"),
                tensor.clone(),
                &gradients,
                &expected[parameter],
            );
        }
    }

    /// Compares a value that depends on an encoder and a decoder of one layer each.
    fn check_both(&self, value: Tensor<1>, encoder: &Affine, decoder: &Affine) {
        let matrices = [("w", encoder.weight.val()), ("v", decoder.weight.val())];
        self.check(value, &matrices, &[("b", encoder.bias.val()), ("c", decoder.bias.val())]);
    }
}

fn stack(layer: &Affine) -> Mlp {
    Mlp::new(vec![layer.clone()], Activation::Identity)
}

fn hessian(precision: &Precision) {
    let case = Case::new(precision, "hessian");
    let encoder = case.encoder();
    let model = Autoencoder::new(stack(&encoder), Mlp::new(Vec::new(), Activation::Identity))
        .with_code(AnyCode::from(Activation::Sigmoid));
    let (from, step) = (case.x(), precision.tensor::<2>(&case.values["step"]));
    for method in METHODS {
        let value =
            Jacobian { method, probes: 1 }.difference2(&model.parts(), from.clone(), from.clone() + step.clone(), None);
        case.check(value, &[("w", encoder.weight.val())], &[("b", encoder.bias.val())]);
    }
}

fn lifetime(precision: &Precision) {
    let case = Case::new(precision, "lifetime");
    let (encoder, decoder) = (case.encoder(), case.decoder());
    let code = LifetimeConfig { rate: 0.5, activation: Activation::Relu }.init(4, &precision.device);
    code.threshold.update(Tensor::zeros([4], (&precision.device, precision.dtype)));
    let model = Autoencoder::new(stack(&encoder), stack(&decoder)).with_code(code);
    let evaluation = Objective::default().evaluate(&model, case.x());
    precision.compare("lifetime code", evaluation.forward.latent.code.clone(), &case.values["code"]);
    case.check_both(evaluation.terms[0].value.clone(), &encoder, &decoder);
}

fn emphasis(precision: &Precision) {
    let case = Case::new(precision, "emphasis");
    let (encoder, decoder) = (case.encoder(), case.decoder());
    let model = Autoencoder::new(stack(&encoder), stack(&decoder)).with_code(AnyCode::from(Activation::Sigmoid));
    let mut objective = Objective::default().with_corruption(Hides(precision.tensor(&case.values["hidden"])));
    objective.corruption.emphasis = Some(Emphasis { changed: 1.5, intact: 0.25 });
    let evaluation = objective.evaluate(&model, case.x());
    case.check_both(evaluation.terms[0].value.clone(), &encoder, &decoder);
}

fn mixed_columns(precision: &Precision) {
    let case = Case::new(precision, "mixed");
    let head = Head::new(SquaredError, Some(Layout { numbers: 1, booleans: 1, categories: vec![2, 3] }));
    let output = precision.tensor::<2>(&case.values["params"]["output"]).require_grad();
    case.check(head.loss(case.x(), output.clone(), None), &[("output", output)], &[]);
}

fn tied_weights(precision: &Precision) {
    let case = Case::new(precision, "tied");
    let encoder = case.encoder();
    let config = MlpConfig { hidden: Vec::new(), ..MlpConfig::default() };
    let mut decoder = config.tied_decoder(&Sizes::new(5, 3), Activation::Identity, &precision.device);
    decoder.biases = vec![Param::from_tensor(case.vector("c"))];
    let model = Autoencoder::new(stack(&encoder), decoder).with_code(AnyCode::from(Activation::Tanh));
    let value = Objective::default().evaluate(&model, case.x()).terms[0].value.clone();
    let vectors = [("b", encoder.bias.val()), ("c", model.decoder.biases[0].val())];
    case.check(value, &[("w", encoder.weight.val())], &vectors);
}

fn norms(precision: &Precision) {
    for (name, kind) in [("layer_norm", NormKind::Layer), ("batch_norm", NormKind::Batch)] {
        let case = Case::new(precision, name);
        let (encoder, decoder) = (case.encoder(), case.decoder());
        let mut norm = kind.init(4, &precision.device).expect("a norm");
        let [gamma, beta] = ["gamma", "beta"].map(|parameter| Param::from_tensor(case.vector(parameter)));
        match &mut norm {
            Norm::Layer(layer) => (layer.gamma, layer.beta) = (gamma.clone(), beta.clone()),
            Norm::Batch(batch) => {
                (batch.gamma, batch.beta) = (gamma.clone(), beta.clone());
                let constant = |value: f64| Tensor::full([4], value, (&precision.device, precision.dtype));
                batch.running_mean.update(constant(0.0));
                batch.running_var.update(constant(1.0));
            }
        }
        let network =
            Mlp { norms: vec![norm], ..Mlp::new(vec![encoder.clone(), decoder.clone()], Activation::Softplus) };
        let value = SquaredError.loss(case.x(), network.forward(case.x()), None);
        let vectors =
            [("b", encoder.bias.val()), ("c", decoder.bias.val()), ("gamma", gamma.val()), ("beta", beta.val())];
        case.check(value, &[("w", encoder.weight.val()), ("v", decoder.weight.val())], &vectors);
    }
}

fn sparse_top_k(precision: &Precision) {
    let case = Case::new(precision, "sparse_top_k");
    let (encoder, decoder) = (case.encoder(), case.decoder());
    let code = TopKConfig { k: 2, activation: Activation::Relu, ..TopKConfig::default() }.init(32, &precision.device);
    let model = Autoencoder::new(stack(&encoder), stack(&decoder)).with_code(code);
    let value = Objective::default().evaluate(&model, case.x()).terms[0].value.clone();
    case.check_both(value, &encoder, &decoder);
}

fn missing_values(precision: &Precision) {
    let case = Case::new(precision, "mask");
    let (encoder, decoder) = (case.encoder(), case.decoder());
    let model = Autoencoder::new(stack(&encoder), stack(&decoder))
        .with_code(AnyCode::from(Activation::Sigmoid))
        .with_mask_input(true);
    let observed = precision.tensor::<2>(&case.values["observed"]);
    // Missing values are ignored.
    let input = case.x().mask_fill(observed.clone().lower_equal_elem(0.5), f64::NAN);
    let evaluation = Objective::default().evaluate(&model, Sample::from(input).with_observed(observed));
    case.check_both(evaluation.terms[0].value.clone(), &encoder, &decoder);
}

pub(super) fn parts_that_are_combined(precision: &Precision) {
    for case in [hessian, lifetime, emphasis, mixed_columns, tied_weights, norms, sparse_top_k, missing_values] {
        case(precision);
    }
}
