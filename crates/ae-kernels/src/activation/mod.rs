//! Activations, and what the backward pass needs of them.
//!
//! For most activations the slope follows from the value, so that only the result is kept. GELU and SiLU are not
//! monotonic: two inputs have the same value, so that the slope itself is kept, which the forward pass has almost
//! computed already. Either way the backward pass reads one buffer.

mod apply;
mod functions;

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
    threads,
};
use apply::sum_rows;

/// `phi(z)`, element-wise.
pub fn activate<const D: usize>(activation: Activation, z: Tensor<D>) -> Tensor<D> {
    if activation == Activation::Identity {
        return z;
    }
    let Some(operand) = Operand::new(&z) else { return activation.with_burn(z) };
    drop(z);
    let context = cpu::context([&operand]);
    if !operand.is_autodiff() {
        return cpu::plain(forward(operand.into_primitive(), activation, false).0);
    }
    let (z, node) = operand.tracked().into_parts();
    let prepared = ActivationBackward { activation }.prepare::<NoCheckpointing>([node]).compute_bound().stateful();
    let y = match prepared {
        OpsKind::Tracked(op) => {
            let (y, slopes) = forward(z, activation, true);
            op.finish(slopes.unwrap_or_else(|| y.clone()), y)
        }
        OpsKind::UnTracked(op) => op.finish(forward(z, activation, false).0),
    };
    cpu::wrap(y, context)
}

/// The values; also the slopes, if `keep` is set and the activation needs them.
fn forward(z: FlexTensor, activation: Activation, keep: bool) -> (FlexTensor, Option<FlexTensor>) {
    let z = cpu::contiguous(z);
    let shape = z.layout().shape().clone();
    let mut values = cpu::into_vec(z);
    let length = values.len().div_ceil(threads::part_count(4 * values.len())).max(1);
    if !(keep && activation.keeps_slopes()) {
        threads::for_each_part(values.chunks_mut(length).collect(), |part| activation.apply(part));
        return (cpu::primitive(values, shape), None);
    }
    let mut slopes = buffer::unspecified(values.len());
    let parts = values.chunks_mut(length).zip(slopes.chunks_mut(length)).collect();
    threads::for_each_part(parts, |(values, slopes): (&mut [f32], &mut [f32])| {
        activation.apply_shifted_keeping(values, 0.0, Some(slopes));
    });
    (cpu::primitive(values, shape.clone()), Some(cpu::primitive(slopes, shape)))
}

/// `(phi(z), phi'(z) * t)`, element-wise. `None` where there is no kernel for the tensors, or one of them is on an
/// autodiff device.
pub fn jvp<const D: usize>(activation: Activation, z: &Tensor<D>, t: &Tensor<D>) -> Option<(Tensor<D>, Tensor<D>)> {
    let (z, t) = (Operand::new(z)?, Operand::new(t)?);
    if z.is_autodiff() || t.is_autodiff() || z.primitive().layout().shape() != t.primitive().layout().shape() {
        return None;
    }
    let shape = z.primitive().layout().shape().clone();
    let [mut y, mut t] = [z, t].map(|operand| cpu::into_vec(cpu::contiguous(operand.into_primitive())));
    let length = y.len().div_ceil(threads::part_count(4 * y.len())).max(1);
    let parts = y.chunks_mut(length).zip(t.chunks_mut(length)).collect();
    threads::for_each_part(parts, |(y, t)| {
        activation.push_forward(y, t);
    });
    Some((cpu::plain(cpu::primitive(y, shape.clone())), cpu::plain(cpu::primitive(t, shape))))
}

#[derive(Debug)]
struct ActivationBackward {
    activation: Activation,
}

impl Backward<Flex, 1> for ActivationBackward {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let shape = gradient.layout().shape().clone();
        let mut gradient = cpu::into_vec(gradient);
        let kept = cpu::values(&ops.state);
        let length = gradient.len().div_ceil(threads::part_count(gradient.len())).max(1);
        let parts = gradient.chunks_mut(length).zip(kept.chunks(length)).collect();
        threads::for_each_part(parts, |(gradient, kept)| self.activation.pull_back(gradient, kept));
        gradients.register::<Flex>(parent.id, cpu::primitive(gradient, shape));
    }
}

/// Multiplies the gradient by the slopes of the activation, in place. Returns its sums over the rows, and the number of
/// its entries that are not 0.
pub(crate) fn layer_backward(
    activation: Activation,
    gradient: &mut [f32],
    kept: Option<&FlexTensor>,
    width: usize,
) -> (Vec<f32>, usize) {
    let rows = gradient.len() / width.max(1);
    let ranges = threads::row_ranges(rows, threads::reduction_parts(gradient.len()));
    let mut sums = vec![0.0; ranges.len().max(1) * width];
    let mut active = vec![0; ranges.len()];
    if width > 0 {
        let kept: Option<&[f32]> = kept.map(cpu::values);
        let parts = ranges
            .iter()
            .zip(threads::split_rows(gradient, &ranges, width))
            .zip(sums.chunks_mut(width))
            .zip(&mut active)
            .collect();
        type Part<'a> = (((&'a Range<usize>, &'a mut [f32]), &'a mut [f32]), &'a mut usize);
        threads::for_each_part(parts, |(((range, gradient), sums), active): Part| {
            // Without an activation nothing was kept.
            let kept = kept.map(|kept| &kept[range.start * width..range.end * width]);
            *active = match kept {
                Some(kept) => activation.pull_back_rows(gradient, kept, sums),
                None => sum_rows(gradient, sums),
            };
        });
    }
    (threads::sum_parts(sums, width), active.iter().sum())
}
