//! Rows in the order of their anomaly scores, and the curves of these orders.

use ae_data::Dataset;

use crate::{
    anomaly::{Detection, Detector},
    auroc::Ranking,
};

/// Points of a curve, at most.
const POINTS: usize = 200;

/// The labeled rows as the scores of the model and of the baselines rank them.
pub struct Ranked {
    /// How well each tells anomalies from the rest.
    pub detection: Detection,
    /// Which of the labeled rows that have a score are anomalies.
    pub anomalies: Vec<bool>,
    /// Their scores: of the model, of the fifth nearest neighbor, of PCA, of the distance to the mean.
    pub scores: [Vec<f64>; 4],
}

impl Ranked {
    /// The ranking of `rows`; none without rows of both kinds. `baselines` are the scores of the three baselines.
    pub fn of(
        scores: &[f64],
        baselines: &[Vec<f64>; 3],
        detector: &Detector,
        rows: &Dataset,
        normal: &str,
    ) -> Option<Self> {
        let classes = rows.rows().classes();
        let label = |position: usize| rows.rows().label(rows.indices()[position]);
        let positions: Vec<usize> =
            (0..scores.len()).filter(|&position| !scores[position].is_nan() && label(position).is_some()).collect();
        let anomalies: Vec<bool> = positions
            .iter()
            .map(|&position| label(position).is_some_and(|label| classes[label as usize] != normal))
            .collect();
        let of = |scores: &[f64]| positions.iter().map(|&position| scores[position]).collect::<Vec<f64>>();
        let scores = [of(scores), of(&baselines[0]), of(&baselines[1]), of(&baselines[2])];
        let detection = detector.detection_of(&scores, &anomalies)?;
        Some(Self { detection, anomalies, scores })
    }

    /// The rankings by name, the model's first.
    pub fn rankings(&self, model: &str) -> [(String, Ranking); 4] {
        let Detection { model: ours, neighbours, pca, mean, .. } = self.detection;
        [
            (model.to_string(), ours),
            ("5th nearest neighbor".to_string(), neighbours),
            ("PCA (90% of the variance)".to_string(), pca),
            ("distance to the mean".to_string(), mean),
        ]
    }

    /// False alarms and hits at every threshold, as counts, from the highest score down.
    fn counts(&self, scores: &[f64]) -> Vec<(f64, f64)> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let (mut alarms, mut hits, mut counts) = (0.0, 0.0, vec![(0.0, 0.0)]);
        for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
            let anomalies = tied.iter().filter(|&&row| self.anomalies[row]).count() as f64;
            (alarms, hits) = (alarms + tied.len() as f64 - anomalies, hits + anomalies);
            counts.push((alarms, hits));
        }
        counts
    }

    /// The ROC curve of some scores: the share of the normal rows above a threshold, and of the anomalies.
    pub fn roc(&self, scores: &[f64]) -> Vec<(f64, f64)> {
        let counts = self.counts(scores);
        let (alarms, hits) = counts[counts.len() - 1];
        thinned(counts.iter().map(|count| (count.0 / alarms, count.1 / hits)).collect())
    }

    /// The precision-recall curve of some scores: the share of the anomalies above a threshold (recall), and the share
    /// of anomalies among the rows above it (precision).
    pub fn precision_recall(&self, scores: &[f64]) -> Vec<(f64, f64)> {
        let counts = self.counts(scores);
        let hits = counts[counts.len() - 1].1;
        let point = |count: &(f64, f64)| (count.1 / hits, count.1 / (count.0 + count.1));
        thinned(counts[1..].iter().map(point).collect())
    }
}

/// Some of the points, evenly spread, the last included.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let (last, step) = (points.len() - 1, points.len().div_ceil(POINTS));
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index.is_multiple_of(step) || *index == last)
        .map(|of| of.1)
        .collect()
}
