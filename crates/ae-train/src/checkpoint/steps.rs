//! Checkpoints within epochs.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ae_data::sink::write_bytes;
use ae_model::train::Watch;
use burn::{
    optim::OptimizerRecord,
    store::ModuleRecord,
    train::{Interrupter, TrainingError, checkpoint::CheckpointerError},
};

use super::{
    records::{STEP_PARTS, Within, remove_step, step_manifest_path, step_path},
    writer::{Epochs, at, save_record},
};
use crate::config::Every;

/// Takes checkpoints within epochs.
pub struct Steps {
    folder: PathBuf,
    /// Those before it, which it continues.
    epochs: Arc<Epochs>,
    every: Every,
    /// Number of batches of an epoch.
    batches: usize,
    /// Stops the training, and is notified when the disk fails.
    interrupter: Interrupter,
    /// When the training was last saved, as far as is known here.
    last: Mutex<Instant>,
}

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").field("every", &self.every).finish_non_exhaustive()
    }
}

/// Training time within an epoch that is worth saving when the training is stopped.
const WORTH_SAVING: Duration = Duration::from_secs(20);

impl Steps {
    /// Writes checkpoints into `folder`, where `epochs` are, for epochs with this many batches.
    pub fn new(folder: &Path, epochs: Arc<Epochs>, every: Every, batches: usize, interrupter: Interrupter) -> Self {
        Self { folder: folder.to_owned(), epochs, every, batches, interrupter, last: Mutex::new(Instant::now()) }
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        steps: usize,
        model: ModuleRecord,
        optimizer: OptimizerRecord,
    ) -> std::result::Result<(), CheckpointerError> {
        // It continues the epoch before, which may still wait.
        self.epochs.write()?;
        let path = |part: &str| step_path(&self.folder, part, steps);
        let [model_part, optimizer_part] = STEP_PARTS;
        let records = [
            (model_part.to_string(), save_record(model, &path(model_part))?),
            (optimizer_part.to_string(), save_record(optimizer, &path(optimizer_part))?),
        ];
        let (epoch, batches) = (steps / self.batches + 1, steps % self.batches);
        let within = Within { epoch, batches, of: self.batches, steps, records: records.into() };
        let text = serde_json::to_vec_pretty(&within).expect("a checkpoint is JSON");
        let failed = |error: String| CheckpointerError::IOError(io::Error::other(error));
        write_bytes(&step_manifest_path(&self.folder, steps), &text).map_err(|error| failed(error.to_string()))?;
        for older in super::records::steps(&self.folder).map_err(|error| failed(error.to_string()))?.range(..steps) {
            remove_step(&self.folder, *older).map_err(|error| at(&self.folder, error))?;
        }
        Ok(())
    }
}

impl Watch for Steps {
    fn wants(&self, steps: usize) -> bool {
        if steps.is_multiple_of(self.batches) {
            // The checkpoint of the whole epoch follows.
            *self.last() = Instant::now();
            return false;
        }
        let is_due = match self.every {
            Every::Steps(every) => (steps as u64).is_multiple_of(every),
            Every::Time(every) => self.last().elapsed() >= every,
        };
        is_due || self.interrupter.should_stop() && self.last().elapsed() >= WORTH_SAVING
    }

    fn take(&self, steps: usize, trainee: ModuleRecord, optimizer: OptimizerRecord) {
        if let Err(error) = self.write(steps, trainee, optimizer) {
            self.interrupter.fail(TrainingError::Checkpoint(error));
        }
        *self.last() = Instant::now();
    }
}
