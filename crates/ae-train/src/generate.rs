//! Generating new rows: codes drawn from a density and decoded.
//!
//! The density is the prior of the code, if it has one, or a Gaussian mixture fitted to the codes of the training rows,
//! for any code (Ghosh et al. 2020). For images the result is the decoder's mean. For a table a row is drawn from the
//! distributions that the decoder gives: booleans and levels by their probabilities, numbers with their variance if
//! they have one.

use ae_data::{Dataset, Encoding};
use ae_model::Code;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Error, Result, baseline::Pca, matrix::Matrix, mixture::Mixture, random::normal, sample_quality::SampleQuality,
    tensors::numbers, trained::Trained,
};

/// Maximum number of training rows to which densities, and the ranges of the columns, are fitted.
pub const FITTED: usize = 20_000;
/// Maximum number of principal components of the rows to which the Gaussian mixture baseline is fitted.
const COMPONENTS: usize = 64;

/// The density from which codes are drawn.
#[derive(Debug, Clone)]
pub enum Density {
    /// The prior of the code.
    Prior,
    /// A Gaussian mixture on the codes of the training rows.
    Mixture(Mixture),
}

impl Trained {
    /// Fits a mixture of `components` Gaussians to the codes of at most 20,000 rows of `train`.
    ///
    /// # Errors
    /// Too few rows, a model that predicts a target, or a device that fails.
    pub fn code_mixture(&self, train: &Dataset, components: usize) -> Result<Mixture> {
        self.check_reconstructs("generates rows like them")?;
        let codes = self.codes(&train.thin(FITTED))?;
        Mixture::fit(&codes, self.config.model.code_dim, components, self.config.seed).map_err(Error::Failed)
    }

    /// Draws `count` codes: `[count, code_dim]`, row by row.
    ///
    /// # Errors
    /// A code without a prior, or a device that fails.
    pub fn sample_codes(&self, density: &Density, count: usize, seed: u64) -> Result<Vec<f32>> {
        match density {
            Density::Mixture(mixture) => Ok(mixture.sample(count, seed)),
            Density::Prior => {
                let draw = || self.model.code.sample(count, self.config.model.code_dim, &self.device);
                let Some(codes) = ae_kernels::seeded(seed, &self.device, draw) else {
                    return Err(Error::Usage(
                        "the code of this run has no prior to draw from: leave `--density` out, or train a \
                         `variational` model"
                            .to_string(),
                    ));
                };
                numbers(codes)
            }
        }
    }

    /// The smallest and the largest value of each feature in at most 20,000 rows of `train`, in units of the scaled
    /// data.
    ///
    /// # Errors
    /// A file that can no longer be read.
    pub fn ranges(&self, train: &Dataset) -> Result<Vec<[f32; 2]>> {
        let values = train.thin(FITTED).scaled(&self.schema.scaling)?;
        let mut ranges = vec![[f32::INFINITY, f32::NEG_INFINITY]; self.schema.d_input];
        for row in values.chunks_exact(self.schema.d_input) {
            for (range, &value) in ranges.iter_mut().zip(row).filter(|(_, value)| !value.is_nan()) {
                *range = [range[0].min(value), range[1].max(value)];
            }
        }
        Ok(ranges)
    }

    /// Decodes `codes` (`[rows, code_dim]`) to rows in units of the scaled data: `[rows, d_input]`. Values stay within
    /// `ranges`, if there are any: a column with a single value in training has that value, and a column without values
    /// has none (`NaN`). Also returns how many values were clamped to their range.
    ///
    /// # Errors
    /// A device that fails.
    pub fn sample_rows(&self, codes: &[f32], ranges: &[[f32; 2]], seed: u64) -> Result<(Vec<f32>, usize)> {
        let width = self.schema.d_input;
        let layout = self.schema.inputs().layout;
        let deviation = match (&self.model.variance, self.schema.geometry) {
            (Some(variance), None) => numbers(variance.values().sqrt().unsqueeze::<2>())?,
            _ => Vec::new(),
        };
        let mut rows = self.decode_scaled(codes)?;
        let (mut generator, mut moved) = (ChaCha8Rng::seed_from_u64(seed), 0);
        let singles = layout.as_ref().map_or(width, |layout| layout.numbers);
        let truths = layout.as_ref().map_or(width, |layout| layout.numbers + layout.booleans);
        for row in rows.chunks_exact_mut(width) {
            if !deviation.is_empty() {
                for (index, value) in row[..singles].iter_mut().enumerate() {
                    *value += deviation[if deviation.len() == 1 { 0 } else { index }] * normal(&mut generator) as f32;
                }
            }
            for value in &mut row[singles..truths] {
                *value = f32::from(generator.random::<f32>() < *value);
            }
            for (value, &[low, high]) in row[..truths].iter_mut().zip(ranges) {
                let within = if low > high { f32::NAN } else { value.clamp(low, high) };
                moved += usize::from(low < high && within != *value);
                *value = within;
            }
            for (start, end) in layout.iter().flat_map(|layout| layout.levels()) {
                let mut left: f32 = generator.random::<f32>() * row[start..end].iter().sum::<f32>();
                let drawn = row[start..end].iter().position(|probability| {
                    left -= probability;
                    left < 0.0
                });
                row[start..end].fill(0.0);
                row[start + drawn.unwrap_or(end - start - 1)] = 1.0;
            }
        }
        Ok((rows, moved))
    }

