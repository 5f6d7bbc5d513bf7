//! The threads that help a caller with its work.
//!
//! A thread pool for general use puts a thread without work to sleep at once, and waking it takes as long as a small
//! operation. These threads look for work for some hundred microseconds first, which is longer than the pauses within a
//! training step, and sleep in longer pauses.
//!
//! On a machine that is busy with other programs this would harm: a thread that spins uses up its share of a core, and
//! then loses the core for milliseconds in the middle of its work, while the other threads wait for it. A thread that
//! sleeps gets a core soon after it is woken. So when several waits in a row were that long, all of them sleep at once
//! for a while.

use std::{
    any::Any,
    cell::UnsafeCell,
    hint,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// How often a thread looks for what it waits for before it goes to sleep: some hundred microseconds.
const SPINS: usize = 20_000;
/// After how many looks a helper lets others have its core once.
const SPINS_PER_YIELD: usize = 100;

/// A wait that is longer than the caller's own work by this much says that others use the cores. It is less than what
/// a scheduler gives a program at a time, and more than what it takes to wake a thread.
const LATE: Duration = Duration::from_millis(1);
/// So many of them within so long. One alone is a coincidence.
const OFTEN: (usize, Duration) = (3, Duration::from_millis(100));
/// How long the threads do not spin then, at first and at most: twice as long each time that it happens again as soon
/// as they do.
const PAUSE: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// What all threads that take part in a piece of work call at the same time.
type Work = *const (dyn Fn() + Sync);

/// A group of threads that wait for work.
pub(super) struct Helpers {
    helpers: Vec<(Arc<Helper>, Thread)>,
    shared: Arc<Shared>,
    /// Held by the caller whose work they are doing.
    caller: Mutex<Crowd>,
}

/// What a single thread is told. Its own cache lines, so that looking at it does not slow others.
#[repr(align(128))]
#[derive(Default)]
struct Helper {
    called: AtomicBool,
    asleep: AtomicBool,
}

/// What all of them read.
struct Shared {
    work: UnsafeCell<Option<Work>>,
    /// The number of helpers that are not done with the work yet.
    working: AtomicUsize,
    /// Whether those that wait spin first.
    spin: AtomicBool,
    /// Whether a thread that spun, or waited for one that did, lost its core for long.
    late: AtomicBool,
    /// The caller, if it sleeps until all are done.
    waiting: Mutex<Option<Thread>>,
    is_waiting: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is written by the thread that holds `Helpers::caller`, while no helper is called and `working` is 0; a
// helper reads it only between taking its call and counting itself out of `working`. What it points to may be called
// from several threads at once, since it is `Sync`.
unsafe impl Send for Shared {}

// SAFETY: as above.
unsafe impl Sync for Shared {}

/// Whether other programs use the cores, by what the waits for helpers were.
#[derive(Default)]
struct Crowd {
    /// The late waits since the first one.
    late: usize,
    first: Option<Instant>,
    /// The end of the last pause, and its length.
    until: Option<Instant>,
    pause: Duration,
}

impl Helpers {
    /// At most `count` threads: as many as the system provides.
    pub(super) fn new(count: usize) -> Self {
        let shared = Arc::new(Shared {
            work: UnsafeCell::new(None),
            working: AtomicUsize::new(0),
            spin: AtomicBool::new(true),
            late: AtomicBool::new(false),
            waiting: Mutex::new(None),
            is_waiting: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let start = |index: usize| {
            let (helper, shared) = (Arc::<Helper>::default(), shared.clone());
            let told = helper.clone();
            let thread = thread::Builder::new().name(format!("kernels-{index}")).spawn(move || told.serve(&shared));
            thread.ok().map(|thread| (helper, thread.thread().clone()))
        };
        Self { helpers: (0..count).map_while(start).collect(), shared, caller: Mutex::default() }
    }

    /// Whether other programs use the cores, so that these threads sleep at once instead of looking for work.
    pub(super) fn are_in_a_crowd(&self) -> bool {
        !self.shared.spin.load(Ordering::Relaxed)
    }

    /// Calls `work` on this thread, and on up to `count` others at the same time. It returns when all calls are over.
    /// The threads help one caller at a time; another one, or a call from inside `work`, works alone.
    ///
    /// # Panics
    /// One of the calls has panicked. It panics when all are over.
    pub(super) fn run(&self, count: usize, work: &(dyn Fn() + Sync)) {
        let mut crowd = match self.caller.try_lock() {
            Ok(crowd) => crowd,
            Err(TryLockError::Poisoned(crowd)) => crowd.into_inner(),
            Err(TryLockError::WouldBlock) => return work(),
        };
        let start = Instant::now();
        if self.shared.late.swap(false, Ordering::Relaxed) {
            crowd.is_late(start);
        }
        let spin = crowd.until.is_none_or(|until| start > until);
        self.shared.spin.store(spin, Ordering::Relaxed);
        let helpers = &self.helpers[..count.min(self.helpers.len())];
        // SAFETY: only the lifetime changes. Nothing calls it when `working` is 0, which is awaited below, even if this
        // thread's own call panics.
        let erased = unsafe { std::mem::transmute::<*const (dyn Fn() + Sync + '_), Work>(work) };
        // SAFETY: this thread holds `caller`, and no helper is at work: see `Shared`.
        unsafe { *self.shared.work.get() = Some(erased) };
        self.shared.working.store(helpers.len(), Ordering::SeqCst);
        for (helper, thread) in helpers {
            // Either the helper sees the call before it sleeps, or this thread sees that it sleeps.
            helper.called.store(true, Ordering::SeqCst);
            if helper.asleep.load(Ordering::SeqCst) {
                thread.unpark();
            }
        }
        let own = catch_unwind(AssertUnwindSafe(work));
        let worked = start.elapsed();
        // All parts are taken: whoever has not begun is not needed.
        let late = helpers.iter().filter(|(helper, _)| helper.called.swap(false, Ordering::SeqCst)).count();
        self.shared.working.fetch_sub(late, Ordering::SeqCst);
        self.shared.wait();
        if start.elapsed() > 2 * worked + LATE {
            self.shared.late.store(spin, Ordering::Relaxed);
        }
        // Before another caller's helpers can leave theirs.
        let theirs = self.shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(crowd);
        if let Some(panic) = own.err().or(theirs) {
            resume_unwind(panic);
        }
    }
}

impl Crowd {
    fn is_late(&mut self, now: Instant) {
        if self.first.is_none_or(|first| now > first + OFTEN.1) {
            (self.first, self.late) = (Some(now), 0);
        }
        self.late += 1;
        if self.late == OFTEN.0 {
            let again = self.until.is_some_and(|until| now < until + OFTEN.1);
            self.pause = if again { PAUSE[1].min(2 * self.pause) } else { PAUSE[0] };
            (self.first, self.until) = (None, Some(now + self.pause));
        }
    }
}

impl Shared {
    fn spins(&self) -> usize {
        if self.spin.load(Ordering::Relaxed) { SPINS } else { 1 }
    }

    fn is_done(&self) -> bool {
        self.working.load(Ordering::SeqCst) == 0
    }

    /// Returns when all helpers are done.
    fn wait(&self) {
        for _ in 0..self.spins() {
            if self.is_done() {
                return;
            }
            hint::spin_loop();
        }
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
        self.is_waiting.store(true, Ordering::SeqCst);
        while !self.is_done() {
            thread::park();
        }
        self.is_waiting.store(false, Ordering::SeqCst);
    }

    /// Counts a helper out.
    fn one_is_done(&self) {
        // From here on the caller may return: nothing of its work is touched any more.
        if self.working.fetch_sub(1, Ordering::SeqCst) == 1 && self.is_waiting.load(Ordering::SeqCst) {
            // A later caller that is woken by this looks again, and goes on waiting.
            if let Some(caller) = &*self.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
                caller.unpark();
            }
        }
    }
}

impl Helper {
    /// Does what it is called for, until the program ends.
    fn serve(&self, shared: &Shared) {
        loop {
            self.await_call(shared);
            // The caller may have gone on without this helper.
            if !self.called.swap(false, Ordering::SeqCst) {
                continue;
            }
            // SAFETY: it has taken its call, and has not counted itself out: see `Shared`.
            let work = unsafe { (*shared.work.get()).map(|work| &*work) };
            if let Some(Err(panic)) = work.map(|work| catch_unwind(AssertUnwindSafe(work))) {
                *shared.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
            shared.one_is_done();
        }
    }

    fn await_call(&self, shared: &Shared) {
        for spin in 1..=shared.spins() {
            if self.called.load(Ordering::SeqCst) {
                return;
            }
            if !spin.is_multiple_of(SPINS_PER_YIELD) {
                hint::spin_loop();
                continue;
            }
            let start = Instant::now();
            thread::yield_now();
            if start.elapsed() > LATE {
                shared.late.store(true, Ordering::Relaxed);
                break;
            }
        }
        self.asleep.store(true, Ordering::SeqCst);
        while !self.called.load(Ordering::SeqCst) {
            thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn sleeping_and_spinning_helpers_take_part_and_a_call_from_inside_works_alone() {
        let helpers = Helpers::new(2);
        for pause in [0, 0, 0, 30, 0, 30] {
            thread::sleep(Duration::from_millis(pause)); // 30 ms are longer than they spin
            let (all, inside) = (Barrier::new(3), AtomicUsize::new(0));
            helpers.run(2, &|| {
                all.wait(); // returns when three threads are here at the same time
                helpers.run(2, &|| {
                    inside.fetch_add(1, Ordering::SeqCst);
                });
            });
            assert_eq!(inside.into_inner(), 3);
        }
    }

    #[test]
    fn a_caller_does_not_wait_for_helpers_that_have_not_begun() {
        let helpers = Helpers::new(1);
        // Another caller's work occupies the only helper.
        let (begun, end) = (Barrier::new(3), Barrier::new(3));
        thread::scope(|scope| {
            scope.spawn(|| {
                helpers.run(1, &|| {
                    begun.wait();
                    end.wait();
                });
            });
            begun.wait();
            let calls = AtomicUsize::new(0);
            helpers.run(1, &|| {
                calls.fetch_add(1, Ordering::SeqCst);
            });
            assert_eq!(calls.into_inner(), 1);
            end.wait();
        });
    }

    #[test]
    fn pauses_begin_after_several_late_waits_and_grow() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut crowd = Crowd::default();
        let mut late_at = |at: u64| {
            crowd.is_late(start + ms(at));
            crowd.until.map(|until| until.duration_since(start))
        };
        // Too far apart.
        assert_eq!([0, 90, 110, 190].map(&mut late_at), [None; 4]);
        assert_eq!(late_at(200), Some(ms(200) + PAUSE[0]));
        assert_eq!([221, 222, 223].map(&mut late_at)[2], Some(ms(223) + 2 * PAUSE[0]));
        // Not as soon as the pause is over: it starts over.
        assert_eq!([400, 402, 403].map(&mut late_at)[2], Some(ms(403) + PAUSE[0]));
    }
}
