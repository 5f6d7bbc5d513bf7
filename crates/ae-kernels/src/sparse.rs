//! Codes of which `k` units of each row are active: `k` numbers and their places, and products whose cost grows with
//! `k`, not with the width.
//!
//! Where the dense product multiplies every unit, here each row sums the `k` rows of the weights that it uses, and each
//! row of the weights' gradient sums the examples that used it.

use std::{cmp::Ordering, ops::Range, sync::Arc};

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
    gemm::Matrix,
    linear::pull_back,
    math,
    simd::vectorised,
    threads,
};

/// `[batch, width]` numbers of which `k` in each row may differ from 0.
#[derive(Debug, Clone)]
pub struct Sparse {
    /// The numbers that may, `[batch, k]`.
    values: Tensor<2>,
    /// Their columns, row by row, in rising order within each.
    places: Arc<Vec<u32>>,
    width: usize,
}

impl Sparse {
    /// `phi` of the `k` largest numbers in each row of `z` (`[batch, width]`); of equal ones the first. The gradient
    /// passes through them alone. None where there is no kernel for the tensor, which is left to Burn's operations, and
    /// for GELU and SiLU, whose largest values are not those of the largest numbers.
    ///
    /// # Panics
    /// A `k` of 0, or beyond the width.
    pub fn top_k(z: &Tensor<2>, k: usize, activation: Activation) -> Option<Self> {
        let operand = Operand::new(z).filter(|_| !activation.keeps_slopes())?;
        let width = z.dims()[1];
        assert!(k > 0 && k <= width, "the {k} largest of {width} units");
        let values = cpu::in_order(operand.primitive().clone());
        let (places, mut largest) = largest(cpu::numbers(&values), width, k);
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
            match (Selection { activation, width }).prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
                OpsKind::Tracked(step) => step.finish((places.clone(), y.clone()), y),
                OpsKind::UnTracked(step) => step.finish(y),
            };
        Some(Self { values: cpu::wrap(tracked, context), places, width })
    }

    /// The numbers of `h` (`[batch, width]`) that are not 0, at most `k` in each row. None where a row has more, where
    /// there is no kernel for the tensor, and on an autodiff device, since the others may have gradients too.
    pub fn of(h: &Tensor<2>, k: usize) -> Option<Self> {
        let operand = Operand::new(h).filter(|operand| !operand.is_autodiff())?;
        let [rows, width] = h.dims();
        if k == 0 || k > width {
            return None;
        }
        let h = cpu::in_order(operand.into_primitive());
        let numbers = cpu::numbers(&h);
        let mut places = Vec::with_capacity(rows * k);
        let mut found = nonzero(numbers, width, 0).into_iter().peekable();
        for row in 0..rows as u32 {
            let first = places.len();
            places.extend(std::iter::from_fn(|| found.next_if(|entry| entry.1 == row)).map(|entry| entry.0));
            let missing = k.checked_sub(places.len() - first)?;
            // Any of the others, which are 0.
            let others =
                (0..width as u32).filter(|place| numbers[row as usize * width + *place as usize] == 0.0).take(missing);
            places.extend(others);
            places[first..].sort_unstable();
        }
        let values = cpu::primitive(gather(numbers, &places, k, width), [rows, k]);
        Some(Self { values: cpu::plain(values), places: Arc::new(places), width })
    }

    /// All `[batch, width]` numbers.
    pub fn dense(&self) -> Tensor<2> {
        let operand = Operand::new(&self.values).expect("made by a kernel");
        let y = scatter(
            cpu::numbers(&cpu::in_order(operand.primitive().clone())),
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
        let tracked = match Scattered.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((self.places.clone(), k), y),
            OpsKind::UnTracked(step) => step.finish(y),
        };
        cpu::wrap(tracked, context)
    }

    /// `phi(h W + b)` of these numbers `h`: `weight` `[width, d_out]`, `bias` `[d_out]`, to `[batch, d_out]`.
    pub fn linear(&self, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
        let operands = (Operand::new(&weight), Operand::new(&bias));
        let (Some(w_cpu), Some(b_cpu), 1..) = (operands.0, operands.1, weight.dims()[1]) else {
            return crate::linear(self.dense(), weight, bias, activation);
        };
        drop((weight, bias));
        let h_cpu = Operand::new(&self.values).expect("made by a kernel");
        let run = |h: &FlexTensor, w: &FlexTensor, b: &FlexTensor, keep: bool| {
            let [_, k] = cpu::dims(h);
            let [width, d_out] = cpu::dims(w);
            assert_eq!(width, self.width, "weights for another width");
            let (b, keep) = (cpu::in_order(b.clone()), keep && activation != Activation::Identity);
            let (y, slopes) =
                combine(cpu::numbers(h), &self.places, k, cpu::numbers(w), cpu::numbers(&b), activation, keep);
            let shape = [self.places.len() / k, d_out];
            let y = cpu::primitive(y, shape);
            let kept = keep.then(|| slopes.map_or_else(|| y.clone(), |slopes| cpu::primitive(slopes, shape)));
            (y, kept)
        };
        if !(h_cpu.is_autodiff() || w_cpu.is_autodiff() || b_cpu.is_autodiff()) {
            let w = cpu::in_order(w_cpu.into_primitive());
            return cpu::plain(run(&cpu::in_order(h_cpu.into_primitive()), &w, b_cpu.primitive(), false).0);
        }
        let context = cpu::context([&h_cpu, &w_cpu, &b_cpu]);
        let (h, h_node) = h_cpu.tracked().into_parts();
        let (w, w_node) = w_cpu.tracked().into_parts();
        let (b, b_node) = b_cpu.tracked().into_parts();
        let (h, w) = (cpu::in_order(h), cpu::in_order(w));
        let tracked = match (Combination { activation })
            .prepare::<NoCheckpointing>([h_node, w_node, b_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(step) => {
                let (y, kept) = run(&h, &w, &b, true);
                step.finish(CombinationState { places: self.places.clone(), h, w, kept }, y)
            }
            OpsKind::UnTracked(step) => step.finish(run(&h, &w, &b, false).0),
        };
        cpu::wrap(tracked, context)
    }
}

