//! Checkpoints as files, for Burn's Learner.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ae_data::sink::write_bytes;
use burn::{
    lr_scheduler::LrSchedulerRecord,
    optim::OptimizerRecord,
    store::ModuleRecord,
    train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError},
};

use super::{
    keep::Keep,
    records::{Manifest, PARTS, STEP_PARTS, epochs, manifest_path, path, remove, remove_steps, step_path},
};
use crate::digest::Digest;

/// How long nothing is written after an epoch was: with epochs of 50 ms a fifth of a training would go into files that
/// the next epochs replace.
const PAUSE: Duration = Duration::from_secs(1);

/// The most parameters of a network whose epochs wait: each of two or three that wait takes 12 bytes for each.
const SMALL: usize = 5_000_000;

/// Number of epochs that stay in the folder beside the best and the last one, for the case that these are damaged.
const EARLIER: usize = 2;

type Result<T> = std::result::Result<T, CheckpointerError>;

/// The epochs of a training, on their way into a folder. Each is written when its three records are there and the last
/// one was written long enough ago; until then it waits in memory, as long as it is the best or the last one. What
/// waits at the end is written by [`write`](Self::write).
#[derive(Debug)]
pub struct Epochs {
    folder: PathBuf,
    /// The history of the epochs, which must be on the disk before they are.
    history: Option<File>,
    pause: Duration,
    state: Mutex<State>,
    /// Held while files are written.
    writing: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The epochs that are needed, whether they are in the folder or wait.
    needed: BTreeSet<usize>,
    waiting: BTreeMap<usize, Records>,
    /// The epochs in the folder.
    written: BTreeSet<usize>,
    /// When an epoch was written last.
    last: Option<Instant>,
}

/// The records of an epoch.
#[derive(Default)]
struct Records {
    model: Option<ModuleRecord>,
    optimizer: Option<OptimizerRecord>,
    scheduler: Option<LrSchedulerRecord>,
}

/// The place of a record among them.
type Slot<R> = fn(&mut Records) -> &mut Option<R>;

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("waiting", &self.waiting.keys()).field("written", &self.written).finish()
    }
}

