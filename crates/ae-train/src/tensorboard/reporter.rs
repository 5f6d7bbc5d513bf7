//! A reporter that writes event files.

use std::sync::{Arc, Mutex, PoisonError};

use burn::train::{Interrupter, renderer::MetricsRenderer};

use super::events::TensorBoard;
use crate::{Config, EpochReport, Reporter, Result};

/// Writes the events of a training, and passes them on to another reporter.
struct Reporting {
    board: Mutex<TensorBoard>,
    then: Arc<dyn Reporter>,
}

impl TensorBoard {
    /// A reporter that writes settings and epochs of a training. It passes everything on to `then`, and warns it of
    /// what cannot be written.
    pub fn reporting(self, then: Arc<dyn Reporter>) -> Arc<dyn Reporter> {
        Arc::new(Reporting { board: Mutex::new(self), then })
    }
}

impl Reporting {
    fn write(&self, write: impl FnOnce(&mut TensorBoard) -> Result<()>) {
        if let Err(error) = write(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.then.warning(&error.to_string());
        }
    }
}

impl Reporter for Reporting {
    fn starts(&self, config: &Config, steps: usize) {
        self.write(|board| {
            board.settings(config)?;
            board.text("config", format!("```toml\n{}\n```", config.to_toml()))?;
            if steps > 0 { board.resume(steps as u64 + 1) } else { Ok(()) }
        });
        self.then.starts(config, steps);
    }

    fn epoch(&self, report: &EpochReport) {
        let values = report.figures.iter().map(|(column, value)| (tag(column), *value));
        self.write(|board| board.scalars(report.steps as u64, values));
        self.then.epoch(report);
    }

    fn note(&self, text: &str) {
        self.then.note(text);
    }

    fn progress(&self, line: &str) {
        self.then.progress(line);
    }

    fn warning(&self, text: &str) {
        self.then.warning(text);
    }

    fn work(&self, what: &str, done: usize, of: usize) {
        self.then.work(what, done, of);
    }

    fn beat(&self) {
        self.then.beat();
    }

    fn renderer(&self, interrupter: &Interrupter, resumed: Option<usize>) -> Box<dyn MetricsRenderer> {
        self.then.renderer(interrupter, resumed)
    }
}

/// The tag for a column of `metrics.csv`, such as `loss/train` for `train_loss`: training and validation of a metric
/// are shown side by side.
pub fn tag(column: &str) -> String {
    match column.split_once('_') {
        Some((split @ ("train" | "valid"), figure)) => format!("{figure}/{split}"),
        _ => format!("run/{column}"),
    }
}
