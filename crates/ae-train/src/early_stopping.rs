//! Early stopping, and the best epoch so far.

use burn::train::{
    EarlyStoppingStrategy,
    metric::store::{Aggregate, Direction, EventStoreClient, Split},
};

use crate::{metrics::LOSS, peers::Peers};

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

/// [`Patience`] of a training in several processes: all do what the first one decides.
#[derive(Debug, Clone)]
pub(crate) struct Together {
    pub(crate) patience: Patience,
    pub(crate) peers: Option<Peers>,
}

impl EarlyStoppingStrategy for Together {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        let own = self.patience.should_stop(epoch, store);
        self.peers.as_ref().map_or(own, |peers| peers.stops(own))
    }
}
