//! The kernels, in CubeCL.
//!
//! Every launch is unchecked: each kernel compares its position with the length that it is told, and the buffers it is
//! given hold so many numbers because the operations in the file above made them of those shapes.

use burn::tensor::{DType, Shape};
use burn_cubecl::{cubecl, kernel::into_contiguous, ops::numeric::empty_device_contiguous_dtype, tensor::CubeTensor};
use cubecl::{calculate_cube_count_elemwise, prelude::*};

use crate::{Activation, adam::Update, loss::Loss};

/// Columns and rows that a workgroup of [`activation_gradient_kernel`] holds at a time.
const COLUMNS: u32 = 32;
const ROWS: u32 = 8;

/// Threads that share a row in [`row_loss_kernel`].
const LANES: u32 = 64;

/// Which activation a kernel is compiled for, and the slope of a leaky one.
fn code(activation: Activation) -> (u32, f32) {
    match activation {
        Activation::Identity => (0, 1.0),
        Activation::Relu => (1, 0.0),
        Activation::LeakyRelu(slope) => (2, slope as f32),
        Activation::Elu => (3, 0.0),
        Activation::Tanh => (4, 0.0),
        Activation::Sigmoid => (5, 0.0),
        Activation::Softplus | Activation::Gelu | Activation::Silu => unreachable!("declined by `has_kernel`"),
    }
}

/// Which loss a kernel is compiled for.
fn loss_code(loss: Loss) -> u32 {
    match loss {
        Loss::SquaredError => 0,
        Loss::Bernoulli => 1,
        Loss::SquaredErrorOfLogits => 2,
    }
}

/// A new tensor beside `like`.
fn empty(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape.into(), DType::F32)
}

fn elements(tensor: &CubeTensor) -> usize {
    tensor.meta.num_elements()
}

/// The sum of what the threads of a column of the workgroup hold, which is [`COLUMNS`] wide and [`ROWS`] high.
#[cube]
fn column_total(part: f32) -> f32 {
    let mut parts = Shared::<[f32]>::new_slice(comptime!((COLUMNS * ROWS) as usize));
    parts[UNIT_POS as usize] = part;
    sync_cube();
    let mut total = 0.0f32;
    for row in 0..ROWS {
        total += parts[(row * COLUMNS + UNIT_POS_X) as usize];
    }
    total
}

/// The sum of what the [`LANES`] threads of the workgroup hold.
#[cube]
fn row_total(part: f32) -> f32 {
    let mut parts = Shared::<[f32]>::new_slice(comptime!(LANES as usize));
    parts[UNIT_POS as usize] = part;
    sync_cube();
    let mut total = 0.0f32;
    for lane in 0..LANES {
        total += parts[lane as usize];
    }
    total
}

