//! Adam for all parameters of a module at once.
//!
//! Burn's optimizer steps one parameter after the other, which on a GPU is a kernel for each. Inside [`together`] a
//! step only notes what it would compute and gives the parameter back as it is; at the end all of them are computed by
//! as few kernels as the device has bindings for, and put into the module and into the optimizer's state.

use std::cell::RefCell;

use burn::{
    backend::fusion::custom::TensorId,
    module::{Module, ModuleMapper, Param},
    tensor::{Shape, Tensor},
};

use super::{Lazy, Operand, kernels, plain, queue_many};
use crate::adam::Update;

/// The step of one parameter.
struct Noted {
    update: Update,
    /// Parameter, gradient, and the two moments.
    tensors: [Lazy; 4],
    /// Takes the new moments.
    keep: Box<dyn FnOnce(Lazy, Lazy)>,
}

thread_local! {
    static NOTED: RefCell<Option<Vec<Noted>>> = const { RefCell::new(None) };
}

/// Notes a step, if steps are being noted and all tensors are on a GPU, outside autodiff. `keep` is given the new
/// moments.
pub(crate) fn note<const D: usize>(
    update: Update,
    parameter: &Tensor<D>,
    gradient: &Tensor<D>,
    moments: Option<(&Tensor<D>, &Tensor<D>)>,
    keep: impl FnOnce(Tensor<D>, Tensor<D>) + 'static,
) -> bool {
    let is_noting = NOTED.with_borrow(Option::is_some);
    let plain_on_gpu =
        |tensor: &Tensor<D>| Operand::new(tensor).filter(|operand| !operand.is_autodiff()).map(Operand::into_primitive);
    let (true, Some(p), Some(g)) = (is_noting, plain_on_gpu(parameter), plain_on_gpu(gradient)) else { return false };
    let moments = match moments {
        Some((m, v)) => (plain_on_gpu(m), plain_on_gpu(v)),
        None => (plain_on_gpu(&parameter.zeros_like()), plain_on_gpu(&parameter.zeros_like())),
    };
    let (Some(m), Some(v)) = moments else { return false };
    assert!(
        g.shape == p.shape && m.shape == p.shape && v.shape == p.shape,
        "gradient and moments of the parameter's shape"
    );
    let noted = Noted { update, tensors: [p, g, m, v], keep: Box::new(|m, v| keep(plain(m), plain(v))) };
    NOTED.with_borrow_mut(|list| list.as_mut().expect("looked at above").push(noted));
    true
}

/// What `step` makes of its module, once the steps that it noted are computed.
pub(crate) fn together<M: Module>(step: impl FnOnce() -> M) -> M {
    /// Ends the noting, whatever happens.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            NOTED.set(None);
        }
    }

    NOTED.set(Some(Vec::new()));
    let end = End;
    let module = step();
    let mut noted = NOTED.take().unwrap_or_default();
    drop(end);
    let mut new = Vec::new();
    while !noted.is_empty() {
        // Groups of parameters may have rates of their own.
        let first = noted[0].update;
        let (alike, others): (Vec<_>, Vec<_>) = noted.into_iter().partition(|step| step.update == first);
        noted = others;
        compute(first, alike, &mut new);
    }
    if new.is_empty() { module } else { module.map(&mut Replace { new }) }
}

/// Queues the steps, and adds each new parameter with the old one's identity.
fn compute(update: Update, steps: Vec<Noted>, new: &mut Vec<(TensorId, Lazy)>) {
    let count = steps.len();
    let (mut inputs, mut keeps, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for Noted { tensors, keep, .. } in steps {
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

/// Puts the new parameters where the old ones are.
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
            // What Burn gives a parameter back after its own step.
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
