//! Batches that several loaders of the same rows share: each is gathered once, by the loader that needs it first.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use crate::Batch;

/// Batches that wait for other loaders, at most: so far can one be ahead of another.
const AHEAD: usize = 8;

/// The epoch of a batch, and the position of its first row in it.
type Place = (usize, usize);

/// One of the loaders that share their batches: see [`Loader::sharing`](crate::Loader::sharing).
#[derive(Debug)]
pub struct Reader {
    own: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// The first place that each loader may still read.
    next: Vec<Place>,
    kept: VecDeque<Kept>,
}

/// The next place of a loader that has left.
const END: Place = (usize::MAX, usize::MAX);

#[derive(Debug)]
struct Kept {
    at: Place,
    batch: Batch,
    /// Loaders that have not read it yet.
    left: usize,
}

impl State {
    /// Says that a loader needs nothing before `next`, even what it has skipped.
    fn passes(&mut self, reader: usize, next: Place) {
        let before = std::mem::replace(&mut self.next[reader], next);
        for kept in &mut self.kept {
            kept.left -= usize::from(before <= kept.at && kept.at < next);
        }
        self.kept.retain(|kept| kept.left > 0);
    }
}

impl Reader {
    /// The readers of so many loaders that go over the same rows in the same order.
    pub fn of(loaders: usize) -> Vec<Self> {
        let state = State { next: vec![(0, 0); loaders], kept: VecDeque::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        (0..loaders).map(|own| Self { own, shared: shared.clone() }).collect()
    }

    /// Says that this loader reads no more: the others do not wait for it.
    pub fn leave(&self) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.passes(self.own, END);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// The batch at a place, from another loader or from `gather`. Waits where this loader is too far ahead of another.
    ///
    /// # Errors
    /// Those of `gather`.
    pub(crate) fn batch<E>(&self, at: Place, gather: impl FnOnce() -> Result<Batch, E>) -> Result<Batch, E> {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let after = (at.0, at.1 + 1);
        state.passes(self.own, at);
        self.shared.changed.notify_all();
        loop {
            if let Some(kept) = state.kept.iter().find(|kept| kept.at == at) {
                let batch = kept.batch.clone();
                state.passes(self.own, after);
                self.shared.changed.notify_all();
                return Ok(batch);
            }
            let others = state.next.iter().enumerate();
            let left = others.filter(|(other, next)| *other != self.own && **next <= at).count();
            // One that is behind all others never waits, or all would wait for each other.
            if left == 0 || state.kept.len() < AHEAD || state.kept.iter().all(|kept| kept.at > at) {
                let batch = gather()?;
                state.passes(self.own, after);
                if left > 0 {
                    state.kept.push_back(Kept { at, batch: batch.clone(), left });
                }
                self.shared.changed.notify_all();
                return Ok(batch);
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use burn::{data::dataloader::DataLoader, tensor::Device};

    use super::*;
    use crate::{Batcher, Dataset, Loader, Order, Rows, Scaling, Values};

    fn loader() -> Loader {
        let dataset = Dataset::new(Rows::new(Values::U16((0..1000).collect()), 1));
        let batcher = Batcher::new(Scaling::identity());
        Loader::new(dataset, batcher, 7, Order::Shuffled { seed: 1 }, Device::default())
    }

    /// The rows of each batch of some epochs.
    fn rows(loader: &Loader, epochs: usize) -> Vec<Vec<usize>> {
        (0..epochs).flat_map(|_| loader.iter().map(|batch| batch.unwrap().rows).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn loaders_that_share_see_the_same_batches_whoever_is_first_or_leaves() {
        let wanted = rows(&loader(), 3);
        // The second stops after an epoch, the third continues in the middle of the second epoch.
        let readers = Reader::of(3).into_iter().zip([(3, 0), (1, 0), (2, 150)]);
        thread::scope(|scope| {
            for (reader, (epochs, first)) in readers {
                let wanted = &wanted;
                scope.spawn(move || {
                    let shared = loader().after(first / 143, first % 143).sharing(Arc::new(reader));
                    assert_eq!(rows(&shared, epochs), wanted[first..first + epochs * 143 - first % 143]);
                });
            }
        });
    }

    #[test]
    fn each_batch_is_gathered_once_where_loaders_go_along() {
        let gathered = AtomicUsize::new(0);
        let whole = loader();
        thread::scope(|scope| {
            for reader in Reader::of(4) {
                let (gathered, whole) = (&gathered, &whole);
                scope.spawn(move || {
                    for at in 0..500 {
                        let batch = reader.batch((0, at), || {
                            gathered.fetch_add(1, Ordering::Relaxed);
                            whole.iter().next().expect("a batch")
                        });
                        assert_eq!(batch.unwrap().rows.len(), 7);
                    }
                });
            }
        });
        assert_eq!(gathered.load(Ordering::Relaxed), 500);
    }
}
