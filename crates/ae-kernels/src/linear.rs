//! `phi(x W + b)` as one operation.
//!
//! The forward pass adds the bias and applies `phi` to each part of the product while it is in the cache. For the
//! backward pass it keeps the layer's values or, where the slope of `phi` does not follow from its value, the slopes.
//!
//! The backward pass goes over the gradient once (multiplies by the slopes, sums over the batch for the bias, counts
//! the entries that are not 0) and then computes two products. Where almost all of the gradient is 0, as behind a
//! sparse code, the gradient of the weights is summed over the remaining entries instead.

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
    nn::Linear,
    tensor::Tensor,
};

use crate::{
    Activation,
    activation::{activate, layer_backward},
    buffer::Scratch,
    burn_ops,
    cpu::{self, Operand},
    gemm::{self, Matrix, product, product_and},
    sparse::entries::Entries,
};

/// The gradient of the weights is summed sparsely if fewer than one in this many entries of the layer's gradient are
/// not 0. A dense product computes tens of multiplications per nanosecond, a sparse sum only a few.
const SPARSE: usize = 24;

/// `phi(x W + b)`: `x` `[batch, d_in]`, `weight` `[d_in, d_out]`, `bias` `[d_out]`, to `[batch, d_out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
    let operands = (Operand::new(&x), Operand::new(&weight), Operand::new(&bias));
    let (Some(x_cpu), Some(w_cpu), Some(b_cpu)) = operands else {
        #[cfg(feature = "gpu")]
        if let Some(y) = crate::gpu::linear(&x, &weight, &bias, activation) {
            return y;
        }
        return burn_ops::linear(x, weight, bias, activation);
    };
    if Matrix::of(x_cpu.primitive()).is_none() || Matrix::of(w_cpu.primitive()).is_none() {
        return burn_ops::linear(x, weight, bias, activation);
    }
    drop((x, weight, bias));
    if !(x_cpu.is_autodiff() || w_cpu.is_autodiff() || b_cpu.is_autodiff()) {
        return cpu::plain(forward(x_cpu.primitive(), w_cpu.primitive(), b_cpu.primitive(), activation, false).0);
    }
    let context = cpu::context([&x_cpu, &w_cpu, &b_cpu]);
    let (x, x_node) = x_cpu.tracked().into_parts();
    let (w, w_node) = w_cpu.tracked().into_parts();
    let (b, b_node) = b_cpu.tracked().into_parts();
    let tracked = match (LinearBackward { activation })
        .prepare::<NoCheckpointing>([x_node, w_node, b_node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(op) => {
            let (y, kept) = forward(&x, &w, &b, activation, true);
            op.finish(LinearState { x, w, kept }, y)
        }
        OpsKind::UnTracked(op) => op.finish(forward(&x, &w, &b, activation, false).0),
    };
    cpu::wrap(tracked, context)
}

/// `phi(layer.forward(x))` for one of Burn's own layers, at the speed of [`linear`]: `[..., d_in]` to `[..., d_out]`,
/// of any rank.
///
/// The layer keeps its parameters: a module that holds Burn's layers changes one line for each, and nothing in its
/// records.
pub fn dense<const D: usize>(layer: &Linear, x: Tensor<D>, activation: Activation) -> Tensor<D> {
    let of_rows = |x: Tensor<2>| match &layer.bias {
        Some(bias) => linear(x, layer.weight.val(), bias.val(), activation),
        None => activate(activation, matmul(x, layer.weight.val())),
    };
    if D == 2 {
        return Tensor::from_dispatch(of_rows(Tensor::from_dispatch(x.into_dispatch())).into_dispatch());
    }
    let mut shape = x.dims();
    let rows = shape[..D - 1].iter().product();
    let y = of_rows(x.reshape([rows, shape[D - 1]]));
    shape[D - 1] = y.dims()[1];
    y.reshape(shape)
}

