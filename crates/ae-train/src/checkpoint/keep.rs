//! Which checkpoints are kept during a training.

use std::collections::BTreeSet;

use burn::train::{
    checkpoint::{CheckpointingAction, CheckpointingStrategy},
    metric::store::EventStoreClient,
};

use crate::early_stopping::best_epoch;

/// Number of last epochs to keep. Burn writes the records of an epoch while the next one trains, each record on its own
/// thread with one task at a time: when the third epoch is handed over, all records of the first are complete.
const LAST: usize = 3;

/// Keeps the best epoch and the last three.
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
        let mut keep: BTreeSet<usize> = self.kept.iter().rev().take(LAST).copied().collect();
        keep.extend(best_epoch(store));
        // Deletions come first: waiting for the saving thread would mean waiting for the disk.
        let mut actions: Vec<_> = self.kept.difference(&keep).map(|&old| CheckpointingAction::Delete(old)).collect();
        actions.push(CheckpointingAction::Save);
        self.kept.retain(|epoch| keep.contains(epoch));
        actions
    }
}
