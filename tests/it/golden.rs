//! Every formula against values and gradients that PyTorch computed in `f64` (`tests/golden/make_golden.py`).
//!
//! Each case runs in `f32`, to 1e-5 of the tensor's largest entry (a few hundred rounding errors of 6e-8), and in `f64`, to 1e-10.
//! `AE_GOLDEN` names another file, such as one made with another seed.

use ae_model::{
    Activation, Autoencoder, Encoder, Evaluation, Objective, Reconstruction,
    code::{CodeConfig, DeterministicConfig},
    network::{Affine, Mlp},
};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use serde_json::Value;

/// The file's cases.
fn cases() -> Value {
    let path =
        std::env::var("AE_GOLDEN").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/golden.json").to_string());
    let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str::<Value>(&file).expect("the golden file is JSON")["cases"].clone()
}

/// A precision to compute in, and how close the result must be.
#[derive(Clone, Copy)]
struct Precision {
    dtype: DType,
    tolerance: f64,
}

const PRECISIONS: [Precision; 2] = [Precision { dtype: DType::F32, tolerance: 1e-5 }, Precision { dtype: DType::F64, tolerance: 1e-10 }];

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
    fn tensor<const D: usize>(self, value: &Value) -> Tensor<D> {
        let data = TensorData::new(flatten(value), shape(value)).convert_dtype(self.dtype);
        Tensor::from_data(data, (&Device::default().autodiff(), self.dtype))
    }

    fn affine(self, params: &Value, weight: &str, bias: &str) -> Affine {
        Affine::from_tensors(self.tensor(&params[weight]), self.tensor(&params[bias]))
    }

    fn compare<const D: usize>(self, what: &str, found: Tensor<D>, expected: &Value) {
        let found: Vec<f64> = found.into_data().iter::<f64>().collect();
        let expected = flatten(expected);
        assert_eq!(found.len(), expected.len(), "{what}: number of entries");
        let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = (found - expected).abs();
            assert!(
                error <= self.tolerance * largest,
                "{what}[{index}] in {:?}: {found}, expected {expected} (largest entry {largest})",
                self.dtype
            );
        }
    }

    /// The gradient of one parameter; `null` in the file is no dependence.
    fn compare_gradient<const D: usize>(self, what: &str, parameter: Tensor<D>, gradients: &Gradients, expected: &Value) {
        match (parameter.grad(gradients), expected) {
            (Some(found), Value::Null) => assert_eq!(found.abs().max().into_scalar::<f64>(), 0.0, "{what}: no gradient expected"),
            (Some(found), expected) => self.compare(what, found, expected),
            (None, expected) => assert!(expected.is_null() || flatten(expected).iter().all(|&value| value == 0.0), "{what}: no gradient"),
        }
    }
}

fn mlp(layers: Vec<Affine>, activation: Activation) -> Mlp {
    Mlp { layers, activation, output: Activation::Identity }
}

#[test]
fn shallow_autoencoder_with_squared_error_and_bernoulli() {
    let case = &cases()["shallow"];
    let params = &case["params"];
    for precision in PRECISIONS {
        for reconstruction in [Reconstruction::SquaredError, Reconstruction::Bernoulli] {
            let encoder = mlp(vec![precision.affine(params, "enc_w", "enc_b")], Activation::Identity);
            let decoder = mlp(vec![precision.affine(params, "dec_w", "dec_b")], Activation::Identity);
            let code = CodeConfig::Deterministic(DeterministicConfig { activation: Activation::Sigmoid }).init();
            let model = Autoencoder::new(encoder, decoder).with_code(code).with_reconstruction(reconstruction);
            let x = precision.tensor::<2>(&case["input"]);
            let check = |evaluation: Evaluation, term: &Value, name: &str| {
                precision.compare(name, evaluation.terms[0].value.clone(), &term["value"]);
                let gradients = evaluation.loss().backward();
                let layers = [("enc", &model.encoder.layers[0]), ("dec", &model.decoder.layers[0])];
                for (side, layer) in layers {
                    let grads = &term["grads"];
                    precision.compare_gradient(&format!("{name} {side}_w"), layer.weight(None), &gradients, &grads[format!("{side}_w")]);
                    precision.compare_gradient(&format!("{name} {side}_b"), layer.bias.val(), &gradients, &grads[format!("{side}_b")]);
                }
            };
            let evaluation = Objective::default().evaluate(&model, x.clone(), None);
            precision.compare("code", evaluation.forward.code.clone(), &case["code"]);
            precision.compare("reconstruction", evaluation.forward.output.clone(), &case["reconstruction"]);
            check(evaluation, &case["terms"][reconstruction.name()], reconstruction.name());
            if reconstruction == Reconstruction::SquaredError {
                let observed = precision.tensor::<2>(&case["observed"]);
                let evaluation = Objective::default().evaluate(&model, x.clone(), Some(observed));
                check(evaluation, &case["terms"]["squared_error_observed"], "squared_error_observed");
            }
        }
    }
}

#[test]
fn deep_encoders_and_their_derivatives_for_every_activation() {
    let cases = cases();
    let mut seen = 0;
    for activation in Activation::ALL {
        let Some(case) = cases.get(format!("deep_{activation}")) else { continue };
        seen += 1;
        for precision in PRECISIONS {
            let params = &case["params"];
            let network = mlp(vec![precision.affine(params, "w1", "b1"), precision.affine(params, "w2", "b2")], activation);
            let (code, derivative) = network.jvp(precision.tensor(&case["input"]), precision.tensor(&case["direction"]));
            precision.compare(&format!("{activation} code"), code.clone(), &case["code"]);
            precision.compare(
                &format!("{activation} forward"),
                Encoder::forward(&network, precision.tensor(&case["input"])),
                &case["code"],
            );
            precision.compare(&format!("{activation} jvp"), derivative.clone(), &case["jvp"]);
            let norm = derivative.square().sum_dim(1).squeeze_dim::<1>(1);
            let term = &case["terms"]["jvp_norm2"];
            precision.compare(&format!("{activation} jvp_norm2"), norm.clone(), &term["value"]);
            let gradients = norm.mean().backward();
            for (index, layer) in network.layers.iter().enumerate() {
                let (weight, bias) = (format!("w{}", index + 1), format!("b{}", index + 1));
                precision.compare_gradient(&format!("{activation} {weight}"), layer.weight(None), &gradients, &term["grads"][&weight]);
                precision.compare_gradient(&format!("{activation} {bias}"), layer.bias.val(), &gradients, &term["grads"][&bias]);
            }
        }
    }
    assert_eq!(seen, 8, "every activation but the identity has a case");
}
