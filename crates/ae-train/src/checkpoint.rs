//! Checkpoints: Burn's records of model, optimizer and schedule after each epoch.
//!
//! An epoch counts as saved once a fourth file exists, which is written last: `epoch-N.json` holds the size and the
//! digest of each of the three records. Records that a crash leaves behind without this file are ignored, and a record
//! that has changed since is detected before it is used.
//!
//! Long epochs also have checkpoints within them (`checkpoint.every`): `step-N.json` says where the checkpoint was
//! taken and holds the digests of the records of model and optimizer; the state of the schedule follows from the number
//! of steps. There is at most one of these, and it is removed when its epoch is saved.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ae_data::{
    caught::caught,
    sink::{PARTIAL, write_bytes},
};
use ae_model::train::Watch;
use burn::{
    lr_scheduler::LrSchedulerRecord,
    module::Module,
    optim::OptimizerRecord,
    store::ModuleRecord,
    train::{
        EarlyStoppingStrategy, Interrupter, TrainingError,
        checkpoint::{Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy},
        metric::store::{Aggregate, Direction, EventStoreClient, Split},
    },
};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, config::Every, digest::Digest, metrics::LOSS};

/// The records of an epoch.
pub const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

/// The contents of `epoch-N.json`: the digest of each record by name.
type Manifest = BTreeMap<String, Digest>;

/// A checkpoint within an epoch: the contents of `step-N.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Within {
    /// The epoch being trained, from 1.
    pub epoch: usize,
    /// Number of its batches that were done.
    pub batches: usize,
    /// Number of batches of the epoch.
    pub of: usize,
    /// Number of optimizer steps of the whole training that were done.
    pub steps: usize,
    /// The digests of its records.
    records: Manifest,
}

/// The records of a checkpoint within an epoch.
const STEP_PARTS: [&str; 2] = ["model", "optim"];

/// Path of one record of an epoch.
pub fn path(folder: &Path, part: &str, epoch: usize) -> PathBuf {
    folder.join(format!("{part}-{epoch}.bpk"))
}

fn step_path(folder: &Path, part: &str, steps: usize) -> PathBuf {
    folder.join(format!("{part}-step-{steps}.bpk"))
}

fn step_manifest_path(folder: &Path, steps: usize) -> PathBuf {
    folder.join(format!("step-{steps}.json"))
}

fn manifest_path(folder: &Path, epoch: usize) -> PathBuf {
    folder.join(format!("epoch-{epoch}.json"))
}

/// Epochs that were saved completely, even if their records have been damaged since; empty if there is no folder.
///
/// # Errors
/// A folder that cannot be read.
pub fn epochs(folder: &Path) -> Result<BTreeSet<usize>> {
    numbers(folder, "epoch-")
}

/// The steps at which a checkpoint within an epoch was taken.
fn steps(folder: &Path) -> Result<BTreeSet<usize>> {
    numbers(folder, "step-")
}

/// The `N` of each file named `PREFIXN.json`.
fn numbers(folder: &Path, prefix: &str) -> Result<BTreeSet<usize>> {
    let number = |name: &str| name.strip_prefix(prefix)?.strip_suffix(".json")?.parse::<u32>().ok();
    Ok(names(folder)?.iter().filter_map(|name| number(name)).map(|number| number as usize).collect())
}

/// The names of the files in a folder; empty if there is no folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |error: io::Error| Error::at("read", folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
}

/// The checkpoints in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// Epochs whose records are unchanged since they were saved.
    pub sound: BTreeSet<usize>,
    /// Saved epochs that are damaged, and the reason.
    pub damaged: BTreeMap<usize, String>,
    /// The checkpoint within the epoch after the last sound one, if there is a sound one.
    pub within: Option<Within>,
    /// Why checkpoints within an epoch are not used, a sentence each.
    pub unused_steps: Vec<String>,
    /// Epochs with three records but without `epoch-N.json`: a crash leaves the last epoch like this, and a version
    /// from before that file existed leaves all of them like this.
    pub unlisted: BTreeSet<usize>,
}

