//! Products of a sparse matrix with a dense one.

use std::{ops::Range, sync::Arc};

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

use super::{Sparse, entries::Entries, places::Places};
use crate::{
    Activation,
    activation::layer_backward,
    buffer::{self, Scratch},
    cpu::{self, Operand},
    gemm::Matrix,
    math::{self, add_scaled},
    simd::vectorized,
    threads,
};

impl Sparse {
    /// `phi(h W + b)` of this matrix `h`: `weight` `[width, d_out]`, `bias` `[d_out]`, to `[batch, d_out]`.
    pub fn linear(&self, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
        let width = self.places.width;
        self.prefixes(weight, bias, &[width], activation)
    }

    /// As [`linear`](Self::linear), with the first `w` columns of `h` and rows of `W` only, for each `w` of `widths`,
    /// which are in ascending order: `[widths * batch, d_out]`, all rows of the first width first.
    ///
    /// It costs little more than the product for the last width.
    ///
    /// # Panics
    /// There is no width, they are not in ascending order, the last is greater than the width of `h`, or the weight has
    /// another number of rows than `h` has columns.
    pub fn prefixes(&self, weight: Tensor<2>, bias: Tensor<1>, widths: &[usize], activation: Activation) -> Tensor<2> {
        let width = self.places.width;
        assert!(
            widths.is_sorted() && widths.last().is_some_and(|last| *last <= width),
            "widths must be ascending, and at most {width}"
        );
        assert_eq!(weight.dims()[0], width, "the weight needs a row for each unit of the code");
        let operands = (Operand::new(&weight), Operand::new(&bias));
        let (Some(w_cpu), Some(b_cpu), 1..) = (operands.0, operands.1, weight.dims()[1]) else {
            let h = self.dense();
            let rows = h.dims()[0];
            let of = |last: usize| {
                let weight = weight.clone().slice(0..last);
                crate::linear(h.clone().slice([0..rows, 0..last]), weight, bias.clone(), activation)
            };
            return Tensor::cat(widths.iter().map(|last| of(*last)).collect(), 0);
        };
        drop((weight, bias));
        let h_cpu = Operand::new(&self.values).expect("a tensor that a kernel created");
        let widths: Arc<[usize]> = widths.into();
        let run = |h: &FlexTensor, w: &FlexTensor, b: &FlexTensor, keep: bool| {
            let [_, d_out] = cpu::dims(w);
            let (b, keep) = (cpu::contiguous(b.clone()), keep && activation != Activation::Identity);
            let (y, slopes) =
                combine(cpu::values(h), &self.places, &widths, cpu::values(w), cpu::values(&b), activation, keep);
            let shape = [self.places.rows() * widths.len(), d_out];
            let y = cpu::primitive(y, shape);
            let kept = keep.then(|| slopes.map_or_else(|| y.clone(), |slopes| cpu::primitive(slopes, shape)));
            (y, kept)
        };
        if !(h_cpu.is_autodiff() || w_cpu.is_autodiff() || b_cpu.is_autodiff()) {
            let w = cpu::contiguous(w_cpu.into_primitive());
            return cpu::plain(run(&cpu::contiguous(h_cpu.into_primitive()), &w, b_cpu.primitive(), false).0);
        }
        let context = cpu::context([&h_cpu, &w_cpu, &b_cpu]);
        let (h, h_node) = h_cpu.tracked().into_parts();
        let (w, w_node) = w_cpu.tracked().into_parts();
        let (b, b_node) = b_cpu.tracked().into_parts();
        let (h, w) = (cpu::contiguous(h), cpu::contiguous(w));
        let tracked = match (SparseLinearBackward { activation })
            .prepare::<NoCheckpointing>([h_node, w_node, b_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(op) => {
                let (y, kept) = run(&h, &w, &b, true);
                op.finish(SparseLinearState { places: self.places.clone(), widths, h, w, kept }, y)
            }
            OpsKind::UnTracked(op) => op.finish(run(&h, &w, &b, false).0),
        };
        cpu::wrap(tracked, context)
    }
}

/// What the rows of a product are computed from.
struct Operands<'a> {
    values: &'a [f32],
    places: &'a Places,
    w: &'a [f32],
    bias: &'a [f32],
}

