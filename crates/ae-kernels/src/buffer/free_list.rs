//! The list of freed buffers that are kept to be reused.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Length of the smallest buffer that is kept, 64 KiB. Every allocator keeps smaller ones by itself.
pub(super) const MIN_LEN: usize = (64 << 10) / size_of::<f32>();

/// Number of values that are kept at most, 256 MiB. Buffers beyond that are freed.
pub(super) const MAX_KEPT: usize = (256 << 20) / size_of::<f32>();

/// How long an unused buffer is kept.
pub(super) const IDLE: Duration = Duration::from_secs(1);

/// The free list: buffers that were freed and not reused yet.
pub(super) struct FreeList {
    /// By capacity.
    pub(super) sizes: BTreeMap<usize, Size>,
    /// Total capacity of the buffers in the list.
    pub(super) total: usize,
    /// Whether a thread is running that frees the buffers that stay unused.
    pub(super) is_watched: bool,
}

/// Buffers of one capacity.
pub(super) struct Size {
    /// The buffers in the list, oldest first.
    pub(super) free: Vec<(Vec<f32>, Instant)>,
    /// How often a buffer was requested and there was none: an upper bound of how many are in use at once. No more
    /// are kept. Otherwise buffers that Burn allocates and a kernel only passes on would accumulate here.
    missed: usize,
    /// When a buffer was last requested.
    asked: Instant,
}

static FREE_LIST: Mutex<FreeList> = Mutex::new(FreeList { sizes: BTreeMap::new(), total: 0, is_watched: false });

impl FreeList {
    pub(super) fn lock() -> MutexGuard<'static, Self> {
        FREE_LIST.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buffer that was freed last, of the smallest capacity that is at least `len` and at most a quarter more.
    pub(super) fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let now = Instant::now();
        for (capacity, size) in self.sizes.range_mut(len..=len + len / 4) {
            if let Some((buffer, _)) = size.free.pop() {
                size.asked = now;
                self.total -= capacity;
                return Some(buffer);
            }
        }
        let size = self.sizes.entry(len).or_insert(Size { free: Vec::new(), missed: 0, asked: now });
        size.missed += 1;
        size.asked = now;
        None
    }

    /// Adds a buffer to the list, or returns it if no such buffer was missing or the list is full.
    pub(super) fn put(&mut self, buffer: Vec<f32>) -> Option<Vec<f32>> {
        let capacity = buffer.capacity();
        let is_missed = self.sizes.get(&capacity).is_some_and(|size| size.free.len() < size.missed);
        if !is_missed || self.total + capacity > MAX_KEPT || !self.watch() {
            return Some(buffer);
        }
        if let Some(size) = self.sizes.get_mut(&capacity) {
            self.total += capacity;
            size.free.push((buffer, Instant::now()));
        }
        None
    }

    /// Starts the thread that frees unused buffers, if it is not running. Returns whether it runs.
    fn watch(&mut self) -> bool {
        if !self.is_watched {
            self.is_watched = thread::Builder::new().name("kernels-idle".to_string()).spawn(watch).is_ok();
        }
        self.is_watched
    }

    /// Removes the buffers that were freed before `then`.
    pub(super) fn take_idle(&mut self, then: Instant) -> Vec<Vec<f32>> {
        let mut idle = Vec::new();
        self.sizes.retain(|_, size| {
            let count = size.free.partition_point(|(_, since)| *since < then);
            idle.extend(size.free.drain(..count).map(|(buffer, _)| buffer));
            size.missed = size.missed.saturating_sub(count);
            !size.free.is_empty() || size.asked >= then
        });
        self.total -= idle.iter().map(Vec::capacity).sum::<usize>();
        idle
    }
}

/// Frees unused buffers until the list is empty.
fn watch() {
    loop {
        thread::sleep(IDLE);
        let mut free = FreeList::lock();
        let idle = Instant::now().checked_sub(IDLE).map(|then| free.take_idle(then));
        free.is_watched = !free.sizes.is_empty();
        let done = !free.is_watched;
        // Freeing takes a while: other threads must not wait for the list meanwhile.
        drop(free);
        drop(idle);
        if done {
            return;
        }
    }
}

/// A buffer from the list, with unspecified values; its length may differ from `len`.
pub(super) fn reuse(len: usize) -> Option<Vec<f32>> {
    if len < MIN_LEN { None } else { FreeList::lock().take(len) }
}

/// Returns a buffer to the list, to be reused.
pub(crate) fn recycle(buffer: Vec<f32>) {
    if buffer.capacity() >= MIN_LEN {
        let rest = FreeList::lock().put(buffer);
        drop(rest);
    }
}
