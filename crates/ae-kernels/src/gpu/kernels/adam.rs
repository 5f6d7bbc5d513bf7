//! A step of Adam for several parameters.

use burn_cubecl::{cubecl, kernel::into_contiguous, tensor::CubeTensor};
use cubecl::{calculate_cube_count_elemwise, prelude::*};

use super::{elements, empty};
use crate::adam::update::Update;

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
    l2: f32,
    scale: f32,
) {
    let mut start = 0usize;
    #[unroll]
    for tensor in 0..p.len() {
        let count = counts[tensor];
        if ABSOLUTE_POS >= start && ABSOLUTE_POS < start + count {
            let index = ABSOLUTE_POS - start;
            let old = p[tensor][index];
            let gradient = g[tensor][index] + l2 * old;
            let first = beta_1 * m[tensor][index] + (1.0f32 - beta_1) * gradient;
            let second = beta_2 * v[tensor][index] + (1.0f32 - beta_2) * gradient * gradient;
            let new_m = m.index_mut(tensor);
            new_m[index] = first;
            let new_v = v.index_mut(tensor);
            new_v[index] = second;
            let new_p = out.index_mut(tensor);
            new_p[index] = scale * old - rate * first / (second.sqrt() + epsilon);
        }
        start += count;
    }
}

/// A step of Adam for several parameters. The inputs are parameter, gradient, first and second moment of each in turn;
/// the outputs are parameter, first and second moment of each in turn.
pub(in crate::gpu) fn adam(tensors: Vec<CubeTensor>, update: Update) -> Vec<CubeTensor> {
    let mut tensors = tensors.into_iter();
    let mut steps = Vec::new();
    while let Some(p) = tensors.next() {
        let mut next = || into_contiguous(tensors.next().expect("four tensors for each parameter"));
        let (g, m, v) = (next(), next(), next());
        // The moments are updated in place, unless they have another owner.
        let own = |tensor: CubeTensor| if tensor.can_mut() { tensor } else { tensor.copy() };
        let p = into_contiguous(p);
        steps.push((empty(&p, p.meta.shape().clone()), p, g, own(m), own(v)));
    }
    let Some((first, ..)) = steps.first() else { return Vec::new() };
    let client = first.client.clone();
    // Five buffers for each parameter, and one for the coefficients.
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
        // SAFETY: `counts` holds the number of values of each parameter, which its gradient and moments have too.
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
                update.l2,
                update.scale,
            );
        }
    }
    steps.into_iter().flat_map(|(out, _, _, m, v)| [out, m, v]).collect()
}
