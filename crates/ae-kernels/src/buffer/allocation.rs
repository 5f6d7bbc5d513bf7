//! The memory that Burn holds behind a tensor of this crate.

use std::{
    mem::{self, ManuallyDrop, MaybeUninit},
    ptr::NonNull,
    slice,
};

use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationError, AllocationProperty};

use super::free_list::recycle;

/// The memory behind a tensor of Burn's.
pub(super) enum Allocation {
    /// All values of the vector are always initialized, since Burn writes only to initialized memory.
    Values(Vec<f32>),
    /// The memory after Burn asked for more room, which must be aligned for any type.
    Grown(Vec<u128>),
}

impl AllocationController for Allocation {
    fn alloc_align(&self) -> usize {
        match self {
            Self::Values(_) => align_of::<f32>(),
            Self::Grown(_) => align_of::<u128>(),
        }
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Native
    }

    unsafe fn memory_mut(&mut self, _: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let capacity = self.capacity();
        let start = match self {
            Self::Values(values) => values.as_mut_ptr().cast(),
            Self::Grown(memory) => memory.as_mut_ptr().cast(),
        };
        // SAFETY: this is the vector's memory up to its capacity. It is borrowed exclusively, and bytes need no
        // alignment.
        Ok(unsafe { slice::from_raw_parts_mut(start, capacity) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let start = match self {
            Self::Values(values) => values.as_ptr().cast(),
            Self::Grown(memory) => memory.as_ptr().cast(),
        };
        // SAFETY: as above, for reading.
        Ok(unsafe { slice::from_raw_parts(start, self.capacity()) })
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Values(values) => values.capacity() * size_of::<f32>(),
            Self::Grown(memory) => memory.capacity() * size_of::<u128>(),
        }
    }

    fn grow(&mut self, size: usize, align: usize) -> Result<(), AllocationError> {
        if align > align_of::<u128>() {
            return Err(AllocationError::UnsupportedOperation);
        }
        let mut grown = Vec::<u128>::new();
        grown.try_reserve_exact(size.div_ceil(size_of::<u128>())).map_err(|_| AllocationError::OutOfMemory)?;
        let mut grown = Self::Grown(grown);
        let length = self.capacity().min(grown.capacity());
        let here = self.memory(AccessPolicy::default()).map_err(|_| AllocationError::UnsupportedOperation)?;
        // SAFETY: only the start of the old memory is copied, so that what was initialized stays initialized.
        let there =
            unsafe { grown.memory_mut(AccessPolicy::default()) }.map_err(|_| AllocationError::UnsupportedOperation)?;
        there[..length].copy_from_slice(&here[..length]);
        *self = grown;
        Ok(())
    }

    fn try_detach(&mut self) -> Option<NonNull<u8>> {
        // This is a vector's memory, so that it can become a vector again. This one is empty afterwards, and there
        // is nothing to return to the list.
        NonNull::new(match self {
            Self::Values(values) => ManuallyDrop::new(mem::take(values)).as_mut_ptr().cast(),
            Self::Grown(memory) => ManuallyDrop::new(mem::take(memory)).as_mut_ptr().cast(),
        })
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        if let Self::Values(values) = self {
            recycle(mem::take(values));
        }
    }
}
