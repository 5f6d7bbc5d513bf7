//! How far long work on rows is: whoever wants to show it says so once, for the whole program.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Shows what is done (`reading rows`), how much of it, and of how much.
pub type Report = fn(what: &str, done: usize, of: usize);

static REPORT: OnceLock<Report> = OnceLock::new();

/// How often work has gone on.
static BEATS: AtomicUsize = AtomicUsize::new(0);

/// How long work may take before anything is said, and between two reports.
const PATIENCE: Duration = Duration::from_secs(2);

/// From now on long work is reported to `report`. The first call decides.
pub fn report_to(report: Report) {
    let _ = REPORT.set(report);
}

/// A part of some work is done, such as a step of a training.
pub fn beat() {
    BEATS.fetch_add(1, Ordering::Relaxed);
}

/// How many parts of any work are done in this process: a number that stands still tells that nothing goes on.
pub fn beats() -> usize {
    BEATS.load(Ordering::Relaxed)
}

/// Long work on its way.
pub struct Progress {
    what: &'static str,
    of: usize,
    done: usize,
    last: Instant,
}

impl Progress {
    /// Work on `of` things, called so (`reading rows`, `encoding rows`).
    pub fn new(what: &'static str, of: usize) -> Self {
        Self { what, of, done: 0, last: Instant::now() }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.steps(1);
    }

    /// So many more are done.
    pub fn steps(&mut self, count: usize) {
        self.done += count;
        beat();
        // The clock is asked now and then alone: a row takes less time than that.
        if (count > 1 || self.done.is_multiple_of(1024) || self.of < 100_000) && self.last.elapsed() >= PATIENCE {
            self.last = Instant::now();
            if let Some(report) = REPORT.get() {
                report(self.what, self.done, self.of);
            }
        }
    }
}
