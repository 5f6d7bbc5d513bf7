//! A layer with its activation.

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
    has_kernel, kernels,
    tensor::{Lazy, Operand, context, plain, queue, wrap},
};
use crate::Activation;

/// [`crate::linear`] on a GPU; `None` if the tensors are not on one.
pub(crate) fn linear(x: &Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>, activation: Activation) -> Option<Tensor<2>> {
    if !has_kernel(activation) {
        return linear(x, weight, bias, Activation::Identity).map(|z| activation.with_burn(z));
    }
    let (x, w, b) = (Operand::new(x)?, Operand::new(weight)?, Operand::new(bias)?);
    let forward = |x: Lazy, w: Lazy, b: Lazy| {
        let z = Cube::float_matmul(x, w);
        let shape = z.shape.clone();
        assert!(b.shape[0] == shape[1], "a bias of {} values does not match a layer of {} units", b.shape[0], shape[1]);
        let [y] = queue(activation.layer_name(), vec![z, b], [shape], move |inputs| {
            [kernels::bias_activation(inputs, activation)]
        });
        y
    };
    if !(x.is_autodiff() || w.is_autodiff() || b.is_autodiff()) {
        return Some(plain(forward(x.into_primitive(), w.into_primitive(), b.into_primitive())));
    }
    let context = context([&x, &w, &b]);
    let (x, x_node) = x.tracked().into_parts();
    let (w, w_node) = w.tracked().into_parts();
    let (b, b_node) = b.tracked().into_parts();
    let y = forward(x.clone(), w.clone(), b);
    let tracked =
        match (Layer { activation }).prepare::<NoCheckpointing>([x_node, w_node, b_node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish((x, w, y.clone()), y),
            OpsKind::UnTracked(op) => op.finish(y),
        };
    Some(wrap(tracked, context))
}

#[derive(Debug)]
struct Layer {
    activation: Activation,
}

impl Backward<Cube, 3> for Layer {
    type State = (Lazy, Lazy, Lazy);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Cube>(&ops.node);
        let (x, w, y) = ops.state;
        let [x_node, w_node, b_node] = ops.parents;
        let activation = self.activation;
        let (shape, width) = (dy.shape.clone(), dy.shape[1]);
        // The gradient before the activation, and its sums over the batch.
        let name = activation.layer_gradient_name();
        let [dz, db] = queue(name, vec![dy, y], [shape, Shape::new([width])], move |inputs| {
            kernels::activation_gradient(inputs, activation)
        });
        if let Some(node) = b_node {
            gradients.register::<Cube>(node.id, db);
        }
        if let Some(node) = w_node {
            gradients.register::<Cube>(node.id, Cube::float_matmul(Cube::float_transpose(x), dz.clone()));
        }
        if let Some(node) = x_node {
            gradients.register::<Cube>(node.id, Cube::float_matmul(dz, Cube::float_transpose(w)));
        }
    }
}
