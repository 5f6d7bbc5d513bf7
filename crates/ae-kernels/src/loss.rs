//! Half the squared error, `1/2 sum_i w_i (x_i - r_i)^2`, per row.

use burn::{
    backend::{
        Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
    },
    tensor::Tensor,
};

use crate::{
    cpu::{self, Operand},
    math,
    simd::{self, vectorised},
};

/// `1/2 sum_i w_i (x_i - r_i)^2` of each row, `[batch]`, of the inputs `x` and their reconstructions `r`, both `[batch, d]`; every weight is 1
/// if there are none.
pub fn squared_error(x: Tensor<2>, r: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    let kernel = || {
        let (x, r) = (Operand::new(&x)?, Operand::new(&r)?);
        let weights = match &weights {
            Some(weights) => Some(Operand::new(weights)?),
            None => None,
        };
        // Its gradient is that of the reconstruction alone.
        let constant = !x.is_tracked() && !weights.as_ref().is_some_and(Operand::is_tracked);
        constant.then_some((x, r, weights))
    };
    let Some((x_cpu, r_cpu, weights_cpu)) = kernel() else {
        let error = (x - r).square().mul_scalar(0.5);
        let error = match weights {
            Some(weights) => error * weights,
            None => error,
        };
        return error.sum_dim(1).squeeze_dim(1);
    };
    drop((x, r, weights));
    let context = match &weights_cpu {
        Some(weights) => cpu::context([&x_cpu, &r_cpu, weights]),
        None => cpu::context([&x_cpu, &r_cpu]),
    };
    let autodiff = x_cpu.is_autodiff() || r_cpu.is_autodiff() || weights_cpu.as_ref().is_some_and(Operand::is_autodiff);
    let x = cpu::in_order(x_cpu.into_primitive());
    let weights = weights_cpu.map(|weights| cpu::in_order(weights.into_primitive()));
    if !autodiff {
        return cpu::plain(forward(&x, &cpu::in_order(r_cpu.into_primitive()), weights.as_ref()));
    }
    let (r, node) = r_cpu.tracked().into_parts();
    let r = cpu::in_order(r);
    let y = forward(&x, &r, weights.as_ref());
    let tracked = match Step.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish((x, r, weights), y),
        OpsKind::UnTracked(step) => step.finish(y),
    };
    cpu::wrap(tracked, context)
}

fn forward(x: &FlexTensor, r: &FlexTensor, weights: Option<&FlexTensor>) -> FlexTensor {
    let [batch, width] = cpu::dims(x);
    assert_eq!(cpu::dims::<2>(r), [batch, width], "inputs and reconstructions of different shapes");
    let mut sums = vec![0.0; batch];
    let (x, r, weights) = (cpu::numbers(x), cpu::numbers(r), weights.map(cpu::numbers));
    let runs = simd::runs(batch, simd::parts(x.len()));
    let parts = runs.iter().zip(simd::cut(&mut sums, &runs, 1)).collect();
    simd::for_each_part(parts, |(run, sums): (&std::ops::Range<usize>, &mut [f32])| {
        for (row, sum) in run.clone().zip(sums) {
            let row = row * width..(row + 1) * width;
            *sum = 0.5
                * match weights {
                    Some(weights) => weighted_row_error(&x[row.clone()], &r[row.clone()], &weights[row]),
                    None => row_error(&x[row.clone()], &r[row]),
                };
        }
    });
    cpu::primitive(sums, [batch])
}

const LANES: usize = 16;

vectorised! {
    /// `sum_i (x_i - r_i)^2`, in sixteen partial sums.
    fn row_error(x: &[f32], r: &[f32]) -> f32 {
        let mut sums = [0.0f32; LANES];
        let (x_blocks, r_blocks) = (x.chunks_exact(LANES), r.chunks_exact(LANES));
        for (lane, (x, r)) in x_blocks.remainder().iter().zip(r_blocks.remainder()).enumerate() {
            sums[lane] += (x - r) * (x - r);
        }
        for (x, r) in x_blocks.zip(r_blocks) {
            for lane in 0..LANES {
                sums[lane] = math::fma(x[lane] - r[lane], x[lane] - r[lane], sums[lane]);
            }
        }
        sums.iter().sum()
    }

    /// `sum_i w_i (x_i - r_i)^2`, in sixteen partial sums.
    fn weighted_row_error(x: &[f32], r: &[f32], weights: &[f32]) -> f32 {
        let mut sums = [0.0f32; LANES];
        let (x_blocks, r_blocks, w_blocks) = (x.chunks_exact(LANES), r.chunks_exact(LANES), weights.chunks_exact(LANES));
        for (lane, ((x, r), w)) in x_blocks.remainder().iter().zip(r_blocks.remainder()).zip(w_blocks.remainder()).enumerate() {
            sums[lane] += w * (x - r) * (x - r);
        }
        for ((x, r), w) in x_blocks.zip(r_blocks).zip(w_blocks) {
            for lane in 0..LANES {
                sums[lane] = math::fma(w[lane] * (x[lane] - r[lane]), x[lane] - r[lane], sums[lane]);
            }
        }
        sums.iter().sum()
    }

    /// `r = factor (r - x)`: the gradient of a row, in the reconstruction's place.
    fn row_gradient(r: &mut [f32], x: &[f32], factor: f32) {
        for (r, x) in r.iter_mut().zip(x) {
            *r = factor * (*r - x);
        }
    }

    /// `r = factor w (r - x)`.
    fn weighted_row_gradient(r: &mut [f32], x: &[f32], weights: &[f32], factor: f32) {
        for ((r, x), w) in r.iter_mut().zip(x).zip(weights) {
            *r = factor * w * (*r - x);
        }
    }
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 1> for Step {
    type State = (FlexTensor, FlexTensor, Option<FlexTensor>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let upstream = cpu::in_order(gradients.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let (x, r, weights) = ops.state;
        let [batch, width] = cpu::dims(&x);
        // The reconstruction's own buffer, unless somebody else still reads it.
        let mut gradient = cpu::into_vec(r);
        let (x, upstream, weights) = (cpu::numbers(&x), cpu::numbers(&upstream), weights.as_ref().map(cpu::numbers));
        let runs = simd::runs(batch, simd::parts(gradient.len()));
        let parts = runs.iter().zip(simd::cut(&mut gradient, &runs, width)).collect();
        simd::for_each_part(parts, |(run, gradient): (&std::ops::Range<usize>, &mut [f32])| {
            for (row, gradient) in run.clone().zip(gradient.chunks_exact_mut(width.max(1))) {
                let range = row * width..(row + 1) * width;
                match weights {
                    Some(weights) => weighted_row_gradient(gradient, &x[range.clone()], &weights[range], upstream[row]),
                    None => row_gradient(gradient, &x[range], upstream[row]),
                }
            }
        });
        gradients.register::<Flex>(parent.id, cpu::primitive(gradient, [batch, width]));
    }
}