impl Saved {
    /// Reads a folder; empty if there is none.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn of(folder: &Path) -> Result<Self> {
        let mut saved = Self::default();
        for epoch in epochs(folder)? {
            match damage(folder, epoch) {
                None => drop(saved.sound.insert(epoch)),
                Some(reason) => drop(saved.damaged.insert(epoch, reason)),
            }
        }
        let names = names(folder)?;
        let has = |part: &str, epoch: usize| names.contains(&format!("{part}-{epoch}.bpk"));
        let number = |name: &String| name.strip_prefix("model-")?.strip_suffix(".bpk")?.parse::<u32>().ok();
        let whole = names
            .iter()
            .filter_map(number)
            .map(|epoch| epoch as usize)
            .filter(|&epoch| PARTS.iter().all(|part| has(part, epoch)));
        saved.unlisted =
            whole.filter(|epoch| !saved.sound.contains(epoch) && !saved.damaged.contains_key(epoch)).collect();
        for step in steps(folder)? {
            match read_step(folder, step) {
                Ok(within) if within.epoch == saved.last() + 1 => saved.within = Some(within),
                Ok(within) if within.epoch > saved.last() => {
                    saved.unused_steps.push(format!(
                        "the checkpoint of step {step} belongs to epoch {}, which follows a damaged one",
                        within.epoch
                    ));
                }
                // Its epoch has been saved completely.
                Ok(_) => {}
                Err(reason) => saved.unused_steps.push(format!("the checkpoint of step {step} is damaged: {reason}")),
            }
        }
        Ok(saved)
    }

    /// For a training with this many batches in an epoch: a checkpoint within an epoch with another number of batches
    /// is not used.
    pub fn for_batches(mut self, batches: usize) -> Self {
        if let Some(within) = self.within.take_if(|within| within.of != batches) {
            let Within { steps, of, .. } = within;
            let changed =
                format!("the checkpoint of step {steps} is of an epoch of {of} batches, but epochs now have {batches}");
            self.unused_steps.push(format!("{changed} (`training.batch_size`)"));
        }
        self
    }

    /// The last epoch that training can continue from; 0 if there is none.
    pub fn last(&self) -> usize {
        self.sound.last().copied().unwrap_or(0)
    }

    /// What is damaged and what follows from it, a sentence each.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let last = self.last();
        let from = match last {
            0 => "training starts again from the beginning".to_string(),
            last => format!("training continues from epoch {last}"),
        };
        let of_steps = self.unused_steps.iter().map({
            let from = from.clone();
            move |reason| format!("{reason}; {from}")
        });
        let of_epochs = self.damaged.iter().map(move |(&epoch, reason)| {
            let consequence = if epoch > last { from.as_str() } else { "it cannot be kept as the best epoch" };
            format!("the checkpoint of epoch {epoch} is damaged: {reason}; {consequence}")
        });
        // A crash leaves at most one; several come from a version of this program without digests.
        let unlisted = (self.sound.is_empty() && self.unlisted.len() > 1).then(|| {
            let last = self.unlisted.last().copied().unwrap_or(0);
            format!(
                "the checkpoints up to epoch {last} were written by an earlier version without digests and are not \
                 used; training starts again from the beginning"
            )
        });
        of_epochs.chain(of_steps).chain(unlisted)
    }
}

/// What is wrong with the records of an epoch; none if they are intact.
fn damage(folder: &Path, epoch: usize) -> Option<String> {
    let manifest = match read_manifest(folder, epoch) {
        Ok(manifest) => manifest,
        Err(reason) => return Some(reason),
    };
    PARTS.iter().find_map(|part| damage_of(&path(folder, part, epoch), manifest.get(*part)))
}

/// What is wrong with a record; none if it is intact.
fn damage_of(path: &Path, saved: Option<&Digest>) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match (saved, Digest::of(path)) {
        (None, _) => Some(format!("{name} is not listed")),
        (_, Err(error)) => Some(format!("{name}: {error}")),
        (Some(saved), Ok(found)) if found != *saved => Some(format!("{name} is not what was saved")),
        _ => None,
    }
}

/// Reads the checkpoint of a step; an error says what is wrong with it.
fn read_step(folder: &Path, step: usize) -> std::result::Result<Within, String> {
    let name = format!("step-{step}.json");
    let text = fs::read_to_string(step_manifest_path(folder, step)).map_err(|error| format!("{name}: {error}"))?;
    let within: Within = serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let is_consistent = within.steps == step
        && within.epoch > 0
        && within.batches < within.of
        && (within.epoch - 1).checked_mul(within.of).and_then(|before| before.checked_add(within.batches))
            == Some(step);
    if !is_consistent {
        return Err(format!("{name} contradicts itself"));
    }
    match STEP_PARTS.iter().find_map(|part| damage_of(&step_path(folder, part, step), within.records.get(*part))) {
        Some(reason) => Err(reason),
        None => Ok(within),
    }
}

fn read_manifest(folder: &Path, epoch: usize) -> std::result::Result<Manifest, String> {
    let path = manifest_path(folder, epoch);
    let failed = |reason: String| format!("epoch-{epoch}.json: {reason}");
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}

