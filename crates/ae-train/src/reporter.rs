//! What a training says while it goes on. The library says nothing by itself: whoever starts a training gives it a
//! [`Reporter`].

use std::{
    io::{self, Write},
    sync::Arc,
};

use ae_data::progress;
use ae_model::train::Silent;
use burn::train::{Interrupter, renderer::MetricsRenderer};

use crate::Config;

/// What an epoch measured.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochReport {
    /// Its number, from 1.
    pub epoch: usize,
    /// Epochs that the training takes, at most.
    pub epochs: usize,
    /// Optimizer steps that are done.
    pub steps: usize,
    /// Figures by name, as the columns of `metrics.csv`: `train_loss`, `valid_loss`, `seconds`, ...
    pub figures: Vec<(String, f64)>,
}

/// Hears of a training. By default it hears nothing; its methods may be called from another thread than the one that
/// trains.
pub trait Reporter: Send + Sync {
    /// A training begins, or goes on after so many of its optimizer steps.
    fn starts(&self, config: &Config, steps: usize) {
        let _ = (config, steps);
    }

    /// What is worth knowing before it starts, in a sentence: what it will take.
    fn note(&self, text: &str) {
        let _ = text;
    }

    /// A line of progress: an epoch that is over, a layer that was pre-trained.
    fn progress(&self, line: &str) {
        let _ = line;
    }

    /// What a person should know, in a sentence.
    fn warning(&self, text: &str) {
        let _ = text;
    }

    /// The figures of an epoch that is over.
    fn epoch(&self, report: &EpochReport) {
        let _ = report;
    }

    /// Long work, such as `reading rows`, of which `done` of `of` parts are done; every two seconds.
    fn work(&self, what: &str, done: usize, of: usize) {
        let _ = (what, done, of);
    }

    /// Some part of the work is done, such as a step: it goes on.
    fn beat(&self) {}

    /// What draws the metrics of Burn's Learner: by default nothing does. `resumed` is the epoch that was done already,
    /// if one was.
    fn renderer(&self, interrupter: &Interrupter, resumed: Option<usize>) -> Box<dyn MetricsRenderer> {
        let _ = (interrupter, resumed);
        Box::new(Silent)
    }
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Reporter for Quiet {}

/// Lines on standard error. One that has been closed is no reason to stop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines;

impl Reporter for Lines {
    fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    fn progress(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    fn warning(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "warning: {text}");
    }

    fn work(&self, what: &str, done: usize, of: usize) {
        let _ = writeln!(io::stderr().lock(), "{what}: {done} of {of}");
    }
}

/// Does the work, whose progress the reporter hears.
pub(crate) fn heard<T>(reporter: &Arc<dyn Reporter>, work: impl FnOnce() -> T) -> T {
    struct Hears(Arc<dyn Reporter>);

    impl progress::Watch for Hears {
        fn progress(&self, what: &str, done: usize, of: usize) {
            self.0.work(what, done, of);
        }

        fn beat(&self) {
            self.0.beat();
        }
    }

    progress::watched(Arc::new(Hears(reporter.clone())), work)
}
