//! Adam and AdamW in one pass over memory.
//!
//! They compute the same numbers as Burn's optimizers and keep the same state, with the same records: a checkpoint of
//! one is read by the other. Burn goes over parameters, gradient and moments about ten times; here each is read once
//! and written once.
//!
//! References: Kingma and Ba 2015; Loshchilov and Hutter 2019.

mod forgotten;
pub(crate) mod update;

use std::sync::{Arc, OnceLock};

use burn::{
    lr_scheduler::module_lr_scheduler::ModuleLearningRate,
    module::Module,
    optim::{
        AdamConfig, AdamState, AdamWConfig, AdamWState, AdaptiveMomentumState, GradientsParams, ModuleOptimizer,
        Optimizer, RecordState, StateSink, StateSource, decay::WeightDecayConfig,
    },
    tensor::{Device, Tensor},
};
pub use forgotten::Forgotten;
use update::{Decay, Hyperparameters, Rates, Update, update};

use crate::{
    cpu::{self, Operand},
    threads,
};

/// `optimizer.step(rate, module, gradients)`. On a GPU, [`Adam`] and [`AdamW`] update all parameters together, in few
/// kernels; elsewhere this is the same call.
pub fn step<M: Module>(
    optimizer: &mut ModuleOptimizer,
    rate: impl Into<ModuleLearningRate>,
    module: M,
    gradients: GradientsParams,
) -> M {
    #[cfg(feature = "gpu")]
    return crate::gpu::adam::together(|| optimizer.step(rate, module, gradients));
    #[cfg(not(feature = "gpu"))]
    crate::burn_ops::step(optimizer, rate, module, gradients)
}

/// The state that Burn keeps of a parameter between two steps: the state of Burn's own optimizer, with the same
/// records. It is available when the step that returned it is over.
#[derive(Clone)]
pub struct Kept<S>(Arc<OnceLock<S>>);

impl<S> From<S> for Kept<S> {
    fn from(state: S) -> Self {
        Self(Arc::new(OnceLock::from(state)))
    }
}

impl<S: Clone> Kept<S> {
    fn into_state(self) -> S {
        let state = Arc::try_unwrap(self.0).map(OnceLock::into_inner).unwrap_or_else(|shared| shared.get().cloned());
        state.expect("the previous step is over")
    }
}

impl<S: RecordState> RecordState for Kept<S> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        self.0.get().expect("the previous step is over").state_flatten(prefix, out);
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        S::state_unflatten(prefix, source, device).map(Self::from)
    }
}

/// Adam. Defaults: `beta = (0.9, 0.999)`, an `epsilon` of 1e-8 as in PyTorch, and no weight decay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adam {
    rates: Rates,
    weight_decay: f32,
}

impl Adam {
    /// Sets the decay rates of the running averages of the gradient and of its square, each in `[0, 1)`.
    pub fn with_betas(mut self, beta_1: f32, beta_2: f32) -> Self {
        (self.rates.beta_1, self.rates.beta_2) = (beta_1, beta_2);
        self
    }

    /// Sets the number that is added to the square root of the second moment, greater than 0.
    pub fn with_epsilon(mut self, epsilon: f32) -> Self {
        self.rates.epsilon = epsilon;
        self
    }

    /// Adds an L2 penalty: the gradient of `weight_decay / 2 ||p||^2` is added to that of the loss.
    pub fn with_weight_decay(self, weight_decay: f32) -> Self {
        Self { weight_decay, ..self }
    }

    fn burn(&self) -> burn::optim::Adam {
        let Rates { beta_1, beta_2, epsilon } = self.rates;
        let decay = (self.weight_decay > 0.0).then(|| WeightDecayConfig::new(self.weight_decay));
        AdamConfig::new().with_beta_1(beta_1).with_beta_2(beta_2).with_epsilon(epsilon).with_weight_decay(decay).build()
    }
}

