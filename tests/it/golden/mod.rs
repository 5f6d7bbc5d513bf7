//! Every formula against values and gradients that PyTorch computed in `f64` (`tests/golden/make_golden.py`).
//!
//! Each case runs in `f32`, with a tolerance of 1e-5 of the tensor's largest entry (a few hundred rounding errors of
//! 6e-8), and in `f64`, with a tolerance of 1e-10.
//!
//! The environment variables `AE_GOLDEN`, `AE_GOLDEN_BEYOND` and `AE_GOLDEN_PARTS` name files to use instead of
//! `golden.json`, `golden_beyond.json` and `golden_parts.json`, such as ones made with another seed.

mod cases;
mod combined;
mod dictionaries;

use std::{cell::Cell, path::Path};

use ae_model::{jacobian::Method, network::Affine};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use serde_json::Value;

use cases::*;
use combined::parts_that_are_combined;
use dictionaries::{dictionaries_with_every_code_and_penalty, the_geometric_median};

/// The file that the environment variable names, or `file`.
fn golden(variable: &str, file: &str) -> Value {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(file);
    let path = std::env::var(variable).map_or_else(|_| own(), Into::into);
    let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str::<Value>(&file).expect("the golden file is JSON")
}

/// The device, the precision and the tolerance of a comparison.
pub struct Precision {
    device: Device,
    dtype: DType,
    tolerance: f64,
    /// The largest error so far, relative to the largest entry of its tensor.
    worst: Cell<f64>,
}

/// Both precisions on the default device.
#[allow(dead_code, reason = "the tests of the backends have their own")]
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

    pub(super) fn tensor<const D: usize>(&self, value: &Value) -> Tensor<D> {
        let data = TensorData::new(flatten(value), shape(value)).convert_dtype(self.dtype);
        Tensor::from_data(data, (&self.device.clone().autodiff(), self.dtype))
    }

    pub(super) fn affine(&self, params: &Value, weight: &str, bias: &str) -> Affine {
        Affine::from_tensors(self.tensor(&params[weight]), self.tensor(&params[bias]))
    }

    pub(super) fn compare<const D: usize>(&self, what: &str, found: Tensor<D>, expected: &Value) {
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

    /// Compares the gradient of one parameter; `null` in the file means that the result does not depend on it.
    pub(super) fn compare_gradient<const D: usize>(
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

/// The exact methods for the norm of the derivative. Both use the closed form if there is one.
const METHODS: [Method; 2] = [Method::Auto, Method::Exact];

/// All cases of the files.
const CASES: [fn(&Precision); 9] = [
    shallow_autoencoder_with_every_loss_and_penalty,
    deep_encoders_and_their_derivatives_for_every_activation,
    a_convolutional_encoder_and_the_norm_of_its_derivative,
    a_top_k_code_and_the_gradient_through_its_kept_units,
    a_gaussian_code_and_the_evidence_lower_bound,
    divergence_free_bits_and_importance_weights,
    parts_that_are_combined,
    dictionaries_with_every_code_and_penalty,
    the_geometric_median,
];

/// Runs all cases, and returns the largest error relative to the largest entry of its tensor.
///
/// # Panics
/// An error exceeds the tolerance.
#[allow(dead_code, reason = "for the tests of the backends")]
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

#[test]
fn golden_dictionaries_with_every_code_and_penalty() {
    precisions().iter().for_each(dictionaries_with_every_code_and_penalty);
}

#[test]
fn golden_the_geometric_median() {
    precisions().iter().for_each(the_geometric_median);
}
