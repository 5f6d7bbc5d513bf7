//! The losses of each row, and their mean.

use burn::{
    backend::{
        Cube,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        ops::FloatTensorOps,
    },
    tensor::{Shape, Tensor},
};

use super::{
    kernels,
    tensor::{Lazy, Operand, context, plain, queue, wrap},
};
use crate::loss::functions::Loss;

/// The loss of each row on a GPU; `None` if the tensors are not on one, or if a gradient by anything but the
/// reconstruction is needed.
pub(crate) fn loss(loss: Loss, x: &Tensor<2>, r: &Tensor<2>, weights: Option<&Tensor<2>>) -> Option<Tensor<1>> {
    let (x, r) = (Operand::new(x)?, Operand::new(r)?);
    let weights = match weights {
        Some(weights) => Some(Operand::new(weights)?),
        None => None,
    };
    if x.is_tracked() || weights.as_ref().is_some_and(Operand::is_tracked) {
        return None;
    }
    let (context, autodiff) = match &weights {
        Some(weights) => (context([&x, &r, weights]), x.is_autodiff() || r.is_autodiff() || weights.is_autodiff()),
        None => (context([&x, &r]), x.is_autodiff() || r.is_autodiff()),
    };
    let (x, weights) = (x.into_primitive(), weights.map(Operand::into_primitive));
    let same = |other: &Lazy| other.shape == x.shape;
    assert!(weights.as_ref().is_none_or(same), "the weights and the inputs have different shapes");
    let forward = |x: &Lazy, r: &Lazy, weights: &Option<Lazy>| {
        assert!(r.shape == x.shape, "inputs and reconstructions have different shapes");
        let inputs = [x.clone(), r.clone()].into_iter().chain(weights.clone()).collect();
        let [rows] =
            queue(loss.name(), inputs, [Shape::new([x.shape[0]])], move |inputs| [kernels::row_loss(inputs, loss)]);
        rows
    };
    if !autodiff {
        return Some(plain(forward(&x, &r.into_primitive(), &weights)));
    }
    let (r, node) = r.tracked().into_parts();
    let rows = forward(&x, &r, &weights);
    let tracked = match RowLoss(loss).prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish((x, r, weights), rows),
        OpsKind::UnTracked(op) => op.finish(rows),
    };
    Some(wrap(tracked, context))
}

#[derive(Debug)]
struct RowLoss(Loss);

impl Backward<Cube, 1> for RowLoss {
    type State = (Lazy, Lazy, Option<Lazy>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let upstream = gradients.consume::<Cube>(&ops.node);
        let [Some(parent)] = ops.parents else { return };
        let (x, r, weights) = ops.state;
        let (loss, shape) = (self.0, r.shape.clone());
        let inputs = [upstream, x, r].into_iter().chain(weights).collect();
        let [gradient] =
            queue(loss.gradient_name(), inputs, [shape], move |inputs| [kernels::loss_gradient(inputs, loss)]);
        gradients.register::<Cube>(parent.id, gradient);
    }
}

/// [`crate::batch_mean`] on a GPU; `None` if the tensor is not on one.
pub(crate) fn batch_mean(values: &Tensor<1>) -> Option<Tensor<1>> {
    let values = Operand::new(values)?;
    if !values.is_autodiff() {
        return Some(plain(Cube::float_mean(values.into_primitive())));
    }
    let context = context([&values]);
    let (values, node) = values.tracked().into_parts();
    let count = values.shape[0];
    let mean = Cube::float_mean(values);
    let tracked = match Mean.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(count, mean),
        OpsKind::UnTracked(op) => op.finish(mean),
    };
    Some(wrap(tracked, context))
}

#[derive(Debug)]
struct Mean;

impl Backward<Cube, 1> for Mean {
    type State = usize;

    fn backward(self, ops: Ops<usize, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let upstream = gradients.consume::<Cube>(&ops.node);
        let [Some(parent)] = ops.parents else { return };
        let share = Cube::float_mul_scalar(upstream, (1.0 / ops.state as f32).into());
        // The same number for all rows: a view, not a kernel.
        gradients.register::<Cube>(parent.id, Cube::float_expand(share, Shape::new([ops.state])));
    }
}
