//! The same operations on a GPU, where what counts is how many kernels a step launches: each is one kernel where Burn's
//! fusion leaves several.
//!
//! A kernel is queued among Burn's operations as one that fusion does not look into, so nothing waits for it.
//! [`kernels`] has the kernels themselves; this file has what the operations do to Burn's tensors, and their gradients.

pub(crate) mod adam;
mod kernels;

use burn::{
    backend::{
        Autodiff, BackendTensor, Cube, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        fusion::custom::{CustomOpIr, HandleContainer, OperationFn, OperationIr, StreamId, TensorIr},
        ops::FloatTensorOps,
        tensor::FloatTensor,
    },
    tensor::{DType, Shape, Tensor},
};
use burn_cubecl::{
    CubeBackend,
    fusion::{CubeFusionHandle, FusionCubeRuntime},
    tensor::CubeTensor,
};

use crate::{Activation, loss::Loss};

/// A float tensor on the GPU, which fusion may not have computed yet.
type Lazy = FloatTensor<Cube>;
/// The same with its place in a graph.
type Tracked = FloatTensor<Autodiff<Cube>>;

/// What an operation reads.
struct Operand {
    kind: Kind,
    autodiff: DispatchAutodiffContext,
}

enum Kind {
    Plain(Lazy),
    Tracked(Box<Tracked>),
}

impl Operand {
    /// The tensor's primitive; none if it is not one of `f32` on a GPU.
    fn new<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        let DispatchTensor { kind, autodiff } = tensor.clone().into_dispatch();
        let kind = match kind {
            DispatchTensorKind::Cube(BackendTensor::Float(primitive)) => Kind::Plain(primitive),
            DispatchTensorKind::Autodiff(inner) => match *inner {
                DispatchTensorKind::Cube(BackendTensor::Autodiff(tracked)) => Kind::Tracked(Box::new(tracked)),
                _ => return None,
            },
            _ => return None,
        };
        (tensor.dtype() == DType::F32).then_some(Self { kind, autodiff })
    }

    fn is_autodiff(&self) -> bool {
        matches!(self.kind, Kind::Tracked(_))
    }

    fn is_tracked(&self) -> bool {
        matches!(&self.kind, Kind::Tracked(tracked) if tracked.is_tracked())
    }

    fn tracked(self) -> Tracked {
        match self.kind {
            Kind::Plain(primitive) => Tracked::new(primitive),
            Kind::Tracked(tracked) => *tracked,
        }
    }

    fn into_primitive(self) -> Lazy {
        match self.kind {
            Kind::Plain(primitive) => primitive,
            Kind::Tracked(tracked) => tracked.into_primitive(),
        }
    }
}

/// The autodiff context of an operation on these.
fn context<const N: usize>(operands: [&Operand; N]) -> DispatchAutodiffContext {
    operands
        .into_iter()
        .map(|operand| operand.autodiff)
        .find(|context| *context != DispatchAutodiffContext::Disabled)
        .unwrap_or_default()
}

fn plain<const D: usize>(primitive: Lazy) -> Tensor<D> {
    let kind = DispatchTensorKind::Cube(BackendTensor::Float(primitive));
    Tensor::from_dispatch(DispatchTensor { kind, autodiff: DispatchAutodiffContext::Disabled })
}

fn wrap<const D: usize>(tracked: Tracked, autodiff: DispatchAutodiffContext) -> Tensor<D> {
    let kind = DispatchTensorKind::Autodiff(Box::new(DispatchTensorKind::Cube(BackendTensor::Autodiff(tracked))));
    Tensor::from_dispatch(DispatchTensor { kind, autodiff })
}

/// Queues `run` as one operation on `inputs`, which gives tensors of these shapes. Operations of one `name` have the
/// same structure: fusion remembers what it decided by it.
fn queue<const N: usize>(
    name: &'static str,
    inputs: Vec<Lazy>,
    shapes: [Shape; N],
    run: impl Fn(Vec<CubeTensor>) -> [CubeTensor; N] + Send + Sync + 'static,
) -> [Lazy; N] {
    let outputs = queue_many(name, inputs, shapes.into(), move |inputs| run(inputs).into());
    outputs.try_into().unwrap_or_else(|_| unreachable!("as many outputs as shapes"))
}

