//! Buffers that are reused, and Burn on top of them.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use burn_std::{AllocationProperty, SplitPolicy};

use super::{
    free_list::{FreeList, IDLE, MAX_KEPT, MIN_LEN},
    *,
};

/// A length that no other test uses; each test here uses another one.
const LEN: usize = 3_000_000;

fn count(capacity: usize) -> usize {
    FreeList::lock().sizes.get(&capacity).map_or(0, |size| size.free.len())
}

#[test]
fn dropped_buffers_are_reused() {
    let first = into_bytes(zeros(LEN));
    let place = first.as_ptr();
    drop(first);
    for turn in 0..50 {
        let values = match turn % 4 {
            0 => unspecified(LEN),
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
    // A slightly shorter request gets the buffer too, a much shorter one does not.
    let less = unspecified(LEN - LEN / 10);
    assert_eq!((less.as_ptr().cast(), less.len()), (place, LEN - LEN / 10));
    drop(into_bytes(less));
    let much_less = unspecified(LEN / 2);
    assert_eq!((much_less.len(), count(LEN)), (LEN / 2, 1));
    drop(unspecified(LEN));
    assert_eq!(count(LEN), 0, "a vector that Burn never held is not kept");
}

#[test]
fn foreign_buffers_do_not_accumulate() {
    let len = LEN - LEN / 4;
    for _ in 0..10 {
        drop(into_bytes(vec![0.0; len]));
    }
    assert_eq!(count(len), 0);
}

#[test]
fn buffers_are_returned_from_any_thread() {
    let len = 2 * LEN;
    let bytes = into_bytes(zeros(len));
    let place = bytes.as_ptr() as usize;
    thread::spawn(move || drop(bytes)).join().expect("no panic");
    let again = Scratch::zeros(len);
    assert_eq!(again.as_ptr() as usize, place);
    drop(again);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| drop(into_bytes(unspecified(len)))));
        }
    });
    assert!(count(len) <= 4);
}

#[test]
fn burn_uses_the_buffers_like_its_own() {
    let values = || (0..MIN_LEN + 1).map(|i| i as f32).collect::<Vec<f32>>();
    let mut bytes = into_bytes(values());
    assert!(bytes.as_ptr().cast::<f32>().is_aligned() && bytes.align() == align_of::<f32>());
    assert_eq!((bytes.len(), bytes.property()), (4 * (MIN_LEN + 1), AllocationProperty::Native));
    // Writing happens in place, and a copy keeps the old values.
    let (before, place) = (bytes.clone(), bytes.as_ptr());
    bytes[..4].copy_from_slice(&7.5f32.to_ne_bytes());
    assert!(bytes.as_ptr() == place && before[..4] == 0.0f32.to_ne_bytes() && bytes[4..] == before[4..]);
    // Growing takes another allocation, twice.
    for more in [vec![1, 2, 3], vec![4; 20 * MIN_LEN + 3]] {
        let length = bytes.len();
        bytes.extend_from_byte_slice(&more);
        assert!(
            bytes[4..4 * (MIN_LEN + 1)] == before[4..]
                && bytes[length..] == more
                && bytes.align() == align_of::<u128>()
        );
    }
    assert!(bytes.try_into_vec::<f32>().is_err(), "a vector of another alignment");
    // Taking the vector out needs no copy, and it is not kept afterwards.
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
    // More capacity than values.
    let mut roomy = Vec::with_capacity(2 * MIN_LEN);
    roomy.extend([1.0f32; 10]);
    let mut bytes = into_bytes(roomy);
    bytes.extend_from_byte_slice_aligned(&2.0f32.to_ne_bytes(), 4);
    assert_eq!(bytes.try_into_vec::<f32>().expect("its own type")[9..], [1.0, 2.0]);
}

#[test]
fn idle_and_excess_buffers_are_freed() {
    let mut free = FreeList { sizes: BTreeMap::new(), total: 0, is_watched: true };
    assert!(free.put(vec![0.0; MIN_LEN]).is_some(), "no such buffer was missing");
    for len in [MIN_LEN, MIN_LEN, MIN_LEN, 2 * MIN_LEN, MAX_KEPT - 4 * MIN_LEN, MAX_KEPT] {
        assert!(free.take(len).is_none());
    }
    for len in [MIN_LEN, MIN_LEN, 2 * MIN_LEN] {
        assert!(free.put(vec![0.0; len]).is_none());
    }
    assert!(free.put(vec![0.0; 2 * MIN_LEN]).is_some(), "only one of them was missing");
    assert!(free.put(Vec::with_capacity(MAX_KEPT)).is_some(), "the list would be too large");
    let now = Instant::now();
    thread::sleep(Duration::from_millis(2));
    assert!(free.put(vec![0.0; MIN_LEN]).is_none() && free.total == 5 * MIN_LEN);
    assert_eq!(free.take_idle(now + Duration::from_millis(1)).len(), 3);
    assert_eq!((free.total, free.take_idle(now).len()), (MIN_LEN, 0));
    assert!(free.take(MIN_LEN).is_some() && free.total == 0);
    free.take_idle(Instant::now() + IDLE);
    assert!(free.sizes.is_empty());
    // The thread frees buffers without any request.
    let len = 3 * LEN;
    drop(into_bytes(zeros(len)));
    assert_eq!(count(len), 1);
    thread::sleep(3 * IDLE);
    assert_eq!(count(len), 0);
}