impl Epochs {
    /// For this folder, at most one epoch a second, but each of a large network; a row of each is in `history`.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn new(folder: &Path, history: Option<File>, parameters: usize) -> crate::Result<Arc<Self>> {
        Self::with_pause(folder, history, if parameters > SMALL { Duration::ZERO } else { PAUSE })
    }

    fn with_pause(folder: &Path, history: Option<File>, pause: Duration) -> crate::Result<Arc<Self>> {
        let state = Mutex::new(State { written: epochs(folder)?, ..State::default() });
        Ok(Arc::new(Self { folder: folder.to_owned(), history, pause, state, writing: Mutex::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record of an epoch.
    fn add<R>(&self, epoch: usize, slot: Slot<R>, record: R) -> Result<()> {
        let is_due = {
            let mut state = self.state();
            if !state.needed.contains(&epoch) {
                // A later one took its place while this thread was busy.
                return Ok(());
            }
            let is_due = state.last.is_none_or(|last| last.elapsed() >= self.pause);
            let records = state.waiting.entry(epoch).or_default();
            *slot(records) = Some(record);
            records.is_whole() && is_due
        };
        if is_due { self.write() } else { Ok(()) }
    }

    /// Writes the epochs that wait.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self) -> Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // Without the lock: the training adds and forgets epochs meanwhile.
            let next = {
                let mut state = self.state();
                let next = state.waiting.iter().find(|(_, records)| records.is_whole()).map(|(&epoch, _)| epoch);
                next.and_then(|epoch| state.waiting.remove_entry(&epoch))
            };
            let Some((epoch, records)) = next else { return Ok(()) };
            let synced = self.history.as_ref().map_or(Ok(()), File::sync_data);
            synced.map_err(|error| at(&self.folder, error))?;
            self.write_one(epoch, records)?;
            let stale: Vec<usize> = {
                let mut state = self.state();
                state.last = Some(Instant::now());
                state.written.insert(epoch);
                let earlier: Vec<usize> = state.written.difference(&state.needed).copied().collect();
                let stale = earlier[..earlier.len().saturating_sub(EARLIER)].to_vec();
                state.written.retain(|epoch| !stale.contains(epoch));
                stale
            };
            // Only now: there was always one to continue from.
            stale
                .into_iter()
                .try_for_each(|epoch| remove(&self.folder, epoch))
                .map_err(|error| at(&self.folder, error))?;
        }
    }

    fn write_one(&self, epoch: usize, records: Records) -> Result<()> {
        let path = |part: &str| path(&self.folder, part, epoch);
        let mut manifest = Manifest::new();
        let [model, optimizer, scheduler] = PARTS;
        if let Some(record) = records.model {
            manifest.insert(model.to_string(), save_record(record, &path(model))?);
        }
        if let Some(record) = records.optimizer {
            manifest.insert(optimizer.to_string(), save_record(record, &path(optimizer))?);
        }
        if let Some(record) = records.scheduler {
            manifest.insert(scheduler.to_string(), save_record(record, &path(scheduler))?);
        }
        let text = serde_json::to_vec_pretty(&manifest).expect("digests are JSON");
        let failed = |error: ae_data::DataError| CheckpointerError::IOError(io::Error::other(error.to_string()));
        write_bytes(&manifest_path(&self.folder, epoch), &text).map_err(failed)?;
        remove_steps(&self.folder, epoch).map_err(|error| at(&self.folder, error))
    }
}

impl Records {
    fn is_whole(&self) -> bool {
        self.model.is_some() && self.optimizer.is_some() && self.scheduler.is_some()
    }
}

impl Keep for Arc<Epochs> {
    fn keep(&self, needed: BTreeSet<usize>) {
        let mut state = self.state();
        state.waiting.retain(|epoch, _| needed.contains(epoch));
        state.needed = needed;
    }
}

/// One of [`PARTS`], as Burn saves and restores it.
pub struct Files<R> {
    epochs: Arc<Epochs>,
    part: &'static str,
    slot: Slot<R>,
    /// The step of the checkpoint to continue from, if it lies within an epoch, and the schedule at that step.
    within: Option<(usize, LrSchedulerRecord)>,
}

/// The checkpointers of model, optimizer and schedule. If there is a checkpoint `within` an epoch, it is what is
/// restored.
pub fn files(
    epochs: &Arc<Epochs>,
    within: Option<(usize, LrSchedulerRecord)>,
) -> (Files<ModuleRecord>, Files<OptimizerRecord>, Files<LrSchedulerRecord>) {
    let [model, optimizer, scheduler] = PARTS;
    (
        Files { epochs: epochs.clone(), part: model, slot: |records| &mut records.model, within: within.clone() },
        Files {
            epochs: epochs.clone(),
            part: optimizer,
            slot: |records| &mut records.optimizer,
            within: within.clone(),
        },
        Files { epochs: epochs.clone(), part: scheduler, slot: |records| &mut records.scheduler, within },
    )
}

impl<R: Checkpoint> Checkpointer<R> for Files<R> {
    fn save(&self, epoch: usize, record: R) -> Result<()> {
        self.epochs.add(epoch, self.slot, record)
    }

    /// Does nothing: which epochs are needed is said by [`Keep`].
    fn delete(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn restore(&self, epoch: usize) -> Result<R> {
        let folder = &self.epochs.folder;
        let Some((steps, schedule)) = &self.within else { return R::load(path(folder, self.part, epoch)) };
        match STEP_PARTS.contains(&self.part) {
            true => R::load(step_path(folder, self.part, *steps)),
            // The schedule has no file: its state follows from the number of steps.
            false => {
                let bytes = schedule.clone().checkpoint_into_bytes().map_err(CheckpointerError::Record)?;
                R::checkpoint_from_bytes(bytes).map_err(CheckpointerError::Record)
            }
        }
    }
}

/// Writes a record and returns its digest.
pub(super) fn save_record<R: Checkpoint>(record: R, path: &Path) -> Result<Digest> {
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

#[cfg(test)]
mod tests {
    use ae_model::{Inputs, Model, Objective, Variant};
    use burn::{module::Module, optim::AdamConfig, tensor::Device};

    use super::*;
    use crate::{
        checkpoint::{Saved, records::epochs},
        config::TrainingConfig,
        step::trainee,
    };

    /// Epochs that follow one another faster than files can be written: the first one is written at once, then none
    /// until the end, when the best and the last one are. There is always one to continue from.
    #[test]
    fn of_short_epochs_only_those_are_written_that_are_needed() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        let model: Model = (Variant::find("linear").unwrap().recipe)().init(&Inputs::unit(3), &Device::default());
        let trainee = trainee(model, Objective::default());
        let record = || trainee.clone().into_record();
        let mut schedule = TrainingConfig::default().schedule(1).unwrap();
        let optimizer = AdamConfig::new().init();
        schedule.step();
        let of_schedule = schedule.to_record();
        let run = |all: &Arc<Epochs>, numbers: std::ops::RangeInclusive<usize>, best: usize| {
            let (models, optimizers, schedules) = files(all, None);
            for epoch in numbers {
                all.keep([best, epoch].into_iter().filter(|kept| *kept <= epoch).collect());
                models.save(epoch, record()).unwrap();
                optimizers.save(epoch, optimizer.to_record()).unwrap();
                assert!(!epochs(folder).unwrap().contains(&epoch), "it is not complete");
                schedules.save(epoch, of_schedule.clone()).unwrap();
            }
        };
        let all = Epochs::with_pause(folder, None, Duration::from_secs(3600)).unwrap();
        run(&all, 1..=9, 7);
        let written = |expected: &[usize]| {
            assert_eq!(epochs(folder).unwrap(), expected.iter().copied().collect());
            assert_eq!(Saved::of(folder).unwrap().sound, expected.iter().copied().collect());
        };
        written(&[1]);
        assert_eq!(all.state().waiting.keys().copied().collect::<Vec<_>>(), [7, 9]);
        all.write().unwrap();
        written(&[1, 7, 9]);
        all.write().unwrap();
        written(&[1, 7, 9]);
        // With time enough every epoch is written; two of those that are not needed stay.
        let all = Epochs::with_pause(folder, None, Duration::ZERO).unwrap();
        run(&all, 10..=14, 12);
        written(&[11, 12, 13, 14]);
    }
}
