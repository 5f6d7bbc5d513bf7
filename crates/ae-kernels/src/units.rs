//! What the units of a code do over a batch, in one pass over the code.

use burn::tensor::{ExecutionError, Tensor};

use crate::{
    Units, by_burn,
    cpu::{self, Operand},
    simd::vectorised,
};

/// The figures of `code`, `[batch, d_code]`. A value is active if its size is above `inactive`, and saturated at or below the first of `bounds`
/// or at or above the second.
///
/// # Errors
/// A device that fails to give its results back.
pub fn units(code: &Tensor<2>, inactive: f32, bounds: [Option<f32>; 2]) -> Result<Units, ExecutionError> {
    let Some(operand) = Operand::new(code) else { return by_burn::units(code, inactive, bounds) };
    let code = cpu::in_order(operand.into_primitive());
    let [_, width] = cpu::dims(&code);
    let bounds = [bounds[0].unwrap_or(f32::NEG_INFINITY), bounds[1].unwrap_or(f32::INFINITY)];
    let mut units = Units { active: 0.0, size: 0.0, saturated: 0.0, peak: vec![0.0; width] };
    for row in cpu::numbers(&code).chunks_exact(width.max(1)) {
        let (active, saturated, size) = add_row(row, inactive, bounds, &mut units.peak);
        units.active += f64::from(active);
        units.saturated += f64::from(saturated);
        units.size += f64::from(size);
    }
    Ok(units)
}

const LANES: usize = 16;

vectorised! {
    /// How many values of a row are active, how many saturated, and the sum of their sizes; `peak` grows to the sizes.
    fn add_row(row: &[f32], inactive: f32, bounds: [f32; 2], peak: &mut [f32]) -> (u32, u32, f32) {
        let (mut active, mut saturated, mut sizes) = (0u32, 0u32, [0.0f32; LANES]);
        for (row, peak) in row.chunks(LANES).zip(peak.chunks_mut(LANES)) {
            for ((value, peak), sum) in row.iter().zip(peak).zip(&mut sizes) {
                let size = value.abs();
                active += u32::from(size > inactive);
                saturated += u32::from(*value <= bounds[0]) + u32::from(*value >= bounds[1]);
                *sum += size;
                *peak = if size > *peak { size } else { *peak };
            }
        }
        (active, saturated, sizes.iter().sum())
    }
}
