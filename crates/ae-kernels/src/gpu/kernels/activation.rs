//! Bias and activation of a layer, and their gradient.

use burn_cubecl::{cubecl, kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{calculate_cube_count_elemwise, prelude::*};

use super::{COLUMNS, MapToArray, ROWS, column_total, elements, empty, sigmoid};
use crate::Activation;

/// The number of the activation that a kernel is compiled for, and the slope of a leaky one.
pub(super) fn activation_code(activation: Activation) -> (u32, f32) {
    match activation {
        Activation::Identity => (0, 1.0),
        Activation::Relu => (1, 0.0),
        Activation::LeakyRelu(slope) => (2, slope as f32),
        Activation::Elu => (3, 0.0),
        Activation::Tanh => (4, 0.0),
        Activation::Sigmoid => (5, 0.0),
        Activation::Softplus | Activation::Gelu | Activation::Silu => unreachable!("excluded by `has_kernel`"),
    }
}

#[cube]
fn value(z: f32, slope: f32, #[comptime] activation: u32) -> f32 {
    let mut y = z;
    if comptime!(activation == 1) {
        if z < 0.0f32 {
            y = 0.0f32;
        }
    } else if comptime!(activation == 2) {
        if z < 0.0f32 {
            y = z * slope;
        }
    } else if comptime!(activation == 3) {
        if z < 0.0f32 {
            y = z.exp() - 1.0f32;
        }
    } else if comptime!(activation == 4) {
        y = z.tanh();
    } else if comptime!(activation == 5) {
        y = sigmoid(z);
    }
    y
}

/// The gradient before an activation, from the gradient after it and the activation's value `y`.
#[cube]
fn gradient_before(gradient: f32, y: f32, slope: f32, #[comptime] activation: u32) -> f32 {
    let mut before = gradient;
    if comptime!(activation == 1) {
        if y <= 0.0f32 {
            before = 0.0f32;
        }
    } else if comptime!(activation == 2) {
        if y < 0.0f32 {
            before = gradient * slope;
        }
    } else if comptime!(activation == 3) {
        if y <= 0.0f32 {
            before = gradient * (y + 1.0f32);
        }
    } else if comptime!(activation == 4) {
        before = gradient * (1.0f32 - y * y);
    } else if comptime!(activation == 5) {
        before = gradient * (y - y * y);
    }
    before
}

#[cube(launch_unchecked)]
fn bias_activation_kernel(
    z: &[f32],
    bias: &[f32],
    y: &mut [f32],
    count: usize,
    width: usize,
    slope: f32,
    #[comptime] activation: u32,
) {
    if ABSOLUTE_POS < count {
        y[ABSOLUTE_POS] = value(z[ABSOLUTE_POS] + bias[ABSOLUTE_POS % width], slope, activation);
    }
}

/// `phi(z + b)`: `z` `[batch, width]`, `b` `[width]`, to `[batch, width]`.
pub(in crate::gpu) fn bias_activation(inputs: Vec<CubeTensor>, activation: Activation) -> CubeTensor {
    let [z, bias]: [CubeTensor; 2] = inputs.map_to(into_contiguous);
    let (count, width) = (elements(&z), elements(&bias));
    let y = empty(&z, z.meta.shape().clone());
    if count == 0 {
        return y;
    }
    let (client, (activation, slope)) = (z.client.clone(), activation_code(activation));
    let dim = CubeDim::new(&client, count);
    let cubes = calculate_cube_count_elemwise(&client, count, dim);
    // SAFETY: `y` has as many values as `z`, and the bias one for each column.
    unsafe {
        bias_activation_kernel::launch_unchecked(
            &client,
            cubes,
            dim,
            z.into_buffer_arg(),
            bias.into_buffer_arg(),
            y.clone().into_buffer_arg(),
            count,
            width,
            slope,
            activation,
        );
    }
    y
}

#[cube(launch_unchecked)]
fn activation_gradient_kernel(
    dy: &[f32],
    y: &[f32],
    dz: &mut [f32],
    sums: &mut [f32],
    rows: usize,
    width: usize,
    slope: f32,
    #[comptime] activation: u32,
) {
    let column = (CUBE_POS_X * COLUMNS + UNIT_POS_X) as usize;
    let mut sum = 0.0f32;
    if column < width {
        let mut row = UNIT_POS_Y as usize;
        while row < rows {
            let index = row * width + column;
            let gradient = gradient_before(dy[index], y[index], slope, activation);
            dz[index] = gradient;
            sum += gradient;
            row += ROWS as usize;
        }
    }
    let total = column_total(sum);
    if UNIT_POS_Y == 0 && column < width {
        sums[column] = total;
    }
}

/// The gradient before an activation, `[batch, width]`, and its sums over the batch, `[width]`. The inputs are the
/// gradient after the activation and the activation's values, both `[batch, width]`.
pub(in crate::gpu) fn activation_gradient(inputs: Vec<CubeTensor>, activation: Activation) -> [CubeTensor; 2] {
    let [dy, y]: [CubeTensor; 2] = inputs.map_to(into_contiguous);
    let (rows, width) = (dy.meta.shape()[0], dy.meta.shape()[1]);
    let (dz, sums) = (empty(&dy, dy.meta.shape().clone()), empty(&dy, [width]));
    if width == 0 {
        return [dz, sums];
    }
    let (client, (activation, slope)) = (dy.client.clone(), activation_code(activation));
    let cubes = CubeCount::Static((width as u32).div_ceil(COLUMNS), 1, 1);
    // SAFETY: all tensors have `rows * width` values, except the sums, which have `width`.
    unsafe {
        activation_gradient_kernel::launch_unchecked(
            &client,
            cubes,
            CubeDim::new_2d(COLUMNS, ROWS),
            dy.into_buffer_arg(),
            y.into_buffer_arg(),
            dz.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            rows,
            width,
            slope,
            activation,
        );
    }
    [dz, sums]
}
