//! The tensors that a CPU kernel can read: `f32` on the Flex backend, with or without autodiff.

use burn::{
    backend::{
        Autodiff, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex,
        flex::{FlexTensor, Layout},
        tensor::FloatTensor,
    },
    tensor::{DType, Shape, Tensor, TensorData},
};

use crate::buffer;

/// A float tensor of `Autodiff<Flex>`.
pub(crate) type Tracked = FloatTensor<Autodiff<Flex>>;

/// An input of a kernel.
pub(crate) struct Operand {
    kind: Kind,
    autodiff: DispatchAutodiffContext,
}

enum Kind {
    Plain(FlexTensor),
    Tracked(Box<Tracked>),
}

impl Operand {
    /// The tensor's Flex primitive; `None` if a kernel cannot read it.
    pub(crate) fn new<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if !crate::simd::is_fast() {
            return None;
        }
        let DispatchTensor { kind, autodiff } = tensor.clone().into_dispatch();
        let kind = match kind {
            DispatchTensorKind::Flex(BackendTensor::Float(primitive)) => Kind::Plain(primitive),
            DispatchTensorKind::Autodiff(inner) => match *inner {
                DispatchTensorKind::Flex(BackendTensor::Autodiff(tracked)) => Kind::Tracked(Box::new(tracked)),
                _ => return None,
            },
            _ => return None,
        };
        let operand = Self { kind, autodiff };
        (operand.primitive().dtype() == DType::F32).then_some(operand)
    }

    pub(crate) fn primitive(&self) -> &FlexTensor {
        match &self.kind {
            Kind::Plain(primitive) => primitive,
            Kind::Tracked(tracked) => tracked.primitive(),
        }
    }

    /// Whether it is on an autodiff device.
    pub(crate) fn is_autodiff(&self) -> bool {
        matches!(self.kind, Kind::Tracked(_))
    }

    /// Whether it needs a gradient.
    pub(crate) fn is_tracked(&self) -> bool {
        matches!(&self.kind, Kind::Tracked(tracked) if tracked.is_tracked())
    }

    /// The primitive with its node in the autodiff graph; a constant if it has none.
    pub(crate) fn tracked(self) -> Tracked {
        match self.kind {
            Kind::Plain(primitive) => Tracked::new(primitive),
            Kind::Tracked(tracked) => *tracked,
        }
    }

    pub(crate) fn into_primitive(self) -> FlexTensor {
        match self.kind {
            Kind::Plain(primitive) => primitive,
            Kind::Tracked(tracked) => tracked.into_primitive(),
        }
    }
}

/// The autodiff context of an operation on these operands; the default where none of them has one.
pub(crate) fn context<const N: usize>(operands: [&Operand; N]) -> DispatchAutodiffContext {
    operands
        .into_iter()
        .map(|operand| operand.autodiff)
        .find(|context| *context != DispatchAutodiffContext::Disabled)
        .unwrap_or_default()
}

/// A tensor outside autodiff.
pub(crate) fn plain<const D: usize>(primitive: FlexTensor) -> Tensor<D> {
    let kind = DispatchTensorKind::Flex(BackendTensor::Float(primitive));
    Tensor::from_dispatch(DispatchTensor { kind, autodiff: DispatchAutodiffContext::Disabled })
}

/// A tensor in the given autodiff context.
pub(crate) fn wrap<const D: usize>(tracked: Tracked, autodiff: DispatchAutodiffContext) -> Tensor<D> {
    let kind = DispatchTensorKind::Autodiff(Box::new(DispatchTensorKind::Flex(BackendTensor::Autodiff(tracked))));
    Tensor::from_dispatch(DispatchTensor { kind, autodiff })
}

/// A primitive that holds `values`.
pub(crate) fn primitive(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::from_bytes(buffer::into_bytes(values), shape.into(), DType::F32))
}

/// The tensor in row-major order, from the start of its buffer: without a copy if it already is.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    let whole = tensor.layout().is_contiguous() && tensor.layout().start_offset() == 0;
    if whole && tensor.bytes().len() == 4 * tensor.layout().num_elements() { tensor } else { tensor.to_contiguous() }
}

/// The values of a [`contiguous`] tensor.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous f32 tensor")
}

/// The values of a [`contiguous`] tensor, to write to: its own buffer if it has no other owner, otherwise a copy.
pub(crate) fn into_vec(tensor: FlexTensor) -> Vec<f32> {
    if !tensor.is_unique() {
        return buffer::copy(values(&tensor));
    }
    tensor.into_data().try_into_vec().expect("an f32 tensor")
}

/// The sizes of a tensor of `D` dimensions.
pub(crate) fn dims<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.layout().shape().dims()
}

/// Rows, columns, their strides, and the start offset of a matrix.
pub(crate) fn strides(layout: &Layout) -> (usize, usize, isize, isize, usize) {
    let (shape, strides) = (layout.shape(), layout.strides());
    (shape[0], shape[1], strides[0], strides[1], layout.start_offset())
}
