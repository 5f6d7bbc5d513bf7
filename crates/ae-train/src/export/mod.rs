//! A trained model for other programs: PyTorch, ONNX, Burn; and weights from there.

pub mod import;
pub mod onnx;
pub mod pytorch;

use ae_data::{Encoding, Scaling};
use ae_model::{AnyCode, Reconstruction};
use burn::tensor::Tensor;

use crate::{Result, evaluation::numbers, trained::Trained};

/// Numbers with a shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// Sizes, the slowest first.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

impl Numbers {
    /// Of a tensor.
    fn of<const D: usize>(tensor: Tensor<D>) -> Result<Self> {
        Ok(Self { shape: tensor.dims().to_vec(), values: numbers(tensor)? })
    }
}

/// Offset and scale of each feature.
fn scaling(scaling: &Scaling, features: usize) -> [Vec<f32>; 2] {
    let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
    [&scaling.offset, &scaling.scale].map(|values| if values.len() == 1 { vec![values[0] as f32; features] } else { single(values) })
}

/// What the decoder's output stands for, feature by feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The values themselves.
    Values,
    /// Logits of truth values.
    Logits,
    /// Logits of a category's levels.
    Levels,
}

/// The parts of the features by what the decoder's output stands for: meaning, first feature, the one behind the last.
fn meanings(trained: &Trained) -> Vec<(Meaning, usize, usize)> {
    let numbers = if trained.config.model.reconstruction == Reconstruction::Bernoulli { Meaning::Logits } else { Meaning::Values };
    if trained.model.reconstruction.layout.is_none() {
        return vec![(numbers, 0, trained.schema.d_input)];
    }
    let layout = Encoding::new(trained.columns()).layout();
    let mut parts = vec![(numbers, 0, layout.numbers), (Meaning::Logits, layout.numbers, layout.numbers + layout.booleans)];
    let mut start = layout.numbers + layout.booleans;
    for levels in layout.categories {
        parts.push((Meaning::Levels, start, start + levels));
        start += levels;
    }
    parts.retain(|(_, start, end)| start < end);
    parts
}

/// The thresholds of a lifetime code.
fn threshold(code: &AnyCode) -> Result<Option<Numbers>> {
    match code {
        AnyCode::Lifetime(code) => Numbers::of(code.threshold.value_sync()).map(Some),
        AnyCode::Deterministic(_) | AnyCode::TopK(_) => Ok(None),
    }
}