/// The gradients of the product for each of `widths`, `stride` values apart. An entry gets that of the first width that
/// it is part of, which includes those of the others.
struct Upstream<'a> {
    dz: &'a [f32],
    stride: usize,
    widths: &'a [usize],
    d_out: usize,
}

/// A range of rows of a result, and of the slopes if they are kept.
type Part<'a> = (&'a mut [f32], &'a mut [f32]);

/// `phi(b + sum_j values_j w_{places_j})` of each row, for each of `widths`; also the slopes of `phi`, if those are
/// kept for the backward pass.
fn combine(
    values: &[f32],
    places: &Places,
    widths: &[usize],
    w: &[f32],
    bias: &[f32],
    activation: Activation,
    keep: bool,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let (rows, d_out) = (places.rows(), bias.len());
    let kept = if keep && activation.keeps_slopes() { d_out } else { 0 };
    let (mut y, mut slopes) =
        (buffer::unspecified(widths.len() * rows * d_out), buffer::unspecified(widths.len() * rows * kept));
    let ranges = places.parts(places.len() * d_out);
    // For each range of rows, its parts of the results.
    let mut outs: Vec<Vec<Part>> = ranges.iter().map(|_| Vec::new()).collect();
    let (mut rest_y, mut rest_slopes) = (y.as_mut_slice(), slopes.as_mut_slice());
    for _ in widths {
        let (of_width, others) = rest_y.split_at_mut(rows * d_out);
        let (slopes_of_width, other_slopes) = rest_slopes.split_at_mut(rows * kept);
        (rest_y, rest_slopes) = (others, other_slopes);
        let parts = threads::split_rows(of_width, &ranges, d_out);
        let slopes = threads::split_rows(slopes_of_width, &ranges, kept);
        outs.iter_mut().zip(parts.into_iter().zip(slopes)).for_each(|(outs, part)| outs.push(part));
    }
    let of = Operands { values, places, w, bias };
    let parts = ranges.iter().zip(outs).collect();
    threads::for_each_part(parts, |(range, outs): (&Range<usize>, Vec<Part>)| {
        let mut before: Option<(usize, &[f32])> = None;
        for (last, (y, slopes)) in widths.iter().zip(outs) {
            combine_rows(y, before, range.clone(), *last, &of);
            activation.apply_shifted_keeping(y, 0.0, (kept > 0).then_some(slopes));
            // The next width continues from these sums, if they are still the sums themselves.
            before = (activation == Activation::Identity).then_some((*last, y));
        }
    });
    (y, (kept > 0).then_some(slopes))
}

vectorized! {
    /// `b + sum_j values_j w_{places_j}` for some rows and the columns less than `last`: the layer before its
    /// activation. It starts from the result for a smaller width, if there is one.
    fn combine_rows(
        y: &mut [f32],
        before: Option<(usize, &[f32])>,
        rows: Range<usize>,
        last: usize,
        of: &Operands,
    ) {
        let d_out = of.bias.len();
        for (index, (row, y)) in rows.zip(y.chunks_exact_mut(d_out)).enumerate() {
            let mut first = 0;
            match before {
                Some((width, sums)) => {
                    first = width as u32;
                    y.copy_from_slice(&sums[index * d_out..][..d_out]);
                }
                None => y.copy_from_slice(of.bias),
            }
            let entries = of.places.starts[row]..of.places.starts[row + 1];
            for (column, value) in of.places.columns[entries.clone()].iter().zip(&of.values[entries]) {
                if *column >= first && (*column as usize) < last {
                    add_scaled(y, *value, &of.w[*column as usize * d_out..][..d_out]);
                }
            }
        }
    }

    /// The dot products of the gradient of each row with the rows of `w` at its places.
    fn dot_rows(dh: &mut [f32], rows: Range<usize>, gradient: &Upstream, places: &Places, w: &[f32]) {
        let d_out = gradient.d_out;
        let columns = &places.columns[places.entries(&rows)];
        let mut entry = 0;
        for row in rows {
            for _ in places.starts[row]..places.starts[row + 1] {
                let column = columns[entry] as usize;
                let group = group_of(gradient.widths, column);
                dh[entry] = match group < gradient.widths.len() {
                    true => {
                        let dz = &gradient.dz[group * gradient.stride + row * d_out..][..d_out];
                        dot(dz, &w[column * d_out..][..d_out])
                    }
                    false => 0.0,
                };
                entry += 1;
            }
        }
    }
}