impl Optimizer for Adam {
    type State<const D: usize> = Kept<AdamState<D>>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        parameters: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let decay = Decay::Gradient(self.weight_decay);
        let step = Step { parameters, gradient, momentum: state.map(|state| state.into_state().momentum) };
        step.run(Hyperparameters { rates: self.rates, rate, decay }, AdamState::new, |step| {
            let state = step.momentum.map(AdamState::new);
            let (parameters, state) = self.burn().step(rate, step.parameters, step.gradient, state);
            (parameters, state.map(|state| state.momentum))
        })
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        burn::optim::Adam::to_device(state.into_state(), device).into()
    }
}

/// AdamW: in each step the parameters are multiplied by `1 - rate * weight_decay`, independently of the gradient.
/// `beta` and `epsilon` as for [`Adam`].
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    rates: Rates,
    weight_decay: f32,
}

impl AdamW {
    /// AdamW with this weight decay; PyTorch's default is 0.01.
    pub fn new(weight_decay: f32) -> Self {
        Self { rates: Rates::default(), weight_decay }
    }

    /// Sets the decay rates of the running averages of the gradient and of its square, each in `[0, 1)`.
    pub fn with_betas(mut self, beta_1: f32, beta_2: f32) -> Self {
        (self.rates.beta_1, self.rates.beta_2) = (beta_1, beta_2);
        self
    }

    /// Sets the number that is added to the square root of the second moment, greater than 0.
    pub fn with_epsilon(mut self, epsilon: f32) -> Self {
        self.rates.epsilon = epsilon;
        self
    }

    fn burn(&self) -> burn::optim::AdamW {
        let Rates { beta_1, beta_2, epsilon } = self.rates;
        AdamWConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(epsilon)
            .with_weight_decay(self.weight_decay)
            .build()
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = Kept<AdamWState<D>>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        parameters: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let decay = Decay::Parameters((1.0 - rate * f64::from(self.weight_decay)) as f32);
        let step = Step { parameters, gradient, momentum: state.map(|state| state.into_state().momentum) };
        step.run(Hyperparameters { rates: self.rates, rate, decay }, AdamWState::new, |step| {
            let state = step.momentum.map(AdamWState::new);
            let (parameters, state) = self.burn().step(rate, step.parameters, step.gradient, state);
            (parameters, state.map(|state| state.momentum))
        })
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        burn::optim::AdamW::to_device(state.into_state(), device).into()
    }
}

/// A part of the gradient and of the two moments.
type Others<'a> = (&'a mut [f32], (&'a mut [f32], &'a mut [f32]));

/// The inputs of a step of one parameter.
struct Step<const D: usize> {
    parameters: Tensor<D>,
    gradient: Tensor<D>,
    momentum: Option<AdaptiveMomentumState<D>>,
}

