//! How work is divided among the machine's threads: as many as rayon has, so that `RAYON_NUM_THREADS` says how many.
//!
//! A training step is dozens of operations of 10 to 1,000 microseconds, one after the other. So the thread that calls
//! takes part instead of going to sleep, and stays awake for the last of the others: to be woken costs as much as a
//! small operation does. The others are a pool of rayon's with one thread less than there are cores: its global pool,
//! which Burn uses, has one too many beside a caller that works, and that one, looking for work and finding none, would
//! take turns with those that have some.

use std::{
    hint,
    ops::Range,
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// How many threads there are, with the caller's.
static COUNT: LazyLock<usize> = LazyLock::new(rayon::current_num_threads);
/// All but the caller's; none where there are none, or where the system gives no more.
static HELPERS: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let helpers = ThreadPoolBuilder::new().num_threads(*COUNT - 1).thread_name(|index| format!("kernels-{index}"));
    if *COUNT > 1 { helpers.build().ok() } else { None }
});

/// Elementary operations below which a second thread costs more than it saves: some microseconds.
const WORTH_A_THREAD: usize = 1 << 14;
/// How often the caller looks whether the others are done before it falls asleep: some hundred microseconds.
const LOOKS: usize = 20_000;
/// How often it looks before it lets others have its core for a moment.
const PATIENCE: usize = 100;

/// How many threads work takes part in, at least 1.
pub(crate) fn count() -> usize {
    *COUNT
}

/// How many parts `work` elementary operations are worth, at least 1.
pub(crate) fn parts(work: usize) -> usize {
    if work < 2 * WORTH_A_THREAD { 1 } else { count().min(work / WORTH_A_THREAD) }
}

/// How many parts `work` elementary operations are cut into where each part has a sum of its own: the same on any
/// number of threads, because the order of a sum decides its last bit, and a training has to come out the same wherever
/// it is resumed.
pub(crate) fn sums(work: usize) -> usize {
    (work / WORTH_A_THREAD).clamp(1, 8)
}

/// `rows` rows in `parts` runs of about the same length, multiples of 4 where that is possible: their bounds.
pub(crate) fn runs(rows: usize, parts: usize) -> Vec<Range<usize>> {
    runs_of(rows, parts, 4)
}

/// [`runs`] whose lengths are multiples of `unit`.
pub(crate) fn runs_of(rows: usize, parts: usize, unit: usize) -> Vec<Range<usize>> {
    let length = rows.div_ceil(parts.max(1)).next_multiple_of(unit).max(unit);
    (0..rows).step_by(length).map(|first| first..(first + length).min(rows)).collect()
}

/// `slice`, cut at the rows of `runs`, which are `width` wide.
pub(crate) fn cut<'a, T>(mut slice: &'a mut [T], runs: &[Range<usize>], width: usize) -> Vec<&'a mut [T]> {
    let take = |run: &Range<usize>| {
        let (head, tail) = std::mem::take(&mut slice).split_at_mut(run.len() * width);
        slice = tail;
        head
    };
    runs.iter().map(take).collect()
}

/// The sums of each part, `width` numbers each, added up in the order of the parts.
pub(crate) fn sum_parts(mut sums: Vec<f32>, width: usize) -> Vec<f32> {
    let (first, rest) = sums.split_at_mut(width);
    rest.chunks(width.max(1)).for_each(|part| first.iter_mut().zip(part).for_each(|(sum, part)| *sum += part));
    sums.truncate(width);
    sums
}

/// `work(part)` for every part, on all threads.
pub(crate) fn for_each_part<T: Send>(parts: Vec<T>, work: impl Fn(T) + Sync) {
    let helpers = count().min(parts.len()).saturating_sub(1);
    let pool = if helpers > 0 { HELPERS.as_ref() } else { None };
    let Some(pool) = pool else { return parts.into_iter().for_each(work) };
    let (queue, done) = (Mutex::new(parts.into_iter()), AtomicUsize::new(0));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take_part = || {
        while let Some(part) = next() {
            work(part);
        }
    };
    pool.in_place_scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|_| {
                take_part();
                done.fetch_add(1, Ordering::Release);
            });
        }
        take_part();
        // One of the helpers has better to do than to wait: it may be the one that the others are waiting for.
        let looks = if pool.current_thread_index().is_none() { LOOKS } else { 0 };
        for look in 1..=looks {
            if done.load(Ordering::Acquire) == helpers {
                break;
            }
            if look.is_multiple_of(PATIENCE) { thread::yield_now() } else { hint::spin_loop() }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn every_part_is_done_once_from_any_thread() {
        let all_are_done = || {
            for count in (0..300).chain([5000]) {
                let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                for_each_part(done.iter().collect(), |done| {
                    done.fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));
            }
        };
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(all_are_done);
            }
        });
        // And from rayon's own threads, all of them at once.
        rayon::scope(|scope| (0..4).for_each(|_| scope.spawn(|_| all_are_done())));
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_threads_usable() {
        let numbers = || (0..8).collect::<Vec<_>>();
        assert!(catch_unwind(AssertUnwindSafe(|| for_each_part(numbers(), |number| panic!("{number}")))).is_err());
        for_each_part(numbers(), |_| {});
        for panicking in [0, 1, 7] {
            let caught =
                catch_unwind(AssertUnwindSafe(|| for_each_part(numbers(), |number| assert_ne!(number, panicking))));
            assert!(caught.is_err());
            for_each_part(numbers(), |_| {});
        }
    }
}
