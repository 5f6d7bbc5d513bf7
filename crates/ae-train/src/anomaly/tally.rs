//! Counts of scored rows, and how well their scores separate labeled anomalies.

use ae_data::Dataset;

use serde::{Deserialize, Serialize};

use super::{
    detector::{Detector, Scored, Scores, threshold_of},
    reasons::odd_columns,
};
use crate::{Result, auroc::Ranking, baseline::Pca, trained::Trained};

/// Counts made while rows are scored. Its size does not grow with the rows unless they have labels.
#[derive(Debug, Default)]
pub struct Tally<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Number of rows with a score above the threshold.
    pub flagged: usize,
    /// Number of rows without a score, because every value is missing.
    pub without: usize,
    /// The rows with the highest scores, at most [`WORST`], the highest first.
    pub worst: Vec<Worst>,
    pub(super) labels: Option<Labels<'a>>,
}

/// Rows with the highest scores that a [`Tally`] keeps.
pub const WORST: usize = 10;

/// A row with a high score.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Index of the row in its data.
    pub row: usize,
    /// Its score.
    pub score: f64,
    /// At most three columns that score highest, with their scores, the highest first; only those above the score of a
    /// typical row, 1.
    pub columns: Vec<(usize, f64)>,
}

/// Scores of labeled rows.
#[derive(Debug)]
pub(super) struct Labels<'a> {
    pub(super) pca: &'a Pca,
    normal: String,
    anomalies: Vec<bool>,
    /// Scores of the model and of the baselines.
    pub(super) scores: [Vec<f64>; 4],
}

impl<'a> Tally<'a> {
    /// An empty tally. With principal components (those of the baseline) and the name of the normal class, scores are
    /// kept to compute a ranking.
    pub fn new(labels: Option<(&'a Pca, &str)>) -> Self {
        let labels = labels.map(|(pca, normal)| Labels {
            pca,
            normal: normal.to_string(),
            anomalies: Vec::new(),
            scores: Default::default(),
        });
        Self { labels, ..Self::default() }
    }

    pub(super) fn add(&mut self, batch: &Scored, rows: &Dataset, threshold: Option<f64>) {
        let scores = &batch.scores.rows;
        self.rows += scores.len();
        self.without += scores.iter().filter(|score| score.is_nan()).count();
        self.flagged += scores.iter().filter(|score| threshold.is_some_and(|threshold| **score > threshold)).count();
        for (index, &row) in rows.indices()[batch.range.clone()].iter().enumerate() {
            self.keep_worst(row, scores[index], &batch.scores, index);
        }
        let Some(labels) = &mut self.labels else { return };
        let classes = rows.rows().classes();
        for (index, &row) in rows.indices()[batch.range.clone()].iter().enumerate() {
            // Rows without a label or without a score cannot be ranked.
            let Some(label) = rows.rows().label(row).filter(|_| !scores[index].is_nan()) else { continue };
            labels.anomalies.push(classes[label as usize] != labels.normal);
            let all = std::iter::once(&batch.scores.rows).chain(&batch.baselines);
            labels.scores.iter_mut().zip(all).for_each(|(kept, scores)| kept.push(scores[index]));
        }
    }

    fn keep_worst(&mut self, row: usize, score: f64, scores: &Scores, index: usize) {
        let is_high = self.worst.len() < WORST || self.worst.last().is_some_and(|last| score > last.score);
        if score.is_nan() || !is_high {
            return;
        }
        let width = scores.columns.len() / scores.rows.len();
        let columns = odd_columns(&scores.columns[index * width..(index + 1) * width]);
        let place = self.worst.partition_point(|worst| worst.score >= score);
        self.worst.insert(place, Worst { row, score, columns });
        self.worst.truncate(WORST);
    }

    /// How well the scores separate anomalies from normal rows; none without labels of both kinds.
    pub fn detection(&self, detector: &Detector) -> Option<Detection> {
        let labels = self.labels.as_ref()?;
        detector.detection_of(&labels.scores, &labels.anomalies)
    }
}

impl Detector {
    /// Scores `rows`, with the scores of the baselines: the distance to the fifth nearest training row, the squared
    /// error of PCA with components for 90% of the variance, and the squared distance to the mean.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn score_beside(&self, trained: &Trained, rows: &Dataset, pca: &Pca) -> Result<(Scores, [Vec<f64>; 3])> {
        let (mut scores, mut baselines) = (Scores::default(), <[Vec<f64>; 3]>::default());
        let pca = pca.most();
        for batch in self.scored(trained, rows, Some(&pca)) {
            let batch = batch?;
            scores.rows.extend(batch.scores.rows);
            scores.columns.extend(batch.scores.columns);
            baselines.iter_mut().zip(batch.baselines).for_each(|(all, batch)| all.extend(batch));
        }
        Ok((scores, baselines))
    }

    /// How well the scores of some rows, the model's and those of the three baselines, separate the `anomalies` among
    /// them from the other rows; none without rows of both kinds.
    pub fn detection_of(&self, scores: &[Vec<f64>; 4], anomalies: &[bool]) -> Option<Detection> {
        let all = std::iter::once(&self.held_out).chain(&self.held_out_baselines);
        let mut rankings = scores.iter().zip(all).map(|(scores, held_out)| {
            let threshold = threshold_of(held_out, self.false_alarms).unwrap_or(f64::INFINITY);
            Ranking::of(scores, anomalies, threshold)
        });
        let mut next = || rankings.next().flatten();
        Some(Detection {
            model: next()?,
            neighbours: next()?,
            pca: next()?,
            mean: next()?,
            anomalies: anomalies.iter().filter(|anomaly| **anomaly).count(),
            labelled: anomalies.len(),
        })
    }

    /// How well the scores separate rows of other classes than `normal` from the normal ones, beside the baselines;
    /// none if the rows have no labels, or all are of one kind.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn detection(&self, trained: &Trained, pca: &Pca, rows: &Dataset, normal: &str) -> Result<Option<Detection>> {
        let pca = pca.most();
        let mut tally = Tally::new(Some((&pca, normal)));
        for batch in self.scored(trained, rows, Some(&pca)) {
            tally.add(&batch?, rows, self.threshold());
        }
        Ok(tally.detection(self))
    }
}

/// How well anomalies are separated from normal rows, beside the baselines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// The model's scores.
    #[serde(flatten)]
    pub model: Ranking,
    /// Distance to the fifth nearest training row.
    pub neighbours: Ranking,
    /// Squared error of PCA with components for 90% of the variance.
    pub pca: Ranking,
    /// Squared distance to the mean.
    pub mean: Ranking,
    /// Number of rows with a label.
    pub labelled: usize,
    /// Number of labeled rows that are anomalies.
    pub anomalies: usize,
}
