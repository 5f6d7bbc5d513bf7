//! Export of a trained model to PyTorch, ONNX, SAELens and Burn, and import of weights and dictionaries.

pub mod dictionaries;
pub mod import;
pub mod onnx;
pub mod pytorch;

use ae_data::{Encoding, Kind, Values};
use ae_model::{AnyCode, Bernoulli, Code, SquaredError, code::Plain};
use burn::tensor::Tensor;

use crate::{Error, Result, tensors::numbers, trained::Trained};

/// Numbers with a shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// Sizes of the dimensions, slowest first.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

impl Numbers {
    /// Copies a tensor.
    fn of<const D: usize>(tensor: Tensor<D>) -> Result<Self> {
        Ok(Self { shape: tensor.dims().to_vec(), values: numbers(tensor)? })
    }

    /// A matrix with its rows as columns.
    fn transposed(&self) -> Self {
        let [rows, columns] = [self.shape[0], self.shape[1]];
        let at = |place: usize| self.values[place % rows * columns + place / rows];
        Self { shape: vec![columns, rows], values: (0..rows * columns).map(at).collect() }
    }

    /// Converts the numbers of a file.
    fn from_values(shape: &[usize], found: &Values) -> Self {
        let mut values = Vec::with_capacity(found.len());
        found.each(0..found.len(), |value| values.push(value as f32));
        Self { shape: shape.to_vec(), values }
    }
}

/// A feature whose offset is at least this many times its scale is read in double precision: single precision would
/// leave less than four digits.
const FAR: f64 = 1e4;

/// Offset and scale of each feature, in double precision.
pub fn scaling(trained: &Trained) -> [Vec<f64>; 2] {
    let (offset, scale) = (0..trained.schema.d_input).map(|feature| trained.schema.scaling.of(feature)).unzip();
    [offset, scale]
}

/// Names of the features in the order of inputs and outputs: for a category its levels, for booleans with words of
/// their own the true one, as `column=level`.
pub fn features(trained: &Trained) -> Vec<String> {
    let encoding = Encoding::new(trained.columns());
    let mut names = vec![String::new(); encoding.width()];
    for (column, (start, end)) in encoding.columns().iter().zip(encoding.ranges()) {
        let levels = match column.kind {
            Kind::Number => &[],
            Kind::Boolean => column.levels.get(1..).unwrap_or_default(),
            Kind::Category => column.levels.as_slice(),
        };
        match levels {
            [] => names[start..end].fill(column.name.clone()),
            levels => levels
                .iter()
                .zip(&mut names[start..end])
                .for_each(|(level, name)| *name = format!("{}={level}", column.name)),
        }
    }
    names
}

/// The features that need double precision, because their values are far from zero and close together.
pub fn far(trained: &Trained) -> Vec<String> {
    let [offset, scale] = scaling(trained);
    let is_far = offset.iter().zip(&scale).map(|(offset, scale)| offset.abs() >= FAR * scale);
    features(trained).into_iter().zip(is_far).filter(|(_, is_far)| *is_far).map(|(name, _)| name).collect()
}

/// Describes the order of the features.
fn order(trained: &Trained) -> String {
    match trained.schema.geometry {
        Some(geometry) => format!("an image of {geometry} (channels, height, width), row by row"),
        None if trained.schema.columns.is_empty() => "in the order of the array".to_string(),
        None => format!("in this order: {}", features(trained).join(", ")),
    }
}

/// The meaning of the decoder's output for a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The value itself.
    Values,
    /// Logit of a boolean.
    Logits,
    /// Logits of the levels of a category.
    Levels,
}

/// Groups of features by the meaning of the decoder's output: meaning, and the half-open range of features.
///
/// # Errors
/// A reconstruction loss of another crate, whose meaning is not known.
pub(crate) fn meanings(trained: &Trained) -> Result<Vec<(Meaning, usize, usize)>> {
    let loss = &trained.config.model.reconstruction;
    let numbers = match (loss.get::<SquaredError>(), loss.get::<Bernoulli>()) {
        (Some(_), _) => Meaning::Values,
        (_, Some(_)) => Meaning::Logits,
        _ => {
            let known = "only models with squared_error or bernoulli can be exported";
            return Err(Error::Failed(format!("the reconstruction of this run is {}: {known}", loss.name())));
        }
    };
    if trained.model.reconstruction.layout.is_none() {
        return Ok(vec![(numbers, 0, trained.schema.d_input)]);
    }
    let layout = Encoding::new(trained.columns()).layout();
    let mut parts =
        vec![(numbers, 0, layout.numbers), (Meaning::Logits, layout.numbers, layout.numbers + layout.booleans)];
    let mut start = layout.numbers + layout.booleans;
    for levels in layout.categories {
        parts.push((Meaning::Levels, start, start + levels));
        start += levels;
    }
    parts.retain(|(_, start, end)| start < end);
    Ok(parts)
}

/// The error for a skip connection in a format of layers one after the other.
fn no_skip() -> Error {
    Error::Failed("this format has no skip connection: use `--format saelens`".to_string())
}

/// The deterministic form of the code of a model after training.
///
/// # Errors
/// A code without such a form.
fn plain(code: &AnyCode) -> Result<Plain> {
    code.plain().ok_or_else(|| {
        Error::Failed("a model with this code cannot be exported: no other program can compute it".to_string())
    })
}
