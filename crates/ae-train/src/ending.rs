//! How a training stands: decided here alone, from what its folder holds, before it goes on and after it has stopped.

use std::collections::BTreeSet;

use crate::{config::TrainingConfig, history::Epoch};

/// How a training stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// There are epochs left to train.
    Open {
        /// The best so far; none if there is no sound one.
        best: Option<usize>,
    },
    /// Every epoch is trained, or the patience is over.
    Finished {
        /// The epoch to keep.
        best: usize,
    },
    /// The loss of this epoch is infinite or none.
    Diverged {
        /// The first such epoch.
        epoch: usize,
        /// The epoch to keep; none if there is no other.
        best: Option<usize>,
    },
}

impl Ending {
    /// Of a training that has measured these epochs, of which `sound` have their records as they were saved. Epochs
    /// after the last of those count for nothing: they are trained again, and the validation of one that was
    /// stopped is of some rows alone.
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
        // Patience is that of the training as it was, whatever has become of the records since.
        let out_of_patience =
            training.patience > 0 && least(&|_| true).is_some_and(|best| last - best >= training.patience);
        match best {
            Some(best) if last >= training.epochs || out_of_patience => Self::Finished { best },
            best => Self::Open { best },
        }
    }
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
        // Stopped while epoch 4 was validated, on rows that were easy.
        assert_eq!(of(&[3.0, 2.0, 1.0, 0.1], &[1, 2, 3], 0), Ending::Open { best: Some(3) });
        // Killed after the patience was over and before the result was written.
        assert_eq!(of(&[3.0, 1.0, 2.0, 2.0], &[2, 3, 4], 2), Ending::Finished { best: 2 });
        assert_eq!(of(&[3.0, 1.0, 2.0], &[2, 3], 2), Ending::Open { best: Some(2) });
        // The best epoch is damaged: the next best is kept, and the patience is that of before.
        assert_eq!(of(&[3.0, 1.0, 2.0, 2.5], &[3, 4], 2), Ending::Finished { best: 3 });
        assert_eq!(of(&[3.0, f64::NAN], &[1, 2], 0), Ending::Diverged { epoch: 2, best: Some(1) });
        assert_eq!(of(&[f64::NAN], &[1], 0), Ending::Diverged { epoch: 1, best: None });
        assert_eq!(of(&[3.0, f64::NAN], &[1], 0), Ending::Open { best: Some(1) });
    }
}
