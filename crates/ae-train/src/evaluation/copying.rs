//! Copying test: how well a model reconstructs inputs that do not resemble its data.

use ae_data::{open, picture};

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Result, baseline::Pca, matrix::Matrix, reconstruction_error::errors_of, trained::Trained};

/// How well a kind of input is reconstructed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copying {
    /// The kind of input.
    pub what: String,
    /// Mean squared error.
    pub mse: f64,
    /// Fraction of its variance unexplained.
    pub fvu: f64,
    /// The same of PCA.
    pub fvu_pca: f64,
}

impl Trained {
    /// Copying test: the rows themselves, the rows with each feature shuffled separately, uniform noise over the range
    /// of each feature, and for images another built-in data set.
    pub(super) fn copying(&self, rows: Matrix, pca: &Pca) -> Result<Vec<Copying>> {
        let width = rows.width;
        let mut generator = ChaCha8Rng::seed_from_u64(self.config.seed);
        let filled: Vec<f32> = rows.values.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect();
        let (mut shuffled, mut noise) = (filled.clone(), filled.clone());
        for column in 0..width {
            let mut cells: Vec<f32> = filled.iter().skip(column).step_by(width).copied().collect();
            let (low, high) =
                cells.iter().fold((f32::MAX, f32::MIN), |(low, high), &value| (low.min(value), high.max(value)));
            cells.shuffle(&mut generator);
            shuffled.iter_mut().skip(column).step_by(width).zip(cells).for_each(|(cell, value)| *cell = value);
            noise
                .iter_mut()
                .skip(column)
                .step_by(width)
                .for_each(|cell| *cell = low + (high - low) * generator.random::<f32>());
        }
        let mut things = vec![
            ("the data".to_string(), filled),
            ("its features shuffled".into(), shuffled),
            ("uniform noise".into(), noise),
        ];
        if let Some(geometry) =
            self.schema.geometry.filter(|geometry| geometry.channels == 1 && self.schema.scaling.is_unit_range())
        {
            let other = if self.schema.name.starts_with("fashion") { "digits" } else { "fashion-mini" };
            let sets = open(other)?;
            let images = sets.test.unwrap_or(sets.train);
            let most = if other == "digits" { 16.0 } else { 255.0 };
            let values = (0..images.len().min(500))
                .map(|index| picture::resized(&images, index, geometry, most))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            things.push((other.to_string(), values.concat()));
        }
        let measure = |(what, values): (String, Vec<f32>)| {
            let matrix = Matrix { values: &values, width };
            let figures = errors_of(matrix, &self.through(matrix)?).figures();
            Ok(Copying {
                what,
                mse: figures.mse,
                fvu: figures.fvu,
                fvu_pca: errors_of(matrix, &pca.reconstruct(matrix)).fvu(),
            })
        };
        things.into_iter().map(measure).collect()
    }
}