/// Removes every file that belongs to no sound epoch: leftovers of a crash and damaged records.
///
/// # Errors
/// A folder that cannot be read, or a file that cannot be removed.
pub fn clean(folder: &Path, saved: &Saved) -> Result<()> {
    for &epoch in saved.damaged.keys() {
        remove(folder, epoch).map_err(|error| Error::at("remove", &manifest_path(folder, epoch), error))?;
    }
    let here = Path::new("");
    let files =
        |&epoch: &usize| PARTS.iter().map(move |part| path(here, part, epoch)).chain([manifest_path(here, epoch)]);
    let of_step = |within: &Within| {
        let steps = within.steps;
        STEP_PARTS
            .iter()
            .map(move |part| step_path(here, part, steps))
            .chain([step_manifest_path(here, steps)])
            .collect::<Vec<_>>()
    };
    let kept = saved.sound.iter().flat_map(files).chain(saved.within.iter().flat_map(of_step));
    let kept: BTreeSet<String> = kept.map(|path| path.to_string_lossy().into_owned()).collect();
    // Only our own files, and their temporary names while they are written.
    let is_record = |name: &str| PARTS.iter().any(|part| name.starts_with(&format!("{part}-")));
    let is_step = |name: &str| name.starts_with("step-") && name.ends_with(".json");
    let is_ours = |name: &str| is_record(name) || is_step(name) || name.starts_with(PARTIAL);
    for name in names(folder)?.into_iter().filter(|name| is_ours(name) && !kept.contains(name)) {
        let path = folder.join(&name);
        fs::remove_file(&path).map_err(|error| Error::at("remove", &path, error))?;
    }
    Ok(())
}

/// Removes an epoch, starting with the file that marks it as complete.
fn remove(folder: &Path, epoch: usize) -> io::Result<()> {
    let paths = [manifest_path(folder, epoch)].into_iter().chain(PARTS.iter().map(|part| path(folder, part, epoch)));
    paths
        .map(fs::remove_file)
        .find(|result| matches!(result, Err(error) if error.kind() != io::ErrorKind::NotFound))
        .unwrap_or(Ok(()))
}

/// Removes the checkpoints within all epochs up to this one, each starting with the file that marks it as complete.
fn remove_steps(folder: &Path, up_to: usize) -> io::Result<()> {
    let all = steps(folder).map_err(|error| io::Error::other(error.to_string()))?;
    for step in all {
        // One that cannot be read is of no use, whichever epoch it belongs to.
        if read_step(folder, step).map_or(0, |within| within.epoch) <= up_to {
            remove_step(folder, step)?;
        }
    }
    Ok(())
}

fn remove_step(folder: &Path, step: usize) -> io::Result<()> {
    let paths =
        [step_manifest_path(folder, step)].into_iter().chain(STEP_PARTS.map(|part| step_path(folder, part, step)));
    paths
        .map(fs::remove_file)
        .find(|result| matches!(result, Err(error) if error.kind() != io::ErrorKind::NotFound))
        .unwrap_or(Ok(()))
}

/// Reduces the checkpoints of a finished training to those of the `kept` epochs: the last and the best one are enough
/// to continue from. The folder is removed if nothing is kept.
///
/// # Errors
/// A folder that cannot be read, or a file that cannot be removed.
pub fn clear(folder: &Path, kept: &[usize]) -> Result<()> {
    let failed = |error| Error::at("clear", folder, error);
    remove_steps(folder, usize::MAX).map_err(failed)?;
    for epoch in epochs(folder)?.into_iter().filter(|epoch| !kept.contains(epoch)) {
        remove(folder, epoch).map_err(failed)?;
    }
    if kept.is_empty() && names(folder)?.is_empty() {
        fs::remove_dir(folder)
            .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(failed(error)) })?;
    }
    Ok(())
}

/// Loads one record of an epoch that is [sound](Saved::sound).
///
/// # Errors
/// A file that is missing, or that this program cannot read.
pub fn load<R: Checkpoint>(folder: &Path, part: &str, epoch: usize) -> Result<R> {
    load_from(path(folder, part, epoch))
}

/// Loads one record of a checkpoint within an epoch.
///
/// # Errors
/// As [`load`].
pub fn load_step<R: Checkpoint>(folder: &Path, part: &str, within: &Within) -> Result<R> {
    load_from(step_path(folder, part, within.steps))
}

fn load_from<R: Checkpoint>(path: PathBuf) -> Result<R> {
    // A file that is not one of Burn's records can make the reader panic instead of returning an error. Both are
    // reported the same way.
    let reason = match caught(|| R::load(path.clone())) {
        Some(Ok(record)) => return Ok(record),
        Some(Err(error)) => error.to_string().replace('\n', " "),
        None => "its content is not a record".to_string(),
    };
    Err(Error::damaged(&path, reason))
}