/// `a b`: `[m, k]` and `[k, n]` to `[m, n]`.
pub fn matmul(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let (Some(a_cpu), Some(b_cpu)) = (Operand::new(&a), Operand::new(&b)) else { return a.matmul(b) };
    let readable = |operand: &Operand| Matrix::of(operand.primitive()).is_some();
    if !readable(&a_cpu) || !readable(&b_cpu) {
        return a.matmul(b);
    }
    let multiply = |a: &FlexTensor, b: &FlexTensor| {
        let (a, b) = (matrix(a), matrix(b));
        cpu::primitive(product(a, b, |_, _| {}), [a.rows(), b.cols()])
    };
    if !(a_cpu.is_autodiff() || b_cpu.is_autodiff()) {
        return cpu::plain(multiply(a_cpu.primitive(), b_cpu.primitive()));
    }
    let context = cpu::context([&a_cpu, &b_cpu]);
    let (a, a_node) = a_cpu.tracked().into_parts();
    let (b, b_node) = b_cpu.tracked().into_parts();
    let y = multiply(&a, &b);
    let tracked = match MatmulBackward.prepare::<NoCheckpointing>([a_node, b_node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish((a, b), y),
        OpsKind::UnTracked(op) => op.finish(y),
    };
    cpu::wrap(tracked, context)
}

/// A tensor that [`Matrix::of`] is known to accept.
pub(crate) fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    Matrix::of(tensor).expect("checked before")
}

/// The layer's values, and what the backward pass needs of them if `keep` is set.
fn forward(
    x: &FlexTensor,
    w: &FlexTensor,
    b: &FlexTensor,
    activation: Activation,
    keep: bool,
) -> (FlexTensor, Option<FlexTensor>) {
    let (x, w, b) = (matrix(x), matrix(w), cpu::contiguous(b.clone()));
    let bias = cpu::values(&b);
    assert!(
        x.cols() == w.rows() && bias.len() == w.cols(),
        "a layer of {} inputs and {} outputs cannot read {} features, or its bias has another length",
        w.rows(),
        w.cols(),
        x.cols()
    );
    let shape = [x.rows(), w.cols()];
    if keep && activation.keeps_slopes() {
        let [y, slopes] = product_and(x, w, |columns, rows, slopes| {
            activation.apply_biased_keeping(rows, &bias[columns.clone()], Some(slopes))
        });
        return (cpu::primitive(y, shape), Some(cpu::primitive(slopes, shape)));
    }
    let y = cpu::primitive(product(x, w, |columns, rows| activation.apply_biased(rows, &bias[columns.clone()])), shape);
    let kept = (keep && activation != Activation::Identity).then(|| y.clone());
    (y, kept)
}

#[derive(Debug)]
struct LinearBackward {
    activation: Activation,
}

#[derive(Debug, Clone)]
struct LinearState {
    x: FlexTensor,
    w: FlexTensor,
    /// The layer's values, or its slopes where those are kept; `None` without an activation.
    kept: Option<FlexTensor>,
}

impl Backward<Flex, 3> for LinearBackward {
    type State = LinearState;

    fn backward(self, ops: Ops<LinearState, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let LinearState { x, w, kept } = ops.state;
        let [x_node, w_node, b_node] = ops.parents;
        let [batch, width] = cpu::dims(&gradient);
        let mut gradient = Scratch::of(cpu::into_vec(gradient));
        let (sums, active) = layer_backward(self.activation, &mut gradient, kept.as_ref(), width);
        if let Some(node) = b_node {
            gradients.register::<Flex>(node.id, cpu::primitive(sums, [width]));
        }
        let (x, w) = (matrix(&x), matrix(&w));
        let dz = Matrix::new(&gradient, batch, width);
        let is_sparse = active * SPARSE < batch * width;
        let [dx, mut dw] = gemm::gradients(dz, x, w, [x_node.is_some(), w_node.is_some() && !is_sparse]);
        if w_node.is_some() && is_sparse {
            dw = Some(Entries::of(&gradient, width).outer(x).transposed());
        }
        if let (Some(node), Some(dx)) = (x_node, dx) {
            gradients.register::<Flex>(node.id, cpu::primitive(dx, [batch, x.cols()]));
        }
        if let (Some(node), Some(dw)) = (w_node, dw) {
            gradients.register::<Flex>(node.id, cpu::primitive(dw, [x.cols(), width]));
        }
    }
}

#[derive(Debug)]
struct MatmulBackward;

impl Backward<Flex, 2> for MatmulBackward {
    type State = (FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = cpu::contiguous(gradients.consume::<Flex>(&ops.node));
        let (a, b) = (matrix(&ops.state.0), matrix(&ops.state.1));
        let dy = matrix(&gradient);
        let [a_node, b_node] = ops.parents;
        let [da, db] = gemm::gradients(dy, a, b, [a_node.is_some(), b_node.is_some()]);
        if let (Some(node), Some(da)) = (a_node, da) {
            gradients.register::<Flex>(node.id, cpu::primitive(da, [a.rows(), a.cols()]));
        }
        if let (Some(node), Some(db)) = (b_node, db) {
            gradients.register::<Flex>(node.id, cpu::primitive(db, [b.rows(), b.cols()]));
        }
    }
}
