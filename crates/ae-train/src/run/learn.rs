//! Training and measuring a run.

use std::{collections::BTreeSet, sync::Arc};

use ae_data::{sharing::Reader, table::differences};
use ae_model::{Model, Objective};
use burn::{module::Module, tensor::Device, train::Interrupter};

use super::state::{Ended, Learned, Outcome, Run};
use crate::{
    Error, Result, card,
    checkpoint::{self, Memory, Saved},
    config::Keep,
    data::Data,
    ending::{Ending, slower},
    history::{self, History},
    learner::Place,
    measure::{How, Measured},
    peers::{self, Peers},
    reporter::{Reporter, heard},
    run_folder::{Schema, Summary},
    step::trainee,
    training_loop::Training,
};

/// Leaves the trainings that share their batches when it is dropped.
struct Leaving<'a>(Option<&'a Reader>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|reader| reader.leave());
    }
}

impl Run {
    /// Trains the remaining epochs, measures the best epoch and writes the result. A finished run returns its result
    /// unchanged. `device` is where the model is trained; it is measured on the CPU (see
    /// [`for_results`](crate::device::for_results)).
    ///
    /// # Errors
    /// Data that has changed, a damaged checkpoint, a full disk, a device that fails, or a loss that diverges.
    pub fn train(
        &self,
        device: impl Into<Device>,
        device_name: &str,
        reporter: Arc<dyn Reporter>,
        interrupter: Interrupter,
    ) -> Result<Outcome> {
        match self.learn(device, device_name, reporter.clone(), interrupter)? {
            Learned::Measured(summary) => Ok(Outcome::Finished(summary)),
            Learned::Ended(ended) => Ok(Outcome::Finished(Box::new(heard(&reporter, || self.measure(*ended))?))),
            Learned::Interrupted { epochs, .. } => Ok(Outcome::Interrupted { epochs }),
        }
    }