/// The same for a number of outputs that is known when it runs.
fn queue_many(
    name: &'static str,
    inputs: Vec<Lazy>,
    shapes: Vec<Shape>,
    run: impl Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
) -> Vec<Lazy> {
    let client = inputs[0].client.clone();
    let inputs: Vec<TensorIr> = inputs.into_iter().map(Lazy::into_ir).collect();
    let output = |shape| TensorIr::uninit(client.create_empty_handle(), shape, DType::F32);
    let outputs: Vec<TensorIr> = shapes.into_iter().map(output).collect();
    let description = CustomOpIr::new(name, &inputs, &outputs);
    let operation = OperationFn(move |handles: &mut HandleContainer<CubeFusionHandle>| {
        let inputs = inputs.iter().map(|input| handles.get_float_tensor::<CubeBackend>(input)).collect();
        for (output, tensor) in outputs.iter().zip(run(inputs)) {
            handles.register_float_tensor::<CubeBackend>(&output.id, tensor);
        }
        Ok(())
    });
    client.register::<OperationFn<_>>(StreamId::current(), OperationIr::Custom(description), operation_of(operation))
}

/// Fixes the runtime, which the closure alone does not tell.
fn operation_of<F>(operation: OperationFn<F>) -> OperationFn<F>
where
    OperationFn<F>: burn::backend::fusion::custom::Operation<FusionCubeRuntime>,
{
    operation
}

/// Whether the kernels here compute an activation. Softplus, GELU and SiLU are left to Burn's operations, which fuse.
fn has_kernel(activation: Activation) -> bool {
    !matches!(activation, Activation::Softplus | Activation::Gelu | Activation::Silu)
}

/// [`crate::linear`] on a GPU; none if the tensors are not there.
pub(crate) fn linear(x: &Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>, activation: Activation) -> Option<Tensor<2>> {
    if !has_kernel(activation) {
        return linear(x, weight, bias, Activation::Identity).map(|z| activation.by_burn(z));
    }
    let (x, w, b) = (Operand::new(x)?, Operand::new(weight)?, Operand::new(bias)?);
    let forward = |x: Lazy, w: Lazy, b: Lazy| {
        let z = Cube::float_matmul(x, w);
        let shape = z.shape.clone();
        assert!(b.shape[0] == shape[1], "a bias of {} units for a layer of {}", b.shape[0], shape[1]);
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
            OpsKind::Tracked(step) => step.finish((x, w, y.clone()), y),
            OpsKind::UnTracked(step) => step.finish(y),
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
        // The gradient before the activation and its sums over the batch.
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

/// The loss of each row on a GPU; none if the tensors are not there, or a gradient is asked for of others than the
/// reconstruction.
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
    assert!(weights.as_ref().is_none_or(same), "weights of another shape than the inputs");
    let forward = |x: &Lazy, r: &Lazy, weights: &Option<Lazy>| {
        assert!(r.shape == x.shape, "inputs and reconstructions of different shapes");
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
        OpsKind::Tracked(step) => step.finish((x, r, weights), rows),
        OpsKind::UnTracked(step) => step.finish(rows),
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

/// [`crate::batch_mean`] on a GPU; none if the tensor is not there.
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
        OpsKind::Tracked(step) => step.finish(count, mean),
        OpsKind::UnTracked(step) => step.finish(mean),
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
        // One number for all rows: a view, not a kernel.
        gradients.register::<Cube>(parent.id, Cube::float_expand(share, Shape::new([ops.state])));
    }
}

/// [`crate::layer_jacobian_norm2`] on a GPU; none if the tensors are not there, or there is no kernel for the
/// activation.
pub(crate) fn layer_jacobian_norm2(h: &Tensor<2>, weight: &Tensor<2>, activation: Activation) -> Option<Tensor<1>> {
    if !has_kernel(activation) {
        return None;
    }
    let (h, w) = (Operand::new(h)?, Operand::new(weight)?);
    let forward = |h: Lazy, w: Lazy| {
        let (rows, width) = (h.shape[0], h.shape[1]);
        assert!(w.shape[1] == width, "a code of {width} units by weights of {}", w.shape[1]);
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
            OpsKind::Tracked(step) => step.finish((h, w, norms), sums),
            OpsKind::UnTracked(step) => step.finish(sums),
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