/// Restores the module as it was after an epoch.
///
/// # Errors
/// As [`load`], or a record of another module than the configuration describes.
pub fn restore<M: Module>(module: M, folder: &Path, epoch: usize) -> Result<M> {
    fitted(module, load(folder, PARTS[0], epoch)?, &format!("epoch {epoch}"))
}

/// Loads a record into the module. `what` names the checkpoint in messages.
///
/// # Errors
/// A record of another module than the configuration describes.
pub fn fitted<M: Module>(module: M, record: ModuleRecord, what: &str) -> Result<M> {
    module.try_load_record(record).map_err(|error| {
        Error::Failed(format!("the checkpoint of {what} does not match `config.toml`: {error}: was it edited?"))
    })
}

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
        let digest = saved(record, &path(&self.folder, self.part, epoch))?;
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
fn saved<R: Checkpoint>(record: R, path: &Path) -> std::result::Result<Digest, CheckpointerError> {
    record.save(path.to_owned()).map_err(|error| at(path, error))?;
    Digest::of(path).map_err(|error| at(path, error))
}

/// The error for a failed write, with its path: Burn's own messages do not name it.
fn at(path: &Path, error: impl std::fmt::Display) -> CheckpointerError {
    // For example `Record error: `Record I/O error: I/O error: No space left``: only the last part says what is wrong.
    let text = error.to_string().replace(['`', '\n'], " ");
    let reason = text.rsplit("rror: ").next().unwrap_or(&text).trim().to_string();
    CheckpointerError::IOError(io::Error::other(format!("cannot write {}: {reason}", path.display())))
}

