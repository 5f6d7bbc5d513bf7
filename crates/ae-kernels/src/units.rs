//! Statistics of the units of a code over a batch, computed in one pass over the code.

use std::ops::Range;

use burn::tensor::{ExecutionError, Tensor};

use crate::{
    Units, burn_ops,
    cpu::{self, Operand},
    simd::vectorized,
    threads,
};

/// Activity statistics of `code` (`[batch, d_code]`).
///
/// A value is active if its magnitude is above `inactive`, and saturated if it is at or below the first of `bounds`,
/// or at or above the second.
///
/// # Errors
/// The device fails to return its results.
pub fn units(code: &Tensor<2>, inactive: f32, bounds: [Option<f32>; 2]) -> Result<Units, ExecutionError> {
    let Some(operand) = Operand::new(code) else { return burn_ops::units(code, inactive, bounds) };
    let code = cpu::contiguous(operand.into_primitive());
    let [rows, width] = cpu::dims(&code);
    let bounds = [bounds[0].unwrap_or(f32::NEG_INFINITY), bounds[1].unwrap_or(f32::INFINITY)];
    let numbers = cpu::values(&code);
    let none = || Units { active: 0.0, size: 0.0, saturated: 0.0, peak: vec![0.0; width] };
    // The number of parts does not depend on the number of threads: their results are summed in order.
    let ranges = threads::row_ranges(rows, threads::reduction_parts(numbers.len()));
    let mut found: Vec<Units> = ranges.iter().map(|_| none()).collect();
    threads::for_each_part(ranges.iter().zip(&mut found).collect(), |(range, units): (&Range<usize>, &mut Units)| {
        for row in numbers[range.start * width..range.end * width].chunks_exact(width.max(1)) {
            let (active, saturated, size) = add_row(row, inactive, bounds, &mut units.peak);
            units.active += f64::from(active);
            units.saturated += f64::from(saturated);
            units.size += f64::from(size);
        }
    });
    let units = found.into_iter().fold(none(), |mut all, part| {
        all.active += part.active;
        all.size += part.size;
        all.saturated += part.saturated;
        all.peak.iter_mut().zip(part.peak).for_each(|(all, part)| *all = all.max(part));
        all
    });
    Ok(units)
}

const LANES: usize = 16;

vectorized! {
    /// The numbers of active and of saturated values of a row and the sum of their magnitudes. `peak` is raised to
    /// the largest magnitude of each unit.
    fn add_row(row: &[f32], inactive: f32, bounds: [f32; 2], peak: &mut [f32]) -> (u32, u32, f32) {
        let (mut active, mut saturated, mut sizes) = ([0u32; LANES], [0u32; LANES], [0.0f32; LANES]);
        // Wrapping addition, although a row is never long enough to overflow: an overflow check for each value
        // would prevent vectorization in a debug build.
        let mut add = |lane: usize, value: f32, peak: &mut f32| {
            let size = value.abs();
            active[lane] = active[lane].wrapping_add(u32::from(size > inactive));
            saturated[lane] = saturated[lane]
                .wrapping_add(u32::from(value <= bounds[0]))
                .wrapping_add(u32::from(value >= bounds[1]));
            sizes[lane] += size;
            *peak = if size > *peak { size } else { *peak };
        };
        let ((blocks, rest), (peaks, peaks_rest)) = (row.as_chunks::<LANES>(), peak.as_chunks_mut::<LANES>());
        for (block, peaks) in blocks.iter().zip(peaks) {
            for lane in 0..LANES {
                add(lane, block[lane], &mut peaks[lane]);
            }
        }
        for (lane, (value, peak)) in rest.iter().zip(peaks_rest).enumerate() {
            add(lane, *value, peak);
        }
        (active.iter().sum(), saturated.iter().sum(), sizes.iter().sum())
    }
}
