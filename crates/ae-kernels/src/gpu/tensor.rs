//! Tensors on a GPU, and operations on them that Burn's fusion queues.

use burn::{
    backend::{
        Autodiff, BackendTensor, Cube, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind,
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

/// A float tensor on the GPU, which fusion may not have computed yet.
pub(super) type Lazy = FloatTensor<Cube>;

/// The same with a node in the autodiff graph.
pub(super) type Tracked = FloatTensor<Autodiff<Cube>>;

/// An input of an operation.
pub(super) struct Operand {
    kind: Kind,
    autodiff: DispatchAutodiffContext,
}

enum Kind {
    Plain(Lazy),
    Tracked(Box<Tracked>),
}

impl Operand {
    /// The tensor's primitive; `None` if it is not an `f32` tensor on a GPU.
    pub(super) fn new<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
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

    pub(super) fn is_autodiff(&self) -> bool {
        matches!(self.kind, Kind::Tracked(_))
    }

    pub(super) fn is_tracked(&self) -> bool {
        matches!(&self.kind, Kind::Tracked(tracked) if tracked.is_tracked())
    }

    pub(super) fn tracked(self) -> Tracked {
        match self.kind {
            Kind::Plain(primitive) => Tracked::new(primitive),
            Kind::Tracked(tracked) => *tracked,
        }
    }

    pub(super) fn into_primitive(self) -> Lazy {
        match self.kind {
            Kind::Plain(primitive) => primitive,
            Kind::Tracked(tracked) => tracked.into_primitive(),
        }
    }
}

/// The autodiff context of an operation on these operands.
pub(super) fn context<const N: usize>(operands: [&Operand; N]) -> DispatchAutodiffContext {
    operands
        .into_iter()
        .map(|operand| operand.autodiff)
        .find(|context| *context != DispatchAutodiffContext::Disabled)
        .unwrap_or_default()
}

pub(super) fn plain<const D: usize>(primitive: Lazy) -> Tensor<D> {
    let kind = DispatchTensorKind::Cube(BackendTensor::Float(primitive));
    Tensor::from_dispatch(DispatchTensor { kind, autodiff: DispatchAutodiffContext::Disabled })
}

pub(super) fn wrap<const D: usize>(tracked: Tracked, autodiff: DispatchAutodiffContext) -> Tensor<D> {
    let kind = DispatchTensorKind::Autodiff(Box::new(DispatchTensorKind::Cube(BackendTensor::Autodiff(tracked))));
    Tensor::from_dispatch(DispatchTensor { kind, autodiff })
}

/// Queues `run` as one operation on `inputs` with outputs of the given shapes. All operations of one `name` must have
/// the same structure: Burn's fusion caches its decisions by name.
pub(super) fn queue<const N: usize>(
    name: &'static str,
    inputs: Vec<Lazy>,
    shapes: [Shape; N],
    run: impl Fn(Vec<CubeTensor>) -> [CubeTensor; N] + Send + Sync + 'static,
) -> [Lazy; N] {
    let outputs = queue_many(name, inputs, shapes.into(), move |inputs| run(inputs).into());
    outputs.try_into().unwrap_or_else(|_| unreachable!("as many outputs as shapes"))
}

/// As [`queue`], for a number of outputs that is only known at run time.
pub(super) fn queue_many(
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

/// Fixes the runtime, which the compiler cannot infer from the closure.
fn operation_of<F>(operation: OperationFn<F>) -> OperationFn<F>
where
    OperationFn<F>: burn::backend::fusion::custom::Operation<FusionCubeRuntime>,
{
    operation
}
