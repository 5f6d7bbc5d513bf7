//! Adam for all parameters of a module together.
//!
//! Burn's optimizer updates one parameter after the other, which on a GPU is one kernel for each. Inside [`together`] a
//! step is only recorded, and the parameter is returned as it is. At the end all recorded steps are computed, in as few
//! kernels as the device's limit of bindings allows, and the results are put into the module and into the optimizer's
//! state.

use std::cell::RefCell;

use burn::{
    backend::fusion::custom::TensorId,
    module::{Module, ModuleMapper, Param},
    tensor::{Shape, Tensor},
};

use super::{
    kernels,
    tensor::{Lazy, Operand, plain, queue_many},
};
use crate::adam::update::Update;

/// The recorded step of one parameter.
struct Recorded {
    update: Update,
    /// Parameter, gradient, and the two moments.
    tensors: [Lazy; 4],
    /// Receives the new moments.
    keep: Box<dyn FnOnce(Lazy, Lazy)>,
}

thread_local! {
    static RECORDED: RefCell<Option<Vec<Recorded>>> = const { RefCell::new(None) };
}

/// Records a step, if steps are being recorded and all tensors are on a GPU and outside autodiff. Returns whether it
/// was recorded. `keep` receives the new moments.
pub(crate) fn record<const D: usize>(
    update: Update,
    parameter: &Tensor<D>,
    gradient: &Tensor<D>,
    moments: Option<(&Tensor<D>, &Tensor<D>)>,
    keep: impl FnOnce(Tensor<D>, Tensor<D>) + 'static,
) -> bool {
    let is_recording = RECORDED.with_borrow(Option::is_some);
    let plain_on_gpu =
        |tensor: &Tensor<D>| Operand::new(tensor).filter(|operand| !operand.is_autodiff()).map(Operand::into_primitive);
    let (true, Some(p), Some(g)) = (is_recording, plain_on_gpu(parameter), plain_on_gpu(gradient)) else {
        return false;
    };
    let moments = match moments {
        Some((m, v)) => (plain_on_gpu(m), plain_on_gpu(v)),
        None => (plain_on_gpu(&parameter.zeros_like()), plain_on_gpu(&parameter.zeros_like())),
    };
    let (Some(m), Some(v)) = moments else { return false };
    assert!(
        g.shape == p.shape && m.shape == p.shape && v.shape == p.shape,
        "gradient and moments must have the shape of the parameter"
    );
    let recorded = Recorded { update, tensors: [p, g, m, v], keep: Box::new(|m, v| keep(plain(m), plain(v))) };
    RECORDED.with_borrow_mut(|list| list.as_mut().expect("checked above").push(recorded));
    true
}

/// The module that `step` returns, after the steps that it recorded are computed.
pub(crate) fn together<M: Module>(step: impl FnOnce() -> M) -> M {
    /// Stops the recording, also during a panic.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            RECORDED.set(None);
        }
    }

    RECORDED.set(Some(Vec::new()));
    let end = End;
    let module = step();
    let mut recorded = RECORDED.take().unwrap_or_default();
    drop(end);
    let mut new = Vec::new();
    while !recorded.is_empty() {
        // Parameter groups may have different learning rates.
        let first = recorded[0].update;
        let (same_update, others): (Vec<_>, Vec<_>) = recorded.into_iter().partition(|step| step.update == first);
        recorded = others;
        compute(first, same_update, &mut new);
    }
    if new.is_empty() { module } else { module.map(&mut Replace { new }) }
}

/// Queues the steps, and adds each new parameter together with the identity of the old one.
fn compute(update: Update, steps: Vec<Recorded>, new: &mut Vec<(TensorId, Lazy)>) {
    let count = steps.len();
    let (mut inputs, mut keeps, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for Recorded { tensors, keep, .. } in steps {
        ids.push(tensors[0].id);
        inputs.push(tensors);
        keeps.push(keep);
    }
    let shapes: Vec<Shape> =
        inputs.iter().flat_map(|[p, ..]| [p.shape.clone(), p.shape.clone(), p.shape.clone()]).collect();
    let inputs = inputs.into_iter().flatten().collect();
    let mut outputs = queue_many("ae_adam", inputs, shapes, move |tensors| kernels::adam(tensors, update)).into_iter();
    for (id, keep) in ids.into_iter().zip(keeps) {
        let mut next = || outputs.next().expect("three for each parameter");
        let (p, m, v) = (next(), next(), next());
        keep(m, v);
        new.push((id, p));
    }
    debug_assert!(count == 0 || outputs.next().is_none());
}

/// Replaces the old parameters by the new ones.
struct Replace {
    new: Vec<(TensorId, Lazy)>,
}

impl ModuleMapper for Replace {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let old = parameter.val().inner();
        let id = Operand::new(&old).map(|operand| operand.into_primitive().id);
        drop(old);
        let Some(place) = self.new.iter().position(|(old, _)| Some(*old) == id) else { return parameter };
        let (_, new) = self.new.swap_remove(place);
        parameter.map(|old| {
            // Restores what Burn restores on a parameter after its own step.
            let (is_trained, strategy) = (old.is_require_grad(), old.gradient_checkpointing_strategy());
            let new = Tensor::from_inner(plain(new));
            let new = match strategy {
                Some(strategy) => new.with_gradient_checkpointing_strategy(strategy),
                None => new,
            };
            if is_trained { new.require_grad() } else { new }
        })
    }
}
