//! Buffers of `f32` values. Large buffers are kept when they are freed, and reused.
//!
//! A training step allocates and frees the same few dozen large buffers again and again. Some allocators, glibc's among
//! them, return such memory to the system, which provides it as zeroed pages in the next step: each of them costs a
//! page fault, and all of them more time than the arithmetic.
//!
//! So the values of a primitive belong to an [`Allocation`], which puts them into a free list when Burn drops them, on
//! whatever thread. They are an ordinary `Vec` all the while: where Burn takes the `Vec` out, it does not return to the
//! list.

mod allocation;
mod free_list;
#[cfg(test)]
mod tests;

use std::{
    mem::{self, MaybeUninit},
    ops::{Deref, DerefMut},
};

use allocation::Allocation;
use burn_std::Bytes;
pub(crate) use free_list::recycle;
use free_list::{MIN_LEN, reuse};

/// Values that are not initialized yet.
pub(crate) type Unwritten = [MaybeUninit<f32>];

/// `len` zeros.
pub(crate) fn zeros(len: usize) -> Vec<f32> {
    match reuse(len) {
        Some(mut values) => {
            values.clear();
            values.resize(len, 0.0);
            values
        }
        None => vec![0.0; len],
    }
}

/// `len` unspecified values, to be overwritten before they are read.
pub(crate) fn unspecified(len: usize) -> Vec<f32> {
    match reuse(len) {
        Some(mut values) => {
            values.resize(len, 0.0);
            values
        }
        None => vec![0.0; len],
    }
}

/// A copy of `values`.
pub(crate) fn copy(values: &[f32]) -> Vec<f32> {
    match reuse(values.len()) {
        Some(mut copy) => {
            copy.clear();
            copy.extend_from_slice(values);
            copy
        }
        None => values.to_vec(),
    }
}

/// `len` values, written by `fill`.
///
/// # Safety
/// `fill` writes every one of them.
pub(crate) unsafe fn written_by(len: usize, fill: impl FnOnce(&mut Unwritten)) -> Vec<f32> {
    let mut values = reuse(len).unwrap_or_else(|| Vec::with_capacity(len));
    values.clear();
    fill(&mut values.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is at least `len`, and the caller promises that all values were written.
    unsafe { values.set_len(len) };
    values
}

/// The values as Burn holds them. They return to the list when Burn drops them.
pub(crate) fn into_bytes(values: Vec<f32>) -> Bytes {
    if values.capacity() < MIN_LEN {
        return Bytes::from_elems(values);
    }
    let len = size_of_val(values.as_slice());
    // SAFETY: the controller's memory starts with these values, which are initialized.
    unsafe { Bytes::from_controller(Box::new(Allocation::Values(values)), len) }
}

/// A temporary buffer, which returns to the list when it is dropped.
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// A buffer with these values.
    pub(crate) fn of(values: Vec<f32>) -> Self {
        Self(values)
    }

    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Self(zeros(len))
    }

    /// `len` unspecified values.
    pub(crate) fn unspecified(len: usize) -> Self {
        Self(unspecified(len))
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        recycle(mem::take(&mut self.0));
    }
}
