//! Buffers of numbers; large ones are kept when they are freed, for the next that needs as many.
//!
//! A training step takes and frees the same few dozen large buffers again and again. Some allocators, glibc's among
//! them, return such memory to the system, which hands it out as pages of zeros at the next step: each of them a fault,
//! and longer in all than the arithmetic. So a primitive's numbers belong to a [`Lent`], which puts them into a list
//! when Burn drops them, on whatever thread. They are an ordinary `Vec` all the while: where Burn wants one, it takes
//! it out, and the list never sees it again.

use std::{
    collections::BTreeMap,
    mem::{self, ManuallyDrop, MaybeUninit},
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationError, AllocationProperty, Bytes};

/// Numbers that nobody has written yet.
pub(crate) type Unwritten = [MaybeUninit<f32>];

/// Numbers of the smallest buffer that is kept: 64 KiB, below which every allocator keeps what it is given back.
const LARGE: usize = (64 << 10) / size_of::<f32>();
/// Numbers that are kept at most, 256 MiB: what goes beyond is freed.
const MOST: usize = (256 << 20) / size_of::<f32>();
/// How long a buffer is kept that nobody asks for.
const IDLE: Duration = Duration::from_secs(1);

/// What was freed and not asked for again.
struct Free {
    /// By the numbers that they have room for.
    sizes: BTreeMap<usize, Size>,
    /// Numbers of all buffers that are kept.
    numbers: usize,
    /// Whether somebody comes by for those that nobody asks for.
    is_watched: bool,
}

/// Buffers of one size.
struct Size {
    /// Those that are kept, in the order in which they came.
    free: Vec<(Vec<f32>, Instant)>,
    /// How often there was none: how many can be in use at once. No more are kept, or buffers that Burn allocates and
    /// a kernel only hands on would pile up here.
    missed: usize,
    /// When one was asked for.
    asked: Instant,
}

static FREE: Mutex<Free> = Mutex::new(Free { sizes: BTreeMap::new(), numbers: 0, is_watched: false });

impl Free {
    fn lock() -> MutexGuard<'static, Self> {
        FREE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last buffer that came of the smallest size with room for `len` numbers, unless that is a quarter more than
    /// needed.
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let now = Instant::now();
        for (capacity, size) in self.sizes.range_mut(len..=len + len / 4) {
            if let Some((buffer, _)) = size.free.pop() {
                size.asked = now;
                self.numbers -= capacity;
                return Some(buffer);
            }
        }
        let size = self.sizes.entry(len).or_insert(Size { free: Vec::new(), missed: 0, asked: now });
        size.missed += 1;
        size.asked = now;
        None
    }

    /// Keeps a buffer, or gives it back where it is not missed or there are too many.
    fn put(&mut self, buffer: Vec<f32>) -> Option<Vec<f32>> {
        let capacity = buffer.capacity();
        let is_missed = self.sizes.get(&capacity).is_some_and(|size| size.free.len() < size.missed);
        if !is_missed || self.numbers + capacity > MOST || !self.watch() {
            return Some(buffer);
        }
        if let Some(size) = self.sizes.get_mut(&capacity) {
            self.numbers += capacity;
            size.free.push((buffer, Instant::now()));
        }
        None
    }

    /// Has a thread come by for what is idle, as long as there is anything; whether there is one.
    fn watch(&mut self) -> bool {
        if !self.is_watched {
            self.is_watched = thread::Builder::new().name("kernels-idle".to_string()).spawn(watch).is_ok();
        }
        self.is_watched
    }

    /// Takes out what came before `then`.
    fn take_idle(&mut self, then: Instant) -> Vec<Vec<f32>> {
        let mut idle = Vec::new();
        self.sizes.retain(|_, size| {
            let count = size.free.partition_point(|(_, since)| *since < then);
            idle.extend(size.free.drain(..count).map(|(buffer, _)| buffer));
            size.missed = size.missed.saturating_sub(count);
            !size.free.is_empty() || size.asked >= then
        });
        self.numbers -= idle.iter().map(Vec::capacity).sum::<usize>();
        idle
    }
}

