//! Activations of slices, in vectorized loops.

use super::functions::{
    Elu, Function, Gelu, Identity, LeakyRelu, Relu, Sigmoid, Silu, SlopeFromValue, SlopeKept, Softplus, Tanh,
};
use crate::{Activation, math, simd::vectorized};

/// Runs `$work` with `$function` bound to the activation's [`Function`].
macro_rules! with_function {
    ($activation:expr, |$function:ident| $work:expr) => {
        match $activation {
            Activation::Gelu => {
                let $function = Gelu;
                $work
            }
            Activation::Silu => {
                let $function = Silu;
                $work
            }
            activation => with_slope_from_value!(activation, |$function| $work),
        }
    };
}

/// As [`with_function`], for the activations that are [`SlopeKept`].
macro_rules! with_slope_kept {
    ($activation:expr, |$function:ident| $work:expr) => {
        match $activation {
            Activation::Gelu => {
                let $function = Gelu;
                $work
            }
            Activation::Silu => {
                let $function = Silu;
                $work
            }
            _ => unreachable!("its slope follows from its value"),
        }
    };
}

/// As [`with_function`], for the activations that are [`SlopeFromValue`].
macro_rules! with_slope_from_value {
    ($activation:expr, |$function:ident| $work:expr) => {
        match $activation {
            Activation::Identity => {
                let $function = Identity;
                $work
            }
            Activation::Relu => {
                let $function = Relu;
                $work
            }
            Activation::LeakyRelu(below) => {
                assert!(below > 0.0, "the slope of a leaky ReLU must be positive, not {below}");
                let $function = LeakyRelu(below as f32);
                $work
            }
            Activation::Elu => {
                let $function = Elu;
                $work
            }
            Activation::Tanh => {
                let $function = Tanh;
                $work
            }
            Activation::Sigmoid => {
                let $function = Sigmoid;
                $work
            }
            Activation::Softplus => {
                let $function = Softplus;
                $work
            }
            Activation::Gelu | Activation::Silu => unreachable!("its slope does not follow from its value"),
        }
    };
}

