//! A training in several processes, on one machine or on several: each computes its part of every batch, and their
//! gradients are averaged.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use ae_model::train::Exchange;
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use crate::{Config, Error, Result};

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

/// How far the weights of processes may be apart at the end, relative to the largest: rounding in other orders, over
/// many steps.
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
    /// It has a part whose state cannot be shared.
    pub fn check(config: &Config) -> Result<()> {
        match config.model.single_process() {
            Some(part) => Err(Error::Usage(format!(
                "`{part}` keeps a state of its own in each process: a training in several processes needs a model \
                 without it"
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

    /// The error of a training that lost another process.
    pub(crate) fn lost(&self) -> Error {
        Error::PeersLost(self.connection.failure().unwrap_or_else(|| "another process was lost".to_string()))
    }

    /// Checks at the end of a training that it has gone on to its end, with the same weights in all processes. Returns
    /// what is to be said of small differences.
    ///
    /// # Errors
    /// A process was lost, or has other weights.
    pub(crate) fn compare<M: Module>(&self, model: &M, is_stopped: bool) -> Result<Option<String>> {
        if self.connection.failure().is_some() {
            return Err(self.lost());
        }
        if is_stopped {
            return Ok(None);
        }
        let mut own = Values(Vec::new());
        model.visit(&mut own);
        let Values(own) = own;
        // The mean of numbers that are equal is that number.
        let (mean, _) = self.connection.mean(usize::MAX >> 1, 1, own.clone()).ok_or_else(|| self.lost())?;
        let far = own.iter().zip(&mean).map(|(own, mean)| (own - mean).abs()).fold(0.0, f32::max);
        let size = own.iter().map(|own| own.abs()).fold(0.0, f32::max);
        // A loss that became infinite, which leaves nothing to compare, is reported elsewhere.
        if far == 0.0 || own.iter().any(|own| own.is_nan()) {
            return Ok(None);
        }
        match far <= ALIKE * size {
            true => Ok(Some(format!(
                "the processes ended with weights that differ by up to {far:.1e}, as on different processors or \
                 devices: the result is that of the first one"
            ))),
            false => Err(Error::PeersLost(format!(
                "the processes ended with different weights: they differ by up to {far}, and the largest is {size}"
            ))),
        }
    }

    /// What this process says to the others.
    pub(crate) fn greeting(&self, config: &Config, data: &str, steps: usize) -> Greeting {
        let mut config = config.by_path();
        // Each has its own copy of the data, at its own place, and its own disk. What is in the data is compared.
        config.retain(|path, _| !OWN.iter().any(|own| path.starts_with(own)));
        Greeting {
            version: format!("ae {}, exchange 1", env!("CARGO_PKG_VERSION")),
            rank: self.rank,
            of: self.of,
            config,
            data: data.to_string(),
            steps,
        }
    }
}

/// All weights and running statistics.
struct Values(Vec<f32>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.extend(parameter.val().to_data().iter::<f32>());
    }
}

/// Leaves the others when it is dropped, in whatever way the training ends.
pub(crate) struct Leaving<'a>(pub Option<&'a Peers>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|peers| peers.connection.leave());
    }
}
