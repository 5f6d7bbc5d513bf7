//! How a training stands: decided only here, from the contents of its folder, both before it continues and after it has
//! stopped.

use std::collections::BTreeSet;

use crate::{Error, config::TrainingConfig, history::Epoch, metrics::LOSS};

/// How a training stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// There are epochs left to train.
    Open {
        /// The best epoch so far; none if no epoch is sound.
        best: Option<usize>,
    },
    /// Every epoch is trained, or early stopping has ended the training.
    Finished {
        /// The epoch to keep.
        best: usize,
    },
    /// The loss of an epoch is infinite or not a number.
    Diverged {
        /// The first such epoch.
        epoch: usize,
        /// The epoch to keep; none if there is no other epoch.
        best: Option<usize>,
    },
}

impl Ending {
    /// Decides for a training that has measured these epochs, of which the records of `sound` are intact. Epochs after
    /// the last sound one do not count: they are trained again, and an epoch that was stopped during its validation was
    /// measured on only some of the rows.
    pub fn of(epochs: &[Epoch], sound: &BTreeSet<usize>, training: &TrainingConfig) -> Self {
        let last = sound.last().copied().unwrap_or(0);
        let epochs = || epochs.iter().filter(|epoch| epoch.epoch <= last);
        let least = |among: &dyn Fn(&Epoch) -> bool| {
            let some = epochs().filter(|epoch| epoch.loss.is_finite() && among(epoch));
            some.min_by(|a, b| a.loss.total_cmp(&b.loss)).map(|epoch| epoch.epoch)
        };
        let best = least(&|epoch| sound.contains(&epoch.epoch));
        if let Some(diverged) = epochs().find(|epoch| !epoch.loss.is_finite()) {
            return Self::Diverged { epoch: diverged.epoch, best };
        }
        // The patience is that of the training as it happened, whatever has happened to the records since.
        let out_of_patience =
            training.patience > 0 && least(&|_| true).is_some_and(|best| last - best >= training.patience);
        match best {
            Some(best) if last >= training.epochs || out_of_patience => Self::Finished { best },
            best => Self::Open { best },
        }
    }
}

/// Advice for a loss that diverges.
pub(crate) fn slower(training: &TrainingConfig) -> String {
    format!("lower `training.learning_rate` (now {}) or set `training.gradient_clip`", training.learning_rate)
}

/// The error for a loss that became infinite in this epoch; another epoch may have been kept.
pub(crate) fn diverged(training: &TrainingConfig, epoch: usize, kept: Option<usize>, epochs: &[Epoch]) -> Error {
    let infinite = epochs.iter().find(|other| other.epoch == epoch).and_then(|epoch| epoch.infinite.clone());
    let kept = kept.map(|kept| format!("epoch {kept} was kept; ")).unwrap_or_default();
    Error::Diverged { epoch, term: infinite.unwrap_or_else(|| LOSS.to_string()), advice: kept + &slower(training) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(losses: &[f64], sound: &[usize], patience: usize) -> Ending {
        let epochs: Vec<Epoch> =
            (1..).zip(losses).map(|(epoch, &loss)| Epoch { epoch, loss, seconds: 1.0, infinite: None }).collect();
        let training = TrainingConfig { epochs: 5, patience, ..TrainingConfig::default() };
        Ending::of(&epochs, &sound.iter().copied().collect(), &training)
    }

    #[test]
    fn it_is_decided_by_what_was_saved() {
        assert_eq!(of(&[], &[], 0), Ending::Open { best: None });
        assert_eq!(of(&[3.0, 2.0, 1.0], &[1, 2, 3], 0), Ending::Open { best: Some(3) });
        assert_eq!(of(&[3.0, 1.0, 2.0, 2.0, 2.0], &[2, 3, 4, 5], 0), Ending::Finished { best: 2 });
        // Stopped while epoch 4 was being validated, on rows that happened to be easy.
        assert_eq!(of(&[3.0, 2.0, 1.0, 0.1], &[1, 2, 3], 0), Ending::Open { best: Some(3) });
        // Killed after early stopping and before the result was written.
        assert_eq!(of(&[3.0, 1.0, 2.0, 2.0], &[2, 3, 4], 2), Ending::Finished { best: 2 });
        assert_eq!(of(&[3.0, 1.0, 2.0], &[2, 3], 2), Ending::Open { best: Some(2) });
        // The best epoch is damaged: the next best one is kept, and the patience does not change.
        assert_eq!(of(&[3.0, 1.0, 2.0, 2.5], &[3, 4], 2), Ending::Finished { best: 3 });
        assert_eq!(of(&[3.0, f64::NAN], &[1, 2], 0), Ending::Diverged { epoch: 2, best: Some(1) });
        assert_eq!(of(&[f64::NAN], &[1], 0), Ending::Diverged { epoch: 1, best: None });
        assert_eq!(of(&[3.0, f64::NAN], &[1], 0), Ending::Open { best: Some(1) });
    }
}
