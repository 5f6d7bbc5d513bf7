//! A training in several processes, on one machine or on several: each computes its part of every batch, and their
//! gradients are averaged.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use ae_model::{Model, train::Exchange};
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use crate::{Config, Error, Result, data::Data};

/// What a process says when it joins: all must train the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// Version of this program, and of what is exchanged.
    pub version: String,
    /// Its number, from 0.
    pub rank: usize,
    /// How many there are.
    pub of: usize,
    /// The settings by their dotted paths, without those that may differ.
    pub config: BTreeMap<String, String>,
    /// The fingerprint of the data.
    pub data: String,
    /// A hash of how the rows lie in their files, on which their order depends.
    pub layout: String,
    /// Number of training steps that are done.
    pub steps: usize,
}

/// The connection to the other processes.
pub trait Connection: Exchange {
    /// Waits for all others, and compares what they say.
    ///
    /// # Errors
    /// Another process trains something else, or does not come.
    fn meet(&self, greeting: &Greeting) -> Result<()>;

    /// Why the others were lost, if they were.
    fn failure(&self) -> Option<String>;

    /// Says that this process is done, so that nobody waits for it.
    fn leave(&self);
}

/// Settings that may differ from process to process.
const OWN: [&str; 5] = ["data.source", "data.read.target", "data.read.max_memory", "data.read.stream", "checkpoint."];

/// The number of the step in which the processes compare their weights.
pub(crate) const END: usize = usize::MAX >> 1;
/// The number of the step in which they agree whether the training goes on.
pub(crate) const EPOCH_END: usize = END - 1;

/// How far the weights of processes may be apart at the end, relative to the largest of their tensor: rounding in other
/// orders, over many steps.
const ALIKE: f32 = 1e-3;

/// This process among those of a training.
#[derive(Debug, Clone)]
pub struct Peers {
    /// Its number, from 0; the first one writes the result.
    pub rank: usize,
    /// How many there are.
    pub of: usize,
    /// The connection to the others.
    pub connection: Arc<dyn Connection>,
}

impl Peers {
    /// Checks that a model can be trained in several processes.
    ///
    /// # Errors
    /// It has a part that needs all rows of a batch in one process.
    pub fn check(config: &Config) -> Result<()> {
        match config.model.single_process() {
            Some(part) => Err(Error::Usage(format!(
                "`{part}` draws from all rows of a batch, which no process has when there are several: set it to 0, or \
                 train in one process"
            ))),
            None => Ok(()),
        }
    }

    /// What is different from a training in one process, in a sentence.
    pub fn differences(config: &Config) -> Option<String> {
        let parts = config.model.reads_batches();
        (!parts.is_empty()).then(|| {
            format!(
                "each process computes {} on its own part of a batch: the result depends on the number of processes",
                parts.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(", ")
            )
        })
    }

    /// What the first process decides, of whether the training stops after an epoch. On different devices the losses
    /// differ by rounding, and with them what each process would decide by itself.
    pub(crate) fn stops(&self, own: bool) -> bool {
        let of_first = self.connection.mean(EPOCH_END, usize::from(self.rank == 0), vec![f32::from(u8::from(own))], 0);
        // Without the others the training ends in its next step.
        of_first.map_or(own, |(values, _)| values[0] > 0.5)
    }

    /// The error of a training that lost another process.
    pub(crate) fn lost(&self) -> Error {
        Error::PeersLost(self.connection.failure().unwrap_or_else(|| "another process was lost".to_string()))
    }

    /// Checks at the end of a training that it has gone on to its end, with the same weights in all processes. Returns
    /// what is to be said of small differences.
    ///
    /// # Errors
    /// A process was lost, or has other weights.
    pub(crate) fn compare(&self, model: &Model, is_stopped: bool) -> Result<Option<String>> {
        if self.connection.failure().is_some() {
            return Err(self.lost());
        }
        if is_stopped {
            return Ok(None);
        }
        let mut own = Values::default();
        // When a unit was last active is a number of rows, and no weight.
        model.clone().with_activity(None).visit(&mut own);
        let Values { numbers: own, lengths } = own;
        // The mean of numbers that are equal is that number.
        let (mean, _) = self.connection.mean(END, 1, own.clone(), 0).ok_or_else(|| self.lost())?;
        // A loss that became infinite in all of them is reported elsewhere.
        let is_far = |own: f32, mean: f32, limit: f32| (own - mean).abs() > limit || own.is_nan() != mean.is_nan();
        let (mut far, mut at) = (0.0f32, 0);
        for length in lengths {
            let (own, mean) = (&own[at..at + length], &mean[at..at + length]);
            let limit = ALIKE * own.iter().map(|own| own.abs()).fold(0.0, f32::max);
            if let Some((own, mean)) = own.iter().zip(mean).find(|(own, mean)| is_far(**own, **mean, limit)) {
                return Err(Error::PeersLost(format!(
                    "the processes ended with different weights: one is {own} here, and {mean} on average"
                )));
            }
            far = own.iter().zip(mean).map(|(own, mean)| (own - mean).abs()).fold(far, f32::max);
            at += length;
        }
        Ok((far > 0.0).then(|| {
            format!(
                "the processes ended with weights that differ by up to {far:.1e}, as on different processors or \
                 devices: the result is that of the first one"
            )
        }))
    }

    /// What this process says to the others.
    pub(crate) fn greeting(&self, config: &Config, data: &Data, steps: usize) -> Greeting {
        let mut config = config.by_path();
        // Each has its own copy of the data, at its own place, and its own disk. What is in the data is compared.
        config.retain(|path, _| !OWN.iter().any(|own| path.starts_with(own)));
        Greeting {
            version: format!("ae {}, exchange 2", env!("CARGO_PKG_VERSION")),
            rank: self.rank,
            of: self.of,
            config,
            data: data.schema.fingerprint.clone(),
            layout: {
                let layout: Vec<u8> =
                    data.split.train.rows().layout().iter().flat_map(|place| (*place as u64).to_le_bytes()).collect();
                format!("{:032x}", XxHash3_128::oneshot(&layout))
            },
            steps,
        }
    }
}

/// All weights and running statistics, and how many each tensor has.
#[derive(Default)]
struct Values {
    numbers: Vec<f32>,
    lengths: Vec<usize>,
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let before = self.numbers.len();
        self.numbers.extend(parameter.val().to_data().iter::<f32>());
        self.lengths.push(self.numbers.len() - before);
    }
}

/// Leaves the others when it is dropped, in whatever way the training ends.
pub(crate) struct Leaving<'a>(pub Option<&'a Peers>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|peers| peers.connection.leave());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with what the first process says; the others are lost with `None`.
    #[derive(Debug)]
    struct First(Option<f32>);

    impl Exchange for First {
        fn mean(&self, step: usize, rows: usize, values: Vec<f32>, rounded: usize) -> Option<(Vec<f32>, usize)> {
            assert_eq!((step, rows, values.len(), rounded), (EPOCH_END, 0, 1, 0), "only the first process counts");
            self.0.map(|first| (vec![first], 1))
        }
    }

    impl Connection for First {
        fn meet(&self, _: &Greeting) -> Result<()> {
            Ok(())
        }

        fn failure(&self) -> Option<String> {
            None
        }

        fn leave(&self) {}
    }

    #[test]
    fn a_training_stops_when_the_first_process_says_so() {
        let stops = |first, own| Peers { rank: 1, of: 2, connection: Arc::new(First(first)) }.stops(own);
        assert!(stops(Some(1.0), false) && !stops(Some(0.0), true));
        assert!(stops(None, true) && !stops(None, false));
    }
}
