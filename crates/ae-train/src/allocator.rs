//! The allocator of programs that train: mimalloc, told to keep what is freed for a moment.
//!
//! A training step allocates the same megabytes as the one before. By default mimalloc gives freed pages back after 10
//! ms, so that each step gets some of them anew and zeroed by the operating system, which was 4% of the time of an
//! epoch on Fashion-MNIST; here they stay for ten seconds.
#![allow(unsafe_code)] // one call of mimalloc's, which is C

pub use mimalloc::MiMalloc as Allocator;

/// `mi_option_purge_delay`, in milliseconds; the bindings do not name it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Its default, by which it is known to be the option that is meant.
const DEFAULT_DELAY: std::ffi::c_long = 10;

/// Keeps freed memory for ten seconds, unless `MIMALLOC_PURGE_DELAY` says otherwise.
pub fn keep_freed_memory() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_some() {
        return;
    }
    // SAFETY: reading and writing an option is defined at any time; an index that is none is ignored.
    unsafe {
        if libmimalloc_sys::mi_option_get(PURGE_DELAY) == DEFAULT_DELAY {
            libmimalloc_sys::mi_option_set(PURGE_DELAY, 10_000);
        }
    }
}