/// Frees what is idle, until there is nothing left.
fn watch() {
    loop {
        thread::sleep(IDLE);
        let mut free = Free::lock();
        let idle = Instant::now().checked_sub(IDLE).map(|then| free.take_idle(then));
        free.is_watched = !free.sizes.is_empty();
        let done = !free.is_watched;
        // To free them takes a while: not while others wait for the list.
        drop(free);
        drop(idle);
        if done {
            return;
        }
    }
}

/// A buffer that was kept, with whatever numbers.
fn kept(len: usize) -> Option<Vec<f32>> {
    if len < LARGE { None } else { Free::lock().take(len) }
}

/// Keeps a buffer for the next that needs one.
pub(crate) fn keep(buffer: Vec<f32>) {
    if buffer.capacity() >= LARGE {
        let rest = Free::lock().put(buffer);
        drop(rest);
    }
}

/// `len` zeros.
pub(crate) fn zeros(len: usize) -> Vec<f32> {
    match kept(len) {
        Some(mut values) => {
            values.clear();
            values.resize(len, 0.0);
            values
        }
        None => vec![0.0; len],
    }
}

/// `len` numbers, whatever they are: to be written to before they are read.
pub(crate) fn numbers(len: usize) -> Vec<f32> {
    match kept(len) {
        Some(mut values) => {
            values.resize(len, 0.0);
            values
        }
        None => vec![0.0; len],
    }
}

/// A copy of these numbers.
pub(crate) fn copy(values: &[f32]) -> Vec<f32> {
    match kept(values.len()) {
        Some(mut copy) => {
            copy.clear();
            copy.extend_from_slice(values);
            copy
        }
        None => values.to_vec(),
    }
}

/// `len` numbers, written by `fill`.
///
/// # Safety
/// `fill` writes every one of them.
pub(crate) unsafe fn written_by(len: usize, fill: impl FnOnce(&mut Unwritten)) -> Vec<f32> {
    let mut values = kept(len).unwrap_or_else(|| Vec::with_capacity(len));
    values.clear();
    fill(&mut values.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is there, and the caller says that all of it was written.
    unsafe { values.set_len(len) };
    values
}

/// The numbers as Burn holds them, who gives them back when it drops them.
pub(crate) fn into_bytes(values: Vec<f32>) -> Bytes {
    if values.capacity() < LARGE {
        return Bytes::from_elems(values);
    }
    let len = size_of_val(values.as_slice());
    // SAFETY: the controller's memory starts with these numbers, which are initialized.
    unsafe { Bytes::from_controller(Box::new(Lent::Numbers(values)), len) }
}

/// Numbers that are needed for a moment.
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// Numbers that are read no more afterwards.
    pub(crate) fn of(values: Vec<f32>) -> Self {
        Self(values)
    }

    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Self(zeros(len))
    }

    /// `len` numbers, whatever they are.
    pub(crate) fn numbers(len: usize) -> Self {
        Self(numbers(len))
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
        keep(mem::take(&mut self.0));
    }
}

/// What Burn holds.
enum Lent {
    /// All of the vector's numbers are initialized at any time, since Burn may write only what is.
    Numbers(Vec<f32>),
    /// What became of them when Burn asked for more room, which it wants aligned for any type.
    Grown(Vec<u128>),
}

impl AllocationController for Lent {
    fn alloc_align(&self) -> usize {
        match self {
            Self::Numbers(_) => align_of::<f32>(),
            Self::Grown(_) => align_of::<u128>(),
        }
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Native
    }

