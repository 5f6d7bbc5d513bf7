//! Activity statistics of the units of a code over a batch.

pub use ae_kernels::Units;
use burn::tensor::{ExecutionError, Tensor};

use crate::Activation;

/// A unit is saturated if it is this close to a bound of its activation.
pub const SATURATED: f64 = 0.05;

/// Whether units with this activation can be saturated.
pub fn has_bounds(activation: Activation) -> bool {
    activation.bounds() != (None, None)
}

/// Activity statistics of the units of a code (`[batch, d_code]`) with this activation.
///
/// # Errors
/// The device fails to return its results.
pub fn units(code: &Tensor<2>, activation: Activation) -> Result<Units, ExecutionError> {
    let (low, high) = activation.bounds();
    let bounds = [low.map(|low| (low + SATURATED) as f32), high.map(|high| (high - SATURATED) as f32)];
    ae_kernels::units(code, activation.inactive() as f32, bounds)
}
