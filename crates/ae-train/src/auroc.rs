//! How well scores separate anomalies from normal rows: area under the ROC curve (AUROC), average precision, F1.

use serde::{Deserialize, Serialize};

/// How well scores rank anomalies above normal rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Area under the ROC curve: the probability that a random anomaly scores higher than a random other row, ties
    /// counted half (Hanley and McNeil 1982).
    pub auroc: f64,
    /// Precision at the score of each anomaly, averaged over the anomalies.
    pub average_precision: f64,
    /// F1, the harmonic mean of precision and recall, of the rows above the threshold.
    pub f1: f64,
}

impl Ranking {
    /// Ranks rows by `scores`; `anomalies` says which rows are anomalies, and F1 is that of rows above `threshold`.
    /// None unless there are both kinds.
    ///
    /// # Panics
    /// If there are not as many scores as rows.
    pub fn of(scores: &[f64], anomalies: &[bool], threshold: f64) -> Option<Self> {
        assert_eq!(scores.len(), anomalies.len(), "a score for each row");
        let positives = anomalies.iter().filter(|&&anomaly| anomaly).count() as f64;
        let negatives = anomalies.len() as f64 - positives;
        if positives == 0.0 || negatives == 0.0 {
            return None;
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let (mut above, mut seen, mut area, mut precision) = (0.0, 0.0, 0.0, 0.0);
        for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
            let hits = tied.iter().filter(|&&row| anomalies[row]).count() as f64;
            let misses = tied.len() as f64 - hits;
            area += misses * (above + hits / 2.0);
            above += hits;
            seen += tied.len() as f64;
            precision += hits * above / seen;
        }
        let flagged = scores.iter().filter(|&&score| score > threshold).count() as f64;
        let caught =
            scores.iter().zip(anomalies).filter(|(score, anomaly)| **anomaly && **score > threshold).count() as f64;
        Some(Self {
            auroc: area / (positives * negatives),
            average_precision: precision / positives,
            f1: 2.0 * caught / (flagged + positives),
        })
    }
}

/// Quantile: the value below which a share `share` of `sorted` lies, by linear interpolation (type 7 of Hyndman and Fan
/// 1996).
///
/// # Panics
/// If there are no values.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rankings_worked_by_hand() {
        // Anomalies at 0.9, 0.4 and 0.4; one other row ties with the last two.
        let scores = [0.1, 0.4, 0.4, 0.9, 0.4, 0.2];
        let anomalies = [false, true, false, true, true, false];
        let ranking = Ranking::of(&scores, &anomalies, 0.3).unwrap();
        assert!((ranking.auroc - 8.0 / 9.0).abs() < 1e-12, "{ranking:?}"); // (3 + 2.5 + 2.5) / 9
        assert!((ranking.average_precision - (1.0 + 0.75 + 0.75) / 3.0).abs() < 1e-12, "{ranking:?}");
        assert!((ranking.f1 - 6.0 / 7.0).abs() < 1e-12, "{ranking:?}"); // precision 3/4, recall 1
        assert!(Ranking::of(&scores, &[false; 6], 0.3).is_none());
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
    }
}
