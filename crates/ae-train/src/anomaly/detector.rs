//! The anomaly detector.

use std::{ops::Range, sync::Arc};

use ae_data::Dataset;
use burn::data::dataset::Dataset as _;
use serde::{Deserialize, Serialize};

use super::{
    reference::Reference,
    scorer::{BATCH, Scorer},
};
use crate::{Result, baseline::Pca, matrix::Matrix, trained::Trained};

/// Default share of false alarms that the threshold allows.
pub const FALSE_ALARMS: f64 = 0.05;

/// Anomaly detector: what is needed to score rows and to calibrate the scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Share of false alarms that the threshold allows.
    pub false_alarms: f64,
    /// Mean squared error of each column over the training rows.
    pub column_errors: Vec<f64>,
    /// Mean over the training rows of the rows' errors and of their distances.
    pub units: [f64; 2],
    /// Scores of held-out rows (the validation rows), ascending.
    pub held_out: Vec<f64>,
    /// The same for the baselines: distance to the fifth nearest training row, squared error of PCA with components for
    /// 90% of the variance, and squared distance to the mean.
    pub held_out_baselines: [Vec<f64>; 3],
    /// Seed of the noise of the copies.
    pub seed: u64,
    /// The training rows that others are compared with, and the range of their values.
    #[serde(skip)]
    pub(crate) reference: Arc<Reference>,
}

/// Scores of rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// Score of each row: about 1 for a typical row; `NaN` for a row in which every value is missing.
    pub rows: Vec<f64>,
    /// Scores of each row and column, row by row, `NaN` where the value is missing. Their mean over a row is the score
    /// of the row.
    pub columns: Vec<f64>,
}

/// A batch of scored rows.
pub(super) struct Scored {
    /// Positions of the rows in their dataset.
    pub(super) range: Range<usize>,
    pub(super) scores: Scores,
    /// The scores of the baselines, one list for each baseline.
    pub(super) baselines: [Vec<f64>; 3],
}

impl Detector {
    /// Whether it can be the detector of a run with this many columns.
    pub(crate) fn is_sound(&self, columns: usize) -> bool {
        let is_unit = |unit: &f64| unit.is_finite() && *unit > 0.0;
        let is_ascending = |values: &Vec<f64>| values.iter().all(|value| value.is_finite()) && values.is_sorted();
        self.false_alarms > 0.0
            && self.false_alarms <= 1.0
            && self.column_errors.len() == columns
            && self.column_errors.iter().chain(&self.units).all(is_unit)
            && std::iter::once(&self.held_out).chain(&self.held_out_baselines).all(is_ascending)
    }

    /// The numbers it scores with, by name. They are stored exactly.
    pub(crate) fn numbers(&self) -> [(&'static str, &[f64]); 6] {
        let [neighbours, components, mean_row] = &self.held_out_baselines;
        [
            ("column_errors", &self.column_errors),
            ("units", &self.units),
            ("held_out", &self.held_out),
            ("held_out_neighbours", neighbours),
            ("held_out_components", components),
            ("held_out_mean", mean_row),
        ]
    }

    /// The same, mutable.
    pub(crate) fn numbers_mut(&mut self) -> [(&'static str, &mut [f64]); 6] {
        let [neighbours, components, mean_row] = &mut self.held_out_baselines;
        [
            ("column_errors", &mut self.column_errors),
            ("units", &mut self.units),
            ("held_out", &mut self.held_out),
            ("held_out_neighbours", neighbours),
            ("held_out_components", components),
            ("held_out_mean", mean_row),
        ]
    }

    /// The same detector with a threshold for another share of false alarms.
    pub fn with_false_alarms(self, false_alarms: f64) -> Self {
        Self { false_alarms, ..self }
    }

    /// Rows with a score above this are flagged. None if there are too few held-out rows for such a small share of
    /// false alarms: no row is flagged then.
    pub fn threshold(&self) -> Option<f64> {
        threshold_of(&self.held_out, self.false_alarms)
    }

    /// The p-value of a score: the probability that a row like the held-out ones scores at least as high.
    pub fn p_value(&self, score: f64) -> f64 {
        match score.is_nan() {
            true => f64::NAN,
            false => {
                let below = self.held_out.partition_point(|other| *other < score);
                (1 + self.held_out.len() - below) as f64 / (self.held_out.len() + 1) as f64
            }
        }
    }

    /// Scores `rows`.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn score(&self, trained: &Trained, rows: &Dataset) -> Result<Scores> {
        let mut scores = Scores::default();
        for batch in self.scored(trained, rows, None) {
            let batch = batch?.scores;
            scores.rows.extend(batch.rows);
            scores.columns.extend(batch.columns);
        }
        Ok(scores)
    }

    /// The reconstructions that the scores of `rows` are measured by, in the units of the data, row by row. The network
    /// reads a row as it does to score it: values far outside the range of the training rows are moved to its ends,
    /// and with a model that was trained with a corruption it is the mean over corrupted copies of the row.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn reconstructions(&self, trained: &Trained, rows: &Dataset) -> Result<Vec<f64>> {
        let scorer = Scorer::new(trained, self.reference.clone(), self.seed);
        let values = rows.scaled(&trained.schema.scaling)?;
        let mut made = Vec::with_capacity(values.len());
        for batch in values.chunks(BATCH * trained.schema.d_input) {
            made.extend(trained.unscale(&scorer.reconstructions(batch)?));
        }
        Ok(made)
    }

