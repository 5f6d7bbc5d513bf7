//! What the units of a code do over a batch.

pub use ae_kernels::Units;
use burn::tensor::{ExecutionError, Tensor};

use crate::Activation;

/// How close to a bound of its activation a unit of the code counts as saturated.
pub const SATURATED: f64 = 0.05;

/// Whether units of this activation can be saturated.
pub fn has_bounds(activation: Activation) -> bool {
    activation.bounds() != (None, None)
}

/// What the units of a code (`[batch, d_code]`) of this activation do.
///
/// # Errors
/// A device that fails to give its results back.
pub fn units(code: &Tensor<2>, activation: Activation) -> Result<Units, ExecutionError> {
    let (low, high) = activation.bounds();
    let bounds = [low.map(|low| (low + SATURATED) as f32), high.map(|high| (high - SATURATED) as f32)];
    ae_kernels::units(code, activation.inactive() as f32, bounds)
}
