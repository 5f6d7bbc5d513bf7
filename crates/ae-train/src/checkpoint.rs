//! Checkpoints: Burn's records of model, optimizer and schedule after each epoch, written so that a crash leaves the last good one whole.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use ae_data::caught::caught;
use burn::{
    store::ModuleRecord,
    train::{
        EarlyStoppingStrategy,
        checkpoint::{Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy},
        metric::store::{Aggregate, Direction, EventStoreClient, Split},
    },
};

use crate::{Error, Result, metrics::LOSS};

/// The records of an epoch.
pub const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

/// Where one record of an epoch lies.
pub fn path(folder: &Path, part: &str, epoch: usize) -> PathBuf {
    folder.join(format!("{part}-{epoch}.bpk"))
}

/// Epochs whose three records are all in `folder`.
pub fn epochs(folder: &Path) -> BTreeSet<usize> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("model-")?.strip_suffix(".bpk")?.parse().ok();
    let found: BTreeSet<usize> = fs::read_dir(folder).map(|entries| entries.flatten().filter_map(number).collect()).unwrap_or_default();
    found.into_iter().filter(|&epoch| PARTS.iter().all(|part| path(folder, part, epoch).is_file())).collect()
}

/// One record of epoch `epoch`.
///
/// # Errors
/// A file that is missing or damaged, with what to do.
pub fn load<R: Checkpoint>(folder: &Path, part: &str, epoch: usize) -> Result<R> {
    let path = path(folder, part, epoch);
    // A damaged file can make the reader panic rather than return; to the person it is the same thing.
    let reason = match caught(|| R::load(path.clone())) {
        Some(Ok(record)) => return Ok(record),
        Some(Err(error)) => error.to_string().replace('\n', " "),
        None => "its contents make no sense".to_string(),
    };
    let earlier = epochs(folder).into_iter().rfind(|&other| other < epoch);
    let advice = match earlier {
        Some(other) => format!("delete the files of epoch {epoch} in its folder to resume from epoch {other}"),
        None => "there is no earlier checkpoint: train again with another `--out`".to_string(),
    };
    Err(Error::Failed(format!("damaged checkpoint {}: {reason}; {advice}", path.display())))
}

/// The model's record of epoch `epoch`.
///
/// # Errors
/// As [`load`].
pub fn model(folder: &Path, epoch: usize) -> Result<ModuleRecord> {
    load(folder, PARTS[0], epoch)
}

/// Records as files, which Burn writes beside their place and moves there when they are whole.
pub struct Files {
    folder: PathBuf,
    part: &'static str,
    /// To be deleted behind the next one that is written: Burn's training waits for a deletion, for a writing it does not.
    stale: Mutex<Vec<PathBuf>>,
}

impl Files {
    /// The records of `part` in `folder`.
    pub fn new(folder: &Path, part: &'static str) -> Self {
        Self { folder: folder.to_owned(), part, stale: Mutex::default() }
    }

    fn stale(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Checkpoint> Checkpointer<R> for Files {
    fn save(&self, epoch: usize, record: R) -> std::result::Result<(), CheckpointerError> {
        record.save(path(&self.folder, self.part, epoch))?;
        let stale = std::mem::take(&mut *self.stale());
        let failed = |error: &io::Error| error.kind() != io::ErrorKind::NotFound;
        stale
            .iter()
            .filter_map(|path| fs::remove_file(path).err())
            .find(failed)
            .map_or(Ok(()), |error| Err(CheckpointerError::IOError(error)))
    }

    fn delete(&self, epoch: usize) -> std::result::Result<(), CheckpointerError> {
        self.stale().push(path(&self.folder, self.part, epoch));
        Ok(())
    }

    fn restore(&self, epoch: usize) -> std::result::Result<R, CheckpointerError> {
        R::load(path(&self.folder, self.part, epoch))
    }
}

/// The best epoch so far, by validation loss.
pub fn best_epoch(store: &EventStoreClient) -> Option<usize> {
    store.find_epoch(LOSS, Aggregate::Mean, Direction::Lowest, &Split::Valid)
}

/// How many of the last epochs are kept. Burn writes an epoch's records while the next one trains, each record on a thread of its own that
/// takes one task at a time: when the third epoch is handed over, all records of the first are whole.
const LAST: usize = 3;

/// Keeps the best epoch and the last three.
pub struct BestAndLast {
    kept: BTreeSet<usize>,
}

impl BestAndLast {
    /// With what is already in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { kept: epochs(folder) }
    }
}

impl CheckpointingStrategy for BestAndLast {
    fn checkpointing(&mut self, epoch: usize, store: &EventStoreClient) -> Vec<CheckpointingAction> {
        self.kept.insert(epoch);
        let mut keep: BTreeSet<usize> = self.kept.iter().rev().take(LAST).copied().collect();
        keep.extend(best_epoch(store));
        // Deleted first: to wait for the thread that saves would be to wait for the disk.
        let mut actions: Vec<_> = self.kept.difference(&keep).map(|&old| CheckpointingAction::Delete(old)).collect();
        actions.push(CheckpointingAction::Save);
        self.kept.retain(|epoch| keep.contains(epoch));
        actions
    }
}

/// Stops after `patience` epochs without a better validation loss. Without state of its own: it asks the history, which a resumed run has.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Epochs to wait.
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