/// The first of `widths` that a column is part of.
#[inline(always)]
fn group_of(widths: &[usize], column: usize) -> usize {
    let mut group = 0;
    while group < widths.len() && widths[group] <= column {
        group += 1;
    }
    group
}

/// `sum_i a_i b_i`, in sixteen partial sums.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    let (a_blocks, b_blocks) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for lane in 0..16 {
            sums[lane] = math::fma(a[lane], b[lane], sums[lane]);
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[derive(Debug)]
struct SparseLinearBackward {
    activation: Activation,
}

#[derive(Debug, Clone)]
struct SparseLinearState {
    places: Arc<Places>,
    widths: Arc<[usize]>,
    h: FlexTensor,
    w: FlexTensor,
    /// The layer's values, or its slopes where those are kept; `None` without an activation.
    kept: Option<FlexTensor>,
}

impl Backward<Flex, 3> for SparseLinearBackward {
    type State = SparseLinearState;

    fn backward(self, ops: Ops<SparseLinearState, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let SparseLinearState { places, widths, h, w, kept } = ops.state;
        let [h_node, w_node, b_node] = ops.parents;
        let ([_, d_out], [width, _]) = (cpu::dims(&gradient), cpu::dims(&w));
        let rows = places.rows();
        let mut gradient = Scratch::of(cpu::into_vec(gradient));
        let (sums, _) = layer_backward(self.activation, &mut gradient, kept.as_ref(), d_out);
        if let Some(node) = b_node {
            gradients.register::<Flex>(node.id, cpu::primitive(sums, [d_out]));
        }
        // A column is part of all widths that are greater: from the last to the first, each gradient gets those of the
        // widths after it.
        let stride = rows * d_out;
        for group in (1..widths.len()).rev() {
            let (before, after) = gradient.split_at_mut(group * stride);
            add(&mut before[(group - 1) * stride..], &after[..stride]);
        }
        if let Some(node) = w_node {
            let of = |row: usize, column: usize| {
                (group_of(&widths, column) < widths.len()).then(|| (group_of(&widths, column) * rows + row) as u32)
            };
            let entries = Entries::at(cpu::values(&h), &places, of);
            let sums = entries.outer(Matrix::new(&gradient, widths.len() * rows, d_out)).sums;
            gradients.register::<Flex>(node.id, cpu::primitive(sums, [width, d_out]));
        }
        if let Some(node) = h_node {
            let (mut dh, w) = (vec![0.0; places.len()], cpu::values(&w));
            let upstream = Upstream { dz: &gradient, stride, widths: &widths, d_out };
            let ranges = places.parts(places.len() * d_out);
            let parts = ranges.iter().zip(places.split(&mut dh, &ranges)).collect();
            threads::for_each_part(parts, |(range, dh): (&Range<usize>, &mut [f32])| {
                dot_rows(dh, range.clone(), &upstream, &places, w);
            });
            gradients.register::<Flex>(node.id, cpu::primitive(dh, [places.len()]));
        }
    }
}

vectorized! {
    /// Adds `other` to `sum`.
    fn add(sum: &mut [f32], other: &[f32]) {
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum += other;
        }
    }
}