    /// Scores rows in batches; with a PCA also by the baselines.
    pub(super) fn scored<'a>(
        &'a self,
        trained: &'a Trained,
        rows: &'a Dataset,
        pca: Option<&'a Pca>,
    ) -> impl Iterator<Item = Result<Scored>> + use<'a> {
        let width = trained.schema.d_input;
        let scorer = Scorer::new(trained, self.reference.clone(), self.seed);
        let mean_row = pca.map(|pca| pca.first(0));
        let mut progress = ae_data::progress::Progress::new("scoring rows", rows.len());
        (0..rows.len()).step_by(BATCH).map(move |start| {
            let range = start..rows.len().min(start + BATCH);
            let values = rows.select(rows.indices()[range.clone()].to_vec()).scaled(&trained.schema.scaling)?;
            let parts = scorer.parts(&values, None)?;
            let mut scores = Scores::default();
            let columns = self.column_errors.len();
            for (errors, distances) in parts.errors.chunks_exact(columns).zip(parts.distances.chunks_exact(columns)) {
                self.add(errors, distances, &mut scores);
            }
            let baselines = match (pca, &mean_row) {
                (Some(pca), Some(mean_row)) => {
                    let matrix = Matrix { values: &values, width };
                    [parts.fifth, pca.row_errors(matrix), mean_row.row_errors(matrix)]
                }
                _ => Default::default(),
            };
            progress.steps(range.len());
            Ok(Scored { range, scores, baselines })
        })
    }

    /// Appends the score of a row and those of its columns.
    fn add(&self, errors: &[f64], distances: &[f64], scores: &mut Scores) {
        let observed = errors.iter().filter(|error| !error.is_nan()).count() as f64;
        let columns = errors.iter().zip(&self.column_errors).zip(distances).map(|((error, unit), distance)| {
            0.5 * (error / unit / self.units[0] + distance * observed / self.units[1])
        });
        let before = scores.columns.len();
        scores.columns.extend(columns);
        let sum: f64 = scores.columns[before..].iter().filter(|score| !score.is_nan()).sum();
        scores.rows.push(if observed > 0.0 { sum / observed } else { f64::NAN });
    }

    /// Whether each score is that of an anomaly (above the threshold).
    pub fn predict(&self, scores: &[f64]) -> Vec<bool> {
        let threshold = self.threshold();
        scores.iter().map(|&score| threshold.is_some_and(|threshold| score > threshold)).collect()
    }
}

/// The score that at most a share `alpha` of rows like the `held_out` ones (ascending) exceeds; none if there are too
/// few of them.
pub(super) fn threshold_of(held_out: &[f64], alpha: f64) -> Option<f64> {
    // A share such as .1 of 9 + 1 rows is one row, despite rounding.
    let above = ((held_out.len() + 1) as f64 * alpha + 1e-9).floor() as usize;
    (above > 0).then(|| held_out.get(held_out.len() - above.min(held_out.len())).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_hold_on_exchangeable_rows() {
        // Rank of a value among others drawn from the same distribution: p <= alpha in at most a share alpha of cases.
        let mut state = 7u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as f64 / (1u64 << 31) as f64).powi(3)
        };
        for (count, alpha, expected) in
            [(99, 0.05, 0.05), (200, 0.01, 2.0 / 201.0), (200, 0.1, 20.0 / 201.0), (50, 0.01, 0.0)]
        {
            let (mut alarms, mut by_p, repeats) = (0, 0, 4000);
            for _ in 0..repeats {
                let mut held_out: Vec<f64> = (0..count).map(|_| draw()).collect();
                held_out.sort_by(f64::total_cmp);
                let detector = Detector {
                    false_alarms: alpha,
                    column_errors: vec![1.0],
                    units: [1.0; 2],
                    held_out,
                    held_out_baselines: Default::default(),
                    seed: 0,
                    reference: Arc::default(),
                };
                let score = draw();
                let flagged = detector.predict(&[score])[0];
                alarms += usize::from(flagged);
                by_p += usize::from(detector.p_value(score) <= alpha + 1e-12);
            }
            assert_eq!(alarms, by_p, "flagged is p <= alpha");
            let rate = alarms as f64 / repeats as f64;
            // Four standard errors.
            assert!(
                (rate - expected).abs() <= 4.0 * (expected * (1.0 - expected) / repeats as f64).sqrt(),
                "{count}, {alpha}: {rate}"
            );
        }
    }
}
