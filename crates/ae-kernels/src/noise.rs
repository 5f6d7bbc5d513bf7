//! Random tensors, vectorized.
//!
//! Sixteen xoshiro128++ generators (Blackman and Vigna 2021) run side by side. SplitMix64 seeds them from a number of
//! [`random`]: the same seed gives the same numbers, on any number of threads. The Box-Muller transform turns pairs of
//! uniform numbers into pairs of normal ones.

use burn::tensor::Tensor;

use crate::{
    buffer, burn_ops,
    cpu::{self, Operand},
    math,
    random::{self, STEP, mixed},
    simd::vectorized,
    threads,
};

const LANES: usize = 16;
/// Values of one stream of generators, whatever the number of threads.
const STREAM: usize = 1 << 14;

/// Samples from `N(0, std^2)`, with the shape and on the device of `x`.
pub fn normal_like<const D: usize>(x: &Tensor<D>, std: f64) -> Tensor<D> {
    drawn_like(x, |values, seed| normals(values, std as f32, seed)).unwrap_or_else(|| burn_ops::normal_like(x, std))
}

/// Samples of 1 and -1 with equal probability, with the shape and on the device of `x`.
pub fn signs_like<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    drawn_like(x, signs).unwrap_or_else(|| burn_ops::signs_like(x))
}

/// Samples from `[0, 1)`, multiples of `2^-24`, with the shape and on the device of `x`.
pub fn uniform_like<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    drawn_like(x, uniforms).unwrap_or_else(|| burn_ops::uniform_like(x))
}

/// Samples of 1 with the probability `chance` (rounded to a multiple of `2^-24`) and of 0 otherwise, with the shape and
/// on the device of `x`.
pub fn bernoulli_like<const D: usize>(x: &Tensor<D>, chance: f64) -> Tensor<D> {
    drawn_like(x, |values, seed| ones(values, chance as f32, seed))
        .unwrap_or_else(|| burn_ops::bernoulli_like(x, chance))
}

/// A tensor like `x` that `fill(values of a stream, its seed)` writes; `None` where there is no kernel for `x`.
fn drawn_like<const D: usize>(x: &Tensor<D>, fill: impl Fn(&mut [f32], u64) + Sync) -> Option<Tensor<D>> {
    let operand = Operand::new(x)?;
    let seed = random::next(&x.device().inner());
    let shape = operand.primitive().layout().shape().clone();
    let mut values = buffer::unspecified(shape.num_elements());
    let streams: Vec<_> = values.chunks_mut(STREAM).enumerate().collect();
    threads::for_each_part(streams, |(stream, values): (usize, &mut [f32])| {
        fill(values, seed.wrapping_add(stream as u64))
    });
    let noise = cpu::primitive(values, shape);
    Some(match operand.is_autodiff() {
        true => cpu::wrap(cpu::Tracked::new(noise), cpu::context([&operand])),
        false => cpu::plain(noise),
    })
}

/// Sixteen generators; their state is `state[i][lane]`.
struct Generators([[u32; LANES]; 4]);

impl Generators {
    fn new(seed: u64) -> Self {
        let mut counter = seed.wrapping_mul(0xd134_2543_de82_ef95);
        let mut next = || {
            counter = counter.wrapping_add(STEP);
            (mixed(counter) >> 32) as u32
        };
        Self(std::array::from_fn(|_| std::array::from_fn(|_| next())))
    }

    /// Sixteen uniform numbers in `[0, 1)`, multiples of `2^-24`.
    #[inline(always)]
    fn uniforms(&mut self) -> [f32; LANES] {
        let [s0, s1, s2, s3] = &mut self.0;
        let mut out = [0.0; LANES];
        for lane in 0..LANES {
            let result = s0[lane].wrapping_add(s3[lane]).rotate_left(7).wrapping_add(s0[lane]);
            let shifted = s1[lane] << 9;
            s2[lane] ^= s0[lane];
            s3[lane] ^= s1[lane];
            s1[lane] ^= s2[lane];
            s0[lane] ^= s3[lane];
            s2[lane] ^= shifted;
            s3[lane] = s3[lane].rotate_left(11);
            out[lane] = (result >> 8) as f32 * (1.0 / 16_777_216.0);
        }
        out
    }
}

