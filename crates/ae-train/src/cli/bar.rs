//! The bar that shows how far long work is, on the terminal's last line. There is one at a time; whatever else is
//! written to the terminal is written above it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use burn::train::{
    LearnerSummary,
    logger::TrainingProgressLogger,
    metric::MetricDefinition,
    renderer::{MetricState, MetricsRenderer, MetricsRendererTraining},
};
use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar turns its wheel while nothing is heard of the work.
const TICK: Duration = Duration::from_millis(120);

/// Positions of an epoch on the bar of a training.
const FINE: u64 = 1000;

/// What is shown.
struct Shown {
    what: String,
    bar: ProgressBar,
}

static BAR: Mutex<Option<Shown>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<Shown>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows that `done` of `of` parts of `what` are done; 0 of a total that is not known.
pub fn show(what: &str, done: usize, of: usize) {
    let mut shown = shown();
    if shown.as_ref().is_none_or(|shown| shown.what != what) {
        if let Some(before) = shown.take() {
            before.bar.finish_and_clear();
        }
        *shown = Some(Shown { what: what.to_string(), bar: new_bar(what, of, style(what, of)) });
    }
    if let Some(shown) = shown.as_ref() {
        shown.bar.set_position(done as u64);
    }
}

/// The message stands last: it is cut off where the line ends, and a line that went on would stay behind.
fn style(what: &str, of: usize) -> &'static str {
    match (what.contains("bytes"), of) {
        (true, 0) => "{spinner} {bytes}, {bytes_per_sec}  {wide_msg}",
        (true, _) => "{spinner} [{bar:24}] {bytes} of {total_bytes}, {eta} left  {wide_msg}",
        (false, 0) => "{spinner} {human_pos}  {wide_msg}",
        (false, _) => "{spinner} [{bar:24}] {human_pos} of {human_len}, {eta} left  {wide_msg}",
    }
}

fn new_bar(what: &str, of: usize, template: &str) -> ProgressBar {
    let bar = if of > 0 { ProgressBar::new(of as u64) } else { ProgressBar::new_spinner() };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    bar.set_message(what.to_string());
    bar.enable_steady_tick(TICK);
    bar
}

/// Says something beside the bar that is shown.
pub fn message(text: &str) {
    if let Some(shown) = shown().as_ref() {
        shown.bar.set_message(text.to_string());
    }
}

/// Takes the bar off the terminal.
pub fn clear() {
    if let Some(shown) = shown().take() {
        shown.bar.finish_and_clear();
    }
}

/// Writes something to the terminal, above the bar if there is one.
pub fn aside(write: impl FnOnce()) {
    match shown().as_ref() {
        Some(shown) => shown.bar.suspend(write),
        None => write(),
    }
}

/// The bar of a training: how many epochs are done, and how far the one at hand is.
pub struct Epochs {
    /// What is trained.
    what: String,
    epochs: u64,
    epoch: u64,
    items: u64,
    is_training: bool,
}

impl Epochs {
    /// Of a training that is called so, after so many of its epochs.
    pub fn new(what: &str, done: usize) -> Self {
        Self { what: what.to_string(), epochs: 0, epoch: done as u64 + 1, items: 1, is_training: false }
    }

    fn show(&self, within: u64) {
        if let Some(shown) = shown().as_ref() {
            shown.bar.set_position((self.epoch - 1) * FINE + within.min(FINE));
        }
    }
}

impl TrainingProgressLogger for Epochs {
    fn start(&mut self, epochs: usize, _: usize, _: Option<usize>, _: Option<&str>) {
        clear();
        self.epochs = epochs as u64;
        let template = "{spinner} [{bar:24}] {percent}%, {eta} left  {wide_msg}";
        let of = epochs * FINE as usize;
        let message = format!("{}: epoch {} of {epochs}", self.what, self.epoch);
        let bar = new_bar(&message, of, template);
        // What was trained before is no measure of how fast it goes on.
        bar.set_position((self.epoch - 1) * FINE);
        bar.reset_eta();
        *shown() = Some(Shown { what: self.what.clone(), bar });
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch as u64 + 1;
        self.show(0);
    }

    fn start_split(&mut self, split: &str, items: usize) {
        self.is_training = split.eq_ignore_ascii_case("train");
        self.items = items.max(1) as u64;
    }

    fn update_split(&mut self, items: usize) {
        if self.is_training {
            self.show(FINE * items as u64 / self.items);
        }
    }

    fn end_split(&mut self) {}

    fn end(&mut self) {
        clear();
    }

    fn log_event_training(&mut self, _: String) {}
}

impl Drop for Epochs {
    fn drop(&mut self) {
        clear();
    }
}

// What is drawn is the progress alone; the figures of an epoch come from the reporter.

impl MetricsRendererTraining for Epochs {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}
    fn on_train_end(&mut self, _: Option<LearnerSummary>) -> Result<(), Box<dyn core::error::Error>> {
        clear();
        Ok(())
    }
}

ae_model::renders_no_evaluation!(Epochs);

impl MetricsRenderer for Epochs {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _: MetricDefinition) {}
}
