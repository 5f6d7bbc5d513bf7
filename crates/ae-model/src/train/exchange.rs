//! Training in several processes: each computes the gradients of its part of a batch, and all take the mean.
//!
//! The mean over the batch is the mean of the parts, weighted by their rows. So each process makes the same step, and
//! has the same weights, as one process that computes the whole batch, up to rounding. Running statistics are averaged
//! in the same way.

use std::{collections::HashMap, fmt::Debug};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    optim::GradientsParams,
    tensor::{DType, Tensor, TensorData},
};

use crate::{Autoencoder, ModuleCode, ModuleDecoder, ModuleEncoder};

/// The other processes of a training.
pub trait Exchange: Debug + Send + Sync {
    /// The mean of the values of all processes, weighted by their rows, which is the same bits in each; and the number
    /// of rows of all. Where all have the same value, the mean is that value. `step` is the number of steps before this
    /// one. The first `rounded` of the values may be rounded to bf16 on their way, those of each process and their
    /// mean.
    ///
    /// `None` if one of them is lost: the training cannot go on, and whoever implements this stops it.
    fn mean(&self, step: usize, rows: usize, values: Vec<f32>, rounded: usize) -> Option<(Vec<f32>, usize)>;
}

/// Collects the gradients of the trained parameters, and the values of the others, which can be running statistics.
#[derive(Default)]
struct Collect {
    gradients: GradientsParams,
    /// The gradients.
    values: Vec<f32>,
    /// The values of what has no gradient, and where each begins.
    rest: Vec<f32>,
    others: HashMap<ParamId, usize>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        match self.gradients.remove::<D>(parameter.id) {
            Some(gradient) => {
                append(&mut self.values, gradient.clone());
                // Its place is kept, for the mean.
                self.gradients.register(parameter.id, gradient);
            }
            None => {
                self.others.insert(parameter.id, self.rest.len());
                append(&mut self.rest, parameter.val());
            }
        }
    }
}

fn append<const D: usize>(values: &mut Vec<f32>, tensor: Tensor<D>) {
    let data = tensor.cast(DType::F32).into_data();
    values.extend_from_slice(data.as_slice::<f32>().expect("the tensor was cast to f32"));
}

/// Puts the means in their places.
struct Put {
    gradients: GradientsParams,
    /// Those of the gradients, and where the next parameter's begin.
    values: Vec<f32>,
    at: usize,
    rest: Vec<f32>,
    others: HashMap<ParamId, usize>,
}

/// The first of the values, as a tensor like `old`.
fn like<const D: usize>(values: &[f32], old: &Tensor<D>) -> Tensor<D> {
    let shape = old.shape();
    let values = values[..shape.num_elements()].to_vec();
    Tensor::from_data(TensorData::new(values, shape), (&old.device(), old.dtype()))
}

impl ModuleVisitor for Put {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(old) = self.gradients.remove::<D>(parameter.id) {
            self.gradients.register(parameter.id, like(&self.values[self.at..], &old));
            self.at += parameter.shape().num_elements();
        }
    }
}

impl ModuleMapper for Put {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(&at) = self.others.get(&parameter.id) else { return parameter };
        parameter.map(|old| {
            let is_trained = old.is_require_grad();
            like(&self.rest[at..], &old).set_require_grad(is_trained)
        })
    }
}

/// The mean of the gradients of all processes, each on `rows` rows, and the model with the mean of its running
/// statistics. The gradients are rounded to bf16 on their way if `is_rounded`. The model as it is, and nothing else, if
/// a process is lost.
pub(super) fn mean<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
    exchange: &dyn Exchange,
    step: usize,
    rows: usize,
    is_rounded: bool,
    model: Autoencoder<E, D, C>,
    gradients: GradientsParams,
) -> (Autoencoder<E, D, C>, Option<GradientsParams>) {
    // Running statistics that were updated are in the module only when it has been synchronized.
    drop(model.valid());
    let mut collect = Collect { gradients, ..Collect::default() };
    model.visit(&mut collect);
    let Collect { gradients, mut values, mut rest, others } = collect;
    let [of_gradients, of_all_parameters] = [values.len(), values.len() + rest.len()];
    values.append(&mut rest);
    // A unit that is active in one process is active.
    let idle = model.activity.as_ref().map(|activity| activity.numbers());
    values.extend(idle.iter().flatten().map(|idle| f32::from(u8::from(*idle == 0.0))));
    let rounded = if is_rounded { of_gradients } else { 0 };
    let Some((mut values, of_all)) = exchange.mean(step, rows, values, rounded) else { return (model, None) };
    let active = values.split_off(of_all_parameters);
    let rest = values.split_off(of_gradients);
    let mut put = Put { gradients, values, at: 0, rest, others };
    model.visit(&mut put);
    let model = model.map(&mut put);
    if let (Some(activity), Some(idle)) = (&model.activity, idle) {
        // A part without rows has one that stands in for them, which was counted.
        let more = of_all as f32 - rows.max(1) as f32;
        let of = |(idle, active): (&f32, &f32)| if *active > 0.0 { 0.0 } else { idle + more };
        activity.set(&idle.iter().zip(&active).map(of).collect::<Vec<_>>());
    }
    (model, Some(put.gradients))
}

/// The module with the parameters that the first process has, so that all begin with the same bits. `None` if a process
/// is lost.
pub fn begun_alike<M: Module>(exchange: &dyn Exchange, is_first: bool, module: M) -> Option<M> {
    let mut collect = Collect::default();
    module.visit(&mut collect);
    let Collect { gradients, values, rest, others } = collect;
    let (rest, _) = exchange.mean(0, usize::from(is_first), rest, 0)?;
    Some(module.map(&mut Put { gradients, values, at: 0, rest, others }))
}
