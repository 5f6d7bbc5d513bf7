//! The precision of floating-point types.

use burn::tensor::{Bool, DType, Tensor};

/// The machine epsilon: the distance from 1 to the next larger number.
pub(crate) fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F16 => 1.0 / 1024.0,
        DType::BF16 => 1.0 / 128.0,
        _ => f64::from(f32::EPSILON),
    }
}

/// A number close to the smallest positive one, whose logarithm and reciprocal are finite.
pub(crate) fn tiny(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-300,
        DType::F16 => 6.2e-5,
        _ => 1e-37,
    }
}

/// 1 where `mask` is true and 0 elsewhere, a constant on the device and with the type of `like`.
pub(crate) fn indicator<const D: usize>(mask: Tensor<D, Bool>, like: &Tensor<D>) -> Tensor<D> {
    like.clone().detach().zeros_like().mask_fill(mask, 1.0)
}
