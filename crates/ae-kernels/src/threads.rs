//! The machine's threads, for work of microseconds.
//!
//! A training step is dozens of operations of 10 to 1,000 microseconds each, one after the other. Handing each to a pool of sleeping threads
//! costs about as much as it saves; here the helpers stay awake for a moment after each piece of work, look for the next one without the
//! operating system, and fall asleep when none comes. The thread that calls takes part.
//!
//! `RAYON_NUM_THREADS`, which also says how many threads Burn's own operations use, sets their number; the machine's if it is not set.

use std::{
    any::Any,
    hint,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr::NonNull,
    sync::{
        Condvar, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// How often a helper looks for work before it falls asleep: some hundred microseconds.
const LOOKS: usize = 4000;
/// How often a thread looks before it lets others have its core for a moment.
const PATIENCE: usize = 100;
/// In [`Pool::state`]: helpers may enter. The bits below count those that are inside.
const OPEN: usize = 1 << 31;

/// What all threads do: `work(index)` for indices that nobody has taken.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

struct Pool {
    helpers: usize,
    /// One caller at a time.
    caller: Mutex<()>,
    state: AtomicUsize,
    /// Index that is taken next.
    next: AtomicUsize,
    /// What is done, and up to which index. Written by the caller while nobody is inside, and read inside alone.
    job: Job,
    /// Helpers that sleep.
    asleep: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
    /// What a helper panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

struct Job(std::cell::UnsafeCell<(Option<NonNull<Work<'static>>>, usize)>);

// SAFETY: it is written by the one caller while the pool is closed and empty, and read by helpers that are inside; `state` orders the two.
unsafe impl Sync for Job {}
// SAFETY: the pointer is to something `Sync`.
unsafe impl Send for Job {}

static POOL: LazyLock<Pool> = LazyLock::new(|| {
    let set = std::env::var("RAYON_NUM_THREADS").ok().and_then(|count| count.parse().ok()).filter(|&count| count > 0);
    let threads: usize = set.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    let started = (1..threads).filter(|index| thread::Builder::new().name(format!("kernels-{index}")).spawn(|| POOL.help()).is_ok());
    Pool {
        helpers: started.count(),
        caller: Mutex::new(()),
        state: AtomicUsize::new(0),
        next: AtomicUsize::new(0),
        job: Job(std::cell::UnsafeCell::new((None, 0))),
        asleep: AtomicUsize::new(0),
        sleep: Mutex::new(()),
        wake: Condvar::new(),
        panic: Mutex::new(None),
    }
});

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many threads work takes part in, at least 1.
pub(crate) fn count() -> usize {
    POOL.helpers + 1
}

/// `work(index)` for every index below `count`, on all threads; on this one alone while another caller has them.
pub(crate) fn for_each(count: usize, work: &Work<'_>) {
    let pool = &*POOL;
    let alone = || (0..count).for_each(work);
    if count <= 1 || pool.helpers == 0 {
        return alone();
    }
    let caller = match pool.caller.try_lock() {
        Ok(caller) => caller,
        Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(std::sync::TryLockError::WouldBlock) => return alone(),
    };
    pool.run(count, work);
    drop(caller);
}

/// Closes the pool and waits for those inside, whatever happens to the caller.
struct Close<'a>(&'a Pool);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0;
        while self.0.state.load(Ordering::Acquire) != 0 {
            rest(&mut looks);
        }
    }
}

fn rest(looks: &mut usize) {
    *looks += 1;
    if looks.is_multiple_of(PATIENCE) { thread::yield_now() } else { hint::spin_loop() }
}

impl Pool {
    /// Called by one thread at a time.
    fn run(&self, count: usize, work: &Work<'_>) {
        // SAFETY: the reference's lifetime is forgotten, but `Close` waits until nobody is inside before this function returns or unwinds.
        let work: NonNull<Work<'static>> = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) }.into();
        // SAFETY: the pool is closed and empty: nobody else looks.
        unsafe { *self.job.0.get() = (Some(work), count) };
        self.next.store(0, Ordering::Relaxed);
        // Of an earlier call whose own part panicked too.
        *lock(&self.panic) = None;
        self.state.fetch_or(OPEN, Ordering::SeqCst);
        let close = Close(self);
        if self.asleep.load(Ordering::SeqCst) > 0 {
            drop(lock(&self.sleep));
            self.wake.notify_all();
        }
        self.take_part();
        drop(close);
        if let Some(panic) = lock(&self.panic).take() {
            resume_unwind(panic);
        }
    }

    /// Takes indices until none is left.
    fn take_part(&self) {
        // SAFETY: the caller of `run`, or a helper inside: the job is there and does not change.
        let (work, count) = unsafe { *self.job.0.get() };
        let Some(work) = work else { return };
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            // SAFETY: `run` does not return before everybody has left.
            unsafe { work.as_ref()(index) };
        }
    }

    /// A helper's life.
    fn help(&self) {
        let mut looks = 0;
        loop {
            let state = self.state.load(Ordering::Acquire);
            if state & OPEN != 0 && self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take_part())) {
                    *lock(&self.panic) = Some(panic);
                }
                self.state.fetch_sub(1, Ordering::AcqRel);
                // What was open may stay so while others work: it is left alone until it is closed.
                let mut waits = 0;
                while self.state.load(Ordering::Acquire) & OPEN != 0 {
                    rest(&mut waits);
                }
                looks = 0;
                continue;
            }
            if looks < LOOKS {
                rest(&mut looks);
                continue;
            }
            let mut guard = lock(&self.sleep);
            self.asleep.fetch_add(1, Ordering::SeqCst);
            while self.state.load(Ordering::SeqCst) & OPEN == 0 {
                guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            self.asleep.fetch_sub(1, Ordering::SeqCst);
            looks = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_done_once_from_any_thread() {
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for count in (0..300).chain([5000]) {
                        let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                        for_each(count, &|index| {
                            done[index].fetch_add(1, Ordering::Relaxed);
                        });
                        assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_threads_usable() {
        assert!(catch_unwind(|| for_each(8, &|index| panic!("{index}"))).is_err());
        for_each(8, &|_| {});
        for panicking in [0, 1, 7] {
            let caught = catch_unwind(|| for_each(8, &|index| assert_ne!(index, panicking)));
            assert!(caught.is_err());
            for_each(8, &|_| {});
        }
    }
}