vectorized! {
    fn apply<F: Function>(function: F, z: &mut [f32], bias: f32) {
        for z in z {
            *z = function.value(*z + bias);
        }
    }

    fn apply_biased<F: Function>(function: F, rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (z, b) in row.iter_mut().zip(bias) {
                *z = function.value(*z + b);
            }
        }
    }

    /// [`apply`], which also writes the slopes.
    fn apply_sloped<F: SlopeKept>(function: F, z: &mut [f32], bias: f32, slopes: &mut [f32]) {
        for (z, slope) in z.iter_mut().zip(slopes) {
            (*z, *slope) = function.both(*z + bias);
        }
    }

    fn apply_biased_sloped<F: SlopeKept>(function: F, rows: &mut [f32], bias: &[f32], slopes: &mut [f32]) {
        for (row, slopes) in rows.chunks_exact_mut(bias.len()).zip(slopes.chunks_exact_mut(bias.len())) {
            for ((z, slope), b) in row.iter_mut().zip(slopes).zip(bias) {
                (*z, *slope) = function.both(*z + b);
            }
        }
    }

    /// Replaces `z` by its value and `t` by its tangent.
    fn push_forward<F: SlopeKept>(function: F, z: &mut [f32], t: &mut [f32]) {
        for (z, t) in z.iter_mut().zip(t) {
            let (y, slope) = function.both(*z);
            (*z, *t) = (y, *t * slope);
        }
    }

    fn pull_back<F: Function>(function: F, gradient: &mut [f32], kept: &[f32]) {
        for (g, kept) in gradient.iter_mut().zip(kept) {
            *g = function.backward(*g, *kept);
        }
    }

    fn pull_back_rows<F: Function>(function: F, gradient: &mut [f32], kept: &[f32], sums: &mut [f32]) -> usize {
        let mut active = 0;
        for (row, kept) in gradient.chunks_exact_mut(sums.len()).zip(kept.chunks_exact(sums.len())) {
            // Wrapping addition, although a row is never long enough to overflow: an overflow check for each value
            // would prevent vectorization in a debug build.
            let mut count = 0u32;
            for ((g, kept), sum) in row.iter_mut().zip(kept).zip(sums.iter_mut()) {
                *g = function.backward(*g, *kept);
                *sum += *g;
                count = count.wrapping_add(u32::from(*g != 0.0));
            }
            active += count as usize;
        }
        active
    }

    /// [`Activation::pull_back_pair`].
    fn pull_back_pair<F: SlopeFromValue>(
        function: F,
        by_value: &mut [f32],
        by_tangent: &mut [f32],
        y: &[f32],
        u: &[f32],
        sums: &mut [f32],
    ) {
        let width = sums.len();
        let gradients = by_value.chunks_exact_mut(width).zip(by_tangent.chunks_exact_mut(width));
        for ((by_value, by_tangent), (y, u)) in gradients.zip(y.chunks_exact(width).zip(u.chunks_exact(width))) {
            for (((dz, du), (y, u)), sum) in
                by_value.iter_mut().zip(by_tangent.iter_mut()).zip(y.iter().zip(u)).zip(sums.iter_mut())
            {
                let (slope, change) = function.slope(*y);
                *dz = slope * math::fma(*du * *u, change, *dz);
                *du *= slope;
                *sum += *dz;
            }
        }
    }

    /// `sum_j phi'(y_j)^2 factors_j`, in sixteen partial sums.
    fn squared_slopes<F: SlopeFromValue>(function: F, y: &[f32], factors: &[f32]) -> f32 {
        let mut sums = [0.0f32; 16];
        let mut add = |lane: usize, y: f32, factor: f32| {
            let (slope, _) = function.slope(y);
            sums[lane] = math::fma(slope * slope, factor, sums[lane]);
        };
        let ((blocks, rest), (factors, factors_rest)) = (y.as_chunks::<16>(), factors.as_chunks::<16>());
        for (block, factors) in blocks.iter().zip(factors) {
            for lane in 0..16 {
                add(lane, block[lane], factors[lane]);
            }
        }
        for (lane, (y, factor)) in rest.iter().zip(factors_rest).enumerate() {
            add(lane, *y, *factor);
        }
        sums.iter().sum()
    }

    /// The gradient of [`squared_slopes`]: by `y`, times `gradient`, written to `dy`; by the factors, times
    /// `gradient`, added to `totals`.
    fn squared_slopes_gradient<F: SlopeFromValue>(
        function: F,
        y: &[f32],
        factors: &[f32],
        gradient: f32,
        dy: &mut [f32],
        totals: &mut [f32],
    ) {
        for ((y, factor), (dy, total)) in y.iter().zip(factors).zip(dy.iter_mut().zip(totals.iter_mut())) {
            let (slope, change) = function.slope(*y);
            *dy = 2.0 * gradient * *factor * slope * change;
            *total = math::fma(gradient * slope, slope, *total);
        }
    }

    /// Adds the sums of the columns of `rows` to `sums`; returns the number of values that are not 0.
    pub(crate) fn sum_rows(rows: &[f32], sums: &mut [f32]) -> usize {
        let mut active = 0;
        for row in rows.chunks_exact(sums.len()) {
            let mut count = 0u32;
            for (value, sum) in row.iter().zip(sums.iter_mut()) {
                *sum += *value;
                count = count.wrapping_add(u32::from(*value != 0.0));
            }
            active += count as usize;
        }
        active
    }
}

impl Activation {
    /// Whether the backward pass reads the slopes of the forward pass instead of its values.
    ///
    /// Such an activation is not monotonic: neither the position of its largest values nor its derivative follows
    /// from the values of a layer.
    pub(crate) fn keeps_slopes(self) -> bool {
        matches!(self, Self::Gelu | Self::Silu)
    }

