//! Progress of long work on rows. A caller that wants to be informed sets a [`Watch`] for the work that it starts, on
//! its thread.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

/// Receives the progress of long work. By default it ignores it.
pub trait Watch: Send + Sync {
    /// `done` of `of` parts of `what` (such as `reading rows`) are done. Called every two seconds during long work.
    fn progress(&self, what: &str, done: usize, of: usize) {
        let _ = (what, done, of);
    }

    /// A sign of life: some part of the work is done, such as a training step.
    fn beat(&self) {}
}

thread_local! {
    static WATCH: RefCell<Option<Arc<dyn Watch>>> = const { RefCell::new(None) };
}

/// Time before the first report and between two reports.
const PATIENCE: Duration = Duration::from_secs(2);

/// Restores the previous watch when dropped, also after a panic.
struct Before(Option<Arc<dyn Watch>>);

impl Drop for Before {
    fn drop(&mut self) {
        WATCH.set(self.0.take());
    }
}

/// Does the work and reports its progress to `watch`. Work inside it that sets its own watch reports to that one
/// instead.
pub fn watched<T>(watch: Arc<dyn Watch>, work: impl FnOnce() -> T) -> T {
    let _before = Before(WATCH.replace(Some(watch)));
    work()
}

/// Tells the watch of this thread that some part of the work is done, such as a training step.
pub fn beat() {
    WATCH.with_borrow(|watch| watch.iter().for_each(|watch| watch.beat()));
}

/// The progress of one piece of long work.
pub struct Progress {
    what: &'static str,
    of: usize,
    done: usize,
    last: Instant,
}

impl Progress {
    /// Work on `of` items, named `what` (such as `reading rows` or `encoding rows`).
    pub fn new(what: &'static str, of: usize) -> Self {
        Self { what, of, done: 0, last: Instant::now() }
    }

    /// One more item is done.
    pub fn step(&mut self) {
        self.steps(1);
    }

    /// `count` more items are done.
    pub fn steps(&mut self, count: usize) {
        self.done += count;
        beat();
        // Reading the clock takes longer than a row, so it is read only now and then.
        if (count > 1 || self.done.is_multiple_of(1024) || self.of < 100_000) && self.last.elapsed() >= PATIENCE {
            self.last = Instant::now();
            let watch = WATCH.with_borrow(Option::clone);
            watch.iter().for_each(|watch| watch.progress(self.what, self.done, self.of));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Beats(AtomicUsize);

    impl Watch for Beats {
        fn beat(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn progress_is_reported_to_the_watch_of_the_thread() {
        let [outer, inner] = [Arc::new(Beats::default()), Arc::new(Beats::default())];
        watched(outer.clone(), || {
            Progress::new("counting", 2).step();
            watched(inner.clone(), beat);
            std::thread::spawn(beat).join().unwrap();
            let panicked = std::panic::catch_unwind(|| watched(Arc::new(Beats::default()), || panic!("on purpose")));
            assert!(panicked.is_err());
            beat();
        });
        beat();
        assert_eq!([outer, inner].map(|watch| watch.0.load(Ordering::Relaxed)), [2, 1]);
    }
}