    unsafe fn memory_mut(&mut self, _: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let capacity = self.capacity();
        let start = match self {
            Self::Numbers(numbers) => numbers.as_mut_ptr().cast(),
            Self::Grown(memory) => memory.as_mut_ptr().cast(),
        };
        // SAFETY: the vector's memory, all of its capacity; nobody else has it while it is borrowed, and bytes need no
        // alignment.
        Ok(unsafe { slice::from_raw_parts_mut(start, capacity) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let start = match self {
            Self::Numbers(numbers) => numbers.as_ptr().cast(),
            Self::Grown(memory) => memory.as_ptr().cast(),
        };
        // SAFETY: as above, to read.
        Ok(unsafe { slice::from_raw_parts(start, self.capacity()) })
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.capacity() * size_of::<f32>(),
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
        // SAFETY: what is written is the start of the old memory, of which as much as was initialized stays so.
        let there =
            unsafe { grown.memory_mut(AccessPolicy::default()) }.map_err(|_| AllocationError::UnsupportedOperation)?;
        there[..length].copy_from_slice(&here[..length]);
        *self = grown;
        Ok(())
    }

    fn try_detach(&mut self) -> Option<NonNull<u8>> {
        // It is a vector's memory, so that it can become one again; this one is then empty, and there is nothing to
        // keep.
        NonNull::new(match self {
            Self::Numbers(numbers) => ManuallyDrop::new(mem::take(numbers)).as_mut_ptr().cast(),
            Self::Grown(memory) => ManuallyDrop::new(mem::take(memory)).as_mut_ptr().cast(),
        })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Self::Numbers(numbers) = self {
            keep(mem::take(numbers));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_std::SplitPolicy;

    use super::*;

    /// So many numbers as no other test asks for, and another size for each test here.
    const LEN: usize = 3_000_000;

    fn count(capacity: usize) -> usize {
        Free::lock().sizes.get(&capacity).map_or(0, |size| size.free.len())
    }

    #[test]
    fn what_burn_drops_is_used_again_and_there_is_never_more_of_it() {
        let first = into_bytes(zeros(LEN));
        let place = first.as_ptr();
        drop(first);
        for turn in 0..50 {
            let values = match turn % 4 {
                0 => numbers(LEN),
                1 => zeros(LEN),
                2 => copy(&vec![1.0; LEN]),
                // SAFETY: `fill` writes all of it.
                _ => unsafe {
                    written_by(LEN, |out| {
                        out.fill(MaybeUninit::new(2.0));
                    })
                },
            };
            assert_eq!((values.as_ptr().cast(), values.len(), values.capacity()), (place, LEN, LEN));
            assert!(turn % 4 != 1 || values.iter().all(|value| *value == 0.0));
            drop(into_bytes(values));
            assert_eq!(count(LEN), 1);
        }
        // A little less takes it, too, much less does not.
        let less = numbers(LEN - LEN / 10);
        assert_eq!((less.as_ptr().cast(), less.len()), (place, LEN - LEN / 10));
        drop(into_bytes(less));
        let much_less = numbers(LEN / 2);
        assert_eq!((much_less.len(), count(LEN)), (LEN / 2, 1));
        drop(numbers(LEN));
        assert_eq!(count(LEN), 0, "a vector of its own is not kept");
    }

    #[test]
    fn what_others_allocate_does_not_pile_up() {
        let len = LEN - LEN / 4;
        for _ in 0..10 {
            drop(into_bytes(vec![0.0; len]));
        }
        assert_eq!(count(len), 0);
    }

    #[test]
    fn threads_give_back_what_another_took() {
        let len = 2 * LEN;
        let bytes = into_bytes(zeros(len));
        let place = bytes.as_ptr() as usize;
        thread::spawn(move || drop(bytes)).join().expect("nothing to panic about");
        let again = Scratch::zeros(len);
        assert_eq!(again.as_ptr() as usize, place);
        drop(again);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| drop(into_bytes(numbers(len)))));
            }
        });
        assert!(count(len) <= 4);
    }

    #[test]
    fn burn_reads_writes_and_takes_them_as_it_does_its_own() {
        let values = || (0..LARGE + 1).map(|i| i as f32).collect::<Vec<f32>>();
        let mut bytes = into_bytes(values());
        assert!(bytes.as_ptr().cast::<f32>().is_aligned() && bytes.align() == align_of::<f32>());
        assert_eq!((bytes.len(), bytes.property()), (4 * (LARGE + 1), AllocationProperty::Native));
        // In place, and a copy keeps what it was.
        let (before, place) = (bytes.clone(), bytes.as_ptr());
        bytes[..4].copy_from_slice(&7.5f32.to_ne_bytes());
        assert!(bytes.as_ptr() == place && before[..4] == 0.0f32.to_ne_bytes() && bytes[4..] == before[4..]);
        // Longer, which takes another allocation, and once more.
        for more in [vec![1, 2, 3], vec![4; 20 * LARGE + 3]] {
            let length = bytes.len();
            bytes.extend_from_byte_slice(&more);
            assert!(
                bytes[4..4 * (LARGE + 1)] == before[4..]
                    && bytes[length..] == more
                    && bytes.align() == align_of::<u128>()
            );
        }
        assert!(bytes.try_into_vec::<f32>().is_err(), "a vector of another alignment");
        // As a vector, without a copy; then it is kept no longer.
        let bytes = into_bytes(values());
        let place = bytes.as_ptr();
        let vector = bytes.try_into_vec::<f32>().expect("its own type");
        assert_eq!((vector.as_ptr().cast(), &vector), (place, &values()));
        assert!(into_bytes(vector).try_into_vec::<u8>().is_err(), "a vector of another alignment");
        for policy in [SplitPolicy::Shared, SplitPolicy::Owned] {
            let (mut left, right) = into_bytes(values()).split(8, policy).expect("inside");
            left[0] = 9;
            assert_eq!((left.len(), &right[..4]), (8, &2.0f32.to_ne_bytes()[..]));
        }
        let shared = into_bytes(values()).shared();
        assert_eq!(shared.view(4, 8).expect("inside")[..], 1.0f32.to_ne_bytes());
        // More room than numbers.
        let mut roomy = Vec::with_capacity(2 * LARGE);
        roomy.extend([1.0f32; 10]);
        let mut bytes = into_bytes(roomy);
        bytes.extend_from_byte_slice_aligned(&2.0f32.to_ne_bytes(), 4);
        assert_eq!(bytes.try_into_vec::<f32>().expect("its own type")[9..], [1.0, 2.0]);
    }

    #[test]
    fn what_is_idle_or_too_much_goes() {
        let mut free = Free { sizes: BTreeMap::new(), numbers: 0, is_watched: true };
        assert!(free.put(vec![0.0; LARGE]).is_some(), "nobody missed it");
        for len in [LARGE, LARGE, LARGE, 2 * LARGE, MOST - 4 * LARGE, MOST] {
            assert!(free.take(len).is_none());
        }
        for len in [LARGE, LARGE, 2 * LARGE] {
            assert!(free.put(vec![0.0; len]).is_none());
        }
        assert!(free.put(vec![0.0; 2 * LARGE]).is_some(), "nobody missed two of them");
        assert!(free.put(Vec::with_capacity(MOST)).is_some(), "too much");
        let now = Instant::now();
        thread::sleep(Duration::from_millis(2));
        assert!(free.put(vec![0.0; LARGE]).is_none() && free.numbers == 5 * LARGE);
        assert_eq!(free.take_idle(now + Duration::from_millis(1)).len(), 3);
        assert_eq!((free.numbers, free.take_idle(now).len()), (LARGE, 0));
        assert!(free.take(LARGE).is_some() && free.numbers == 0);
        free.take_idle(Instant::now() + IDLE);
        assert!(free.sizes.is_empty());
        // And without anybody asking.
        let len = 3 * LEN;
        drop(into_bytes(zeros(len)));
        assert_eq!(count(len), 1);
        thread::sleep(3 * IDLE);
        assert_eq!(count(len), 0);
    }
}
