//! Checkpoints in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use burn::{
    store::ModuleRecord,
    train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError},
};

use super::keep::Keep;

/// Records in memory, of the epochs that are kept: for a training that writes no files.
#[derive(Clone, Default)]
pub struct Memory {
    models: Arc<Mutex<BTreeMap<usize, ModuleRecord>>>,
}

impl Memory {
    fn models(&self) -> MutexGuard<'_, BTreeMap<usize, ModuleRecord>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model after an epoch, if the epoch was kept.
    pub fn model(&self, epoch: usize) -> Option<ModuleRecord> {
        self.models().get(&epoch).cloned()
    }

    /// The epochs that are kept.
    pub fn epochs(&self) -> BTreeSet<usize> {
        self.models().keys().copied().collect()
    }
}

impl Keep for Memory {
    fn keep(&self, needed: BTreeSet<usize>) {
        self.models().retain(|epoch, _| needed.contains(epoch));
    }
}

impl Checkpointer<ModuleRecord> for Memory {
    fn save(&self, epoch: usize, record: ModuleRecord) -> std::result::Result<(), CheckpointerError> {
        self.models().insert(epoch, record);
        Ok(())
    }

    fn delete(&self, epoch: usize) -> std::result::Result<(), CheckpointerError> {
        self.models().remove(&epoch);
        Ok(())
    }

    fn restore(&self, epoch: usize) -> std::result::Result<ModuleRecord, CheckpointerError> {
        self.model(epoch).ok_or_else(|| CheckpointerError::Unknown(format!("epoch {epoch} was not kept")))
    }
}

/// Keeps nothing: a training that nothing continues needs neither the state of its optimizer nor that of its schedule.
pub struct Nothing;

impl<R: Checkpoint> Checkpointer<R> for Nothing {
    fn save(&self, _: usize, _: R) -> std::result::Result<(), CheckpointerError> {
        Ok(())
    }

    fn delete(&self, _: usize) -> std::result::Result<(), CheckpointerError> {
        Ok(())
    }

    fn restore(&self, epoch: usize) -> std::result::Result<R, CheckpointerError> {
        Err(CheckpointerError::Unknown(format!("epoch {epoch} was not kept")))
    }
}
