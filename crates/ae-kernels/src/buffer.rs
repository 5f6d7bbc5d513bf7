//! New buffers that are written once, not zeroed first.

use std::mem::MaybeUninit;

/// Numbers that nobody has written yet.
pub(crate) type Unwritten = [MaybeUninit<f32>];

/// `len` numbers, written by `fill`.
///
/// # Safety
/// `fill` writes every one of them.
pub(crate) unsafe fn written_by(len: usize, fill: impl FnOnce(&mut Unwritten)) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    fill(&mut values.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is there, and the caller says that all of it was written.
    unsafe { values.set_len(len) };
    values
}