/// Columns and values of the `k` largest numbers of each row.
fn largest(z: &[f32], width: usize, k: usize) -> (Vec<u32>, Vec<f32>) {
    let rows = z.len() / width;
    let (mut places, mut values) = (vec![0; rows * k], vec![0.0; rows * k]);
    let runs = threads::runs(rows, threads::parts(z.len()));
    let parts = runs.iter().zip(threads::cut(&mut places, &runs, k)).zip(threads::cut(&mut values, &runs, k)).collect();
    threads::for_each_part(parts, |((run, places), values): ((&Range<usize>, &mut [u32]), &mut [f32])| {
        let mut candidates = Vec::new();
        let rows = z[run.start * width..run.end * width].chunks_exact(width);
        for ((row, places), values) in rows.zip(places.chunks_exact_mut(k)).zip(values.chunks_exact_mut(k)) {
            select(row, k, &mut candidates);
            for ((place, value), candidate) in places.iter_mut().zip(values).zip(&candidates) {
                (*place, *value) = (*candidate, row[*candidate as usize]);
            }
        }
    });
    (places, values)
}

/// Numbers that are looked at together.
const BLOCK: usize = 16;

vectorised! {
    /// The first block of `row` from `block` on with a number above `threshold`.
    fn next_above(row: &[f32], block: usize, threshold: f32) -> Option<usize> {
        for (index, block) in row.chunks(BLOCK).enumerate().skip(block) {
            let mut any = false;
            for value in block {
                any |= *value > threshold;
            }
            if any {
                return Some(index);
            }
        }
        None
    }

    /// `phi(b + sum_j values_j w_{places_j})` of each row, but for `phi`.
    fn combine_rows(y: &mut [f32], values: &[f32], places: &[u32], k: usize, w: &[f32], bias: &[f32]) {
        let d_out = bias.len();
        for ((row, values), places) in y.chunks_exact_mut(d_out).zip(values.chunks_exact(k)).zip(places.chunks_exact(k)) {
            row.copy_from_slice(bias);
            for (value, place) in values.iter().zip(places) {
                add_scaled(row, *value, &w[*place as usize * d_out..][..d_out]);
            }
        }
    }

    /// The products of each row of `dz` with the rows of `w` at its places.
    fn dot_rows(dh: &mut [f32], dz: &[f32], places: &[u32], k: usize, w: &[f32], d_out: usize) {
        for ((dh, dz), places) in dh.chunks_exact_mut(k).zip(dz.chunks_exact(d_out)).zip(places.chunks_exact(k)) {
            for (dh, place) in dh.iter_mut().zip(places) {
                *dh = dot(dz, &w[*place as usize * d_out..][..d_out]);
            }
        }
    }

    /// What is not 0 in rows of `width`, the first of which has this index: `(column, row, number)`.
    fn nonzero(dense: &[f32], width: usize, first: usize) -> Vec<(u32, u32, f32)> {
        let mut found = Vec::new();
        for (index, row) in dense.chunks_exact(width).enumerate() {
            for (block, values) in row.chunks(BLOCK).enumerate() {
                // The sign is of no interest: -0 is 0.
                let mut bits = 0;
                for value in values {
                    bits |= value.to_bits() << 1;
                }
                if bits == 0 {
                    continue;
                }
                for (offset, value) in values.iter().enumerate() {
                    if *value != 0.0 {
                        found.push(((block * BLOCK + offset) as u32, (first + index) as u32, *value));
                    }
                }
            }
        }
        found
    }

    /// Adds to each row of `sums` the rows of `x` that its entries name.
    fn sum_entries(sums: &mut [f32], columns: Range<usize>, entries: &Entries, x: &[f32], depth: usize) {
        for (column, sum) in columns.zip(sums.chunks_exact_mut(depth)) {
            for (row, value) in &entries.entries[entries.first[column]..entries.first[column + 1]] {
                add_scaled(sum, *value, &x[*row as usize * depth..][..depth]);
            }
        }
    }
}