    /// Whether the code has a prior to draw from.
    pub fn has_prior(&self) -> bool {
        self.model.code.sample(1, self.config.model.code_dim, &self.device).is_some()
    }

    /// Converts scaled `rows` to the units of the data, with columns of whole numbers rounded.
    pub fn in_units(&self, rows: &[f32]) -> Vec<f64> {
        let mut values = self.unscale(rows);
        let columns = self.columns();
        let ranges = Encoding::new(columns.clone()).ranges();
        let whole: Vec<usize> =
            columns.iter().zip(&ranges).filter(|(column, _)| column.integer).map(|(_, (first, _))| *first).collect();
        let blank: Vec<usize> =
            columns.iter().zip(ranges).filter(|(column, _)| column.blank).map(|(_, (first, _))| first).collect();
        for row in values.chunks_exact_mut(self.schema.d_input) {
            blank.iter().for_each(|&index| row[index] = f64::NAN);
            // 0 rather than -0.
            whole.iter().for_each(|&index| row[index] = row[index].round() + 0.0);
        }
        values
    }

    /// Compares rows with those of `test`, by name: the scaled rows `samples`, as many rows of `train`, and samples of
    /// `components` Gaussians fitted to the rows themselves (to the scores of their first 64 principal components, if
    /// there are more columns).
    ///
    /// # Errors
    /// Too few rows, or a file that can no longer be read.
    pub fn compared(
        &self,
        samples: &[f32],
        train: &Dataset,
        test: &Dataset,
        components: usize,
    ) -> Result<Vec<(String, SampleQuality)>> {
        let width = self.schema.d_input;
        // Missing values become 0: the mean, if columns are standardized.
        let whole =
            |values: &[f32]| values.iter().map(|&value| if value.is_nan() { 0.0 } else { value }).collect::<Vec<f32>>();
        let values = |rows: &Dataset| -> Result<Vec<f32>> { Ok(whole(&rows.scaled(&self.schema.scaling)?)) };
        let (samples, train, test) = (whole(samples), values(&train.thin(FITTED))?, values(&test.thin(FITTED))?);
        let count = samples.len() / width;
        let pca = Pca::fit(Matrix { values: &train, width }, width.min(COMPONENTS))?;
        let kept = pca.components();
        let mixture = Mixture::fit(&pca.encode(Matrix { values: &train, width }), kept, components, self.config.seed)
            .map_err(Error::Failed)?;
        let mut drawn = pca.decode(&mixture.sample(count, self.config.seed));
        let is_clipped = self.schema.scaling.is_unit_range();
        if is_clipped {
            // Real rows never leave the range, and neither does a decoder's sigmoid.
            drawn.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
        }
        let clipped = if is_clipped { ", clipped" } else { "" };
        let rows = train.len() / width;
        let real: Vec<f32> = (0..count.min(rows))
            .flat_map(|row| &train[row * rows / count.min(rows) * width..][..width])
            .copied()
            .collect();
        let of = |name: String, rows: &[f32]| -> Result<_> {
            Ok((name, SampleQuality::of(rows, &test, &train, width).map_err(Error::Failed)?))
        };
        // The distance of training rows to themselves is meaningless.
        let training = of("training rows".to_string(), &real)?;
        Ok(vec![
            of(format!("{} ({})", self.config.variant, self.config.model.code_dim), &samples)?,
            (training.0, SampleQuality { nearest_train: None, ..training.1 }),
            of(format!("{} Gaussians on rows{clipped}", mixture.components), &drawn)?,
        ])
    }
}
