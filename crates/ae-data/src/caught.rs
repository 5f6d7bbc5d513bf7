//! Expected panics: some libraries panic on a damaged file instead of returning an error.
//!
//! The panic hook belongs to the program, so nothing is silenced here. A hook that prints panics or ends the program
//! should check [`expected`] first.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// The result of `work`; `None` if it panics.
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

/// Whether a panic of this thread would be caught by [`caught`] at this moment. For panic hooks.
pub fn expected() -> bool {
    DEPTH.get() > 0
}
