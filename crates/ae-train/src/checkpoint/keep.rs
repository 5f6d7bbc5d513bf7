//! Which checkpoints are kept during a training.

use std::collections::BTreeSet;

use burn::train::{
    checkpoint::{CheckpointingAction, CheckpointingStrategy},
    metric::store::EventStoreClient,
};

use crate::early_stopping::best_epoch;

/// A place of checkpoints.
pub trait Keep: Send + 'static {
    /// Says which epochs are needed from now on: the best one and the last one, which is about to be saved.
    fn keep(&self, needed: BTreeSet<usize>);
}

/// Keeps the best epoch and the last one.
///
/// The place is told once which they are. Burn's own action for this goes to three threads, and a training waits until
/// each of them has taken it, some 30 microseconds each time.
pub struct BestAndLast<K>(pub K);

impl<K: Keep> CheckpointingStrategy for BestAndLast<K> {
    fn checkpointing(&mut self, epoch: usize, store: &EventStoreClient) -> Vec<CheckpointingAction> {
        self.0.keep(best_epoch(store).into_iter().chain([epoch]).collect());
        vec![CheckpointingAction::Save]
    }
}
