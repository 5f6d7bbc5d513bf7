//! How work is divided among the CPU's threads. There are as many as rayon has: `RAYON_NUM_THREADS` sets their number.
//!
//! A training step is dozens of operations of 10 to 1,000 microseconds, one after the other. Waking a thread costs as
//! much as a small operation. So the calling thread takes part in the work, and all of them spin for a while before
//! they go to sleep ([`helpers`]).
//!
//! The helpers are one thread less than rayon has, or as many while other programs use the cores ([`count`]). They are
//! not those of rayon's global pool, which Burn uses: it would have one thread too many beside a working caller, and
//! two threads take turns on a core.

mod helpers;

use std::{
    ops::Range,
    sync::{LazyLock, Mutex, PoisonError},
};

use helpers::Helpers;

/// The number of threads, including the caller's, where no other program needs their cores.
static COUNT: LazyLock<usize> = LazyLock::new(rayon::current_num_threads);
/// The threads other than the caller's, and one for a crowd.
static HELPERS: LazyLock<Helpers> = LazyLock::new(|| Helpers::new(if *COUNT == 1 { 0 } else { *COUNT }));

/// Elementary operations below which a second thread costs more than it saves; they take a few microseconds.
const WORTH_A_THREAD: usize = 1 << 14;

/// The number of threads that share work, at least 1. While other programs use the cores there is one more than there
/// are cores: whichever thread has lost its core, the others go on. No result depends on it.
pub(crate) fn count() -> usize {
    *COUNT + usize::from(*COUNT > 1 && HELPERS.are_in_a_crowd())
}

/// The number of parts that `work` elementary operations are worth, at least 1.
pub(crate) fn part_count(work: usize) -> usize {
    if work < 2 * WORTH_A_THREAD { 1 } else { count().min(work / WORTH_A_THREAD) }
}

/// The number of parts for `work` elementary operations if each part computes a sum of its own, at least 1.
///
/// It does not depend on the number of threads: the order of a sum decides its last bit, and a training run must give
/// the same numbers wherever it is resumed.
pub(crate) fn reduction_parts(work: usize) -> usize {
    (work / WORTH_A_THREAD).clamp(1, 8)
}

/// Divides `rows` into at most `parts` half-open ranges of about equal length, multiples of 4 where possible.
pub(crate) fn row_ranges(rows: usize, parts: usize) -> Vec<Range<usize>> {
    ranges_of(rows, parts, 4)
}

/// [`row_ranges`] with lengths that are multiples of `unit`.
pub(crate) fn ranges_of(rows: usize, parts: usize, unit: usize) -> Vec<Range<usize>> {
    let length = rows.div_ceil(parts.max(1)).next_multiple_of(unit).max(unit);
    (0..rows).step_by(length).map(|first| first..(first + length).min(rows)).collect()
}

/// Splits `slice`, whose rows are `width` wide, into the rows of each range.
pub(crate) fn split_rows<'a, T>(mut slice: &'a mut [T], ranges: &[Range<usize>], width: usize) -> Vec<&'a mut [T]> {
    let take = |range: &Range<usize>| {
        let (head, tail) = std::mem::take(&mut slice).split_at_mut(range.len() * width);
        slice = tail;
        head
    };
    ranges.iter().map(take).collect()
}

/// Adds up the partial sums of each part, `width` values each, in the order of the parts.
pub(crate) fn sum_parts(mut sums: Vec<f32>, width: usize) -> Vec<f32> {
    let (first, rest) = sums.split_at_mut(width);
    rest.chunks(width.max(1)).for_each(|part| first.iter_mut().zip(part).for_each(|(sum, part)| *sum += part));
    sums.truncate(width);
    sums
}

/// Calls `work(part)` for every part, on all threads.
pub(crate) fn for_each_part<T: Send>(parts: Vec<T>, work: impl Fn(T) + Sync) {
    let helpers = count().min(parts.len()).saturating_sub(1);
    if helpers == 0 {
        return parts.into_iter().for_each(work);
    }
    let queue = Mutex::new(parts.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    HELPERS.run(helpers, &|| {
        while let Some(part) = next() {
            work(part);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

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
        // And from rayon's own threads, all at once.
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
