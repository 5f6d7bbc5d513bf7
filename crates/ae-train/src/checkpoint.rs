//! Checkpoints: Burn's records of model, optimizer and schedule after each epoch.
//!
//! An epoch is saved when a fourth file says so, which is written last: `epoch-N.json` holds the size and the digest of each of its three records.
//! Whatever a crash leaves behind without it does not count, and a record that has changed since is noticed before it is trained on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ae_data::{
    caught::caught,
    sink::{PARTIAL, write_bytes},
};
use burn::{
    module::Module,
    store::ModuleRecord,
    train::{
        EarlyStoppingStrategy,
        checkpoint::{Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy},
        metric::store::{Aggregate, Direction, EventStoreClient, Split},
    },
};

use crate::{Error, Result, digest::Digest, metrics::LOSS};

/// The records of an epoch.
pub const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

/// What `epoch-N.json` holds: the digest of each record, by its name.
type Manifest = BTreeMap<String, Digest>;

/// Where one record of an epoch lies.
pub fn path(folder: &Path, part: &str, epoch: usize) -> PathBuf {
    folder.join(format!("{part}-{epoch}.bpk"))
}

fn manifest_path(folder: &Path, epoch: usize) -> PathBuf {
    folder.join(format!("epoch-{epoch}.json"))
}

/// Epochs that were saved whole, whatever has become of their records since; none if there is no folder.
///
/// # Errors
/// A folder that cannot be read.
pub fn epochs(folder: &Path) -> Result<BTreeSet<usize>> {
    let number = |name: &str| name.strip_prefix("epoch-")?.strip_suffix(".json")?.parse::<u32>().ok();
    Ok(names(folder)?.iter().filter_map(|name| number(name)).map(|epoch| epoch as usize).collect())
}

/// The names of the files in a folder; none if there is none.
fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |error: io::Error| Error::at("read", folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
}

/// What a folder holds of a training.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// The epochs whose records are as they were saved.
    pub sound: BTreeSet<usize>,
    /// The others that were saved, and what is wrong with them.
    pub damaged: BTreeMap<usize, String>,
}

impl Saved {
    /// Of a folder; nothing if there is none.
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
        Ok(saved)
    }

    /// The last epoch that can be gone on from; 0 if there is none.
    pub fn last(&self) -> usize {
        self.sound.last().copied().unwrap_or(0)
    }

    /// What is damaged and what comes of it, a sentence for each epoch.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let last = self.last();
        self.damaged.iter().map(move |(&epoch, reason)| {
            let consequence = match (epoch > last, last) {
                (true, 0) => "training from the start".to_string(),
                (true, last) => format!("going on from epoch {last}"),
                (false, _) => "it cannot be the one that is kept".to_string(),
            };
            format!("the checkpoint of epoch {epoch} is damaged: {reason}; {consequence}")
        })
    }
}

/// What is wrong with the records of an epoch; none if nothing is.
fn damage(folder: &Path, epoch: usize) -> Option<String> {
    let manifest = match read_manifest(folder, epoch) {
        Ok(manifest) => manifest,
        Err(reason) => return Some(reason),
    };
    PARTS.iter().find_map(|part| {
        let path = path(folder, part, epoch);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match (manifest.get(*part), Digest::of(&path)) {
            (None, _) => Some(format!("{name} is not listed")),
            (_, Err(error)) => Some(format!("{name}: {error}")),
            (Some(saved), Ok(found)) if found != *saved => Some(format!("{name} is not what was saved")),
            _ => None,
        }
    })
}

fn read_manifest(folder: &Path, epoch: usize) -> std::result::Result<Manifest, String> {
    let path = manifest_path(folder, epoch);
    let failed = |reason: String| format!("epoch-{epoch}.json: {reason}");
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}

/// Removes what belongs to no sound epoch: what a crash left, and what is damaged.
///
/// # Errors
/// A folder that cannot be read, or a file that cannot be removed.
pub fn clean(folder: &Path, saved: &Saved) -> Result<()> {
    for &epoch in saved.damaged.keys() {
        remove(folder, epoch).map_err(|error| Error::at("remove", &manifest_path(folder, epoch), error))?;
    }
    let here = Path::new("");
    let files = |&epoch: &usize| PARTS.iter().map(move |part| path(here, part, epoch)).chain([manifest_path(here, epoch)]);
    let kept: BTreeSet<String> = saved.sound.iter().flat_map(files).map(|path| path.to_string_lossy().into_owned()).collect();
    // Files of ours alone, and what they are called while they are written.
    let is_record = |name: &str| PARTS.iter().any(|part| name.starts_with(&format!("{part}-")));
    let is_ours = |name: &str| is_record(name) || name.starts_with(PARTIAL);
    for name in names(folder)?.into_iter().filter(|name| is_ours(name) && !kept.contains(name)) {
        let path = folder.join(&name);
        fs::remove_file(&path).map_err(|error| Error::at("remove", &path, error))?;
    }
    Ok(())
}

/// Removes an epoch: first what says that it is whole.
fn remove(folder: &Path, epoch: usize) -> io::Result<()> {
    let paths = [manifest_path(folder, epoch)].into_iter().chain(PARTS.iter().map(|part| path(folder, part, epoch)));
    paths.map(fs::remove_file).find(|result| matches!(result, Err(error) if error.kind() != io::ErrorKind::NotFound)).unwrap_or(Ok(()))
}