/// Takes checkpoints within epochs.
pub struct Steps {
    folder: PathBuf,
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
    /// Writes checkpoints into `folder`, for epochs with this many batches.
    pub fn new(folder: &Path, every: Every, batches: usize, interrupter: Interrupter) -> Self {
        Self { folder: folder.to_owned(), every, batches, interrupter, last: Mutex::new(Instant::now()) }
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
        let path = |part: &str| step_path(&self.folder, part, steps);
        let [model_part, optimizer_part] = STEP_PARTS;
        let records = [
            (model_part.to_string(), saved(model, &path(model_part))?),
            (optimizer_part.to_string(), saved(optimizer, &path(optimizer_part))?),
        ];
        let (epoch, batches) = (steps / self.batches + 1, steps % self.batches);
        let within = Within { epoch, batches, of: self.batches, steps, records: records.into() };
        let text = serde_json::to_vec_pretty(&within).expect("a checkpoint is JSON");
        let failed = |error: String| CheckpointerError::IOError(io::Error::other(error));
        write_bytes(&step_manifest_path(&self.folder, steps), &text).map_err(|error| failed(error.to_string()))?;
        for older in self::steps(&self.folder).map_err(|error| failed(error.to_string()))?.range(..steps) {
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

/// The best epoch so far, by validation loss.
pub fn best_epoch(store: &EventStoreClient) -> Option<usize> {
    store.find_epoch(LOSS, Aggregate::Mean, Direction::Lowest, &Split::Valid)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// An epoch as a training saves it, with some bytes for records.
    fn save(folder: &Path, epoch: usize) {
        let record = |part: &str| {
            fs::write(path(folder, part, epoch), format!("{part} of {epoch}")).unwrap();
            (part.to_string(), Digest::of(&path(folder, part, epoch)).unwrap())
        };
        let manifest: Manifest = PARTS.iter().map(|part| record(part)).collect();
        fs::write(manifest_path(folder, epoch), serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    #[test]
    fn the_last_sound_epoch_is_found_and_skipped_ones_are_reported() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        assert_eq!(Saved::of(&folder.join("none")).unwrap(), Saved::default());
        (2..=6).for_each(|epoch| save(folder, epoch));
        assert_eq!((Saved::of(folder).unwrap().last(), Saved::of(folder).unwrap().damaged.len()), (6, 0));
        fs::write(path(folder, "optim", 6), "optim of 7").unwrap();
        fs::remove_file(path(folder, "scheduler", 5)).unwrap();
        fs::write(path(folder, "model", 2), "model of 1").unwrap();
        // Records without the file that marks them as complete: a crash in between.
        fs::write(path(folder, "model", 7), "model of 7").unwrap();
        fs::write(folder.join("model-8.bpk.77-0.tmp"), "mod").unwrap();
        fs::write(folder.join(format!("{PARTIAL}x1y2")), "{").unwrap();
        let saved = Saved::of(folder).unwrap();
        assert_eq!(saved.last(), 4);
        let said: Vec<String> = saved.warnings().collect();
        assert!(said[0].contains("epoch 2") && said[0].ends_with("it cannot be kept as the best epoch"), "{said:?}");
        assert!(
            said[1].contains("epoch 5")
                && said[1].contains("scheduler-5.bpk")
                && said[1].ends_with("training continues from epoch 4"),
            "{said:?}"
        );
        assert!(saved.unlisted.is_empty(), "one record is no epoch");
        assert!(said[2].contains("epoch 6") && said[2].contains("optim-6.bpk is not what was saved"), "{said:?}");
        clean(folder, &saved).unwrap();
        let mut left = names(folder).unwrap();
        left.sort();
        let of = |epoch: usize| {
            ["epoch-N.json", "model-N.bpk", "optim-N.bpk", "scheduler-N.bpk"]
                .map(|name| name.replace('N', &epoch.to_string()))
        };
        let mut expected = [of(3), of(4)].concat();
        expected.sort();
        assert_eq!(left, expected);
    }

    #[test]
    fn an_unused_checkpoint_within_an_epoch_is_reported() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        let step = |epoch: usize, batches: usize| {
            let steps = (epoch - 1) * 10 + batches;
            let record = |part: &str| {
                fs::write(step_path(folder, part, steps), part).unwrap();
                (part.to_string(), Digest::of(&step_path(folder, part, steps)).unwrap())
            };
            let within =
                Within { epoch, batches, of: 10, steps, records: STEP_PARTS.iter().map(|part| record(part)).collect() };
            fs::write(step_manifest_path(folder, steps), serde_json::to_vec(&within).unwrap()).unwrap();
            within
        };
        let first = step(1, 4);
        assert_eq!(Saved::of(folder).unwrap().for_batches(10).within, Some(first));
        let changed = Saved::of(folder).unwrap().for_batches(20);
        let said: Vec<String> = changed.warnings().collect();
        assert!(
            changed.within.is_none()
                && said.len() == 1
                && said[0].contains("step 4")
                && said[0].contains("of 10 batches"),
            "{said:?}"
        );
        assert!(said[0].ends_with("training starts again from the beginning"), "{said:?}");
        // Of the third epoch; the second is damaged.
        (1..=2).for_each(|epoch| save(folder, epoch));
        step(3, 5);
        fs::write(path(folder, "model", 2), "another").unwrap();
        let said: Vec<String> = Saved::of(folder).unwrap().warnings().collect();
        assert!(
            said.iter().any(|line| line.contains("step 25") && line.ends_with("training continues from epoch 1")),
            "{said:?}"
        );
        // One of an epoch that has been saved completely is not needed, and not worth a warning.
        assert!(!said.iter().any(|line| line.contains("step 4")), "{said:?}");
        clean(folder, &Saved::of(folder).unwrap()).unwrap();
        assert!(steps(folder).unwrap().is_empty());
    }

    #[test]
    fn checkpoints_of_a_version_without_digests_are_skipped_with_a_warning() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        (3..=4).for_each(|epoch| save(folder, epoch));
        assert_eq!(Saved::of(folder).unwrap().warnings().count(), 0);
        (3..=4).for_each(|epoch| fs::remove_file(manifest_path(folder, epoch)).unwrap());
        let said: Vec<String> = Saved::of(folder).unwrap().warnings().collect();
        assert!(
            said.len() == 1
                && said[0].contains("up to epoch 4")
                && said[0].ends_with("training starts again from the beginning"),
            "{said:?}"
        );
        // What a crash leaves of the epoch that was being saved is not worth a warning.
        (3..=3).for_each(|epoch| PARTS.iter().for_each(|part| fs::remove_file(path(folder, part, epoch)).unwrap()));
        assert_eq!(Saved::of(folder).unwrap().warnings().count(), 0);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        save(folder, 1);
        let names: Vec<PathBuf> =
            PARTS.iter().map(|part| path(folder, part, 1)).chain([manifest_path(folder, 1)]).collect();
        for name in names {
            let good = fs::read(&name).unwrap();
            for bit in 0..good.len() * 8 {
                let mut bytes = good.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                fs::write(&name, &bytes).unwrap();
                // A changed name or digest in the manifest no longer matches the record.
                assert!(damage(folder, 1).is_some(), "bit {bit} of {}", name.display());
            }
            fs::write(&name, &good).unwrap();
        }
        assert_eq!(damage(folder, 1), None);
    }
}
