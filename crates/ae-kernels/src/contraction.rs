//! The squared norm of the derivative of one layer, `||diag(phi'(z)) W^T||_F^2 = sum_j phi'(z_j)^2 sum_i W_ij^2` (Rifai
//! et al. 2011a).
//!
//! Written out in tensor operations this goes over the weights eight times a step; here once forward and once backward.

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
    simd::vectorised,
    threads::{self, sum_parts},
};

/// `sum_j phi'_j^2 sum_i W_ij^2` of each row, `[batch]`: `h` (`[batch, d_out]`) holds the values `phi(x W + b)`,
/// `weight` is `[d_in, d_out]`. None where there is no kernel for the tensors, and for GELU and SiLU, whose values do
/// not say their slopes.
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
        let [h, w] = [h_cpu, w_cpu].map(|operand| cpu::in_order(operand.into_primitive()));
        return Some(cpu::plain(forward(&h, &column_norms(&w), activation)));
    }
    let (h, h_node) = h_cpu.tracked().into_parts();
    let (w, w_node) = w_cpu.tracked().into_parts();
    let [h, w] = [h, w].map(cpu::in_order);
    let norms = column_norms(&w);
    let y = forward(&h, &norms, activation);
    let tracked = match (Step { activation }).prepare::<NoCheckpointing>([h_node, w_node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(State { h, w, norms }, y),
        OpsKind::UnTracked(step) => step.finish(y),
    };
    Some(cpu::wrap(tracked, context))
}

vectorised! {
    /// Adds the squares of each row to `sums`.
    fn add_squares(rows: &[f32], sums: &mut [f32]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum = math::fma(*value, *value, *sum);
            }
        }
    }

    /// `w = 2 w factor_j` in every row.
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
    let w = cpu::numbers(w);
    let runs = threads::runs(rows, threads::sums(w.len()));
    let mut sums = vec![0.0; runs.len().max(1) * width];
    if width > 0 {
        let parts = runs.iter().zip(sums.chunks_mut(width)).collect();
        threads::for_each_part(parts, |(run, sums): (&Range<usize>, &mut [f32])| {
            add_squares(&w[run.start * width..run.end * width], sums)
        });
    }
    sum_parts(sums, width)
}

fn forward(h: &FlexTensor, norms: &[f32], activation: Activation) -> FlexTensor {
    let [batch, width] = cpu::dims(h);
    assert_eq!(norms.len(), width, "weights of another width");
    let (h, mut y) = (cpu::numbers(h), vec![0.0; batch]);
    // Each row is summed by one thread: on how many threads changes nothing.
    let runs = threads::runs(batch, threads::parts(h.len()));
    let parts = runs.iter().zip(threads::cut(&mut y, &runs, 1)).collect();
    threads::for_each_part(parts, |(run, y): (&Range<usize>, &mut [f32])| {
        let rows = h[run.start * width..run.end * width].chunks_exact(width.max(1));
        y.iter_mut().zip(rows).for_each(|(y, row)| *y = activation.squared_slopes(row, norms));
    });
    cpu::primitive(y, [batch])
}

#[derive(Debug)]
struct Step {
    activation: Activation,
}

#[derive(Debug, Clone)]
struct State {
    h: FlexTensor,
    w: FlexTensor,
    norms: Vec<f32>,
}

impl Backward<Flex, 2> for Step {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::in_order(gradients.consume::<Flex>(&ops.node));
        let State { h, w, norms } = ops.state;
        let ([batch, width], [d_in, _]) = (cpu::dims(&h), cpu::dims(&w));
        let [h_node, w_node] = ops.parents;
        // What the weights' columns are worth: `sum over the batch of g phi'^2`.
        let mut dh = buffer::numbers(batch * width);
        let runs = threads::runs(batch, threads::sums(dh.len()));
        let mut sums = vec![0.0; runs.len().max(1) * width];
        let (numbers, upstream) = (cpu::numbers(&h), cpu::numbers(&gradient));
        let parts = runs.iter().zip(threads::cut(&mut dh, &runs, width)).zip(sums.chunks_mut(width.max(1))).collect();
        type Part<'a> = ((&'a Range<usize>, &'a mut [f32]), &'a mut [f32]);
        threads::for_each_part(parts, |((run, dh), factors): Part| {
            let h = numbers[run.start * width..run.end * width].chunks_exact(width.max(1));
            for ((dh, h), gradient) in dh.chunks_exact_mut(width.max(1)).zip(h).zip(&upstream[run.clone()]) {
                self.activation.squared_slopes_gradient(h, &norms, *gradient, dh, factors);
            }
        });
        let factors = sum_parts(sums, width);
        if let Some(node) = h_node {
            gradients.register::<Flex>(node.id, cpu::primitive(dh, [batch, width]));
        }
        if let Some(node) = w_node {
            let w = cpu::numbers(&w);
            let mut dw = buffer::numbers(w.len());
            let runs = threads::runs(d_in, threads::parts(w.len()));
            let parts = runs.iter().zip(threads::cut(&mut dw, &runs, width)).collect();
            if width > 0 {
                threads::for_each_part(parts, |(run, dw): (&Range<usize>, &mut [f32])| {
                    scale_columns(dw, &w[run.start * width..run.end * width], &factors);
                });
            }
            gradients.register::<Flex>(node.id, cpu::primitive(dw, [d_in, width]));
        }
    }
}
