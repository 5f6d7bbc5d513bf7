//! What work says, in the terminal.

use std::io::{self, IsTerminal};

use ae_model::train::Silent;
use burn::train::{Interrupter, renderer::MetricsRenderer};

use super::{output::say, signals};
use crate::Reporter;

/// What is shown of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// A line for each epoch.
    Epochs,
    /// Burn's dashboard.
    Dashboard,
    /// Nothing of its epochs.
    Nothing,
}

/// Lines on standard error, and Burn's dashboard.
#[derive(Debug)]
pub struct Terminal(Shown);

impl Default for Terminal {
    fn default() -> Self {
        Self(Shown::Epochs)
    }
}

impl Terminal {
    /// For a training: with the dashboard, if there is a terminal.
    pub fn of_training() -> Self {
        let has_dashboard = cfg!(feature = "tui") && io::stdout().is_terminal();
        Self(if has_dashboard { Shown::Dashboard } else { Shown::Epochs })
    }

    /// For one of many trainings, of whose epochs nothing is said.
    pub fn of_many() -> Self {
        Self(Shown::Nothing)
    }
}

impl Reporter for Terminal {
    fn note(&self, text: &str) {
        if self.0 != Shown::Nothing {
            say(text);
        }
    }

    fn progress(&self, line: &str) {
        if self.0 == Shown::Epochs {
            say(line);
        }
    }

    fn warning(&self, text: &str) {
        say(&format!("warning: {text}"));
    }

    fn work(&self, what: &str, done: usize, of: usize) {
        if self.0 != Shown::Dashboard {
            say(&format!("{what}: {done} of {of} ({}%)", 100 * done / of.max(1)));
        }
    }

    fn beat(&self) {
        signals::beat();
    }

    fn renderer(&self, interrupter: &Interrupter, resumed: Option<usize>) -> Box<dyn MetricsRenderer> {
        match self.0 {
            Shown::Dashboard => dashboard(interrupter, resumed),
            Shown::Epochs | Shown::Nothing => Box::new(Silent),
        }
    }
}

#[cfg(feature = "tui")]
fn dashboard(interrupter: &Interrupter, resumed: Option<usize>) -> Box<dyn MetricsRenderer> {
    burn::train::renderer::default_renderer(interrupter.clone(), resumed)
}

#[cfg(not(feature = "tui"))]
fn dashboard(_: &Interrupter, _: Option<usize>) -> Box<dyn MetricsRenderer> {
    Box::new(Silent)
}
