//! The losses of a single value, and the vectorized loops that sum them over a row.

use crate::{math, simd::vectorized};

/// The loss of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    SquaredError,
    Bernoulli,
    SquaredErrorOfLogits,
}

impl Loss {
    /// The weighted loss of a row; every weight is 1 without `weights`.
    pub(super) fn row(self, x: &[f32], r: &[f32], weights: Option<&[f32]>) -> f32 {
        match (self, weights) {
            (Self::SquaredError, None) => row_loss(SquaredError, x, r, Ones),
            (Self::SquaredError, Some(weights)) => row_loss(SquaredError, x, r, Given(weights)),
            (Self::Bernoulli, None) => row_loss(Bernoulli, x, r, Ones),
            (Self::Bernoulli, Some(weights)) => row_loss(Bernoulli, x, r, Given(weights)),
            (Self::SquaredErrorOfLogits, None) => row_loss(SquaredErrorOfLogits, x, r, Ones),
            (Self::SquaredErrorOfLogits, Some(weights)) => row_loss(SquaredErrorOfLogits, x, r, Given(weights)),
        }
    }

    /// Replaces a row of the reconstruction by `factor` times the gradient of the loss by it.
    pub(super) fn gradient(self, r: &mut [f32], x: &[f32], weights: Option<&[f32]>, factor: f32) {
        match (self, weights) {
            (Self::SquaredError, None) => row_gradient(SquaredError, r, x, Ones, factor),
            (Self::SquaredError, Some(weights)) => row_gradient(SquaredError, r, x, Given(weights), factor),
            (Self::Bernoulli, None) => row_gradient(Bernoulli, r, x, Ones, factor),
            (Self::Bernoulli, Some(weights)) => row_gradient(Bernoulli, r, x, Given(weights), factor),
            (Self::SquaredErrorOfLogits, None) => row_gradient(SquaredErrorOfLogits, r, x, Ones, factor),
            (Self::SquaredErrorOfLogits, Some(weights)) => {
                row_gradient(SquaredErrorOfLogits, r, x, Given(weights), factor)
            }
        }
    }
}

/// The loss of a single value.
trait Number: Copy {
    fn value(self, x: f32, r: f32) -> f32;
    /// Its derivative by `r`.
    fn slope(self, x: f32, r: f32) -> f32;
}

#[derive(Clone, Copy)]
struct SquaredError;

impl Number for SquaredError {
    #[inline(always)]
    fn value(self, x: f32, r: f32) -> f32 {
        0.5 * (x - r) * (x - r)
    }

    #[inline(always)]
    fn slope(self, x: f32, r: f32) -> f32 {
        r - x
    }
}

#[derive(Clone, Copy)]
struct Bernoulli;

impl Number for Bernoulli {
    #[inline(always)]
    fn value(self, x: f32, l: f32) -> f32 {
        let above = if l < 0.0 { 0.0 } else { l };
        math::fma(-x, l, above) + math::ln_1p_exp(-l.abs())
    }

    #[inline(always)]
    fn slope(self, x: f32, l: f32) -> f32 {
        math::sigmoid(l) - x
    }
}

#[derive(Clone, Copy)]
struct SquaredErrorOfLogits;

impl Number for SquaredErrorOfLogits {
    #[inline(always)]
    fn value(self, x: f32, l: f32) -> f32 {
        SquaredError.value(x, math::sigmoid(l))
    }

    #[inline(always)]
    fn slope(self, x: f32, l: f32) -> f32 {
        let r = math::sigmoid(l);
        (r - x) * math::fma(-r, r, r)
    }
}

/// The weights of a row.
trait Weights: Copy {
    fn at(self, index: usize) -> f32;
}

#[derive(Clone, Copy)]
struct Ones;

impl Weights for Ones {
    #[inline(always)]
    fn at(self, _: usize) -> f32 {
        1.0
    }
}

#[derive(Clone, Copy)]
struct Given<'a>(&'a [f32]);

impl Weights for Given<'_> {
    #[inline(always)]
    fn at(self, index: usize) -> f32 {
        self.0[index]
    }
}

const LANES: usize = 16;

vectorized! {
    /// The weighted sum over a row, in sixteen partial sums.
    fn row_loss<L: Number, W: Weights>(loss: L, x: &[f32], r: &[f32], weights: W) -> f32 {
        let mut sums = [0.0f32; LANES];
        let whole = x.len() / LANES * LANES;
        for (block, (x, r)) in x.chunks_exact(LANES).zip(r.chunks_exact(LANES)).enumerate() {
            for lane in 0..LANES {
                sums[lane] = math::fma(weights.at(block * LANES + lane), loss.value(x[lane], r[lane]), sums[lane]);
            }
        }
        for (index, (x, r)) in x.iter().zip(r).enumerate().skip(whole) {
            sums[index - whole] += weights.at(index) * loss.value(*x, *r);
        }
        sums.iter().sum()
    }

    /// `r = factor w dL/dr`.
    fn row_gradient<L: Number, W: Weights>(loss: L, r: &mut [f32], x: &[f32], weights: W, factor: f32) {
        for (index, (r, x)) in r.iter_mut().zip(x).enumerate() {
            *r = factor * weights.at(index) * loss.slope(*x, *r);
        }
    }
}