impl<const D: usize> Step<D> {
    /// The step in a CPU kernel where there is one for the tensors; recorded, on a GPU; otherwise computed by `burn`.
    fn run<S: Send + Sync + 'static>(
        self,
        settings: Hyperparameters,
        state: fn(AdaptiveMomentumState<D>) -> S,
        burn: impl FnOnce(Self) -> (Tensor<D>, Option<AdaptiveMomentumState<D>>),
    ) -> (Tensor<D>, Option<Kept<S>>) {
        let kept = forgotten::kept(&self.parameters);
        let step = match self.on_cpu(settings) {
            Ok((parameters, momentum)) => return (parameters, Some(state(forgotten::left(momentum, kept)).into())),
            Err(step) => *step,
        };
        #[cfg(feature = "gpu")]
        let step = match step.record(settings, state, kept.clone()) {
            Ok((parameters, state)) => return (parameters, Some(state)),
            Err(step) => *step,
        };
        let (parameters, momentum) = burn(step);
        (parameters, momentum.map(|momentum| state(forgotten::left(momentum, kept)).into()))
    }

    /// The number of this step, counted from 1.
    fn time(&self) -> usize {
        self.momentum.as_ref().map_or(0, |state| state.time) + 1
    }

    /// Records the step, to be computed together with others, if steps are being recorded. Returns the parameter as it
    /// is, and the state that the step will fill in.
    #[cfg(feature = "gpu")]
    fn record<S: Send + Sync + 'static>(
        self,
        settings: Hyperparameters,
        state: fn(AdaptiveMomentumState<D>) -> S,
        left: Option<Tensor<D>>,
    ) -> Result<(Tensor<D>, Kept<S>), Box<Self>> {
        let time = self.time();
        let moments = self.momentum.as_ref().map(|state| (&state.moment_1, &state.moment_2));
        let kept = Kept(Arc::new(OnceLock::new()));
        let slot = kept.0.clone();
        let keep = move |moment_1, moment_2| {
            let momentum = AdaptiveMomentumState { time, moment_1, moment_2, max_moment_2: None };
            let _ = slot.set(state(forgotten::left(momentum, left)));
        };
        let update = Update::new(settings, time);
        if crate::gpu::adam::record(update, &self.parameters, &self.gradient, moments, keep) {
            Ok((self.parameters, kept))
        } else {
            Err(Box::new(self))
        }
    }

    /// The step in a CPU kernel, or the step itself if there is none for the tensors.
    fn on_cpu(self, settings: Hyperparameters) -> Result<(Tensor<D>, AdaptiveMomentumState<D>), Box<Self>> {
        // A parameter is outside autodiff while it is updated.
        let readable = |tensor: &Tensor<D>| Operand::new(tensor).filter(|operand| !operand.is_autodiff());
        let (p_cpu, g_cpu) = (readable(&self.parameters), readable(&self.gradient));
        let moments = self.momentum.as_ref().map(|state| (readable(&state.moment_1), readable(&state.moment_2)));
        let (Some(p_cpu), Some(g_cpu), None | Some((Some(_), Some(_)))) = (p_cpu, g_cpu, &moments) else {
            return Err(Box::new(self));
        };
        let time = self.time();
        let Self { parameters, gradient, momentum } = self;
        drop((parameters, gradient));
        // Taking this field drops the old moments, so that their buffers have no other owner and are updated in place.
        let max_moment_2 = momentum.and_then(|state| state.max_moment_2);
        let shape = p_cpu.primitive().layout().shape().clone();
        let gradient = cpu::contiguous(g_cpu.into_primitive());
        let p = cpu::contiguous(p_cpu.into_primitive());
        let [mut m, mut v] = match moments {
            Some((Some(m), Some(v))) => [m, v].map(|moment| cpu::into_vec(cpu::contiguous(moment.into_primitive()))),
            _ => [vec![0.0; shape.num_elements()], vec![0.0; shape.num_elements()]],
        };
        let p = cpu::values(&p);
        assert!(
            *gradient.layout().shape() == shape && m.len() == p.len() && v.len() == p.len(),
            "a gradient of shape {} and moments of {} and {} values do not match parameters of shape {shape}",
            gradient.layout().shape(),
            m.len(),
            v.len(),
        );
        // The new parameters take the place of the gradient. The old ones are often still in use, as in Burn's Learner
        // during a step, and a third buffer would be one more to keep in the cache.
        let mut g = cpu::into_vec(gradient);
        update_all(p, &mut g, &mut m, &mut v, Update::new(settings, time));
        let [parameters, moment_1, moment_2] =
            [g, m, v].map(|values| cpu::plain(cpu::primitive(values, shape.clone())));
        Ok((parameters, AdaptiveMomentumState { time, moment_1, moment_2, max_moment_2 }))
    }
}

/// [`update`] on all threads.
fn update_all(p: &[f32], g: &mut [f32], m: &mut [f32], v: &mut [f32], settings: Update) {
    let length = p.len().div_ceil(threads::part_count(p.len())).max(1);
    let moments = m.chunks_mut(length).zip(v.chunks_mut(length));
    let parts = p.chunks(length).zip(g.chunks_mut(length).zip(moments)).collect();
    threads::for_each_part(parts, |(p, (g, (m, v))): (&[f32], Others)| update(p, g, m, v, settings));
}
