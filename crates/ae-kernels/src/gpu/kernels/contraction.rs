//! The squared norm of the derivative of a layer, and its gradient.

use burn_cubecl::{cubecl, kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{calculate_cube_count_elemwise, prelude::*};

use super::{
    COLUMNS, LANES, MapToArray, ROWS, activation::activation_code, column_total, elements, empty, row_gradient,
    row_total,
};
use crate::Activation;

/// The slope of an activation, from its value `y`.
#[cube]
fn slope_at(y: f32, below: f32, #[comptime] activation: u32) -> f32 {
    let mut slope = 1.0f32;
    if comptime!(activation == 1) {
        if y <= 0.0f32 {
            slope = 0.0f32;
        }
    } else if comptime!(activation == 2) {
        if y < 0.0f32 {
            slope = below;
        }
    } else if comptime!(activation == 3) {
        if y <= 0.0f32 {
            slope = y + 1.0f32;
        }
    } else if comptime!(activation == 4) {
        slope = 1.0f32 - y * y;
    } else if comptime!(activation == 5) {
        slope = y - y * y;
    }
    slope
}

/// The derivative of [`slope_at`] by `y`.
#[cube]
fn slope_derivative_at(y: f32, #[comptime] activation: u32) -> f32 {
    let mut derivative = 0.0f32;
    if comptime!(activation == 3) {
        if y <= 0.0f32 {
            derivative = 1.0f32;
        }
    } else if comptime!(activation == 4) {
        derivative = -2.0f32 * y;
    } else if comptime!(activation == 5) {
        derivative = 1.0f32 - 2.0f32 * y;
    }
    derivative
}

#[cube(launch_unchecked)]
fn column_norms_kernel(w: &[f32], norms: &mut [f32], rows: usize, width: usize) {
    let column = (CUBE_POS_X * COLUMNS + UNIT_POS_X) as usize;
    let mut sum = 0.0f32;
    if column < width {
        let mut row = UNIT_POS_Y as usize;
        while row < rows {
            let value = w[row * width + column];
            sum += value * value;
            row += ROWS as usize;
        }
    }
    let total = column_total(sum);
    if UNIT_POS_Y == 0 && column < width {
        norms[column] = total;
    }
}

/// `sum_i W_ij^2` of each column, `[width]`.
pub(in crate::gpu) fn column_norms(inputs: Vec<CubeTensor>) -> CubeTensor {
    let [w]: [CubeTensor; 1] = inputs.map_to(into_contiguous);
    let (rows, width) = (w.meta.shape()[0], w.meta.shape()[1]);
    let norms = empty(&w, [width]);
    if width == 0 {
        return norms;
    }
    let client = w.client.clone();
    // SAFETY: the weights have `rows * width` values, and the norms `width`.
    unsafe {
        column_norms_kernel::launch_unchecked(
            &client,
            CubeCount::Static((width as u32).div_ceil(COLUMNS), 1, 1),
            CubeDim::new_2d(COLUMNS, ROWS),
            w.into_buffer_arg(),
            norms.clone().into_buffer_arg(),
            rows,
            width,
        );
    }
    norms
}

#[cube(launch_unchecked)]
fn contraction_kernel(
    h: &[f32],
    norms: &[f32],
    out: &mut [f32],
    rows: usize,
    width: usize,
    below: f32,
    #[comptime] activation: u32,
) {
    let row = CUBE_POS;
    let mut sum = 0.0f32;
    if row < rows {
        let mut column = UNIT_POS as usize;
        while column < width {
            let slope = slope_at(h[row * width + column], below, activation);
            sum += slope * slope * norms[column];
            column += LANES as usize;
        }
    }
    let total = row_total(sum);
    if UNIT_POS == 0 && row < rows {
        out[row] = total;
    }
}

/// `sum_j phi'_j^2 n_j` of each row, `[batch]`. The inputs are the values `h` (`[batch, width]`) and the squared norms
/// `n` of the columns (`[width]`).
pub(in crate::gpu) fn contraction(inputs: Vec<CubeTensor>, activation: Activation) -> CubeTensor {
    let [h, norms]: [CubeTensor; 2] = inputs.map_to(into_contiguous);
    let (rows, width) = (h.meta.shape()[0], h.meta.shape()[1]);
    let out = empty(&h, [rows]);
    if rows == 0 {
        return out;
    }
    let (client, (activation, below)) = (h.client.clone(), activation_code(activation));
    // SAFETY: the values have `rows * width` entries, the norms `width`, and the output `rows`.
    unsafe {
        contraction_kernel::launch_unchecked(
            &client,
            calculate_cube_count_elemwise(&client, rows, CubeDim::new_1d(1)),
            CubeDim::new_1d(LANES),
            h.into_buffer_arg(),
            norms.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            rows,
            width,
            below,
            activation,
        );
    }
    out
}

#[cube(launch_unchecked)]
fn contraction_gradient_kernel(
    upstream: &[f32],
    h: &[f32],
    norms: &[f32],
    dh: &mut [f32],
    factors: &mut [f32],
    rows: usize,
    width: usize,
    stride: usize,
    below: f32,
    #[comptime] activation: u32,
) {
    let column = (CUBE_POS_X * COLUMNS + UNIT_POS_X) as usize;
    let mut sum = 0.0f32;
    if column < width {
        let norm = norms[column];
        let mut row = UNIT_POS_Y as usize;
        while row < rows {
            let index = row * width + column;
            let slope = slope_at(h[index], below, activation);
            let gradient = upstream[row * stride];
            dh[index] = 2.0f32 * gradient * norm * slope * slope_derivative_at(h[index], activation);
            sum += gradient * slope * slope;
            row += ROWS as usize;
        }
    }
    let total = column_total(sum);
    if UNIT_POS_Y == 0 && column < width {
        factors[column] = total;
    }
}

/// The gradients of [`contraction`] by the values, `[batch, width]`, and by the norms, `[width]`. The first input is
/// the gradient of each row.
pub(in crate::gpu) fn contraction_gradient(inputs: Vec<CubeTensor>, activation: Activation) -> [CubeTensor; 2] {
    let mut inputs = inputs.into_iter();
    let (upstream, stride) = row_gradient(inputs.next().expect("the gradient of the rows"));
    let [h, norms]: [CubeTensor; 2] = inputs.collect::<Vec<_>>().map_to(into_contiguous);
    let (rows, width) = (h.meta.shape()[0], h.meta.shape()[1]);
    let (dh, factors) = (empty(&h, h.meta.shape().clone()), empty(&h, [width]));
    if width == 0 {
        return [dh, factors];
    }
    let (client, (activation, below)) = (h.client.clone(), activation_code(activation));
    // SAFETY: the values and their gradient have `rows * width` entries, norms and factors `width`, and `upstream` has
    // an entry for each row at the stride that `row_gradient` returns.
    unsafe {
        contraction_gradient_kernel::launch_unchecked(
            &client,
            CubeCount::Static((width as u32).div_ceil(COLUMNS), 1, 1),
            CubeDim::new_2d(COLUMNS, ROWS),
            upstream.into_buffer_arg(),
            h.into_buffer_arg(),
            norms.into_buffer_arg(),
            dh.clone().into_buffer_arg(),
            factors.clone().into_buffer_arg(),
            rows,
            width,
            stride,
            below,
            activation,
        );
    }
    [dh, factors]
}

#[cube(launch_unchecked)]
fn scaled_columns_kernel(w: &[f32], factors: &[f32], out: &mut [f32], count: usize, width: usize) {
    if ABSOLUTE_POS < count {
        out[ABSOLUTE_POS] = 2.0f32 * w[ABSOLUTE_POS] * factors[ABSOLUTE_POS % width];
    }
}

/// The gradient of [`column_norms`] by the weights, `2 W_ij f_j`, from the gradient `f` of the norms.
pub(in crate::gpu) fn scaled_columns(inputs: Vec<CubeTensor>) -> CubeTensor {
    let [w, factors]: [CubeTensor; 2] = inputs.map_to(into_contiguous);
    let (count, width) = (elements(&w), w.meta.shape()[1]);
    let out = empty(&w, w.meta.shape().clone());
    if count == 0 {
        return out;
    }
    let client = w.client.clone();
    let dim = CubeDim::new(&client, count);
    let cubes = calculate_cube_count_elemwise(&client, count, dim);
    // SAFETY: weights and output have `count` values, and there is a factor for each column.
    unsafe {
        scaled_columns_kernel::launch_unchecked(
            &client,
            cubes,
            dim,
            w.into_buffer_arg(),
            factors.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            count,
            width,
        );
    }
    out
}
