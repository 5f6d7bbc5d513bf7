//! Losses of a row: half the squared error, and the cross-entropy of Bernoulli variables.

use std::ops::Range;

use burn::{
    backend::{
        Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
    },
    tensor::Tensor,
};

use crate::{
    by_burn,
    cpu::{self, Operand},
    math,
    simd::vectorised,
    threads,
};

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    SquaredError,
    Bernoulli,
    SquaredErrorOfLogits,
}

/// `1/2 sum_i w_i (x_i - r_i)^2` of each row, `[batch]`, of the inputs `x` and their reconstructions `r`, both `[batch,
/// d]`; every weight is 1 if there are none.
pub fn squared_error(x: Tensor<2>, r: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    Loss::SquaredError.of(x, r, weights)
}

/// `-sum_i w_i (x_i log s(l_i) + (1 - x_i) log(1 - s(l_i)))` of each row, `[batch]`, with the logistic function `s`, of
/// the inputs `x` and the logits `l`, both `[batch, d]`.
pub fn bernoulli(x: Tensor<2>, logits: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    Loss::Bernoulli.of(x, logits, weights)
}

/// [`squared_error`] of the probabilities `s(l)` that the logits `l` stand for.
pub fn squared_error_of_logits(x: Tensor<2>, logits: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    Loss::SquaredErrorOfLogits.of(x, logits, weights)
}

/// The mean over the batch of `values`, `[batch]` to `[1]`.
pub fn batch_mean(values: Tensor<1>) -> Tensor<1> {
    #[cfg(feature = "gpu")]
    if let Some(mean) = crate::gpu::batch_mean(&values) {
        return mean;
    }
    by_burn::batch_mean(values)
}

#[cfg(feature = "gpu")]
impl Loss {
    /// Names of its operations, by which a GPU's fusion knows them.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SquaredError => "ae_squared_error",
            Self::Bernoulli => "ae_bernoulli",
            Self::SquaredErrorOfLogits => "ae_squared_error_of_logits",
        }
    }

    /// The same of its gradient.
    pub(crate) fn gradient_name(self) -> &'static str {
        match self {
            Self::SquaredError => "ae_squared_error_gradient",
            Self::Bernoulli => "ae_bernoulli_gradient",
            Self::SquaredErrorOfLogits => "ae_squared_error_of_logits_gradient",
        }
    }
}

impl Loss {
    fn of(self, x: Tensor<2>, r: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let kernel = || {
            let (x, r) = (Operand::new(&x)?, Operand::new(&r)?);
            let weights = match &weights {
                Some(weights) => Some(Operand::new(weights)?),
                None => None,
            };
            // Its gradient is that of the reconstruction alone.
            let constant = !x.is_tracked() && !weights.as_ref().is_some_and(Operand::is_tracked);
            let same = |other: &Operand| other.primitive().layout().shape() == x.primitive().layout().shape();
            (constant && same(&r) && weights.as_ref().is_none_or(same)).then_some((x, r, weights))
        };
        let Some((x_cpu, r_cpu, weights_cpu)) = kernel() else {
            #[cfg(feature = "gpu")]
            if let Some(rows) = crate::gpu::loss(self, &x, &r, weights.as_ref()) {
                return rows;
            }
            return match self {
                Self::SquaredError => by_burn::squared_error(x, r, weights),
                Self::Bernoulli => by_burn::bernoulli(x, r, weights),
                Self::SquaredErrorOfLogits => by_burn::squared_error_of_logits(x, r, weights),
            };
        };
        drop((x, r, weights));
        let context = match &weights_cpu {
            Some(weights) => cpu::context([&x_cpu, &r_cpu, weights]),
            None => cpu::context([&x_cpu, &r_cpu]),
        };
        let autodiff =
            x_cpu.is_autodiff() || r_cpu.is_autodiff() || weights_cpu.as_ref().is_some_and(Operand::is_autodiff);
        let x = cpu::in_order(x_cpu.into_primitive());
        let weights = weights_cpu.map(|weights| cpu::in_order(weights.into_primitive()));
        if !autodiff {
            return cpu::plain(self.forward(&x, &cpu::in_order(r_cpu.into_primitive()), weights.as_ref()));
        }
        let (r, node) = r_cpu.tracked().into_parts();
        let r = cpu::in_order(r);
        let y = self.forward(&x, &r, weights.as_ref());
        let tracked = match Step(self).prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, r, weights), y),
            OpsKind::UnTracked(step) => step.finish(y),
        };
        cpu::wrap(tracked, context)
    }

    fn forward(self, x: &FlexTensor, r: &FlexTensor, weights: Option<&FlexTensor>) -> FlexTensor {
        let [batch, width] = cpu::dims(x);
        assert_eq!(cpu::dims::<2>(r), [batch, width], "inputs and reconstructions of different shapes");
        let mut sums = vec![0.0; batch];
        let (x, r, weights) = (cpu::numbers(x), cpu::numbers(r), weights.map(cpu::numbers));
        let runs = threads::runs(batch, threads::parts(x.len()));
        let parts = runs.iter().zip(threads::cut(&mut sums, &runs, 1)).collect();
        threads::for_each_part(parts, |(run, sums): (&Range<usize>, &mut [f32])| {
            for (row, sum) in run.clone().zip(sums) {
                let row = row * width..(row + 1) * width;
                let (x, r, weights) = (&x[row.clone()], &r[row.clone()], weights.map(|weights| &weights[row]));
                *sum = match (self, weights) {
                    (Self::SquaredError, None) => row_loss(SquaredError, x, r, Ones),
                    (Self::SquaredError, Some(weights)) => row_loss(SquaredError, x, r, Given(weights)),
                    (Self::Bernoulli, None) => row_loss(Bernoulli, x, r, Ones),
                    (Self::Bernoulli, Some(weights)) => row_loss(Bernoulli, x, r, Given(weights)),
                    (Self::SquaredErrorOfLogits, None) => row_loss(SquaredErrorOfLogits, x, r, Ones),
                    (Self::SquaredErrorOfLogits, Some(weights)) => row_loss(SquaredErrorOfLogits, x, r, Given(weights)),
                };
            }
        });
        cpu::primitive(sums, [batch])
    }

    /// `factor` times the gradient of a row by the reconstruction, in its place.
    fn gradient(self, r: &mut [f32], x: &[f32], weights: Option<&[f32]>, factor: f32) {
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

/// A loss of one number.
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

/// Weights of a row.
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

vectorised! {
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

#[derive(Debug)]
struct Step(Loss);

impl Backward<Flex, 1> for Step {
    type State = (FlexTensor, FlexTensor, Option<FlexTensor>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let upstream = cpu::in_order(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let (x, r, weights) = ops.state;
        let [batch, width] = cpu::dims(&x);
        // The reconstruction's own buffer, unless somebody else still reads it.
        let mut gradient = cpu::into_vec(r);
        let (x, upstream, weights) = (cpu::numbers(&x), cpu::numbers(&upstream), weights.as_ref().map(cpu::numbers));
        let runs = threads::runs(batch, threads::parts(gradient.len()));
        let parts = runs.iter().zip(threads::cut(&mut gradient, &runs, width)).collect();
        threads::for_each_part(parts, |(run, gradient): (&Range<usize>, &mut [f32])| {
            for (row, gradient) in run.clone().zip(gradient.chunks_exact_mut(width.max(1))) {
                let range = row * width..(row + 1) * width;
                self.0.gradient(gradient, &x[range.clone()], weights.map(|weights| &weights[range]), upstream[row]);
            }
        });
        gradients.register::<Flex>(parent.id, cpu::primitive(gradient, [batch, width]));
    }
}
