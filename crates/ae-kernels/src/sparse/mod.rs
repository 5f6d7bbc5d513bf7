//! Sparse codes, with `k` active units in each row: products with them cost in proportion to `k`, not to the width of
//! the code.
//!
//! A dense product multiplies by every unit. Here each row of the result sums the `k` rows of the weights that are
//! active, and each row of the weights' gradient sums the examples in which its unit is active.

pub(crate) mod entries;
mod top_k;

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
use entries::{Entries, nonzero};
use top_k::largest;

/// A `[batch, width]` matrix of which at most `k` values in each row are not 0.
#[derive(Debug, Clone)]
pub struct Sparse {
    /// The values, `[batch, k]`.
    values: Tensor<2>,
    /// Their columns, row by row, in ascending order within each row.
    places: Arc<Vec<u32>>,
    width: usize,
}

impl Sparse {
    /// `phi` of the `k` largest values in each row of `z` (`[batch, width]`); of equal values the first are kept. The
    /// gradient passes only through the kept values.
    ///
    /// `None` where there is no kernel for the tensor, and for GELU and SiLU: they are not monotonic, so that the
    /// largest values of `z` are not the largest values of `phi(z)`.
    ///
    /// # Panics
    /// `k` is 0 or greater than the width.
    pub fn top_k(z: &Tensor<2>, k: usize, activation: Activation) -> Option<Self> {
        let operand = Operand::new(z).filter(|_| !activation.keeps_slopes())?;
        let width = z.dims()[1];
        assert!(k > 0 && k <= width, "k must be 1 to {width}, not {k}");
        let values = cpu::contiguous(operand.primitive().clone());
        let (places, mut largest) = largest(cpu::values(&values), width, k);
        drop(values);
        activation.apply(&mut largest);
        let places = Arc::new(places);
        let y = cpu::primitive(largest, [places.len() / k, k]);
        if !operand.is_autodiff() {
            return Some(Self { values: cpu::plain(y), places, width });
        }
        let context = cpu::context([&operand]);
        let (z, node) = operand.tracked().into_parts();
        drop(z);
        let tracked =
            match (TopKBackward { activation, width }).prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
                OpsKind::Tracked(op) => op.finish((places.clone(), y.clone()), y),
                OpsKind::UnTracked(op) => op.finish(y),
            };
        Some(Self { values: cpu::wrap(tracked, context), places, width })
    }

    /// The values of `h` (`[batch, width]`) that are not 0, at most `k` in each row.
    ///
    /// `None` where a row has more than `k`, where there is no kernel for the tensor, and on an autodiff device, since
    /// the zeros may have gradients too.
    pub fn of(h: &Tensor<2>, k: usize) -> Option<Self> {
        let operand = Operand::new(h).filter(|operand| !operand.is_autodiff())?;
        let [rows, width] = h.dims();
        if k == 0 || k > width {
            return None;
        }
        let h = cpu::contiguous(operand.into_primitive());
        let numbers = cpu::values(&h);
        let mut places = Vec::with_capacity(rows * k);
        let mut found = nonzero(numbers, width, 0).into_iter().peekable();
        for row in 0..rows as u32 {
            let first = places.len();
            places.extend(std::iter::from_fn(|| found.next_if(|entry| entry.1 == row)).map(|entry| entry.0));
            let missing = k.checked_sub(places.len() - first)?;
            // Filled up with any columns whose value is 0.
            let others =
                (0..width as u32).filter(|place| numbers[row as usize * width + *place as usize] == 0.0).take(missing);
            places.extend(others);
            places[first..].sort_unstable();
        }
        let values = cpu::primitive(gather(numbers, &places, k, width), [rows, k]);
        Some(Self { values: cpu::plain(values), places: Arc::new(places), width })
    }

    /// The matrix as a dense tensor, `[batch, width]`.
    pub fn dense(&self) -> Tensor<2> {
        let operand = Operand::new(&self.values).expect("a tensor that a kernel created");
        let y = scatter(
            cpu::values(&cpu::contiguous(operand.primitive().clone())),
            &self.places,
            self.values.dims()[1],
            self.width,
        );
        let k = self.values.dims()[1];
        let y = cpu::primitive(y, [self.places.len() / k, self.width]);
        if !operand.is_autodiff() {
            return cpu::plain(y);
        }
        let context = cpu::context([&operand]);
        let (_, node) = operand.tracked().into_parts();
        let tracked = match DenseBackward.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish((self.places.clone(), k), y),
            OpsKind::UnTracked(op) => op.finish(y),
        };
        cpu::wrap(tracked, context)
    }

    /// `phi(h W + b)` of this matrix `h`: `weight` `[width, d_out]`, `bias` `[d_out]`, to `[batch, d_out]`.
    pub fn linear(&self, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
        let operands = (Operand::new(&weight), Operand::new(&bias));
        let (Some(w_cpu), Some(b_cpu), 1..) = (operands.0, operands.1, weight.dims()[1]) else {
            return crate::linear(self.dense(), weight, bias, activation);
        };
        drop((weight, bias));
        let h_cpu = Operand::new(&self.values).expect("a tensor that a kernel created");
        let run = |h: &FlexTensor, w: &FlexTensor, b: &FlexTensor, keep: bool| {
            let [_, k] = cpu::dims(h);
            let [width, d_out] = cpu::dims(w);
            assert_eq!(width, self.width, "the weight needs a row for each unit of the code");
            let (b, keep) = (cpu::contiguous(b.clone()), keep && activation != Activation::Identity);
            let (y, slopes) =
                combine(cpu::values(h), &self.places, k, cpu::values(w), cpu::values(&b), activation, keep);
            let shape = [self.places.len() / k, d_out];
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
                op.finish(SparseLinearState { places: self.places.clone(), h, w, kept }, y)
            }
            OpsKind::UnTracked(op) => op.finish(run(&h, &w, &b, false).0),
        };
        cpu::wrap(tracked, context)
    }
}

