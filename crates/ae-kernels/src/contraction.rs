//! The squared norm of the derivative of one layer, `||diag(phi'(z)) W^T||_F^2 = sum_j phi'(z_j)^2 sum_i W_ij^2` (Rifai
//! et al. 2011a).
//!
//! Written in tensor operations, this passes over the weights eight times per step; here it does so once forward and
//! once backward.

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
    Activation, buffer,
    cpu::{self, Operand},
    math,
    simd::vectorized,
    threads::{self, sum_parts},
};

/// `sum_j phi'_j^2 sum_i W_ij^2` of each row, `[batch]`.
///
/// `h` (`[batch, d_out]`) holds the values `phi(x W + b)`; `weight` is `[d_in, d_out]`. `None` where there is no kernel
/// for the tensors, and for GELU and SiLU, whose slopes do not follow from their values.
pub fn layer_jacobian_norm2(h: &Tensor<2>, weight: &Tensor<2>, activation: Activation) -> Option<Tensor<1>> {
    if activation.keeps_slopes() {
        return None;
    }
    let (Some(h_cpu), Some(w_cpu)) = (Operand::new(h), Operand::new(weight)) else {
        #[cfg(feature = "gpu")]
        return crate::gpu::layer_jacobian_norm2(h, weight, activation);
        #[cfg(not(feature = "gpu"))]
        return None;
    };
    (h.dims()[1] > 0).then_some(())?;
    let autodiff = h_cpu.is_autodiff() || w_cpu.is_autodiff();
    let context = cpu::context([&h_cpu, &w_cpu]);
    if !autodiff {
        let [h, w] = [h_cpu, w_cpu].map(|operand| cpu::contiguous(operand.into_primitive()));
        return Some(cpu::plain(forward(&h, &column_norms(&w), activation)));
    }
    let (h, h_node) = h_cpu.tracked().into_parts();
    let (w, w_node) = w_cpu.tracked().into_parts();
    let [h, w] = [h, w].map(cpu::contiguous);
    let norms = column_norms(&w);
    let y = forward(&h, &norms, activation);
    let tracked = match (ContractionBackward { activation })
        .prepare::<NoCheckpointing>([h_node, w_node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(op) => op.finish(ContractionState { h, w, norms }, y),
        OpsKind::UnTracked(op) => op.finish(y),
    };
    Some(cpu::wrap(tracked, context))
}

vectorized! {
    /// Adds the squares of each row to `sums`.
    fn add_squares(rows: &[f32], sums: &mut [f32]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum = math::fma(*value, *value, *sum);
            }
        }
    }

    /// `out = 2 w factor_j` in every row.
    fn scale_columns(out: &mut [f32], w: &[f32], factors: &[f32]) {
        for (out, w) in out.chunks_exact_mut(factors.len()).zip(w.chunks_exact(factors.len())) {
            for ((out, w), factor) in out.iter_mut().zip(w).zip(factors) {
                *out = 2.0 * *w * *factor;
            }
        }
    }
}

/// `sum_i W_ij^2`.
fn column_norms(w: &FlexTensor) -> Vec<f32> {
    let [rows, width] = cpu::dims(w);
    let w = cpu::values(w);
    let ranges = threads::row_ranges(rows, threads::reduction_parts(w.len()));
    let mut sums = vec![0.0; ranges.len().max(1) * width];
    if width > 0 {
        let parts = ranges.iter().zip(sums.chunks_mut(width)).collect();
        threads::for_each_part(parts, |(range, sums): (&Range<usize>, &mut [f32])| {
            add_squares(&w[range.start * width..range.end * width], sums)
        });
    }
    sum_parts(sums, width)
}

fn forward(h: &FlexTensor, norms: &[f32], activation: Activation) -> FlexTensor {
    let [batch, width] = cpu::dims(h);
    assert_eq!(norms.len(), width, "the code and the weights have different widths");
    let (h, mut y) = (cpu::values(h), vec![0.0; batch]);
    // Each row is summed by one thread: the number of threads does not change the result.
    let ranges = threads::row_ranges(batch, threads::part_count(h.len()));
    let parts = ranges.iter().zip(threads::split_rows(&mut y, &ranges, 1)).collect();
    threads::for_each_part(parts, |(range, y): (&Range<usize>, &mut [f32])| {
        let rows = h[range.start * width..range.end * width].chunks_exact(width.max(1));
        y.iter_mut().zip(rows).for_each(|(y, row)| *y = activation.squared_slopes(row, norms));
    });
    cpu::primitive(y, [batch])
}

#[derive(Debug)]
struct ContractionBackward {
    activation: Activation,
}

#[derive(Debug, Clone)]
struct ContractionState {
    h: FlexTensor,
    w: FlexTensor,
    norms: Vec<f32>,
}

impl Backward<Flex, 2> for ContractionBackward {
    type State = ContractionState;

    fn backward(self, ops: Ops<ContractionState, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let ContractionState { h, w, norms } = ops.state;
        let ([batch, width], [d_in, _]) = (cpu::dims(&h), cpu::dims(&w));
        let [h_node, w_node] = ops.parents;
        // The gradient by the columns' norms: `sum over the batch of g phi'^2`.
        let mut dh = buffer::unspecified(batch * width);
        let ranges = threads::row_ranges(batch, threads::reduction_parts(dh.len()));
        let mut sums = vec![0.0; ranges.len().max(1) * width];
        let (numbers, upstream) = (cpu::values(&h), cpu::values(&gradient));
        let parts = ranges
            .iter()
            .zip(threads::split_rows(&mut dh, &ranges, width))
            .zip(sums.chunks_mut(width.max(1)))
            .collect();
        type Part<'a> = ((&'a Range<usize>, &'a mut [f32]), &'a mut [f32]);
        threads::for_each_part(parts, |((range, dh), factors): Part| {
            let h = numbers[range.start * width..range.end * width].chunks_exact(width.max(1));
            for ((dh, h), gradient) in dh.chunks_exact_mut(width.max(1)).zip(h).zip(&upstream[range.clone()]) {
                self.activation.squared_slopes_gradient(h, &norms, *gradient, dh, factors);
            }
        });
        let factors = sum_parts(sums, width);
        if let Some(node) = h_node {
            gradients.register::<Flex>(node.id, cpu::primitive(dh, [batch, width]));
        }
        if let Some(node) = w_node {
            let w = cpu::values(&w);
            let mut dw = buffer::unspecified(w.len());
            let ranges = threads::row_ranges(d_in, threads::part_count(w.len()));
            let parts = ranges.iter().zip(threads::split_rows(&mut dw, &ranges, width)).collect();
            if width > 0 {
                threads::for_each_part(parts, |(range, dw): (&Range<usize>, &mut [f32])| {
                    scale_columns(dw, &w[range.start * width..range.end * width], &factors);
                });
            }
            gradients.register::<Flex>(node.id, cpu::primitive(dw, [d_in, width]));
        }
    }
}
