//! Which checkpoints are kept during a training.

use std::collections::BTreeSet;

use burn::train::{
    checkpoint::{CheckpointingAction, CheckpointingStrategy},
    metric::store::EventStoreClient,
};

use crate::early_stopping::best_epoch;

/// Keeps the best epoch and the last one.
pub struct BestAndLast {
    kept: BTreeSet<usize>,
}

impl BestAndLast {
    /// Starts with these epochs, which exist already.
    pub fn new(kept: BTreeSet<usize>) -> Self {
        Self { kept }
    }
}

impl CheckpointingStrategy for BestAndLast {
    fn checkpointing(&mut self, epoch: usize, store: &EventStoreClient) -> Vec<CheckpointingAction> {
        self.kept.insert(epoch);
        let keep: BTreeSet<usize> = best_epoch(store).into_iter().chain([epoch]).collect();
        // Deletions come first: waiting for the saving thread would mean waiting for the disk.
        let mut actions: Vec<_> = self.kept.difference(&keep).map(|&old| CheckpointingAction::Delete(old)).collect();
        actions.push(CheckpointingAction::Save);
        self.kept.retain(|epoch| keep.contains(epoch));
        actions
    }
}
