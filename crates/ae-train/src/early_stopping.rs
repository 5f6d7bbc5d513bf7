//! Early stopping, and the best epoch so far.

use burn::train::{
    EarlyStoppingStrategy,
    metric::store::{Aggregate, Direction, EventStoreClient, Split},
};

use crate::metrics::LOSS;

/// The best epoch so far, by validation loss.
pub fn best_epoch(store: &EventStoreClient) -> Option<usize> {
    store.find_epoch(LOSS, Aggregate::Mean, Direction::Lowest, &Split::Valid)
}

/// Early stopping: ends the training after `patience` epochs without a better validation loss. It has no state of its
/// own and asks the history instead, so that a resumed run stops at the same epoch.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Number of epochs to wait.
    pub epochs: usize,
}

impl EarlyStoppingStrategy for Patience {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        let loss = store.find_metric(LOSS, epoch, Aggregate::Mean, &Split::Valid);
        let diverged = loss.is_some_and(|loss| !loss.is_finite());
        let stale = self.epochs > 0 && best_epoch(store).is_some_and(|best| epoch.saturating_sub(best) >= self.epochs);
        diverged || stale
    }
}
