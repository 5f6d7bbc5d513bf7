//! The widest vectors that the machine has.

/// Declares functions that are compiled three times, for AVX-512, for AVX2 and for any machine, and called in the best
/// way that this one allows.
///
/// Loops over slices in them become vector code. What they call must be `#[inline(always)]`, or it is not compiled with
/// them; so loops are written as `for`, whose parts always are.
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

/// What the machine's vectors can do; in tests of this crate less, with `AE_KERNELS=avx2` or `AE_KERNELS=any` in the
/// environment.
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
        let most = asked();
        match (avx2, all, most.as_deref()) {
            (false, ..) | (.., Some("any")) => Level::Any,
            (true, false, _) | (.., Some("avx2")) => Level::Avx2,
            _ => Level::Avx512,
        }
    });
    *LEVEL
}

/// What a test asks for.
#[cfg(target_arch = "x86_64")]
fn asked() -> Option<String> {
    if cfg!(test) { std::env::var("AE_KERNELS").ok() } else { None }
}

/// Whether this machine has an instruction that multiplies and adds. Without one each step of a kernel would be a call
/// of a function, far slower than Burn's own operations; where a test asks for less than the machine has, the kernels
/// run nevertheless.
pub(crate) fn is_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        level() != Level::Any || cfg!(test) && asked().is_some()
    }
    #[cfg(not(target_arch = "x86_64"))]
    cfg!(any(target_arch = "aarch64", target_feature = "fma"))
}
