//! How far long work on rows is: whoever wants to know it says so for the work that it starts, on its thread.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

/// Hears how far long work is. By default it hears nothing.
pub trait Watch: Send + Sync {
    /// `done` of `of` parts of `what` (`reading rows`) are done: said when it takes long, every two seconds.
    fn progress(&self, what: &str, done: usize, of: usize) {
        let _ = (what, done, of);
    }

    /// Some part of any work is done, such as a step of a training: work goes on.
    fn beat(&self) {}
}

thread_local! {
    static WATCH: RefCell<Option<Arc<dyn Watch>>> = const { RefCell::new(None) };
}

/// How long work may take before anything is said, and between two reports.
const PATIENCE: Duration = Duration::from_secs(2);

/// Puts the watch back that was there before, also after a panic.
struct Before(Option<Arc<dyn Watch>>);

impl Drop for Before {
    fn drop(&mut self) {
        WATCH.set(self.0.take());
    }
}

/// Does the work, and tells `watch` how far it is. Work within it that has a watch of its own tells that one instead.
pub fn watched<T>(watch: Arc<dyn Watch>, work: impl FnOnce() -> T) -> T {
    let _before = Before(WATCH.replace(Some(watch)));
    work()
}

/// A part of some work is done, such as a step of a training.
pub fn beat() {
    WATCH.with_borrow(|watch| watch.iter().for_each(|watch| watch.beat()));
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
    fn work_is_told_to_the_watch_of_its_thread() {
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
