//! The widest vectors that the machine has, and how work is divided among its threads.

use std::{ops::Range, sync::Mutex};

use crate::threads;

/// Declares functions that are compiled three times, for AVX-512, for AVX2 and for any machine, and called in the best way that this one allows.
///
/// Loops over slices in them become vector code. What they call must be `#[inline(always)]`, or it is not compiled with them; so loops are
/// written as `for`, whose parts always are.
macro_rules! vectorised {
    ($($(#[$about:meta])* $visibility:vis fn $name:ident $(<$($kind:ident: $bound:path),+>)? ($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        $(#[$about])*
        $visibility fn $name $(<$($kind: $bound),+>)? ($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body $(<$($kind: $bound),+>)? ($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn avx512 $(<$($kind: $bound),+>)? ($($argument: $type),*) $(-> $result)? {
                    body $(::<$($kind),+>)? ($($argument),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2 $(<$($kind: $bound),+>)? ($($argument: $type),*) $(-> $result)? {
                    body $(::<$($kind),+>)? ($($argument),*)
                }
                match $crate::simd::level() {
                    // SAFETY: the machine has these instructions, says `level`.
                    $crate::simd::Level::Avx512 => return unsafe { avx512 $(::<$($kind),+>)? ($($argument),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { avx2 $(::<$($kind),+>)? ($($argument),*) },
                    $crate::simd::Level::Any => {}
                }
            }
            body $(::<$($kind),+>)? ($($argument),*)
        }
    )*};
}

pub(crate) use vectorised;

/// What the machine's vectors can do; with `AE_KERNELS=avx2` or `AE_KERNELS=any` in the environment, less.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Avx512,
    Avx2,
    Any,
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn level() -> Level {
    use std::sync::LazyLock;
    static LEVEL: LazyLock<Level> = LazyLock::new(|| {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
        let all = avx512 && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512bw");
        let most = std::env::var("AE_KERNELS").ok();
        match (avx2, all, most.as_deref()) {
            (false, ..) | (.., Some("any")) => Level::Any,
            (true, false, _) | (.., Some("avx2")) => Level::Avx2,
            _ => Level::Avx512,
        }
    });
    *LEVEL
}

/// Elementary operations below which a second thread costs more than it saves: some microseconds.
const WORTH_A_THREAD: usize = 1 << 14;

/// How many parts `work` elementary operations are worth, at least 1.
pub(crate) fn parts(work: usize) -> usize {
    if work < 2 * WORTH_A_THREAD { 1 } else { threads::count().min(work / WORTH_A_THREAD) }
}

/// How many parts `work` elementary operations are cut into where each part has a sum of its own: the same on any number of threads, because
/// the order of a sum decides its last bit, and a training has to come out the same wherever it is resumed.
pub(crate) fn sums(work: usize) -> usize {
    (work / WORTH_A_THREAD).clamp(1, 8)
}

/// `work(part)` for every part, on all threads.
pub(crate) fn for_each_part<T: Send>(parts: Vec<T>, work: impl Fn(T) + Sync) {
    if parts.len() <= 1 {
        return parts.into_iter().for_each(work);
    }
    let parts: Vec<Mutex<Option<T>>> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    threads::for_each(parts.len(), &|index| {
        if let Some(part) = parts[index].lock().ok().and_then(|mut part| part.take()) {
            work(part);
        }
    });
}

/// `rows` rows in `parts` runs of about the same length, multiples of 4 where that is possible: their bounds.
pub(crate) fn runs(rows: usize, parts: usize) -> Vec<Range<usize>> {
    let length = rows.div_ceil(parts.max(1)).next_multiple_of(4).max(4);
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
