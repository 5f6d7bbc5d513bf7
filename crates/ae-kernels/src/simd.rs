//! Run-time selection of the widest vector instructions that the CPU has.

/// Declares functions that are compiled three times: for AVX-512, for AVX2, and for any CPU. The version for this CPU
/// is selected when the function is called.
///
/// Loops over slices in the body become vector code. Functions that the body calls must be `#[inline(always)]`, or they
/// are not compiled for the wider instructions. For the same reason loops are written with `for` rather than with
/// closures: the parts of a `for` loop are always inlined.
macro_rules! vectorized {
    ($(
        $(#[$about:meta])*
        $visibility:vis fn $name:ident $(<$($kind:ident: $bound:path),+>)?
        ($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
    )*) => {$(
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
                    // SAFETY: `level` has checked that the CPU has these instructions.
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

pub(crate) use vectorized;

/// The vector instructions to use. In tests of this crate, `AE_KERNELS=avx2` or `AE_KERNELS=any` in the environment
/// limits them to less than the CPU has.
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

/// The limit that a test sets in the environment.
#[cfg(target_arch = "x86_64")]
fn asked() -> Option<String> {
    if cfg!(test) { std::env::var("AE_KERNELS").ok() } else { None }
}

/// Whether the CPU has a fused multiply-add instruction.
///
/// Without one, `mul_add` is a function call, and the kernels are far slower than Burn's own operations. Tests that
/// limit the instructions run the kernels nevertheless.
pub(crate) fn is_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        level() != Level::Any || cfg!(test) && asked().is_some()
    }
    #[cfg(not(target_arch = "x86_64"))]
    cfg!(any(target_arch = "aarch64", target_feature = "fma"))
}
