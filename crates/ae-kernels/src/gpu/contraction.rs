//! The contractive penalty of a layer.

use burn::{
    backend::{
        Cube,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
    },
    tensor::{Shape, Tensor},
};

use super::{
    has_kernel, kernels,
    tensor::{Lazy, Operand, context, plain, queue, wrap},
};
use crate::Activation;

/// [`crate::layer_jacobian_norm2`] on a GPU; `None` if the tensors are not on one, or if there is no kernel for the
/// activation.
pub(crate) fn layer_jacobian_norm2(h: &Tensor<2>, weight: &Tensor<2>, activation: Activation) -> Option<Tensor<1>> {
    if !has_kernel(activation) {
        return None;
    }
    let (h, w) = (Operand::new(h)?, Operand::new(weight)?);
    let forward = |h: Lazy, w: Lazy| {
        let (rows, width) = (h.shape[0], h.shape[1]);
        assert!(w.shape[1] == width, "a code of {width} units does not match weights of {}", w.shape[1]);
        let [norms] =
            queue("ae_column_norms", vec![w], [Shape::new([width])], |inputs| [kernels::column_norms(inputs)]);
        let name = activation.contraction_name();
        let inputs = vec![h, norms.clone()];
        let [sums] =
            queue(name, inputs, [Shape::new([rows])], move |inputs| [kernels::contraction(inputs, activation)]);
        (sums, norms)
    };
    if !(h.is_autodiff() || w.is_autodiff()) {
        return Some(plain(forward(h.into_primitive(), w.into_primitive()).0));
    }
    let context = context([&h, &w]);
    let (h, h_node) = h.tracked().into_parts();
    let (w, w_node) = w.tracked().into_parts();
    let (sums, norms) = forward(h.clone(), w.clone());
    let tracked =
        match (Contraction { activation }).prepare::<NoCheckpointing>([h_node, w_node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish((h, w, norms), sums),
            OpsKind::UnTracked(op) => op.finish(sums),
        };
    Some(wrap(tracked, context))
}

#[derive(Debug)]
struct Contraction {
    activation: Activation,
}

impl Backward<Cube, 2> for Contraction {
    type State = (Lazy, Lazy, Lazy);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let upstream = gradients.consume::<Cube>(&ops.node);
        let (h, w, norms) = ops.state;
        let [h_node, w_node] = ops.parents;
        let (activation, shapes) = (self.activation, [h.shape.clone(), norms.shape.clone()]);
        let name = activation.contraction_gradient_name();
        let inputs = vec![upstream, h, norms];
        let [dh, factors] =
            queue(name, inputs, shapes, move |inputs| kernels::contraction_gradient(inputs, activation));
        if let Some(node) = h_node {
            gradients.register::<Cube>(node.id, dh);
        }
        if let Some(node) = w_node {
            let shape = w.shape.clone();
            let [dw] =
                queue("ae_scaled_columns", vec![w, factors], [shape], |inputs| [kernels::scaled_columns(inputs)]);
            gradients.register::<Cube>(node.id, dw);
        }
    }
}