/// A dense matrix of rows of `width`, with `values` at their `places` (`k` in each row) and 0 elsewhere.
fn scatter(values: &[f32], places: &[u32], k: usize, width: usize) -> Vec<f32> {
    let rows = places.len() / k;
    let mut dense = buffer::zeros(rows * width);
    let ranges = threads::row_ranges(rows, threads::part_count(dense.len()));
    let parts = ranges.iter().zip(threads::split_rows(&mut dense, &ranges, width)).collect();
    threads::for_each_part(parts, |(range, dense): (&Range<usize>, &mut [f32])| {
        let entries = range.start * k..range.end * k;
        for ((row, values), places) in dense
            .chunks_exact_mut(width)
            .zip(values[entries.clone()].chunks_exact(k))
            .zip(places[entries].chunks_exact(k))
        {
            places.iter().zip(values).for_each(|(place, value)| row[*place as usize] = *value);
        }
    });
    dense
}

/// The values of `dense` (rows of `width`) at `places`, `k` in each row.
fn gather(dense: &[f32], places: &[u32], k: usize, width: usize) -> Vec<f32> {
    let rows = dense.chunks_exact(width).zip(places.chunks_exact(k));
    rows.flat_map(|(row, places)| places.iter().map(|place| row[*place as usize])).collect()
}

/// `phi(b + sum_j values_j w_{places_j})` of each row; also the slopes of `phi`, if those are kept for the backward
/// pass.
fn combine(
    values: &[f32],
    places: &[u32],
    k: usize,
    w: &[f32],
    bias: &[f32],
    activation: Activation,
    keep: bool,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let (rows, d_out) = (places.len() / k, bias.len());
    let width = if keep && activation.keeps_slopes() { d_out } else { 0 };
    let (mut y, mut slopes) = (buffer::unspecified(rows * d_out), buffer::unspecified(rows * width));
    let ranges = threads::row_ranges(rows, threads::part_count(places.len() * d_out));
    let parts = ranges
        .iter()
        .zip(threads::split_rows(&mut y, &ranges, d_out))
        .zip(threads::split_rows(&mut slopes, &ranges, width))
        .collect();
    threads::for_each_part(parts, |((range, y), slopes): ((&Range<usize>, &mut [f32]), &mut [f32])| {
        let entries = range.start * k..range.end * k;
        combine_rows(y, &values[entries.clone()], &places[entries], k, w, bias);
        activation.apply_shifted_keeping(y, 0.0, (width > 0).then_some(slopes));
    });
    (y, (width > 0).then_some(slopes))
}

