//! Losses of a row: half the squared error, and the cross-entropy of Bernoulli variables.

pub(crate) mod functions;

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
    burn_ops,
    cpu::{self, Operand},
    threads,
};
use functions::Loss;

/// Half the squared error of each row, `1/2 sum_i w_i (x_i - r_i)^2`: `[batch]`.
///
/// The inputs `x`, their reconstructions `r` and the weights `w` are `[batch, d]`. Without weights each is 1.
pub fn squared_error(x: Tensor<2>, r: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    Loss::SquaredError.of(x, r, weights)
}

/// The Bernoulli cross-entropy of each row, `-sum_i w_i (x_i log s(l_i) + (1 - x_i) log(1 - s(l_i)))`: `[batch]`.
///
/// `s` is the logistic function. The inputs `x` (in `[0, 1]`), the logits `l` and the weights `w` are `[batch, d]`.
/// Without weights each is 1.
pub fn bernoulli(x: Tensor<2>, logits: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    Loss::Bernoulli.of(x, logits, weights)
}

/// [`squared_error`] of the probabilities `s(l)` that the logits `l` represent.
pub fn squared_error_of_logits(x: Tensor<2>, logits: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    Loss::SquaredErrorOfLogits.of(x, logits, weights)
}

/// The mean of `values` over the batch: `[batch]` to `[1]`.
pub fn batch_mean(values: Tensor<1>) -> Tensor<1> {
    #[cfg(feature = "gpu")]
    if let Some(mean) = crate::gpu::batch_mean(&values) {
        return mean;
    }
    burn_ops::batch_mean(values)
}

impl Loss {
    fn of(self, x: Tensor<2>, r: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let kernel = || {
            let (x, r) = (Operand::new(&x)?, Operand::new(&r)?);
            let weights = match &weights {
                Some(weights) => Some(Operand::new(weights)?),
                None => None,
            };
            // The kernel has a gradient by the reconstruction only.
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
                Self::SquaredError => burn_ops::squared_error(x, r, weights),
                Self::Bernoulli => burn_ops::bernoulli(x, r, weights),
                Self::SquaredErrorOfLogits => burn_ops::squared_error_of_logits(x, r, weights),
            };
        };
        drop((x, r, weights));
        let context = match &weights_cpu {
            Some(weights) => cpu::context([&x_cpu, &r_cpu, weights]),
            None => cpu::context([&x_cpu, &r_cpu]),
        };
        let autodiff =
            x_cpu.is_autodiff() || r_cpu.is_autodiff() || weights_cpu.as_ref().is_some_and(Operand::is_autodiff);
        let x = cpu::contiguous(x_cpu.into_primitive());
        let weights = weights_cpu.map(|weights| cpu::contiguous(weights.into_primitive()));
        if !autodiff {
            return cpu::plain(self.forward(&x, &cpu::contiguous(r_cpu.into_primitive()), weights.as_ref()));
        }
        let (r, node) = r_cpu.tracked().into_parts();
        let r = cpu::contiguous(r);
        let y = self.forward(&x, &r, weights.as_ref());
        let tracked = match LossBackward(self).prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish((x, r, weights), y),
            OpsKind::UnTracked(op) => op.finish(y),
        };
        cpu::wrap(tracked, context)
    }

    fn forward(self, x: &FlexTensor, r: &FlexTensor, weights: Option<&FlexTensor>) -> FlexTensor {
        let [batch, width] = cpu::dims(x);
        assert_eq!(cpu::dims::<2>(r), [batch, width], "inputs and reconstructions have different shapes");
        let mut sums = vec![0.0; batch];
        let (x, r, weights) = (cpu::values(x), cpu::values(r), weights.map(cpu::values));
        let ranges = threads::row_ranges(batch, threads::part_count(x.len()));
        let parts = ranges.iter().zip(threads::split_rows(&mut sums, &ranges, 1)).collect();
        threads::for_each_part(parts, |(range, sums): (&Range<usize>, &mut [f32])| {
            for (row, sum) in range.clone().zip(sums) {
                let row = row * width..(row + 1) * width;
                let (x, r, weights) = (&x[row.clone()], &r[row.clone()], weights.map(|weights| &weights[row]));
                *sum = self.row(x, r, weights);
            }
        });
        cpu::primitive(sums, [batch])
    }
}

#[derive(Debug)]
struct LossBackward(Loss);

impl Backward<Flex, 1> for LossBackward {
    type State = (FlexTensor, FlexTensor, Option<FlexTensor>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let upstream = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let (x, r, weights) = ops.state;
        let [batch, width] = cpu::dims(&x);
        // In the reconstruction's own buffer, unless that has another owner.
        let mut gradient = cpu::into_vec(r);
        let (x, upstream, weights) = (cpu::values(&x), cpu::values(&upstream), weights.as_ref().map(cpu::values));
        let ranges = threads::row_ranges(batch, threads::part_count(gradient.len()));
        let parts = ranges.iter().zip(threads::split_rows(&mut gradient, &ranges, width)).collect();
        threads::for_each_part(parts, |(range, gradient): (&Range<usize>, &mut [f32])| {
            for (row, gradient) in range.clone().zip(gradient.chunks_exact_mut(width.max(1))) {
                let range = row * width..(row + 1) * width;
                self.0.gradient(gradient, &x[range.clone()], weights.map(|weights| &weights[range]), upstream[row]);
            }
        });
        gradients.register::<Flex>(parent.id, cpu::primitive(gradient, [batch, width]));
    }
}