vectorized! {
    fn signs(values: &mut [f32], seed: u64) {
        let mut generators = Generators::new(seed);
        for block in values.chunks_mut(LANES) {
            let uniforms = generators.uniforms();
            let mut drawn = [0.0f32; LANES];
            for lane in 0..LANES {
                drawn[lane] = if uniforms[lane] < 0.5 { -1.0 } else { 1.0 };
            }
            block.copy_from_slice(&drawn[..block.len()]);
        }
    }

    fn uniforms(values: &mut [f32], seed: u64) {
        let mut generators = Generators::new(seed);
        for block in values.chunks_mut(LANES) {
            block.copy_from_slice(&generators.uniforms()[..block.len()]);
        }
    }

    fn ones(values: &mut [f32], chance: f32, seed: u64) {
        let mut generators = Generators::new(seed);
        for block in values.chunks_mut(LANES) {
            let uniforms = generators.uniforms();
            let mut drawn = [0.0f32; LANES];
            for lane in 0..LANES {
                drawn[lane] = if uniforms[lane] < chance { 1.0 } else { 0.0 };
            }
            block.copy_from_slice(&drawn[..block.len()]);
        }
    }

    fn normals(values: &mut [f32], std: f32, seed: u64) {
        let mut generators = Generators::new(seed);
        for block in values.chunks_mut(2 * LANES) {
            let (radius, angle) = (generators.uniforms(), generators.uniforms());
            let mut pair = [0.0f32; 2 * LANES];
            for lane in 0..LANES {
                // 1 - u lies in (0, 1], so that its logarithm is finite.
                let size = std * (-2.0 * math::ln(1.0 - radius[lane])).max(0.0).sqrt();
                let (sin, cos) = math::sin_cos_turns(angle[lane]);
                pair[lane] = size * cos;
                pair[LANES + lane] = size * sin;
            }
            block.copy_from_slice(&pair[..block.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn signs_are_fair_and_independent() {
        let x = Tensor::<2>::zeros([300, 1001], &Device::flex());
        let values = signs_like(&x).into_data().iter::<f32>().collect::<Vec<_>>();
        assert!(values.iter().all(|value| value.abs() == 1.0));
        let bound = 4.0 / (values.len() as f64).sqrt();
        let mean = |products: &mut dyn Iterator<Item = f32>| products.map(f64::from).sum::<f64>() / values.len() as f64;
        assert!(mean(&mut values.iter().copied()).abs() < bound);
        for step in [1, LANES, 1001] {
            assert!(mean(&mut values.iter().zip(&values[step..]).map(|(a, b)| a * b)).abs() < bound, "{step} apart");
        }
    }

    #[test]
    fn uniform_and_bernoulli_samples_have_their_moments() {
        let x = Tensor::<2>::zeros([300, 1001], &Device::flex());
        let numbers = |drawn: Tensor<2>| drawn.into_data().iter::<f32>().map(f64::from).collect::<Vec<_>>();
        let n = 300.0 * 1001.0;
        let (values, ones) = (numbers(uniform_like(&x)), numbers(bernoulli_like(&x, 0.2)));
        assert!(values.iter().all(|value| (0.0..1.0).contains(value)));
        let (mean, square) =
            (values.iter().sum::<f64>() / n, values.iter().map(|value| value * value).sum::<f64>() / n);
        assert!(
            (mean - 0.5).abs() < 4.0 * (1.0 / 12.0 / n).sqrt()
                && (square - 1.0 / 3.0).abs() < 4.0 * (4.0 / 45.0 / n).sqrt()
        );
        let share = ones.iter().sum::<f64>() / n;
        assert!(
            ones.iter().all(|one| *one == 0.0 || *one == 1.0) && (share - 0.2).abs() < 4.0 * (0.16 / n).sqrt(),
            "{share}"
        );
    }

    #[test]
    fn the_noise_is_normal_and_follows_the_seed() {
        let device = Device::flex();
        let x = Tensor::<2>::zeros([200, 1001], &device);
        let draw = || normal_like(&x, 2.0).into_data().iter::<f32>().collect::<Vec<_>>();
        let values = draw();
        let n = values.len() as f64;
        let moment = |power: i32| values.iter().map(|v| f64::from(*v / 2.0).powi(power)).sum::<f64>() / n;
        // Four standard deviations of each moment's mean. The variance of a power is (2p - 1)!! minus a square.
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let error: f64 = moment(power) - expected;
            assert!(error.abs() < 4.0 * f64::sqrt(variance / n), "moment {power} is off by {error}");
        }
        let beyond = values.iter().filter(|v| v.abs() > 4.0).count() as f64 / n; // two standard deviations
        assert!(
            (beyond - 0.0455).abs() < 4.0 * (0.0455 * 0.9545 / n).sqrt(),
            "{beyond} beyond two standard deviations"
        );
        let neighbors = values.windows(2).map(|pair| f64::from(pair[0] * pair[1]) / 4.0).sum::<f64>() / n;
        assert!(neighbors.abs() < 4.0 / n.sqrt(), "neighbors correlate: {neighbors}");
        assert!(values != draw());
        let seeded = || random::seeded(7, &device, draw);
        assert!(seeded() == seeded());
    }
}
