//! What work says, in the terminal: its progress as `--progress` wants it, notes and warnings.

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

use ae_model::train::Silent;
use burn::train::{Interrupter, renderer::MetricsRenderer};

use super::{
    args::ProgressChoice,
    bar,
    output::{has_cursor, mode, say, status, warn},
    signals,
};
use crate::{EpochReport, Reporter};

/// The smallest terminal that the dashboard is chosen for, in places and lines.
const LEAST: (u16, u16) = (60, 16);

/// How work shows its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Lines.
    Lines,
    /// A bar.
    Bar,
    /// Burn's dashboard.
    Dashboard,
    /// Not at all.
    Nothing,
}

/// The command line's reporter.
#[derive(Debug)]
pub struct Terminal {
    shown: Shown,
    /// What the bar of a training is called.
    name: String,
    is_one_of_many: bool,
}

impl Default for Terminal {
    fn default() -> Self {
        Self { shown: shown(false), name: String::new(), is_one_of_many: false }
    }
}

impl Terminal {
    /// For a training.
    pub fn of_training() -> Self {
        Self { shown: shown(true), name: "training".to_string(), is_one_of_many: false }
    }

    /// For one of many trainings, which is called so: of its epochs nothing is said but on a bar.
    pub fn of_many(name: &str) -> Self {
        Self { shown: shown(false), name: name.to_string(), is_one_of_many: true }
    }
}

/// How progress is shown, of a training or of other work.
fn shown(is_training: bool) -> Shown {
    static SAID: OnceLock<()> = OnceLock::new();
    let mode = mode();
    let has_bar = io::stderr().is_terminal() && has_cursor();
    let has_dashboard = cfg!(feature = "tui") && io::stdout().is_terminal() && has_cursor();
    let otherwise = if has_bar { Shown::Bar } else { Shown::Lines };
    let instead = |missing: &str| {
        SAID.get_or_init(|| {
            let what = if has_bar { "a bar is" } else { "lines are" };
            status(&format!("note: {missing}: {what} shown instead"));
        });
        otherwise
    };
    match mode.progress {
        _ if mode.quiet => Shown::Nothing,
        ProgressChoice::None => Shown::Nothing,
        ProgressChoice::Lines => Shown::Lines,
        ProgressChoice::Bar if has_bar => Shown::Bar,
        ProgressChoice::Bar => instead("a bar needs a terminal"),
        ProgressChoice::Dashboard if !is_training => otherwise,
        ProgressChoice::Dashboard if has_dashboard => Shown::Dashboard,
        ProgressChoice::Dashboard if cfg!(feature = "tui") => instead("the dashboard needs a terminal"),
        ProgressChoice::Dashboard => instead("this program was built without the dashboard (feature `tui`)"),
        ProgressChoice::Auto => {
            // What is said with `--verbose` would be written over the dashboard.
            let is_large = || crossterm::terminal::size().is_ok_and(|(x, y)| x >= LEAST.0 && y >= LEAST.1);
            if is_training && has_dashboard && !mode.verbose && is_large() { Shown::Dashboard } else { otherwise }
        }
    }
}

/// How far work is, in a line.
fn line(what: &str, done: usize, of: usize) -> String {
    match of {
        // The total of a download may not be known.
        0 => format!("{what}: {done}"),
        of => format!("{what}: {done} of {of} ({}%)", 100 * done.min(of) / of),
    }
}

impl Reporter for Terminal {
    fn note(&self, text: &str) {
        if !self.is_one_of_many {
            status(text);
        }
    }

    fn progress(&self, line: &str) {
        match self.shown {
            Shown::Lines if !self.is_one_of_many => say(line),
            // The epochs have a bar of their own; what comes before them, such as pre-training, has none.
            Shown::Bar if !line.starts_with("epoch ") => {
                let (what, _) = line.split_once("  ").unwrap_or((line, ""));
                bar::show(what, 0, 0);
                bar::message(line);
            }
            _ => {}
        }
    }

    fn warning(&self, text: &str) {
        warn(text);
    }

    fn epoch(&self, report: &EpochReport) {
        if self.shown == Shown::Bar {
            let value = |wanted: &str| report.figures.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
            let losses = match (value("train_loss"), value("valid_loss")) {
                (Some(train), Some(validation)) => format!(", loss {train:.4} (validation {validation:.4})"),
                _ => String::new(),
            };
            bar::message(&format!("{}: epoch {} of {}{losses}", self.name, report.epoch, report.epochs));
        }
    }

    fn work(&self, what: &str, done: usize, of: usize) {
        match self.shown {
            Shown::Lines => say(&line(what, done, of)),
            Shown::Bar => bar::show(what, done, of),
            Shown::Dashboard | Shown::Nothing => {}
        }
    }

    fn beat(&self) {
        signals::beat();
    }

    fn renderer(&self, interrupter: &Interrupter, resumed: Option<usize>) -> Box<dyn MetricsRenderer> {
        match self.shown {
            Shown::Dashboard => dashboard(interrupter, resumed),
            Shown::Bar => Box::new(bar::Epochs::new(&self.name, resumed.unwrap_or(0))),
            Shown::Lines | Shown::Nothing => Box::new(Silent),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_that_is_not_known_has_no_percentage() {
        assert_eq!(line("fetching bytes", 65_536, 0), "fetching bytes: 65536");
        assert_eq!(line("reading rows", 50, 200), "reading rows: 50 of 200 (25%)");
        assert_eq!(line("reading rows", 300, 200), "reading rows: 300 of 200 (100%)");
    }
}
