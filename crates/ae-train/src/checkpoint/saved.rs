//! The checkpoints that a folder contains, and which of them can be used.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use ae_data::sink::PARTIAL;

use super::records::{
    PARTS, STEP_PARTS, Within, damage, epochs, manifest_path, path, read_step, remove, remove_steps,
    step_manifest_path, step_path, steps,
};
use crate::{Error, Result, files::names};

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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{checkpoint::records::Manifest, digest::Digest};

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