/// The columns of the `k` largest numbers of `row`, in rising order.
///
/// Candidates are collected and, whenever there are too many, cut down to the `k` best; from then on only what is
/// larger than the worst of those is looked at, sixteen numbers at a time, which soon is next to nothing.
fn select(row: &[f32], k: usize, candidates: &mut Vec<u32>) {
    let enough = (2 * k).max(4 * BLOCK);
    // Larger first, and of equal numbers the one that comes first.
    let order =
        |a: &u32, b: &u32| row[*b as usize].partial_cmp(&row[*a as usize]).unwrap_or(Ordering::Equal).then(a.cmp(b));
    candidates.clear();
    let mut next = 0;
    let mut threshold = None;
    while next * BLOCK < row.len() {
        if let Some(threshold) = threshold {
            match next_above(row, next, threshold) {
                Some(block) => next = block,
                None => break,
            }
        }
        let first = next * BLOCK;
        let block = &row[first..(first + BLOCK).min(row.len())];
        let above = block
            .iter()
            .enumerate()
            .filter(|(_, value)| threshold.map_or(!value.is_nan(), |threshold| **value > threshold));
        candidates.extend(above.map(|(offset, _)| (first + offset) as u32));
        if candidates.len() >= enough {
            candidates.select_nth_unstable_by(k - 1, order);
            candidates.truncate(k);
            threshold = Some(row[candidates[k - 1] as usize]);
        }
        next += 1;
    }
    if candidates.len() > k {
        candidates.select_nth_unstable_by(k - 1, order);
        candidates.truncate(k);
    }
    // Only NaN is larger than nothing: it is kept where there is nothing else, and shows.
    let missing = k - candidates.len();
    candidates.extend((0..row.len() as u32).filter(|place| row[*place as usize].is_nan()).take(missing));
    candidates.sort_unstable();
}

/// `values` at their `places`, `k` in each row of `width` numbers, which else are 0.
fn scatter(values: &[f32], places: &[u32], k: usize, width: usize) -> Vec<f32> {
    let rows = places.len() / k;
    let mut dense = buffer::zeros(rows * width);
    let runs = threads::runs(rows, threads::parts(dense.len()));
    let parts = runs.iter().zip(threads::cut(&mut dense, &runs, width)).collect();
    threads::for_each_part(parts, |(run, dense): (&Range<usize>, &mut [f32])| {
        let range = run.start * k..run.end * k;
        for ((row, values), places) in
            dense.chunks_exact_mut(width).zip(values[range.clone()].chunks_exact(k)).zip(places[range].chunks_exact(k))
        {
            places.iter().zip(values).for_each(|(place, value)| row[*place as usize] = *value);
        }
    });
    dense
}

