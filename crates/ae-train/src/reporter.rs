//! Progress reports of a training. The library prints nothing: the caller of a training passes it a [`Reporter`].

use std::{
    io::{self, Write},
    sync::Arc,
};

use ae_data::progress;
use ae_model::train::Silent;
use burn::train::{Interrupter, renderer::MetricsRenderer};

use crate::Config;

/// The metrics of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochReport {
    /// Its number, from 1.
    pub epoch: usize,
    /// Maximum number of epochs of the training.
    pub epochs: usize,
    /// Number of optimizer steps done.
    pub steps: usize,
    /// Metrics by name, as the columns of `metrics.csv`: `train_loss`, `valid_loss`, `seconds`, ...
    pub figures: Vec<(String, f64)>,
}

/// Receives the progress of a training. The default methods ignore it. The methods may be called from another thread
/// than the one that trains.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use ae_train::{Config, EpochReport, Reporter, Trainer};
///
/// #[derive(Default)]
/// struct Losses(Mutex<Vec<f64>>);
///
/// impl Reporter for Losses {
///     fn epoch(&self, report: &EpochReport) {
///         let loss = report.figures.iter().find(|(name, _)| name == "valid_loss");
///         self.0.lock().unwrap().extend(loss.map(|(_, value)| value));
///     }
/// }
///
/// let rows: Vec<f32> = (0..400).map(|i| (i as f32 * 0.1).sin()).collect(); // 100 rows of 4 values
/// let mut config = Config::of_variant("undercomplete")?;
/// (config.model.code_dim, config.training.epochs) = (2, 3);
/// let losses = Arc::new(Losses::default());
/// Trainer::new(config).reporting_to(losses.clone()).fit((rows.as_slice(), 4))?;
/// assert_eq!(losses.0.lock().unwrap().len(), 3);
/// # Ok::<(), ae_train::Error>(())
/// ```
pub trait Reporter: Send + Sync {
    /// A training starts, or continues after this many of its optimizer steps.
    fn starts(&self, config: &Config, steps: usize) {
        let _ = (config, steps);
    }

    /// A sentence worth knowing before the training starts: what it needs.
    fn note(&self, text: &str) {
        let _ = text;
    }

    /// A line of progress: an epoch or a pre-trained layer is finished.
    fn progress(&self, line: &str) {
        let _ = line;
    }

    /// A warning, in a sentence.
    fn warning(&self, text: &str) {
        let _ = text;
    }

    /// The metrics of a finished epoch.
    fn epoch(&self, report: &EpochReport) {
        let _ = report;
    }

    /// Progress of long work, such as `reading rows`, every two seconds: `done` of `of` parts are done.
    fn work(&self, what: &str, done: usize, of: usize) {
        let _ = (what, done, of);
    }

    /// A sign of life: some part of the work, such as a step, is done.
    fn beat(&self) {}

    /// Draws the metrics of Burn's Learner; nothing by default. `resumed` is the last epoch that was done before, if
    /// any.
    fn renderer(&self, interrupter: &Interrupter, resumed: Option<usize>) -> Box<dyn MetricsRenderer> {
        let _ = (interrupter, resumed);
        Box::new(Silent)
    }
}

/// Ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Reporter for Quiet {}

/// Prints lines on standard error. If it has been closed, the training still continues.
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

/// Runs `work` and passes its progress to the reporter.
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
