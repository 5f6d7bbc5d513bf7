//! Reading ahead in files: while a training goes over the blocks of one window, a thread makes the system load those of
//! the next one, so that a slow disk and the computation work at the same time.
//!
//! The bytes stay in the system's memory, not in that of the program, and are read again when their turn comes. This
//! needs no memory that could be missing elsewhere, and changes neither the order of the rows nor any value.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
};

use crate::Dataset;

/// Some blocks whose rows are shuffled together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Position of its first row in the order of the epoch.
    pub start: usize,
    /// A row of each block.
    pub rows: Vec<usize>,
}

/// A thread that loads the windows of an epoch, each one when the window before it begins. It ends when this is
/// dropped.
pub(crate) struct Ahead {
    windows: std::vec::IntoIter<Window>,
    /// The window that begins next.
    next: Option<Window>,
    work: Sender<Window>,
    stop: Arc<AtomicBool>,
}

impl Ahead {
    /// A thread for the windows of an epoch over `dataset`.
    pub fn new(dataset: Dataset, windows: Vec<Window>) -> Self {
        let ((work, queue), stop, mut windows) =
            (channel::<Window>(), Arc::<AtomicBool>::default(), windows.into_iter());
        let is_over = stop.clone();
        let load = move || {
            for row in queue.into_iter().flat_map(|window| window.rows) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                dataset.rows().load_block_of(row);
            }
        };
        // Without a thread, blocks are read when they are needed.
        let _ = thread::Builder::new().name("read-ahead".to_string()).spawn(load);
        Self { next: windows.next(), windows, work, stop }
    }

    /// Says that the row at `position` is read now: the window after its own is loaded.
    pub fn reach(&mut self, position: usize) {
        let mut begins = false;
        while self.next.as_ref().is_some_and(|window| window.start <= position) {
            self.next = self.windows.next();
            begins = true;
        }
        if let (true, Some(window)) = (begins, &self.next) {
            let _ = self.work.send(window.clone());
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Mutex,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::{
        DataError, Element, Rows, Values,
        store::{Blocks, Store},
    };

    /// Ten blocks of two rows, and which of them were loaded.
    #[derive(Debug)]
    struct Ten(Vec<usize>, Arc<Mutex<Vec<usize>>>);

    impl Blocks for Ten {
        fn starts(&self) -> &[usize] {
            &self.0
        }

        fn element(&self) -> Element {
            Element::U8
        }

        fn read(&self, block: usize) -> Result<Values, DataError> {
            Ok(Values::U8(vec![block as u8; 2]))
        }

        fn load(&self, block: usize) {
            self.1.lock().unwrap().push(block);
        }
    }

    #[test]
    fn the_window_after_the_one_that_begins_is_loaded() {
        let loaded = Arc::<Mutex<Vec<usize>>>::default();
        let blocks = Box::new(Ten((0..=20).step_by(2).collect(), loaded.clone()));
        let dataset = Dataset::new(Rows::stored(Store::new(blocks, 1), 1, false));
        let window = |start, rows: &[usize]| Window { start, rows: rows.to_vec() };
        let windows =
            vec![window(0, &[4, 6]), window(4, &[0, 18]), window(8, &[9]), window(10, &[2]), window(12, &[16])];
        let mut ahead = Ahead::new(dataset, windows);
        let wait_for = |expected: &[usize]| {
            let start = Instant::now();
            while loaded.lock().unwrap().len() < expected.len() && start.elapsed() < Duration::from_secs(10) {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(*loaded.lock().unwrap(), expected);
        };
        (0..4).for_each(|position| ahead.reach(position));
        wait_for(&[0, 9]);
        ahead.reach(4);
        wait_for(&[0, 9, 4]);
        // A training that continues later does not load what it skips.
        ahead.reach(11);
        wait_for(&[0, 9, 4, 8]);
        ahead.reach(13);
        drop(ahead);
        wait_for(&[0, 9, 4, 8]);
    }
}