    /// The first half of [`train`](Self::train): trains and writes the model of the best epoch. `interrupter` can stop
    /// it.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn learn(
        &self,
        device: impl Into<Device>,
        device_name: &str,
        reporter: Arc<dyn Reporter>,
        interrupter: Interrupter,
    ) -> Result<Learned> {
        let device = device.into();
        // The others do not wait for one that has ended, in whatever way.
        let _leaving = Leaving(self.reader.as_deref());
        let _others = peers::Leaving(self.peers.as_ref());
        heard(&reporter.clone(), || self.learn_heard(device, device_name, reporter, interrupter))
    }

    fn learn_heard(
        &self,
        device: Device,
        device_name: &str,
        reporter: Arc<dyn Reporter>,
        interrupter: Interrupter,
    ) -> Result<Learned> {
        if let Some(summary) = self.folder.summary()? {
            return Ok(Learned::Measured(Box::new(summary)));
        }
        let lock = Arc::new(self.folder.lock()?);
        let data = match &self.data {
            Some(data) => data.clone(),
            None => Arc::new(Data::open(&self.config)?),
        };
        self.check_data(&data)?;
        let training = Training {
            config: &self.config,
            data: &data,
            device: device.inner(),
            reporter: &reporter,
            interrupter: &interrupter,
            reader: self.reader.clone(),
            peers: self.peers.as_ref(),
        };

        let (model, objective) = training.begin(Some(self.folder.path()))?;
        let parameters = model.num_params();

        let checkpoints = self.folder.checkpoints();
        let saved = Saved::of(&checkpoints)?.for_batches(training.batches());
        saved.warnings().for_each(|warning| reporter.warning(&warning));
        if let Some(peers) = &self.peers {
            let within = saved.within.as_ref().map_or(0, |within| within.batches);
            reporter.note(&format!(
                "rank {} of {} processes: waiting until all have joined; the loss and other figures of the training \
                 rows are those of its part",
                peers.rank, peers.of
            ));
            let steps = saved.last() * training.batches() + within;
            peers.connection.meet(&peers.greeting(&self.config, &data, steps))?;
            Peers::differences(&self.config).iter().for_each(|note| reporter.note(note));
        }
        let untrained = trainee(model.clone(), objective.clone());
        if matches!(self.stands(&saved)?, Ending::Open { .. })
            && !self.continue_from(&saved, &training, model, objective)?
        {
            return Ok(Learned::Interrupted { epochs: 0, within: None });
        }
        if self.peers.as_ref().is_some_and(|peers| peers.rank > 0) {
            // The first process has the result.
            return Ok(Learned::Interrupted { epochs: 0, within: None });
        }
        let saved = Saved::of(&checkpoints)?;
        let epochs = saved.last();
        let within = saved.within.as_ref().map(|within| [within.batches, within.of]);
        let (best, diverged, has_ended) = match self.stands(&saved)? {
            Ending::Open { best: None } => return Ok(Learned::Interrupted { epochs, within }),
            Ending::Open { best: Some(best) } => (best, None, false),
            Ending::Finished { best } => (best, None, true),
            Ending::Diverged { epoch, best: Some(best) } => {
                reporter.warning(&format!(
                    "the loss became infinite in epoch {epoch}, kept epoch {best}: {}",
                    slower(&self.config.training)
                ));
                (best, Some(epoch), true)
            }
            Ending::Diverged { epoch, best: None } => return Err(self.diverged(epoch, None)?),
        };
        let model = training.finished(checkpoint::restore(untrained, &checkpoints, best)?.model.valid())?;
        self.folder.write_model(&model)?;
        if !has_ended {
            return Ok(Learned::Interrupted { epochs, within });
        }

        let losses = history::losses(&self.folder.metrics_file())?;
        let seconds = losses.iter().filter(|epoch| epoch.epoch <= epochs).map(|epoch| epoch.seconds).sum();
        let trained = training.trained(model, parameters);
        let how = How { epochs, best, seconds, parameters, device: device_name.to_string(), diverged };
        Ok(Learned::Ended(Box::new(Ended { data, trained, how, _lock: lock })))
    }

    /// Trains the remaining epochs. False if it was stopped during pre-training.
    fn continue_from(&self, saved: &Saved, training: &Training, model: Model, objective: Objective) -> Result<bool> {
        let checkpoints = self.folder.checkpoints();
        checkpoint::clean(&checkpoints, saved)?;
        std::fs::create_dir_all(&checkpoints).map_err(|error| Error::at("create", &checkpoints, error))?;
        let (metrics, epochs, reporter) =
            (self.folder.metrics_file(), self.config.training.epochs, training.reporter.clone());
        let history = History::open(&metrics, epochs, training.batches(), saved.last(), reporter)?;
        let is_helper = self.peers.as_ref().is_some_and(|peers| peers.rank > 0);
        let place = match is_helper && saved.last() == 0 && saved.within.is_none() {
            // What it would save the first process saves.
            true => Place::Memory(Memory::default()),
            false => Place::Folder { checkpoints: &checkpoints, saved, every: self.config.checkpoint.every },
        };
        let batches = saved.within.as_ref().map_or(0, |within| within.batches);
        training.reporter.starts(&self.config, saved.last() * training.batches() + batches);
        training.run(model, objective, history, place)
    }

    /// Checks that the data is that of the run.
    fn check_data(&self, data: &Data) -> Result<()> {
        let known = self.folder.schema()?;
        // A folder of an earlier version can still be continued.
        if (Schema { format: known.format, shades: known.shades, ..data.schema.clone() }) == known {
            return Ok(());
        }
        let names = |schema: &Schema| schema.columns.iter().map(|column| column.name.clone()).collect::<BTreeSet<_>>();
        let (before, now) = (names(&known), names(&data.schema));
        let lists = [before.difference(&now).collect::<Vec<_>>(), now.difference(&before).collect()];
        let what =
            if before == now { String::new() } else { format!(" ({})", differences(&lists[0], &lists[1], "the run")) };
        Err(Error::DataChanged { source_name: self.config.data.source.clone(), what })
    }

    /// The second half of [`train`](Self::train): measures a trained model and writes the result. A run that is stopped
    /// during this is measured again when it is resumed.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn measure(&self, Ended { data, trained, how, _lock }: Ended) -> Result<Summary> {
        let (last, best) = (how.epochs, how.best);
        let hardware = (last > 0).then(card::hardware);
        let measured = Measured::of(&trained, &data, how)?;
        card::write(&self.folder, &trained, &measured, &data.split.test, hardware)?;
        let Measured { summary, pca, detector } = measured;
        self.folder.write_pca(&pca)?;
        if let Some(detector) = &detector {
            self.folder.write_detector(detector)?;
        }
        self.folder.write_summary(&summary)?;
        match self.config.checkpoint.keep {
            Keep::Last => checkpoint::clear(&self.folder.checkpoints(), &[last, best])?,
            Keep::None => checkpoint::clear(&self.folder.checkpoints(), &[])?,
            Keep::All => {}
        }
        Ok(summary)
    }
}
