//! Panics that are expected: of a library that panics on a damaged file instead of returning an error.
//!
//! The process has one panic hook, and it belongs to the program. So nothing is silenced here; a program that prints
//! panics, or ends on them, asks [`expected`] first.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// What `work` gives; nothing if it panics.
///
/// ```
/// assert_eq!(ae_data::caught::caught(|| 1), Some(1));
/// assert_eq!(ae_data::caught::caught(|| panic!("damaged")), None::<i32>);
/// ```
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    DEPTH.set(DEPTH.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    result.ok()
}

/// Whether a panic of this thread, now, is caught by [`caught`]: for panic hooks.
pub fn expected() -> bool {
    DEPTH.get() > 0
}
