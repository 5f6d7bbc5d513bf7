//! The files of checkpoints: their names, their digests, and reading and removing them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use ae_data::caught::caught;
use burn::{module::Module, store::ModuleRecord, train::checkpoint::Checkpoint};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, digest::Digest, files::names};

/// The records of an epoch.
pub const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

/// The contents of `epoch-N.json`: the digest of each record by name.
pub(super) type Manifest = BTreeMap<String, Digest>;

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
    pub(super) records: Manifest,
}

/// The records of a checkpoint within an epoch.
pub(super) const STEP_PARTS: [&str; 2] = ["model", "optim"];

/// Path of one record of an epoch.
pub fn path(folder: &Path, part: &str, epoch: usize) -> PathBuf {
    folder.join(format!("{part}-{epoch}.bpk"))
}

pub(super) fn step_path(folder: &Path, part: &str, steps: usize) -> PathBuf {
    folder.join(format!("{part}-step-{steps}.bpk"))
}

pub(super) fn step_manifest_path(folder: &Path, steps: usize) -> PathBuf {
    folder.join(format!("step-{steps}.json"))
}

pub(super) fn manifest_path(folder: &Path, epoch: usize) -> PathBuf {
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
pub(super) fn steps(folder: &Path) -> Result<BTreeSet<usize>> {
    numbers(folder, "step-")
}

/// The `N` of each file named `PREFIXN.json`.
fn numbers(folder: &Path, prefix: &str) -> Result<BTreeSet<usize>> {
    let number = |name: &str| name.strip_prefix(prefix)?.strip_suffix(".json")?.parse::<u32>().ok();
    Ok(names(folder)?.iter().filter_map(|name| number(name)).map(|number| number as usize).collect())
}

/// What is wrong with the records of an epoch; none if they are intact.
pub(super) fn damage(folder: &Path, epoch: usize) -> Option<String> {
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
pub(super) fn read_step(folder: &Path, step: usize) -> std::result::Result<Within, String> {
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

/// Removes an epoch, starting with the file that marks it as complete.
pub(super) fn remove(folder: &Path, epoch: usize) -> io::Result<()> {
    let paths = [manifest_path(folder, epoch)].into_iter().chain(PARTS.iter().map(|part| path(folder, part, epoch)));
    paths
        .map(fs::remove_file)
        .find(|result| matches!(result, Err(error) if error.kind() != io::ErrorKind::NotFound))
        .unwrap_or(Ok(()))
}

/// Removes the checkpoints within all epochs up to this one, each starting with the file that marks it as complete.
pub(super) fn remove_steps(folder: &Path, up_to: usize) -> io::Result<()> {
    let all = steps(folder).map_err(|error| io::Error::other(error.to_string()))?;
    for step in all {
        // One that cannot be read is of no use, whichever epoch it belongs to.
        if read_step(folder, step).map_or(0, |within| within.epoch) <= up_to {
            remove_step(folder, step)?;
        }
    }
    Ok(())
}

pub(super) fn remove_step(folder: &Path, step: usize) -> io::Result<()> {
    let paths =
        [step_manifest_path(folder, step)].into_iter().chain(STEP_PARTS.map(|part| step_path(folder, part, step)));
    paths
        .map(fs::remove_file)
        .find(|result| matches!(result, Err(error) if error.kind() != io::ErrorKind::NotFound))
        .unwrap_or(Ok(()))
}

/// Loads one record of an epoch that is [sound](super::Saved::sound).
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
