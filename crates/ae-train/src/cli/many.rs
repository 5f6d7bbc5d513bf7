//! Many trainings in one folder, of which those that are there already are used: what a comparison and a sweep are
//! made of. One that was interrupted goes on where it was.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::train::Interrupter;

use super::{
    output::{detail, progress},
    signals,
    terminal::Terminal,
};
use crate::{
    Config, Error, Reporter, Result, Run, config::DataConfig, data::data_fingerprint, device::Available,
    reporter::heard, run::Learned,
};

/// A training that is wanted.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The folder of its run.
    pub folder: PathBuf,
    /// Its configuration.
    pub config: Config,
}

/// The folder of many runs: `out`, or one under `runs/` that is named after the data.
pub fn folder(out: Option<&Path>, what: &str, source: &str) -> PathBuf {
    out.map(Path::to_owned).unwrap_or_else(|| {
        let name = Path::new(source).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        PathBuf::from("runs").join(format!("{what}-{}", name.unwrap_or_else(|| source.to_string())))
    })
}

/// Settings of a message: at most this many.
const SHOWN: usize = 3;

/// The first settings in which two configurations differ, and how.
fn differences(there: &Config, wanted: &Config) -> String {
    let (there, wanted) = (there.by_path(), wanted.by_path());
    let names: BTreeSet<&String> = there.keys().chain(wanted.keys()).collect();
    let said = |value: Option<&String>| value.map_or("not set".to_string(), |value| format!("`{value}`"));
    let differ: Vec<String> = names
        .into_iter()
        .filter(|name| there.get(*name) != wanted.get(*name))
        .map(|name| format!("{name} is {} there and not {}", said(there.get(name)), said(wanted.get(name))))
        .collect();
    let more = differ.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}", differ[..differ.len().min(SHOWN)].join("; "))
}

/// Trainings, one after the other.
pub struct Many<'a> {
    device: &'a Available,
    /// How to go on after an interruption.
    advice: &'static str,
    of: usize,
    begun: usize,
    /// Fingerprints of what was read, by how it was read: several runs are on the same data.
    fingerprints: Vec<(DataConfig, String)>,
}

impl<'a> Many<'a> {
    /// So many trainings on a device; `advice` says how to go on after an interruption.
    pub fn new(device: &'a Available, of: usize, advice: &'static str) -> Self {
        Self { device, advice, of, begun: 0, fingerprints: Vec::new() }
    }

    /// The run that is wanted: the one that is there, or a new one; trained, if it is not yet.
    ///
    /// # Errors
    /// A run of something else in the folder, or whatever stops a training.
    pub fn train(&mut self, planned: Planned) -> Result<Run> {
        let Planned { folder, config } = planned;
        let run = match folder.join("config.toml").exists() {
            true => self.known(&folder, &config)?,
            false => Run::create(config, Some(&folder))?,
        };
        self.begun += 1;
        progress(&format!("run {} of {}: {}", self.begun, self.of, folder.display()));
        let interrupter = Interrupter::new();
        signals::training(&interrupter, self.advice);
        let name = format!("run {} of {}", self.begun, self.of);
        let reporter: Arc<dyn Reporter> = Arc::new(Terminal::of_many(&name));
        let learned = run.learn(self.device.device.clone(), &self.device.name, reporter.clone(), interrupter)?;
        // What is left cannot be stopped between two steps: a signal ends it at once.
        signals::after_training(self.advice);
        let summary = match learned {
            Learned::Measured(summary) => *summary,
            Learned::Ended(ended) => heard(&reporter, || run.measure(*ended))?,
            Learned::Interrupted { .. } => {
                return Err(Error::Interrupted(format!("{} was stopped; {}", folder.display(), self.advice)));
            }
        };
        detail(&format!("epoch {} of {} kept", summary.best_epoch, summary.epochs));
        Ok(run)
    }

