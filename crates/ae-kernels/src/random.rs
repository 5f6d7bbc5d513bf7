//! Where random numbers come from: a generator of this thread while it works [`seeded`], else the device's.
//!
//! Burn has one generator for all CPU tensors of a process. Two trainings on two threads that drew from it would take
//! each other's numbers, and each would end in other weights than alone. What this crate draws inside of [`seeded`]
//! depends on the seed alone. What Burn draws itself (`Tensor::random`, `Initializer`) does so inside of [`alone`].

use std::{
    cell::Cell,
    sync::{Mutex, MutexGuard, PoisonError},
};

use burn::tensor::{Device, Distribution, Int, Tensor};

/// Whoever seeds a device's generator and relies on it.
static DEVICES: Mutex<()> = Mutex::new(());

thread_local! {
    /// The state of this thread's generator, while it has one.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    /// Whether this thread is [`alone`].
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// SplitMix64 (Steele, Lea and Flood 2014): a number of the sequence that begins at `state`.
pub(crate) fn mixed(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The step of the sequence's state.
pub(crate) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Puts something back when it is dropped, also by a panic.
struct Restore<T: Copy + 'static>(&'static std::thread::LocalKey<Cell<T>>, T);

impl<T: Copy> Drop for Restore<T> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

fn set<T: Copy>(place: &'static std::thread::LocalKey<Cell<T>>, value: T) -> Restore<T> {
    Restore(place, place.replace(value))
}

fn lock() -> Option<MutexGuard<'static, ()>> {
    (!ALONE.get()).then(|| DEVICES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Does the work with random numbers that depend on the seed alone, whatever other threads draw: those of this crate's
/// kernels on CPU tensors. The generator of `device` is seeded, too, for whatever else is drawn from it, which other
/// threads may do.
pub fn seeded<T>(seed: u64, device: &Device, work: impl FnOnce() -> T) -> T {
    let _before = set(&STATE, Some(seed));
    let guard = lock();
    device.seed(seed);
    drop(guard);
    work()
}

/// Does the work with random numbers of the device's generator that depend on the seed alone: no other thread is in
/// here or begins [`seeded`](fn@seeded) work meanwhile. Threads that draw by Burn's functions without asking take some
/// of the numbers. For short work that draws by Burn's own functions, such as the first weights of a model.
pub fn alone<T>(seed: u64, device: &Device, work: impl FnOnce() -> T) -> T {
    let _state = set(&STATE, None);
    let _guard = lock();
    let _alone = set(&ALONE, true);
    device.seed(seed);
    work()
}

/// The next seed for a kernel that draws: of this thread's generator if it has one, else two words of the device's.
pub(crate) fn next(device: &Device) -> u64 {
    match STATE.get() {
        Some(state) => {
            STATE.set(Some(state.wrapping_add(STEP)));
            mixed(state.wrapping_add(STEP))
        }
        None => {
            let words =
                Tensor::<1, Int>::random([2], Distribution::Uniform(0.0, f64::from(i32::MAX)), device).into_data();
            words.iter::<u32>().fold(0u64, |seed, word| seed << 32 | u64::from(word))
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::{bernoulli_like, normal_like, uniform_like};

    fn draws(seed: u64) -> Vec<f32> {
        let device = Device::flex();
        let x = Tensor::<2>::zeros([30, 40], &device);
        let draw = || [normal_like(&x, 1.0), uniform_like(&x), bernoulli_like(&x, 0.3)];
        let drawn = seeded(seed, &device, || [draw(), draw()]);
        drawn.into_iter().flatten().flat_map(|tensor| tensor.into_data().iter::<f32>().collect::<Vec<_>>()).collect()
    }

    #[test]
    fn threads_do_not_take_each_others_numbers() {
        let one_after_the_other = [draws(1), draws(2)];
        assert!(one_after_the_other[0] != one_after_the_other[1]);
        for _ in 0..20 {
            let both = std::thread::scope(|scope| {
                let threads = [1, 2].map(|seed| scope.spawn(move || draws(seed)));
                threads.map(|thread| thread.join().unwrap())
            });
            assert!(both == one_after_the_other);
        }
    }

    #[test]
    fn what_burn_draws_is_drawn_alone() {
        let device = Device::flex();
        let burn = |seed| {
            let draw = || Tensor::<2>::random([50, 50], Distribution::Uniform(0.0, 1.0), &device);
            alone(seed, &device, || [draw(), draw()]).map(|tensor| tensor.into_data().iter::<f32>().collect::<Vec<_>>())
        };
        let expected = burn(5);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| (0..200).for_each(|seed| drop(draws(seed))));
            for _ in 0..50 {
                assert!(burn(5) == expected);
            }
            other.join().unwrap();
        });
    }

    #[test]
    fn work_within_work_has_numbers_of_its_own() {
        let device = Device::flex();
        let x = Tensor::<1>::zeros([4], &device);
        let draw = || uniform_like(&x).into_data().iter::<f32>().collect::<Vec<_>>();
        let plain = seeded(3, &device, || [draw(), draw()]);
        let nested = seeded(3, &device, || {
            let first = draw();
            let inner = seeded(4, &device, draw);
            assert!(inner != first && alone(1, &device, || 7) == 7);
            [first, draw()]
        });
        assert_eq!(plain, nested);
        assert!(STATE.get().is_none() && !ALONE.get());
    }
}