    /// `z = phi(z)`.
    pub(crate) fn apply(self, z: &mut [f32]) {
        self.apply_shifted(z, 0.0);
    }

    /// `z = phi(z + bias)`.
    pub(crate) fn apply_shifted(self, z: &mut [f32], bias: f32) {
        with_function!(self, |function| apply(function, z, bias));
    }

    /// `z = phi(z + bias)` in every row.
    pub(crate) fn apply_biased(self, rows: &mut [f32], bias: &[f32]) {
        if !bias.is_empty() {
            with_function!(self, |function| apply_biased(function, rows, bias));
        }
    }

    /// `z = phi(z + bias)`; also writes `phi'(z + bias)` to `slopes`, if given.
    pub(crate) fn apply_shifted_keeping(self, z: &mut [f32], bias: f32, slopes: Option<&mut [f32]>) {
        match slopes {
            Some(slopes) => with_slope_kept!(self, |function| apply_sloped(function, z, bias, slopes)),
            None => self.apply_shifted(z, bias),
        }
    }

    /// As [`apply_shifted_keeping`](Self::apply_shifted_keeping) in every row, with a bias for each column.
    pub(crate) fn apply_biased_keeping(self, rows: &mut [f32], bias: &[f32], slopes: Option<&mut [f32]>) {
        match slopes {
            Some(slopes) if !bias.is_empty() => {
                with_slope_kept!(self, |function| apply_biased_sloped(function, rows, bias, slopes))
            }
            _ => self.apply_biased(rows, bias),
        }
    }

    /// Replaces `z` by `phi(z)` and `t` by `phi'(z) t`.
    pub(super) fn push_forward(self, z: &mut [f32], t: &mut [f32]) {
        if self.keeps_slopes() {
            with_slope_kept!(self, |function| push_forward(function, z, t));
        } else {
            self.apply(z);
            self.pull_back(t, z);
        }
    }

    /// Replaces the gradients by the value `y = phi(z)` and by the tangent `phi'(z) u` by those by `z` and `u`, in
    /// every row. The sums of the columns of the former are added to `sums`, which is as long as a row.
    pub(crate) fn pull_back_pair(
        self,
        by_value: &mut [f32],
        by_tangent: &mut [f32],
        y: &[f32],
        u: &[f32],
        sums: &mut [f32],
    ) {
        with_slope_from_value!(self, |function| pull_back_pair(function, by_value, by_tangent, y, u, sums));
    }

    /// `sum_j phi'(y_j)^2 factors_j`.
    pub(crate) fn squared_slopes(self, y: &[f32], factors: &[f32]) -> f32 {
        with_slope_from_value!(self, |function| squared_slopes(function, y, factors))
    }

    /// The gradient of [`squared_slopes`](Self::squared_slopes): by `y`, times `gradient`, written to `dy`; by the
    /// factors, times `gradient`, added to `totals`.
    pub(crate) fn squared_slopes_gradient(
        self,
        y: &[f32],
        factors: &[f32],
        gradient: f32,
        dy: &mut [f32],
        totals: &mut [f32],
    ) {
        with_slope_from_value!(self, |function| squared_slopes_gradient(function, y, factors, gradient, dy, totals));
    }

    /// `gradient *= phi'`, where `kept` holds the values of `phi`, or its slopes where those are kept.
    pub(crate) fn pull_back(self, gradient: &mut [f32], kept: &[f32]) {
        with_function!(self, |function| pull_back(function, gradient, kept));
    }

    /// `gradient *= phi'` in every row. The sums of its columns are added to `sums`. Returns the number of values that
    /// are not 0.
    pub(crate) fn pull_back_rows(self, gradient: &mut [f32], kept: &[f32], sums: &mut [f32]) -> usize {
        with_function!(self, |function| pull_back_rows(function, gradient, kept, sums))
    }
}
