//! How far a long read is: whoever wants to show it says so once, for the whole program.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Shows what is read, and how much of it, of how much.
pub type Report = fn(what: &str, done: usize, of: usize);

static REPORT: OnceLock<Report> = OnceLock::new();

/// How long a read may take before anything is said, and between two reports.
const PATIENCE: Duration = Duration::from_secs(2);

/// From now on long reads are reported to `report`. The first call decides.
pub fn report_to(report: Report) {
    let _ = REPORT.set(report);
}

/// A read on its way.
pub(crate) struct Progress {
    what: &'static str,
    of: usize,
    done: usize,
    last: Instant,
}

impl Progress {
    /// The read of `of` things.
    pub(crate) fn new(what: &'static str, of: usize) -> Self {
        Self { what, of, done: 0, last: Instant::now() }
    }

    /// One more is read.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        // The clock is asked now and then alone: a row takes less time than that.
        if (self.done.is_multiple_of(1024) || self.of < 100_000) && self.last.elapsed() >= PATIENCE {
            self.last = Instant::now();
            if let Some(report) = REPORT.get() {
                report(self.what, self.done, self.of);
            }
        }
    }
}
