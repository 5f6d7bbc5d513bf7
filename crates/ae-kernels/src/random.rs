//! The source of random numbers: a generator of this thread inside [`seeded`], and the device's generator elsewhere.
//!
//! Burn has one generator for all CPU tensors of a process. Two training runs on two threads that share it take each
//! other's numbers, so that each ends with other weights than it would by itself.
//!
//! The numbers that this crate draws inside [`seeded`] depend only on the seed. Those that Burn draws itself
//! (`Tensor::random`, `Initializer`) depend only on the seed inside [`alone`].

use std::{
    cell::Cell,
    sync::{Mutex, MutexGuard, PoisonError},
};

use burn::tensor::{Device, Distribution, Int, Tensor};

/// Held while a device's generator is seeded, and while code relies on that seed.
static DEVICES: Mutex<()> = Mutex::new(());

thread_local! {
    /// The state of this thread's generator, if it has one.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    /// Whether this thread is inside [`alone`].
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// The output function of SplitMix64 (Steele, Lea and Flood 2014) for the state `state`.
pub(crate) fn mixed(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The increment of SplitMix64's state.
pub(crate) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Restores a thread-local value when it is dropped, also during a panic.
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

/// Runs `work` so that the random numbers of this crate's CPU kernels depend only on `seed`, whatever other threads
/// draw.
///
/// The generator of `device` is seeded as well, for numbers that are drawn from it in other ways. Other threads may
/// draw from that generator meanwhile.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::default();
/// let x = Tensor::<2>::zeros([2, 3], &device);
/// let noise = || ae_kernels::seeded(7, &device, || ae_kernels::normal_like(&x, 1.0)).into_data();
/// assert_eq!(noise(), noise());
/// ```
pub fn seeded<T>(seed: u64, device: &Device, work: impl FnOnce() -> T) -> T {
    let _before = set(&STATE, Some(seed));
    let guard = lock();
    device.seed(seed);
    drop(guard);
    work()
}

/// Runs `work` so that random numbers from the generator of `device` depend only on `seed`: no other thread runs
/// `alone` or starts [`seeded`](fn@seeded) work meanwhile.
///
/// It is meant for short work that draws with Burn's own functions, such as the initial weights of a model. Threads
/// that use Burn's functions outside `alone` and [`seeded`](fn@seeded) still take numbers of the same generator.
pub fn alone<T>(seed: u64, device: &Device, work: impl FnOnce() -> T) -> T {
    let _state = set(&STATE, None);
    let _guard = lock();
    let _alone = set(&ALONE, true);
    device.seed(seed);
    work()
}

/// The next seed for a kernel that draws: from this thread's generator if it has one, otherwise two words from the
/// device's.
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
    fn burns_random_numbers_are_reproducible_inside_alone() {
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
    fn nested_work_has_its_own_numbers() {
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