/// One record of an epoch that is [sound](Saved::sound).
///
/// # Errors
/// A file that is missing, or that this program cannot read.
pub fn load<R: Checkpoint>(folder: &Path, part: &str, epoch: usize) -> Result<R> {
    let path = path(folder, part, epoch);
    // A file that is none of Burn's records can make the reader panic rather than return; to the person it is the same thing.
    let reason = match caught(|| R::load(path.clone())) {
        Some(Ok(record)) => return Ok(record),
        Some(Err(error)) => error.to_string().replace('\n', " "),
        None => "its contents are no record".to_string(),
    };
    Err(Error::at("read the checkpoint", &path, format!("{reason}; train again with another `--out`")))
}

/// The module with what it was after an epoch.
///
/// # Errors
/// As [`load`], and a record of another module than the configuration describes.
pub fn restore<M: Module>(module: M, folder: &Path, epoch: usize) -> Result<M> {
    let record: ModuleRecord = load(folder, PARTS[0], epoch)?;
    module
        .try_load_record(record)
        .map_err(|error| Error::Failed(format!("the checkpoint of epoch {epoch} does not fit `config.toml`: {error}: was it edited?")))
}

/// Digests of the records that have been written, by epoch, until the third of an epoch is there.
type Written = Arc<Mutex<BTreeMap<usize, Manifest>>>;

/// Records as files, which Burn writes beside their place and moves there when they are whole.
pub struct Files {
    folder: PathBuf,
    part: &'static str,
    written: Written,
    /// To be deleted behind the next one that is written: Burn's training waits for a deletion, for a writing it does not.
    stale: Mutex<Vec<usize>>,
}

impl Files {
    /// The records of each of [`PARTS`] in `folder`.
    pub fn of(folder: &Path) -> [Self; 3] {
        let written = Written::default();
        PARTS.map(|part| Self { folder: folder.to_owned(), part, written: written.clone(), stale: Mutex::default() })
    }

    fn stale(&self) -> MutexGuard<'_, Vec<usize>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Checkpoint> Checkpointer<R> for Files {
    fn save(&self, epoch: usize, record: R) -> std::result::Result<(), CheckpointerError> {
        let path = path(&self.folder, self.part, epoch);
        record.save(path.clone())?;
        let digest = Digest::of(&path).map_err(CheckpointerError::IOError)?;
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
        }
        // One of the three removes the whole epoch.
        let stale = std::mem::take(&mut *self.stale());
        let removed = stale.iter().filter(|_| self.part == PARTS[0]).try_for_each(|&epoch| remove(&self.folder, epoch));
        removed.map_err(CheckpointerError::IOError)
    }

    fn delete(&self, epoch: usize) -> std::result::Result<(), CheckpointerError> {
        self.stale().push(epoch);
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
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn new(folder: &Path) -> Result<Self> {
        Ok(Self { kept: epochs(folder)? })
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
    fn the_last_sound_epoch_is_found_and_what_was_passed_over_is_said() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        assert_eq!(Saved::of(&folder.join("none")).unwrap(), Saved::default());
        (2..=6).for_each(|epoch| save(folder, epoch));
        assert_eq!((Saved::of(folder).unwrap().last(), Saved::of(folder).unwrap().damaged.len()), (6, 0));
        fs::write(path(folder, "optim", 6), "optim of 7").unwrap();
        fs::remove_file(path(folder, "scheduler", 5)).unwrap();
        fs::write(path(folder, "model", 2), "model of 1").unwrap();
        // Records without the file that says that they are whole: a crash in between.
        fs::write(path(folder, "model", 7), "model of 7").unwrap();
        fs::write(folder.join("model-8.bpk.77-0.tmp"), "mod").unwrap();
        fs::write(folder.join(format!("{PARTIAL}x1y2")), "{").unwrap();
        let saved = Saved::of(folder).unwrap();
        assert_eq!(saved.last(), 4);
        let said: Vec<String> = saved.warnings().collect();
        assert!(said[0].contains("epoch 2") && said[0].ends_with("it cannot be the one that is kept"), "{said:?}");
        assert!(
            said[1].contains("epoch 5") && said[1].contains("scheduler-5.bpk") && said[1].ends_with("going on from epoch 4"),
            "{said:?}"
        );
        assert!(said[2].contains("epoch 6") && said[2].contains("optim-6.bpk is not what was saved"), "{said:?}");
        clean(folder, &saved).unwrap();
        let mut left = names(folder).unwrap();
        left.sort();
        let of = |epoch: usize| {
            ["epoch-N.json", "model-N.bpk", "optim-N.bpk", "scheduler-N.bpk"].map(|name| name.replace('N', &epoch.to_string()))
        };
        let mut expected = [of(3), of(4)].concat();
        expected.sort();
        assert_eq!(left, expected);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        save(folder, 1);
        let names: Vec<PathBuf> = PARTS.iter().map(|part| path(folder, part, 1)).chain([manifest_path(folder, 1)]).collect();
        for name in names {
            let good = fs::read(&name).unwrap();
            for bit in 0..good.len() * 8 {
                let mut bytes = good.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                fs::write(&name, &bytes).unwrap();
                // A name or a digest of the manifest that has changed is no longer that of the record.
                assert!(damage(folder, 1).is_some(), "bit {bit} of {}", name.display());
            }
            fs::write(&name, &good).unwrap();
        }
        assert_eq!(damage(folder, 1), None);
    }
}