/// The numbers of `dense` (rows of `width`) at `places`, `k` in each row.
fn gather(dense: &[f32], places: &[u32], k: usize, width: usize) -> Vec<f32> {
    let rows = dense.chunks_exact(width).zip(places.chunks_exact(k));
    rows.flat_map(|(row, places)| places.iter().map(|place| row[*place as usize])).collect()
}

/// `phi(b + sum_j values_j w_{places_j})` of each row, and the slopes of `phi` if they are what is to be kept.
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
    let (mut y, mut slopes) = (buffer::numbers(rows * d_out), buffer::numbers(rows * width));
    let runs = threads::runs(rows, threads::parts(places.len() * d_out));
    let parts =
        runs.iter().zip(threads::cut(&mut y, &runs, d_out)).zip(threads::cut(&mut slopes, &runs, width)).collect();
    threads::for_each_part(parts, |((run, y), slopes): ((&Range<usize>, &mut [f32]), &mut [f32])| {
        let range = run.start * k..run.end * k;
        combine_rows(y, &values[range.clone()], &places[range], k, w, bias);
        activation.apply_shifted_keeping(y, 0.0, (width > 0).then_some(slopes));
    });
    (y, (width > 0).then_some(slopes))
}

/// `sum += factor * row`.
#[inline(always)]
fn add_scaled(sum: &mut [f32], factor: f32, row: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum = math::fma(factor, *value, *sum);
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

/// The numbers of a sparse matrix, column by column: which row each is in, and what it is.
pub(crate) struct Entries {
    /// Where each column's begin, and where the last one's end.
    first: Vec<usize>,
    entries: Vec<(u32, f32)>,
}

impl Entries {
    /// Of `dense`, rows of `width`, what is not 0.
    pub(crate) fn of(dense: &[f32], width: usize) -> Self {
        let rows = dense.len() / width;
        let runs = threads::runs(rows, threads::parts(dense.len()));
        let mut found: Vec<Vec<(u32, u32, f32)>> = vec![Vec::new(); runs.len()];
        let parts = runs.iter().zip(&mut found).collect();
        threads::for_each_part(parts, |(run, found): (&Range<usize>, &mut Vec<_>)| {
            *found = nonzero(&dense[run.start * width..run.end * width], width, run.start);
        });
        Self::sorted(found.iter().flatten().copied(), width)
    }

    /// Of the numbers of each row, `k` at their `places`.
    fn at(values: &[f32], places: &[u32], k: usize, width: usize) -> Self {
        Self::sorted(
            places.iter().zip(values).enumerate().map(|(index, (place, value))| (*place, (index / k) as u32, *value)),
            width,
        )
    }

    /// `(column, row, number)`, in the order of the columns.
    fn sorted(entries: impl Iterator<Item = (u32, u32, f32)> + Clone, width: usize) -> Self {
        let mut first = vec![0; width + 1];
        entries.clone().for_each(|(column, ..)| first[column as usize + 1] += 1);
        (0..width).for_each(|column| first[column + 1] += first[column]);
        let mut next = first.clone();
        let mut sorted = vec![(0, 0.0); first[width]];
        for (column, row, value) in entries {
            sorted[next[column as usize]] = (row, value);
            next[column as usize] += 1;
        }
        Self { first, entries: sorted }
    }

    /// `s^T x` of this sparse matrix `s`: for each of its columns the sum of the rows of `x` that it has numbers in,
    /// times those.
    pub(crate) fn outer(&self, x: Matrix) -> Outer {
        let (width, depth) = (self.first.len() - 1, x.cols());
        let x = x.in_order();
        let mut sums = buffer::zeros(width * depth);
        let runs = threads::runs(width, threads::parts(self.entries.len() * depth + sums.len()));
        let parts = runs.iter().zip(threads::cut(&mut sums, &runs, depth)).collect();
        if depth > 0 {
            threads::for_each_part(parts, |(run, sums): (&Range<usize>, &mut [f32])| {
                sum_entries(sums, run.clone(), self, &x, depth)
            });
        }
        Outer { sums, width, depth }
    }
}

/// What [`Entries::outer`] sums: `width` rows of `depth` numbers.
pub(crate) struct Outer {
    pub(crate) sums: Vec<f32>,
    width: usize,
    depth: usize,
}

impl Outer {
    /// The same, `depth` rows of `width` numbers.
    pub(crate) fn transposed(self) -> Vec<f32> {
        let Self { sums, width, depth } = self;
        let mut out = buffer::numbers(sums.len());
        let runs = threads::runs(depth, threads::parts(sums.len()));
        let parts = runs.iter().zip(threads::cut(&mut out, &runs, width)).collect();
        let columns = Matrix::new(&sums, width, depth).transposed();
        threads::for_each_part(parts, |(run, out): (&Range<usize>, &mut [f32])| columns.rows_of(run).turned(out));
        buffer::keep(sums);
        out
    }
}

#[derive(Debug)]
struct Selection {
    activation: Activation,
    width: usize,
}

impl Backward<Flex, 1> for Selection {
    type State = (Arc<Vec<u32>>, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::in_order(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let (places, y) = ops.state;
        let [rows, k] = cpu::dims(&gradient);
        let mut gradient = Scratch::of(cpu::into_vec(gradient));
        self.activation.pull_back(&mut gradient, cpu::numbers(&y));
        let dense = scatter(&gradient, &places, k, self.width);
        gradients.register::<Flex>(parent.id, cpu::primitive(dense, [rows, self.width]));
    }
}

#[derive(Debug)]
struct Scattered;

impl Backward<Flex, 1> for Scattered {
    type State = (Arc<Vec<u32>>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::in_order(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let (places, k) = ops.state;
        let [rows, width] = cpu::dims(&gradient);
        let values = gather(cpu::numbers(&gradient), &places, k, width);
        gradients.register::<Flex>(parent.id, cpu::primitive(values, [rows, k]));
    }
}

#[derive(Debug)]
struct Combination {
    activation: Activation,
}

#[derive(Debug, Clone)]
struct CombinationState {
    places: Arc<Vec<u32>>,
    h: FlexTensor,
    w: FlexTensor,
    /// The values or their slopes; nothing without an activation.
    kept: Option<FlexTensor>,
}

impl Backward<Flex, 3> for Combination {
    type State = CombinationState;

    fn backward(self, ops: Ops<CombinationState, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::in_order(gradients.consume::<Flex>(&ops.node));
        let CombinationState { places, h, w, kept } = ops.state;
        let [h_node, w_node, b_node] = ops.parents;
        let ([rows, d_out], [_, k], [width, _]) = (cpu::dims(&gradient), cpu::dims(&h), cpu::dims(&w));
        let mut gradient = Scratch::of(cpu::into_vec(gradient));
        let (sums, _) = pull_back(self.activation, &mut gradient, kept.as_ref(), d_out);
        if let Some(node) = b_node {
            gradients.register::<Flex>(node.id, cpu::primitive(sums, [d_out]));
        }
        if let Some(node) = w_node {
            let entries = Entries::at(cpu::numbers(&h), &places, k, width);
            let sums = entries.outer(Matrix::new(&gradient, rows, d_out)).sums;
            gradients.register::<Flex>(node.id, cpu::primitive(sums, [width, d_out]));
        }
        if let Some(node) = h_node {
            let (mut dh, w) = (vec![0.0; rows * k], cpu::numbers(&w));
            let runs = threads::runs(rows, threads::parts(rows * k * d_out));
            let parts = runs.iter().zip(threads::cut(&mut dh, &runs, k)).collect();
            threads::for_each_part(parts, |(run, dh): (&Range<usize>, &mut [f32])| {
                dot_rows(dh, &gradient[run.start * d_out..], &places[run.start * k..], k, w, d_out);
            });
            gradients.register::<Flex>(node.id, cpu::primitive(dh, [rows, k]));
        }
    }
}