    /// As [`train`](Self::train) of each, at the same time and on the same batches: the data is read once.
    ///
    /// # Errors
    /// Runs that cannot be trained on the same batches; what stops all of them. What stops one is its own result.
    pub fn train_together(&mut self, planned: Vec<Planned>) -> Result<Vec<Result<Run>>> {
        let is_alike =
            |other: &Config| other.has_data_of(&planned[0].config) && other.has_batches_of(&planned[0].config);
        if let Some(other) = planned.iter().find(|other| !is_alike(&other.config)) {
            return Err(Error::Usage(format!(
                "{} and {} cannot be trained on the same batches, because their data, `training.batch_size` or \
                 `training.epoch_rows` differ: leave out `--together`",
                planned[0].folder.display(),
                other.folder.display()
            )));
        }
        let mut runs: Vec<Run> = Vec::with_capacity(planned.len());
        for Planned { folder, config } in planned {
            let run = match (folder.join("config.toml").exists(), runs.first()) {
                (true, _) => self.known(&folder, &config)?,
                (false, None) => Run::create(config, Some(&folder))?,
                (false, Some(first)) => first.create_beside(config, Some(&folder))?,
            };
            runs.push(run);
        }
        let runs = Run::together(runs)?;
        let (first, count) = (self.begun + 1, runs.len());
        self.begun += count;
        progress(&format!("runs {first} to {} of {}, together on {}", self.begun, self.of, runs[0].config.data.source));
        let interrupter = Interrupter::new();
        signals::training(&interrupter, self.advice);
        let reporter = |index: usize| -> Arc<dyn Reporter> {
            Arc::new(Terminal::of_many(&format!("run {} of {}", first + index, self.of)))
        };
        let device = self.device;
        let learned: Vec<Result<Learned>> = std::thread::scope(|scope| {
            let begun = runs.iter().enumerate().map(|(index, run)| {
                let (interrupter, reporter) = (interrupter.clone(), reporter(index));
                scope.spawn(move || run.learn(device.device.clone(), &device.name, reporter, interrupter))
            });
            let begun: Vec<_> = begun.collect();
            let ended = begun.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|_| Err(Error::Failed("a training has ended unexpectedly".to_string())))
            });
            ended.collect()
        });
        signals::after_training(self.advice);
        let mut ended = Vec::with_capacity(count);
        for (index, (run, learned)) in runs.into_iter().zip(learned).enumerate() {
            ended.push(match learned {
                Ok(Learned::Interrupted { .. }) => {
                    let folder = run.folder.path().display();
                    return Err(Error::Interrupted(format!("{folder} was stopped; {}", self.advice)));
                }
                Ok(Learned::Measured(_)) => Ok(run),
                Ok(Learned::Ended(learned)) => heard(&reporter(index), || run.measure(*learned)).map(|_| run),
                Err(error) => Err(error),
            });
        }
        Ok(ended)
    }

    /// A run that is there already, if it was made from the same settings and the same data, by whatever name.
    fn known(&mut self, path: &Path, config: &Config) -> Result<Run> {
        let run = Run::open_with(path, &config.registry)?;
        let mut wanted = config.clone();
        // A run keeps the whole path of its data. Which data it is tells the fingerprint.
        wanted.data.source.clone_from(&run.config.data.source);
        if wanted.data.read.target.is_some() && run.config.data.read.target.is_some() {
            wanted.data.read.target.clone_from(&run.config.data.read.target);
        }
        let other = match wanted == run.config {
            false => format!("settings ({})", differences(&run.config, &wanted)),
            true if self.fingerprint(config)? == run.folder.schema()?.fingerprint => return Ok(run),
            true => "data".to_string(),
        };
        Err(Error::Usage(format!(
            "{} holds a run of other {other}: choose another `--out`, or remove it",
            path.display()
        )))
    }

    fn fingerprint(&mut self, config: &Config) -> Result<String> {
        if let Some((_, known)) = self.fingerprints.iter().find(|(data, _)| *data == config.data) {
            return Ok(known.clone());
        }
        let fingerprint = data_fingerprint(config)?;
        self.fingerprints.push((config.data.clone(), fingerprint.clone()));
        Ok(fingerprint)
    }
}
