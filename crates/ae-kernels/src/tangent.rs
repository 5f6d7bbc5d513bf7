//! `phi(x W + b)` and its derivative along a tangent of `x`, as one operation.
//!
//! Values and tangents are the rows of one matrix, so that one product computes both, and in the backward pass one
//! product sums the gradients of the weights over both.

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
    Activation,
    buffer::{self, Scratch},
    cpu::{self, Operand},
    gemm::{self, Matrix, product},
    linear::matrix,
    threads,
};

/// `(phi(z), phi'(z) u)` with `z = x W + b` and `u = t W`, differentiable by all inputs.
///
/// `pair` is `[2 batch, d_in]`: the rows of `x`, followed by those of their tangents `t`. The result is
/// `[2 batch, d_out]` in the same order. `weight` is `[d_in, d_out]` and `bias` `[d_out]`. `None` where there is no
/// kernel for the tensors, or for an activation whose slope does not follow from its value (GELU and SiLU).
///
/// # Panics
/// `pair` has an odd number of rows, or the other shapes do not match.
pub fn linear_jvp(pair: &Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>, activation: Activation) -> Option<Tensor<2>> {
    if activation.keeps_slopes() {
        return None;
    }
    let (pair, w, b) = (Operand::new(pair)?, Operand::new(weight)?, Operand::new(bias)?);
    Matrix::of(pair.primitive()).and(Matrix::of(w.primitive()))?;
    if !(pair.is_autodiff() || w.is_autodiff() || b.is_autodiff()) {
        return Some(cpu::plain(forward(pair.primitive(), w.primitive(), b.primitive(), activation).0));
    }
    let context = cpu::context([&pair, &w, &b]);
    let (pair, pair_node) = pair.tracked().into_parts();
    let (w, w_node) = w.tracked().into_parts();
    let (b, b_node) = b.tracked().into_parts();
    let (y, u) = forward(&pair, &w, &b, activation);
    let prepared = (TangentBackward { activation })
        .prepare::<NoCheckpointing>([pair_node, w_node, b_node])
        .compute_bound()
        .stateful();
    let tracked = match prepared {
        OpsKind::Tracked(op) => op.finish(TangentState { pair, w, y: y.clone(), u }, y),
        OpsKind::UnTracked(op) => op.finish(y),
    };
    Some(cpu::wrap(tracked, context))
}

/// The result, and `u`.
fn forward(pair: &FlexTensor, w: &FlexTensor, b: &FlexTensor, activation: Activation) -> (FlexTensor, FlexTensor) {
    let (pair, w, b) = (matrix(pair), matrix(w), cpu::contiguous(b.clone()));
    let (bias, width, rows) = (cpu::values(&b), w.cols(), pair.rows() / 2);
    assert!(
        pair.rows().is_multiple_of(2) && pair.cols() == w.rows() && bias.len() == width,
        "a layer of {} inputs and {width} outputs, with {} biases, cannot read {} rows of {} values and tangents",
        w.rows(),
        bias.len(),
        pair.rows(),
        pair.cols(),
    );
    let mut out = product(pair, w, |_, _| {});
    let (values, tangents) = out.split_at_mut(rows * width);
    let u = cpu::primitive(buffer::copy(tangents), [rows, width]);
    if width > 0 {
        let ranges = threads::row_ranges(rows, threads::part_count(8 * values.len()));
        let parts = threads::split_rows(values, &ranges, width)
            .into_iter()
            .zip(threads::split_rows(tangents, &ranges, width))
            .collect();
        threads::for_each_part(parts, |(values, tangents): (&mut [f32], &mut [f32])| {
            activation.apply_biased(values, bias);
            activation.pull_back(tangents, values);
        });
    }
    (cpu::primitive(out, [2 * rows, width]), u)
}

#[derive(Debug)]
struct TangentBackward {
    activation: Activation,
}

#[derive(Debug, Clone)]
struct TangentState {
    pair: FlexTensor,
    w: FlexTensor,
    /// The result.
    y: FlexTensor,
    /// The tangents before the activation, `[batch, d_out]`.
    u: FlexTensor,
}

impl Backward<Flex, 3> for TangentBackward {
    type State = TangentState;

    fn backward(self, ops: Ops<TangentState, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let TangentState { pair, w, y, u } = ops.state;
        let [pair_node, w_node, b_node] = ops.parents;
        let [both, width] = cpu::dims(&gradient);
        let mut gradient = Scratch::of(cpu::into_vec(gradient));
        let sums = self.pull_back(&mut gradient, cpu::values(&y), cpu::values(&u), width);
        if let Some(node) = b_node {
            gradients.register::<Flex>(node.id, cpu::primitive(sums, [width]));
        }
        let (pair, w) = (matrix(&pair), matrix(&w));
        let dz = Matrix::new(&gradient, both, width);
        let [dx, dw] = gemm::gradients(dz, pair, w, [pair_node.is_some(), w_node.is_some()]);
        if let (Some(node), Some(dx)) = (pair_node, dx) {
            gradients.register::<Flex>(node.id, cpu::primitive(dx, [both, pair.cols()]));
        }
        if let (Some(node), Some(dw)) = (w_node, dw) {
            gradients.register::<Flex>(node.id, cpu::primitive(dw, [pair.cols(), width]));
        }
    }
}

impl TangentBackward {
    /// Replaces the gradients by the result by those by `z` and `u`. Returns their sums over the rows of `z`.
    fn pull_back(&self, gradient: &mut [f32], y: &[f32], u: &[f32], width: usize) -> Vec<f32> {
        let half = gradient.len() / 2;
        let rows = half / width.max(1);
        let ranges = threads::row_ranges(rows, threads::reduction_parts(2 * half));
        let mut sums = vec![0.0; ranges.len().max(1) * width];
        if width > 0 {
            let (by_value, by_tangent) = gradient.split_at_mut(half);
            let parts = ranges
                .iter()
                .zip(threads::split_rows(by_value, &ranges, width))
                .zip(threads::split_rows(by_tangent, &ranges, width))
                .zip(sums.chunks_mut(width))
                .collect();
            type Part<'a> = (((&'a std::ops::Range<usize>, &'a mut [f32]), &'a mut [f32]), &'a mut [f32]);
            threads::for_each_part(parts, |(((range, by_value), by_tangent), sums): Part| {
                let of_range = range.start * width..range.end * width;
                self.activation.pull_back_pair(by_value, by_tangent, &y[of_range.clone()], &u[of_range], sums);
            });
        }
        threads::sum_parts(sums, width)
    }
}
