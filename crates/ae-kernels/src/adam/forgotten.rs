//! Running averages that begin anew: for parameters that were set to something else, so that the averages say nothing
//! about them.

use std::{any::Any, cell::RefCell};

use burn::{
    optim::AdaptiveMomentumState,
    tensor::{DType, Tensor},
};

/// Which running averages an optimizer loses in a step.
///
/// ```
/// use ae_kernels::{Adam, Forgotten};
/// use burn::{
///     module::{Module, Param},
///     optim::{GradientsParams, ModuleOptimizer},
///     tensor::{Device, Tensor},
/// };
///
/// #[derive(Module, Debug)]
/// struct Layer {
///     weight: Param<Tensor<2>>,
/// }
///
/// let device = Device::default().autodiff();
/// let layer = Layer { weight: Param::from_tensor(Tensor::from_floats([[1.0, 2.0], [3.0, 4.0]], &device)) };
/// let mut optimizer = ModuleOptimizer::from(Adam::default());
/// let gradients = GradientsParams::from_grads(layer.weight.val().square().sum().backward(), &layer);
///
/// // The first row keeps its averages, and the second one loses them.
/// let keep = Tensor::<2>::from_floats([[1.0], [0.0]], &device.clone().inner());
/// let forgotten = Forgotten::default().with(layer.weight.val(), keep);
/// let layer = forgotten.during(|| ae_kernels::step(&mut optimizer, 1e-3, layer, gradients));
/// assert_eq!(layer.weight.dims(), [2, 2]);
/// ```
#[derive(Default)]
pub struct Forgotten(Vec<Box<dyn Any>>);

thread_local! {
    static CURRENT: RefCell<Forgotten> = RefCell::default();
}

impl Forgotten {
    /// Adds the averages of a parameter where `keep` is 0; elsewhere it is 1. It has the parameter's shape, or 1 in a
    /// dimension that it does not depend on.
    pub fn with<const D: usize>(mut self, parameter: Tensor<D>, keep: Tensor<D>) -> Self {
        self.0.push(Box::new((parameter.without_autodiff(), keep.without_autodiff())));
        self
    }

    /// Runs `step`, in which [`Adam`](super::Adam) and [`AdamW`](super::AdamW) set these averages to 0 after they have
    /// updated the parameters. Other optimizers keep theirs.
    pub fn during<T>(self, step: impl FnOnce() -> T) -> T {
        /// Ends the step, also during a panic.
        struct End(Forgotten);
        impl Drop for End {
            fn drop(&mut self) {
                CURRENT.set(std::mem::take(&mut self.0));
            }
        }

        let _end = End(CURRENT.replace(self));
        step()
    }
}

/// Where the averages of `parameter` are kept (1) or lost (0) in this step; all are kept if `None`.
///
/// An optimizer sees a parameter as a tensor without a name, so it is recognized by its values.
pub(super) fn kept<const D: usize>(parameter: &Tensor<D>) -> Option<Tensor<D>> {
    CURRENT.with_borrow(|current| {
        let known = current.0.iter().filter_map(|known| known.downcast_ref::<(Tensor<D>, Tensor<D>)>());
        let is_it = |known: &Tensor<D>| {
            known.dims() == parameter.dims()
                && known.dtype() == parameter.dtype()
                && known.device() == parameter.device()
                && known.clone().equal(parameter.clone()).all().into_scalar::<bool>()
        };
        let (_, keep) = known.into_iter().find(|(known, _)| is_it(known))?;
        Some(keep.clone().cast(parameter.dtype()))
    })
}

/// The averages that are left.
pub(super) fn left<const D: usize>(
    mut momentum: AdaptiveMomentumState<D>,
    kept: Option<Tensor<D>>,
) -> AdaptiveMomentumState<D> {
    if let Some(kept) = kept {
        let of = |moment: Tensor<D>| {
            let dtype: DType = moment.dtype();
            moment * kept.clone().cast(dtype)
        };
        momentum.moment_1 = of(momentum.moment_1);
        momentum.moment_2 = of(momentum.moment_2);
        momentum.max_moment_2 = momentum.max_moment_2.map(of);
    }
    momentum
}
