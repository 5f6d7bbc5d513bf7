//! The terms of anomaly scores, for batches of rows.

use std::sync::Arc;

use ae_data::Encoding;
use ae_model::Layout;
use burn::tensor::{Tensor, TensorData};

use super::{
    copies::Copies,
    reference::{Reference, Search},
};
use crate::{Error, Result, tensors::numbers, trained::Trained};

/// Number of nearest training rows over which the distance of a row is averaged.
pub const NEAREST: usize = 3;

/// The neighbor whose distance is the score of the k-nearest-neighbor baseline.
pub const NEIGHBOR: usize = 5;

/// Limit of scaled values: beyond it a squared error overflows single precision.
const FAR: f32 = 1e15;

/// Number of rows scored at a time.
pub(super) const BATCH: usize = 1024;

/// The terms of some rows' scores.
pub(super) struct Parts {
    /// Squared error of each column of each row, row by row, averaged over the copies; `NaN` where the value is
    /// missing.
    pub(super) errors: Vec<f64>,
    /// Share of each column in the distance of each row, row by row; they sum to the distance.
    pub(super) distances: Vec<f64>,
    /// Distance to the fifth nearest training row.
    pub(super) fifth: Vec<f64>,
}

/// Scores batches of rows.
pub(super) struct Scorer<'a> {
    trained: &'a Trained,
    reference: Arc<Reference>,
    search: Search,
    copies: Option<Copies>,
    /// Half-open range of features of each column.
    ranges: Vec<(usize, usize)>,
    /// Whether each column is a category.
    categories: Vec<bool>,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(trained: &'a Trained, reference: Arc<Reference>, seed: u64) -> Self {
        let inputs = trained.schema.inputs();
        let layout = inputs.layout.clone().unwrap_or_else(|| Layout::of_numbers(inputs.features));
        let copies = Copies::draw(&trained.config.model.corruption.init(&inputs), &layout, seed, &trained.device);
        let encoding = Encoding::new(trained.columns());
        let categories = encoding
            .columns()
            .iter()
            .map(|column| column.width() > 1 || column.kind == ae_data::Kind::Category)
            .collect();
        let search = reference.search(&trained.device);
        Self { trained, reference, search, copies, ranges: encoding.ranges(), categories }
    }

    /// The terms of the scores of scaled rows, `NaN` where a value is missing. `own` are the positions of the rows in
    /// the reference, if they are rows of it.
    pub(super) fn parts(&self, values: &[f32], own: Option<&[usize]>) -> Result<Parts> {
        // One extreme value must not spoil the reconstruction of all others: the network reads values within the range
        // it has seen.
        let read = self.reference.within_reach(values);
        let errors = self.column_errors(values, &read)?;
        let near = self.reference.nearest(&self.search, values, &read, NEIGHBOR, own)?;
        let fifth = near.iter().map(|near| near.last().map_or(f64::NAN, |(_, distance)| *distance)).collect();
        Ok(Parts { errors, distances: self.column_distances(values, &near), fifth })
    }

    /// The reconstructions of scaled rows that their errors are measured by, row by row: the mean over the copies.
    pub(super) fn reconstructions(&self, values: &[f32]) -> Result<Vec<f32>> {
        numbers(self.reconstructed(values, &self.reference.within_reach(values))?[1].clone())
    }

    /// Squared error and reconstruction of each feature of each row, averaged over the copies, if the network reads
    /// `read`.
    fn reconstructed(&self, values: &[f32], read: &[f32]) -> Result<[Tensor<2>; 2]> {
        let width = self.trained.schema.d_input;
        let shape = [values.len() / width, width];
        let tensor = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, shape), &self.trained.device);
        let read = tensor(read.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect());
        let x = tensor(values.iter().map(|value| if value.is_nan() { 0.0 } else { value.clamp(-FAR, FAR) }).collect());
        let is_missing = values.iter().any(|value| value.is_nan());
        let observed =
            is_missing.then(|| tensor(values.iter().map(|value| f32::from(u8::from(!value.is_nan()))).collect()));
        let model = &self.trained.model;
        let error = |read: Tensor<2>, visible: Option<Tensor<2>>| {
            let r = model.reconstruct_visible(read, visible);
            [(r.clone() - x.clone()).square(), r]
        };
        match &self.copies {
            None => Ok(error(read, observed)),
            Some(copies) => {
                let sum = (0..copies.count).map(|copy| {
                    let of = |tensor: &Tensor<2>| tensor.clone().slice([copy..copy + 1, 0..width]); // [1, d_input]
                    let noisy = read.clone() * of(&copies.factor) + of(&copies.offset);
                    let visible = match (&copies.visible, &observed) {
                        (None, observed) => observed.clone(),
                        (Some(visible), None) => Some(of(visible) * read.ones_like()),
                        (Some(visible), Some(observed)) => Some(of(visible) * observed.clone()),
                    };
                    error(noisy, visible)
                });
                let sum = sum.reduce(|[errors, rows], [error, row]| [errors + error, rows + row]);
                let sum = sum.ok_or_else(|| Error::Failed("no copy was drawn".to_string()))?;
                Ok(sum.map(|sum| sum.div_scalar(copies.count as f64)))
            }
        }
    }

    /// Squared error of each column of each row, averaged over the copies, if the network reads `read`.
    fn column_errors(&self, values: &[f32], read: &[f32]) -> Result<Vec<f64>> {
        let width = self.trained.schema.d_input;
        let [errors, r] = self.reconstructed(values, read)?;
        let (errors, r) = (numbers(errors)?, numbers(r)?);
        let columns = self.ranges.len();
        let mut by_column = Vec::with_capacity(values.len() / width * columns);
        for (row, values) in values.chunks_exact(width).enumerate() {
            for (&(start, end), is_category) in self.ranges.iter().zip(&self.categories) {
                let features = row * width + start..row * width + end;
                let sum: f64 = errors[features.clone()].iter().map(|&error| f64::from(error)).sum();
                // None of the levels is set: a level that was not in the training data. The network gave it probability
                // 0, as if it were a level of its own.
                let is_unseen = *is_category && values[start..end].iter().all(|value| *value == 0.0);
                let unseen = || 1.0 + r[features].iter().map(|&r| f64::from(r).powi(2)).sum::<f64>();
                by_column.push(if values[start].is_nan() {
                    f64::NAN
                } else if is_unseen {
                    unseen()
                } else {
                    sum
                });
            }
        }
        Ok(by_column)
    }

    /// Share of each column in the mean distance of each row to its [`NEAREST`] nearest rows.
    fn column_distances(&self, values: &[f32], near: &[Vec<(usize, f64)>]) -> Vec<f64> {
        let (width, columns) = (self.trained.schema.d_input, self.ranges.len());
        let mut distances = vec![0.0; near.len() * columns];
        for (row, (values, near)) in values.chunks_exact(width).zip(near).enumerate() {
            let nearest = &near[..near.len().min(NEAREST)];
            for (other, distance) in nearest.iter().filter(|(_, distance)| *distance > 0.0) {
                let other = self.reference.row(*other);
                let observed = values.iter().filter(|value| !value.is_nan()).count().max(1);
                // In a row with missing values, the observed ones stand for all.
                let share = width as f64 / observed as f64 / (distance * nearest.len() as f64);
                for (column, &(start, end)) in self.ranges.iter().enumerate() {
                    let both = values[start..end].iter().zip(&other[start..end]).filter(|(value, _)| !value.is_nan());
                    let squares: f64 = both.map(|(value, other)| (f64::from(*value) - f64::from(*other)).powi(2)).sum();
                    distances[row * columns + column] += squares * share;
                }
            }
        }
        distances
    }
}