vectorized! {
    /// `b + sum_j values_j w_{places_j}` for each row: the layer before its activation.
    fn combine_rows(y: &mut [f32], values: &[f32], places: &[u32], k: usize, w: &[f32], bias: &[f32]) {
        let d_out = bias.len();
        let entries = values.chunks_exact(k).zip(places.chunks_exact(k));
        for (row, (values, places)) in y.chunks_exact_mut(d_out).zip(entries) {
            row.copy_from_slice(bias);
            for (value, place) in values.iter().zip(places) {
                add_scaled(row, *value, &w[*place as usize * d_out..][..d_out]);
            }
        }
    }

    /// The dot products of each row of `dz` with the rows of `w` at its places.
    fn dot_rows(dh: &mut [f32], dz: &[f32], places: &[u32], k: usize, w: &[f32], d_out: usize) {
        for ((dh, dz), places) in dh.chunks_exact_mut(k).zip(dz.chunks_exact(d_out)).zip(places.chunks_exact(k)) {
            for (dh, place) in dh.iter_mut().zip(places) {
                *dh = dot(dz, &w[*place as usize * d_out..][..d_out]);
            }
        }
    }
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
struct TopKBackward {
    activation: Activation,
    width: usize,
}

impl Backward<Flex, 1> for TopKBackward {
    type State = (Arc<Vec<u32>>, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let (places, y) = ops.state;
        let [rows, k] = cpu::dims(&gradient);
        let mut gradient = Scratch::of(cpu::into_vec(gradient));
        self.activation.pull_back(&mut gradient, cpu::values(&y));
        let dense = scatter(&gradient, &places, k, self.width);
        gradients.register::<Flex>(parent.id, cpu::primitive(dense, [rows, self.width]));
    }
}

#[derive(Debug)]
struct DenseBackward;

impl Backward<Flex, 1> for DenseBackward {
    type State = (Arc<Vec<u32>>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let (places, k) = ops.state;
        let [rows, width] = cpu::dims(&gradient);
        let values = gather(cpu::values(&gradient), &places, k, width);
        gradients.register::<Flex>(parent.id, cpu::primitive(values, [rows, k]));
    }
}

#[derive(Debug)]
struct SparseLinearBackward {
    activation: Activation,
}

#[derive(Debug, Clone)]
struct SparseLinearState {
    places: Arc<Vec<u32>>,
    h: FlexTensor,
    w: FlexTensor,
    /// The layer's values, or its slopes where those are kept; `None` without an activation.
    kept: Option<FlexTensor>,
}

impl Backward<Flex, 3> for SparseLinearBackward {
    type State = SparseLinearState;

    fn backward(self, ops: Ops<SparseLinearState, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let SparseLinearState { places, h, w, kept } = ops.state;
        let [h_node, w_node, b_node] = ops.parents;
        let ([rows, d_out], [_, k], [width, _]) = (cpu::dims(&gradient), cpu::dims(&h), cpu::dims(&w));
        let mut gradient = Scratch::of(cpu::into_vec(gradient));
        let (sums, _) = layer_backward(self.activation, &mut gradient, kept.as_ref(), d_out);
        if let Some(node) = b_node {
            gradients.register::<Flex>(node.id, cpu::primitive(sums, [d_out]));
        }
        if let Some(node) = w_node {
            let entries = Entries::at(cpu::values(&h), &places, k, width);
            let sums = entries.outer(Matrix::new(&gradient, rows, d_out)).sums;
            gradients.register::<Flex>(node.id, cpu::primitive(sums, [width, d_out]));
        }
        if let Some(node) = h_node {
            let (mut dh, w) = (vec![0.0; rows * k], cpu::values(&w));
            let ranges = threads::row_ranges(rows, threads::part_count(rows * k * d_out));
            let parts = ranges.iter().zip(threads::split_rows(&mut dh, &ranges, k)).collect();
            threads::for_each_part(parts, |(range, dh): (&Range<usize>, &mut [f32])| {
                dot_rows(dh, &gradient[range.start * d_out..], &places[range.start * k..], k, w, d_out);
            });
            gradients.register::<Flex>(node.id, cpu::primitive(dh, [rows, k]));
        }
    }
}
