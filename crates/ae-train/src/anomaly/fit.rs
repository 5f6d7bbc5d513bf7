//! Fitting an anomaly detector.

use std::sync::Arc;

use ae_data::Dataset;
use burn::data::dataset::Dataset as _;

use super::{
    detector::Detector,
    reference::Reference,
    scorer::{BATCH, Scorer},
};
use crate::{Result, baseline::Pca, trained::Trained};

/// Maximum number of training rows that a detector keeps, and of their values as long as that leaves `LEAST_ROWS` rows.
const MOST_ROWS: usize = 10_000;

const MOST_VALUES: usize = 1 << 20;

const LEAST_ROWS: usize = 256;

/// Maximum number of held-out rows kept to calibrate scores.
const HELD_OUT: usize = 20_000;

/// The same of a dictionary, whose code is wide.
const HELD_OUT_WIDE: usize = 4_096;

/// Maximum number of training rows used to measure the units of the scores.
const MEASURED: usize = 2_000;

/// Maximum number of training rows of this many features that a detector keeps.
pub(crate) fn kept_rows(features: usize) -> usize {
    (MOST_VALUES / features).clamp(LEAST_ROWS, MOST_ROWS)
}

impl Detector {
    /// Learns the usual errors and distances from training rows, and the distribution of scores from `held_out` rows:
    /// rows that nothing was fitted to, such as the validation rows. PCA and the mean are calibrated on the same rows.
    /// It keeps at most 10,000 training rows to compare later rows with, and uses at most 20,000 held-out rows, 4,096
    /// of them for a dictionary, spread evenly. The share of `false_alarms` becomes `1 / (m + 1)` if `m` held-out rows
    /// are too few for a smaller share.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn fit(trained: &Trained, train: &Dataset, held_out: &Dataset, pca: &Pca, false_alarms: f64) -> Result<Self> {
        let width = trained.schema.d_input;
        let kept = train.thin(kept_rows(width));
        let reference = Arc::new(Reference::of(kept.scaled(&trained.schema.scaling)?, width));
        let seed = trained.config.seed;
        let columns = trained.columns().len();
        let scorer = Scorer::new(trained, reference.clone(), seed);
        let measured = kept.len().div_ceil(MEASURED).max(1);
        let places: Vec<usize> = (0..kept.len()).step_by(measured).collect();
        let (mut sums, mut all, mut distances) = (vec![(0.0, 0.0f64); columns], Vec::new(), Vec::new());
        let mut progress = ae_data::progress::Progress::new("measuring the scores of training rows", places.len());
        for chunk in places.chunks(BATCH) {
            let values: Vec<f32> = chunk.iter().flat_map(|&place| reference.row(place).to_vec()).collect();
            let parts = scorer.parts(&reference.with_missing(chunk, values), Some(chunk))?;
            for (index, error) in parts.errors.iter().enumerate().filter(|(_, error)| !error.is_nan()) {
                let sum = &mut sums[index % columns];
                *sum = (sum.0 + error, sum.1 + 1.0);
            }
            distances.extend(parts.distances.chunks_exact(columns).map(|row| row.iter().sum::<f64>()));
            all.extend(parts.errors);
            progress.steps(chunk.len());
        }
        let means: Vec<f64> = sums.into_iter().map(|(sum, count)| sum / count.max(1.0)).collect();
        // A column without error, such as a pixel that is always black, would make all others negligible: it counts as
        // one with a small error.
        let least = (0.05 * means.iter().sum::<f64>() / columns as f64).max(1e-12);
        let column_errors: Vec<f64> = means.into_iter().map(|mean| mean.max(least)).collect();
        let error = |row: &[f64]| {
            mean(row.iter().zip(&column_errors).map(|(error, unit)| error / unit).filter(|error| !error.is_nan()))
        };
        let unit = |values: &mut dyn Iterator<Item = f64>| {
            Some(mean(values.filter(|value| !value.is_nan()))).filter(|unit| *unit > 0.0).unwrap_or(1.0)
        };
        let units = [unit(&mut all.chunks_exact(columns).map(error)), unit(&mut distances.into_iter())];
        let mut detector = Self {
            false_alarms,
            column_errors,
            units,
            held_out: Vec::new(),
            held_out_baselines: Default::default(),
            seed,
            reference,
        };
        detector.calibrate(trained, held_out, pca)?;
        Ok(detector)
    }

    /// Scores held-out rows, by the detector and by the baselines.
    fn calibrate(&mut self, trained: &Trained, held_out: &Dataset, pca: &Pca) -> Result<()> {
        let is_wide = trained.config.model.network.is_dictionary();
        let held_out = held_out.thin(if is_wide { HELD_OUT_WIDE } else { HELD_OUT });
        let pca = pca.most();
        let mut all: [Vec<f64>; 4] = Default::default();
        for batch in self.scored(trained, &held_out, Some(&pca)) {
            let batch = batch?;
            let scores = std::iter::once(batch.scores.rows).chain(batch.baselines);
            all.iter_mut()
                .zip(scores)
                .for_each(|(all, scores)| all.extend(scores.into_iter().filter(|score| !score.is_nan())));
        }
        all.iter_mut().for_each(|scores| scores.sort_by(f64::total_cmp));
        let [scores, neighbors, components, mean_row] = all;
        // With few rows, a smaller share would mean a threshold that flags nothing.
        self.false_alarms = self.false_alarms.max(1.0 / (scores.len() + 1) as f64);
        self.held_out = scores;
        self.held_out_baselines = [neighbors, components, mean_row];
        Ok(())
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0f64), |(sum, count), value| (sum + value, count + 1.0));
    sum / count.max(1.0)
}
