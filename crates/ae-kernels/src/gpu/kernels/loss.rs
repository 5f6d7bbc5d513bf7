//! The loss of each row, and its gradient.

use burn_cubecl::{cubecl, kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{calculate_cube_count_elemwise, prelude::*};

use super::{LANES, elements, empty, row_gradient, row_total, sigmoid};
use crate::loss::functions::Loss;

/// The number of the loss that a kernel is compiled for.
fn loss_code(loss: Loss) -> u32 {
    match loss {
        Loss::SquaredError => 0,
        Loss::Bernoulli => 1,
        Loss::SquaredErrorOfLogits => 2,
    }
}

#[cube]
fn loss_value(x: f32, r: f32, #[comptime] loss: u32) -> f32 {
    let mut value = 0.5f32 * (x - r) * (x - r);
    if comptime!(loss == 1) {
        // log(1 + exp(l)) - x l, in a form whose exponent cannot overflow.
        let above = if r < 0.0f32 { 0.0f32 } else { r };
        value = above - x * r + (-r.abs()).exp().log1p();
    } else if comptime!(loss == 2) {
        let p = sigmoid(r);
        value = 0.5f32 * (x - p) * (x - p);
    }
    value
}

/// The derivative of [`loss_value`] by `r`.
#[cube]
fn loss_slope(x: f32, r: f32, #[comptime] loss: u32) -> f32 {
    let mut slope = r - x;
    if comptime!(loss == 1) {
        slope = sigmoid(r) - x;
    } else if comptime!(loss == 2) {
        let p = sigmoid(r);
        slope = (p - x) * (p - p * p);
    }
    slope
}

#[cube(launch_unchecked)]
fn row_loss_kernel(
    x: &[f32],
    r: &[f32],
    weights: &[f32],
    out: &mut [f32],
    rows: usize,
    width: usize,
    #[comptime] loss: u32,
    #[comptime] weighted: bool,
) {
    let row = CUBE_POS;
    let mut sum = 0.0f32;
    if row < rows {
        let mut column = UNIT_POS as usize;
        while column < width {
            let index = row * width + column;
            let mut value = loss_value(x[index], r[index], loss);
            if weighted {
                value *= weights[index];
            }
            sum += value;
            column += LANES as usize;
        }
    }
    let total = row_total(sum);
    if UNIT_POS == 0 && row < rows {
        out[row] = total;
    }
}

/// The loss of each row, `[batch]`. The inputs are the targets, the reconstructions and, as an optional third, the
/// weights, all `[batch, width]`.
pub(in crate::gpu) fn row_loss(inputs: Vec<CubeTensor>, loss: Loss) -> CubeTensor {
    let mut inputs: Vec<CubeTensor> = inputs.into_iter().map(into_contiguous).collect();
    let (rows, width) = (inputs[0].meta.shape()[0], inputs[0].meta.shape()[1]);
    let out = empty(&inputs[0], [rows]);
    if rows == 0 {
        return out;
    }
    let weighted = inputs.len() == 3;
    if !weighted {
        inputs.push(inputs[0].clone()); // a buffer must be bound; it is not read
    }
    let [x, r, weights]: [CubeTensor; 3] = inputs.try_into().unwrap_or_else(|_| unreachable!("two or three tensors"));
    let client = x.client.clone();
    let cubes = calculate_cube_count_elemwise(&client, rows, CubeDim::new_1d(1));
    // SAFETY: the inputs have `rows * width` values, and the output `rows`.
    unsafe {
        row_loss_kernel::launch_unchecked(
            &client,
            cubes,
            CubeDim::new_1d(LANES),
            x.into_buffer_arg(),
            r.into_buffer_arg(),
            weights.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            rows,
            width,
            loss_code(loss),
            weighted,
        );
    }
    out
}

#[cube(launch_unchecked)]
fn loss_gradient_kernel(
    upstream: &[f32],
    x: &[f32],
    r: &[f32],
    weights: &[f32],
    out: &mut [f32],
    count: usize,
    width: usize,
    stride: usize,
    #[comptime] loss: u32,
    #[comptime] weighted: bool,
) {
    if ABSOLUTE_POS < count {
        let mut gradient = upstream[ABSOLUTE_POS / width * stride] * loss_slope(x[ABSOLUTE_POS], r[ABSOLUTE_POS], loss);
        if weighted {
            gradient *= weights[ABSOLUTE_POS];
        }
        out[ABSOLUTE_POS] = gradient;
    }
}

/// The gradient of [`row_loss`] by the reconstructions, `[batch, width]`. The first input is the gradient of each row,
/// `[batch]`, which may be one entry for all rows.
pub(in crate::gpu) fn loss_gradient(inputs: Vec<CubeTensor>, loss: Loss) -> CubeTensor {
    let mut inputs = inputs.into_iter();
    let (upstream, stride) = row_gradient(inputs.next().expect("the gradient of the rows"));
    let mut inputs: Vec<CubeTensor> = inputs.map(into_contiguous).collect();
    let weighted = inputs.len() == 3;
    if !weighted {
        inputs.push(inputs[0].clone()); // as in `row_loss`
    }
    let [x, r, weights]: [CubeTensor; 3] = inputs.try_into().unwrap_or_else(|_| unreachable!("two or three tensors"));
    let (count, width) = (elements(&x), x.meta.shape()[1]);
    let out = empty(&x, x.meta.shape().clone());
    if count == 0 {
        return out;
    }
    let client = x.client.clone();
    let dim = CubeDim::new(&client, count);
    let cubes = calculate_cube_count_elemwise(&client, count, dim);
    // SAFETY: all inputs have `count` values, except `upstream`, which has an entry for each row at the stride that
    // `row_gradient` returns.
    unsafe {
        loss_gradient_kernel::launch_unchecked(
            &client,
            cubes,
            dim,
            upstream.into_buffer_arg(),
            x.into_buffer_arg(),
            r.into_buffer_arg(),
            weights.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            count,
            width,
            stride,
            loss_code(loss),
            weighted,
        );
    }
    out
}
