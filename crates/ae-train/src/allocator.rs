//! The allocator for programs that train: mimalloc, configured to keep freed memory for some time.
//!
//! A training step allocates the same megabytes as the step before. By default mimalloc returns freed pages to the
//! operating system after 10 ms, so that each step gets some of them again, zeroed: 4% of the time of an epoch on
//! Fashion-MNIST. Here they are kept for ten seconds.
#![allow(unsafe_code)] // one call of mimalloc, which is C

pub use mimalloc::MiMalloc as Allocator;

/// `mi_option_purge_delay`, in milliseconds; the bindings do not name it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Its default value, which verifies that this is the intended option.
const DEFAULT_DELAY: std::ffi::c_long = 10;

/// Keeps freed memory for ten seconds, unless `MIMALLOC_PURGE_DELAY` says otherwise.
pub fn keep_freed_memory() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_some() {
        return;
    }
    // SAFETY: options may be read and written at any time; an invalid index is ignored.
    unsafe {
        if libmimalloc_sys::mi_option_get(PURGE_DELAY) == DEFAULT_DELAY {
            libmimalloc_sys::mi_option_set(PURGE_DELAY, 10_000);
        }
    }
}