#[cube]
fn sigmoid(z: f32) -> f32 {
    1.0f32 / (1.0f32 + (-z).exp())
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

/// The gradient before an activation of value `y` from the one behind it.
#[cube]
fn pull(gradient: f32, y: f32, slope: f32, #[comptime] activation: u32) -> f32 {
    let mut pulled = gradient;
    if comptime!(activation == 1) {
        if y <= 0.0f32 {
            pulled = 0.0f32;
        }
    } else if comptime!(activation == 2) {
        if y < 0.0f32 {
            pulled = gradient * slope;
        }
    } else if comptime!(activation == 3) {
        if y <= 0.0f32 {
            pulled = gradient * (y + 1.0f32);
        }
    } else if comptime!(activation == 4) {
        pulled = gradient * (1.0f32 - y * y);
    } else if comptime!(activation == 5) {
        pulled = gradient * (y - y * y);
    }
    pulled
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

/// `phi(z + b)` of `z` `[batch, width]` and `b` `[width]`.
pub(super) fn bias_activation(inputs: Vec<CubeTensor>, activation: Activation) -> CubeTensor {
    let [z, bias]: [CubeTensor; 2] = inputs.map_to(into_contiguous);
    let (count, width) = (elements(&z), elements(&bias));
    let y = empty(&z, z.meta.shape().clone());
    if count == 0 {
        return y;
    }
    let (client, (activation, slope)) = (z.client.clone(), code(activation));
    let dim = CubeDim::new(&client, count);
    let cubes = calculate_cube_count_elemwise(&client, count, dim);
    // SAFETY: `y` has as many numbers as `z`, and the bias one for each column.
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
            let gradient = pull(dy[index], y[index], slope, activation);
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

/// The gradient before an activation from the one behind it and its value, both `[batch, width]`; and its sums over the
/// batch, `[width]`.
pub(super) fn activation_gradient(inputs: Vec<CubeTensor>, activation: Activation) -> [CubeTensor; 2] {
    let [dy, y]: [CubeTensor; 2] = inputs.map_to(into_contiguous);
    let (rows, width) = (dy.meta.shape()[0], dy.meta.shape()[1]);
    let (dz, sums) = (empty(&dy, dy.meta.shape().clone()), empty(&dy, [width]));
    if width == 0 {
        return [dz, sums];
    }
    let (client, (activation, slope)) = (dy.client.clone(), code(activation));
    let cubes = CubeCount::Static((width as u32).div_ceil(COLUMNS), 1, 1);
    // SAFETY: all but the sums have `rows * width` numbers, and those `width`.
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

/// The slope of an activation of value `y`.
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
fn bend_at(y: f32, #[comptime] activation: u32) -> f32 {
    let mut bend = 0.0f32;
    if comptime!(activation == 3) {
        if y <= 0.0f32 {
            bend = 1.0f32;
        }
    } else if comptime!(activation == 4) {
        bend = -2.0f32 * y;
    } else if comptime!(activation == 5) {
        bend = 1.0f32 - 2.0f32 * y;
    }
    bend
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
pub(super) fn column_norms(inputs: Vec<CubeTensor>) -> CubeTensor {
    let [w]: [CubeTensor; 1] = inputs.map_to(into_contiguous);
    let (rows, width) = (w.meta.shape()[0], w.meta.shape()[1]);
    let norms = empty(&w, [width]);
    if width == 0 {
        return norms;
    }
    let client = w.client.clone();
    // SAFETY: the weights have `rows * width` numbers, and the norms `width`.
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

/// `sum_j phi'_j^2 n_j` of each row, `[batch]`, of the values `h` (`[batch, width]`) and the columns' norms `n`.
pub(super) fn contraction(inputs: Vec<CubeTensor>, activation: Activation) -> CubeTensor {
    let [h, norms]: [CubeTensor; 2] = inputs.map_to(into_contiguous);
    let (rows, width) = (h.meta.shape()[0], h.meta.shape()[1]);
    let out = empty(&h, [rows]);
    if rows == 0 {
        return out;
    }
    let (client, (activation, below)) = (h.client.clone(), code(activation));
    // SAFETY: the values have `rows * width` numbers, the norms `width`, and the output `rows`.
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
            dh[index] = 2.0f32 * gradient * norm * slope * bend_at(h[index], activation);
            sum += gradient * slope * slope;
            row += ROWS as usize;
        }
    }
    let total = column_total(sum);
    if UNIT_POS_Y == 0 && column < width {
        factors[column] = total;
    }
}

/// The gradient of [`contraction`] by the values, `[batch, width]`, and by the norms, `[width]`, from that of each row.
pub(super) fn contraction_gradient(inputs: Vec<CubeTensor>, activation: Activation) -> [CubeTensor; 2] {
    let mut inputs = inputs.into_iter();
    let (upstream, stride) = of_rows(inputs.next().expect("the gradient of the rows"));
    let [h, norms]: [CubeTensor; 2] = inputs.collect::<Vec<_>>().map_to(into_contiguous);
    let (rows, width) = (h.meta.shape()[0], h.meta.shape()[1]);
    let (dh, factors) = (empty(&h, h.meta.shape().clone()), empty(&h, [width]));
    if width == 0 {
        return [dh, factors];
    }
    let (client, (activation, below)) = (h.client.clone(), code(activation));
    // SAFETY: the values and their gradient have `rows * width` numbers, norms and factors `width`, and `upstream` as
    // `of_rows` says.
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

/// The gradient of [`column_norms`] by the weights, `2 W_ij f_j`, from that of the norms.
pub(super) fn scaled_columns(inputs: Vec<CubeTensor>) -> CubeTensor {
    let [w, factors]: [CubeTensor; 2] = inputs.map_to(into_contiguous);
    let (count, width) = (elements(&w), w.meta.shape()[1]);
    let out = empty(&w, w.meta.shape().clone());
    if count == 0 {
        return out;
    }
    let client = w.client.clone();
    let dim = CubeDim::new(&client, count);
    let cubes = calculate_cube_count_elemwise(&client, count, dim);
    // SAFETY: weights and output have `count` numbers, and there is a factor for each column.
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

/// A gradient of each row, and how far apart two of its numbers lie: 0 where there is one number for all rows, as
/// behind a mean.
fn of_rows(upstream: CubeTensor) -> (CubeTensor, usize) {
    match upstream.meta.strides()[0] {
        stride @ 0..=1 => (upstream, stride),
        _ => (into_contiguous(upstream), 1),
    }
}

#[cube]
fn loss_value(x: f32, r: f32, #[comptime] loss: u32) -> f32 {
    let mut value = 0.5f32 * (x - r) * (x - r);
    if comptime!(loss == 1) {
        // log(1 + exp(l)) - x l, with the exponent kept from overflowing.
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

/// The loss of each row, `[batch]`, of inputs and reconstructions, and weights if there is a third, all `[batch,
/// width]`.
pub(super) fn row_loss(inputs: Vec<CubeTensor>, loss: Loss) -> CubeTensor {
    let mut inputs: Vec<CubeTensor> = inputs.into_iter().map(into_contiguous).collect();
    let (rows, width) = (inputs[0].meta.shape()[0], inputs[0].meta.shape()[1]);
    let out = empty(&inputs[0], [rows]);
    if rows == 0 {
        return out;
    }
    let weighted = inputs.len() == 3;
    if !weighted {
        inputs.push(inputs[0].clone()); // a buffer has to be bound, and is not read
    }
    let [x, r, weights]: [CubeTensor; 3] = inputs.try_into().unwrap_or_else(|_| unreachable!("two or three tensors"));
    let client = x.client.clone();
    let cubes = cubecl::calculate_cube_count_elemwise(&client, rows, CubeDim::new_1d(1));
    // SAFETY: the inputs have `rows * width` numbers, and the output `rows`.
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

/// The gradient of [`row_loss`] by the reconstructions, `[batch, width]`, from that of each row (`[batch]`, which may
/// be one number for all).
pub(super) fn loss_gradient(inputs: Vec<CubeTensor>, loss: Loss) -> CubeTensor {
    let mut inputs = inputs.into_iter();
    let (upstream, stride) = of_rows(inputs.next().expect("the gradient of the rows"));
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
    // SAFETY: all but the first have `count` numbers, and that one as `of_rows` says.
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

/// An array of a vector that is known to be as long.
trait MapTo {
    fn map_to<const N: usize>(self, f: impl Fn(CubeTensor) -> CubeTensor) -> [CubeTensor; N];
}

impl MapTo for Vec<CubeTensor> {
    fn map_to<const N: usize>(self, f: impl Fn(CubeTensor) -> CubeTensor) -> [CubeTensor; N] {
        let mapped: Vec<_> = self.into_iter().map(f).collect();
        mapped.try_into().unwrap_or_else(|_| unreachable!("{N} tensors"))
    }
}

#[cube(launch_unchecked)]
fn adam_kernel(
    p: &Sequence<Box<[f32]>>,
    g: &Sequence<Box<[f32]>>,
    out: &mut Sequence<Box<[f32]>>,
    m: &mut Sequence<Box<[f32]>>,
    v: &mut Sequence<Box<[f32]>>,
    counts: &Sequence<usize>,
    beta_1: f32,
    beta_2: f32,
    rate: f32,
    epsilon: f32,
    added: f32,
    kept: f32,
) {
    let mut start = 0usize;
    #[unroll]
    for tensor in 0..p.len() {
        let count = counts[tensor];
        if ABSOLUTE_POS >= start && ABSOLUTE_POS < start + count {
            let index = ABSOLUTE_POS - start;
            let old = p[tensor][index];
            let gradient = g[tensor][index] + added * old;
            let first = beta_1 * m[tensor][index] + (1.0f32 - beta_1) * gradient;
            let second = beta_2 * v[tensor][index] + (1.0f32 - beta_2) * gradient * gradient;
            let new_m = m.index_mut(tensor);
            new_m[index] = first;
            let new_v = v.index_mut(tensor);
            new_v[index] = second;
            let new_p = out.index_mut(tensor);
            new_p[index] = kept * old - rate * first / (second.sqrt() + epsilon);
        }
        start += count;
    }
}

/// A step of Adam of some parameters. Of each in turn: parameter, gradient and the two moments; and back parameter and
/// moments.
pub(super) fn adam(tensors: Vec<CubeTensor>, update: Update) -> Vec<CubeTensor> {
    let mut tensors = tensors.into_iter();
    let mut steps = Vec::new();
    while let Some(p) = tensors.next() {
        let mut next = || into_contiguous(tensors.next().expect("four tensors for each parameter"));
        let (g, m, v) = (next(), next(), next());
        // The moments are written where they are, unless somebody else reads them.
        let own = |tensor: CubeTensor| if tensor.can_mut() { tensor } else { tensor.copy() };
        let p = into_contiguous(p);
        steps.push((empty(&p, p.meta.shape().clone()), p, g, own(m), own(v)));
    }
    let Some((first, ..)) = steps.first() else { return Vec::new() };
    let client = first.client.clone();
    // Five buffers for each parameter, and one for the numbers.
    let most = ((client.properties().hardware.max_bindings as usize).saturating_sub(1) / 5).max(1);
    for steps in steps.chunks(most) {
        let counts: Vec<usize> = steps.iter().map(|(out, ..)| elements(out)).collect();
        let count = counts.iter().sum();
        if count == 0 {
            continue;
        }
        let dim = CubeDim::new(&client, count);
        let cubes = calculate_cube_count_elemwise(&client, count, dim);
        let buffers = |of: fn(&(CubeTensor, CubeTensor, CubeTensor, CubeTensor, CubeTensor)) -> &CubeTensor| {
            steps.iter().map(|step| of(step).clone().into_buffer_arg()).collect()
        };
        // SAFETY: the tensors of a parameter have as many numbers as are counted of it.
        unsafe {
            adam_kernel::launch_unchecked(
                &client,
                cubes,
                dim,
                buffers(|step| &step.1),
                buffers(|step| &step.2),
                buffers(|step| &step.0),
                buffers(|step| &step.3),
                buffers(|step| &step.4),
                counts.into_iter().collect(),
                update.rates.beta_1,
                update.rates.beta_2,
                update.rate,
                update.epsilon,
                update.added,
                update.kept,
            );
        }
    }
    steps.into_iter().flat_map(|(out, _, _, m, v)| [out, m, v]).collect()
}
