//! Checkpoints as files, for Burn's Learner.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ae_data::sink::write_bytes;
use burn::{
    lr_scheduler::LrSchedulerRecord,
    train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError},
};

use super::records::{Manifest, PARTS, STEP_PARTS, manifest_path, path, remove, remove_steps, step_path};
use crate::digest::Digest;

/// Digests of the records written so far, by epoch, until all three of an epoch exist.
type Written = Arc<Mutex<BTreeMap<usize, Manifest>>>;

/// Records as files. Burn writes each beside its final path and renames it when it is complete.
pub struct Files {
    folder: PathBuf,
    part: &'static str,
    written: Written,
    /// The step of the checkpoint to continue from, if it lies within an epoch, and the schedule at that step.
    within: Option<(usize, LrSchedulerRecord)>,
    /// Epochs to delete after the next record is written: Burn's training waits for a deletion, but not for a write.
    stale: Mutex<Vec<usize>>,
}

impl Files {
    /// The records of each of [`PARTS`] in `folder`; a checkpoint `within` an epoch is what is restored, if there is
    /// one.
    pub fn of(folder: &Path, within: Option<(usize, LrSchedulerRecord)>) -> [Self; 3] {
        let written = Written::default();
        PARTS.map(|part| Self {
            folder: folder.to_owned(),
            part,
            written: written.clone(),
            within: within.clone(),
            stale: Mutex::default(),
        })
    }

    fn stale(&self) -> MutexGuard<'_, Vec<usize>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Checkpoint> Checkpointer<R> for Files {
    fn save(&self, epoch: usize, record: R) -> std::result::Result<(), CheckpointerError> {
        let digest = save_record(record, &path(&self.folder, self.part, epoch))?;
        let whole = {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            let manifest = written.entry(epoch).or_default();
            manifest.insert(self.part.to_string(), digest);
            if manifest.len() == PARTS.len() { written.remove(&epoch) } else { None }
        };
        if let Some(manifest) = whole {
            let text = serde_json::to_vec_pretty(&manifest).expect("digests are JSON");
            let failed = |error: ae_data::DataError| CheckpointerError::IOError(io::Error::other(error.to_string()));
            write_bytes(&manifest_path(&self.folder, epoch), &text).map_err(failed)?;
            remove_steps(&self.folder, epoch).map_err(|error| at(&self.folder, error))?;
        }
        // Only one of the three removes the whole epoch.
        let stale = std::mem::take(&mut *self.stale());
        let removed = stale.iter().filter(|_| self.part == PARTS[0]).try_for_each(|&epoch| remove(&self.folder, epoch));
        removed.map_err(|error| at(&self.folder, error))
    }

    fn delete(&self, epoch: usize) -> std::result::Result<(), CheckpointerError> {
        self.stale().push(epoch);
        Ok(())
    }

    fn restore(&self, epoch: usize) -> std::result::Result<R, CheckpointerError> {
        let Some((steps, schedule)) = &self.within else { return R::load(path(&self.folder, self.part, epoch)) };
        match STEP_PARTS.contains(&self.part) {
            true => R::load(step_path(&self.folder, self.part, *steps)),
            // The schedule has no file: its state follows from the number of steps.
            false => {
                let bytes = schedule.clone().checkpoint_into_bytes().map_err(CheckpointerError::Record)?;
                R::checkpoint_from_bytes(bytes).map_err(CheckpointerError::Record)
            }
        }
    }
}

/// Writes a record and returns its digest.
pub(super) fn save_record<R: Checkpoint>(record: R, path: &Path) -> std::result::Result<Digest, CheckpointerError> {
    record.save(path.to_owned()).map_err(|error| at(path, error))?;
    Digest::of(path).map_err(|error| at(path, error))
}

/// The error for a failed write, with its path: Burn's own messages do not name it.
pub(super) fn at(path: &Path, error: impl std::fmt::Display) -> CheckpointerError {
    // For example `Record error: `Record I/O error: I/O error: No space left``: only the last part says what is wrong.
    let text = error.to_string().replace(['`', '\n'], " ");
    let reason = text.rsplit("rror: ").next().unwrap_or(&text).trim().to_string();
    CheckpointerError::IOError(io::Error::other(format!("cannot write {}: {reason}", path.display())))
}
