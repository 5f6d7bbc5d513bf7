//! Adam and AdamW in one pass over memory.
//!
//! The numbers are those of Burn's optimizers, and so are the state and its records: a checkpoint of one is read by the
//! other. Where Burn goes over parameters, gradient and moments ten times, here each is read once and written once.
//!
//! References: Kingma and Ba 2015; Loshchilov and Hutter 2019.

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

use crate::{
    buffer::{Unwritten, written_by},
    cpu::{self, Operand},
    math,
    simd::vectorised,
    threads,
};

/// `optimizer.step(rate, module, gradients)`. On a GPU, [`Adam`] and [`AdamW`] step all parameters at once; otherwise
/// it is the same.
pub fn step<M: Module>(
    optimizer: &mut ModuleOptimizer,
    rate: impl Into<ModuleLearningRate>,
    module: M,
    gradients: GradientsParams,
) -> M {
    #[cfg(feature = "gpu")]
    return crate::gpu::adam::together(|| optimizer.step(rate, module, gradients));
    #[cfg(not(feature = "gpu"))]
    crate::by_burn::step(optimizer, rate, module, gradients)
}

/// What Burn keeps of a parameter between two steps: the state of Burn's own optimizer, with the same records. It is
/// there when the step that gave it is over.
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
        state.expect("the step before is over")
    }
}

impl<S: RecordState> RecordState for Kept<S> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        self.0.get().expect("the step before is over").state_flatten(prefix, out);
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        S::state_unflatten(prefix, source, device).map(Self::from)
    }
}

/// What both have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    pub(crate) beta_1: f32,
    pub(crate) beta_2: f32,
    epsilon: f32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 }
    }
}

/// How a step shrinks the parameters.
#[derive(Debug, Clone, Copy)]
enum Decay {
    /// Adds this multiple of the parameters to the gradient.
    Gradient(f32),
    /// Multiplies the parameters by this.
    Parameters(f32),
}

/// Adam; by default with `beta = (0.9, 0.999)`, PyTorch's `epsilon` of 1e-8, and no weight decay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adam {
    rates: Rates,
    weight_decay: f32,
}

impl Adam {
    /// The same with other weights of what was, in the running averages of the gradient and of its square; each in `[0,
    /// 1)`.
    pub fn with_betas(mut self, beta_1: f32, beta_2: f32) -> Self {
        (self.rates.beta_1, self.rates.beta_2) = (beta_1, beta_2);
        self
    }

    /// The same with another number added to the root of the second moment.
    pub fn with_epsilon(mut self, epsilon: f32) -> Self {
        self.rates.epsilon = epsilon;
        self
    }

    /// The same with the gradient of `weight_decay / 2 ||p||^2` added to that of the loss.
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
        match step_in_place(
            self.rates,
            rate,
            decay,
            parameters,
            gradient,
            state.map(|state| state.into_state().momentum),
        ) {
            Ok((parameters, momentum)) => (parameters, Some(AdamState::new(momentum).into())),
            Err(declined) => {
                let Declined { parameters, gradient, momentum } = *declined;
                #[cfg(feature = "gpu")]
                let (parameters, gradient, momentum) =
                    match noted(self.rates, rate, decay, parameters, gradient, momentum, AdamState::new) {
                        Ok((parameters, kept)) => return (parameters, Some(kept)),
                        Err(declined) => (declined.parameters, declined.gradient, declined.momentum),
                    };
                let (parameters, state) = self.burn().step(rate, parameters, gradient, momentum.map(AdamState::new));
                (parameters, state.map(Kept::from))
            }
        }
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        burn::optim::Adam::to_device(state.into_state(), device).into()
    }
}

/// AdamW: the parameters shrink by `1 - rate * weight_decay` in each step, whatever the gradient. `beta` and `epsilon`
/// as [`Adam`].
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    rates: Rates,
    weight_decay: f32,
}

impl AdamW {
    /// AdamW with this decay; PyTorch's is 0.01.
    pub fn new(weight_decay: f32) -> Self {
        Self { rates: Rates::default(), weight_decay }
    }

    /// The same with other weights of what was, in the running averages of the gradient and of its square; each in `[0,
    /// 1)`.
    pub fn with_betas(mut self, beta_1: f32, beta_2: f32) -> Self {
        (self.rates.beta_1, self.rates.beta_2) = (beta_1, beta_2);
        self
    }

    /// The same with another number added to the root of the second moment.
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
        match step_in_place(
            self.rates,
            rate,
            decay,
            parameters,
            gradient,
            state.map(|state| state.into_state().momentum),
        ) {
            Ok((parameters, momentum)) => (parameters, Some(AdamWState::new(momentum).into())),
            Err(declined) => {
                let Declined { parameters, gradient, momentum } = *declined;
                #[cfg(feature = "gpu")]
                let (parameters, gradient, momentum) =
                    match noted(self.rates, rate, decay, parameters, gradient, momentum, AdamWState::new) {
                        Ok((parameters, kept)) => return (parameters, Some(kept)),
                        Err(declined) => (declined.parameters, declined.gradient, declined.momentum),
                    };
                let (parameters, state) = self.burn().step(rate, parameters, gradient, momentum.map(AdamWState::new));
                (parameters, state.map(Kept::from))
            }
        }
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        burn::optim::AdamW::to_device(state.into_state(), device).into()
    }
}

/// What there is no kernel for.
struct Declined<const D: usize> {
    parameters: Tensor<D>,
    gradient: Tensor<D>,
    momentum: Option<AdaptiveMomentumState<D>>,
}

/// A part of the gradient, and of the two moments.
type Others<'a> = (&'a [f32], (&'a mut [f32], &'a mut [f32]));

type Stepped<const D: usize> = Result<(Tensor<D>, AdaptiveMomentumState<D>), Box<Declined<D>>>;

/// A step that is computed with others, if steps are: the parameter as it is, and the state to come.
#[cfg(feature = "gpu")]
fn noted<const D: usize, S: Send + Sync + 'static>(
    rates: Rates,
    rate: f64,
    decay: Decay,
    parameters: Tensor<D>,
    gradient: Tensor<D>,
    momentum: Option<AdaptiveMomentumState<D>>,
    state: fn(AdaptiveMomentumState<D>) -> S,
) -> Result<(Tensor<D>, Kept<S>), Box<Declined<D>>> {
    let time = momentum.as_ref().map_or(0, |state| state.time) + 1;
    let moments = momentum.as_ref().map(|state| (&state.moment_1, &state.moment_2));
    let kept = Kept(Arc::new(OnceLock::new()));
    let slot = kept.0.clone();
    let keep = move |moment_1, moment_2| {
        let _ = slot.set(state(AdaptiveMomentumState { time, moment_1, moment_2, max_moment_2: None }));
    };
    match crate::gpu::adam::note(Update::new(rates, rate, decay, time), &parameters, &gradient, moments, keep) {
        true => Ok((parameters, kept)),
        false => Err(Box::new(Declined { parameters, gradient, momentum })),
    }
}

fn step_in_place<const D: usize>(
    rates: Rates,
    rate: f64,
    decay: Decay,
    parameters: Tensor<D>,
    gradient: Tensor<D>,
    momentum: Option<AdaptiveMomentumState<D>>,
) -> Stepped<D> {
    // Outside autodiff, as a parameter is while it is changed.
    let readable = |tensor: &Tensor<D>| Operand::new(tensor).filter(|operand| !operand.is_autodiff());
    let (p_cpu, g_cpu) = (readable(&parameters), readable(&gradient));
    let moments = momentum.as_ref().map(|state| (readable(&state.moment_1), readable(&state.moment_2)));
    let (Some(p_cpu), Some(g_cpu), None | Some((Some(_), Some(_)))) = (p_cpu, g_cpu, &moments) else {
        return Err(Box::new(Declined { parameters, gradient, momentum }));
    };
    drop((parameters, gradient));
    let time = momentum.as_ref().map_or(0, |state| state.time) + 1;
    let max_moment_2 = momentum.and_then(|state| state.max_moment_2); // dropped with the rest: nobody else may hold what is written below
    let shape = p_cpu.primitive().layout().shape().clone();
    let gradient = cpu::in_order(g_cpu.into_primitive());
    let p = cpu::in_order(p_cpu.into_primitive());
    let [mut m, mut v] = match moments {
        Some((Some(m), Some(v))) => [m, v].map(|moment| cpu::into_vec(cpu::in_order(moment.into_primitive()))),
        _ => [vec![0.0; shape.num_elements()], vec![0.0; shape.num_elements()]],
    };
    let (update, g) = (Update::new(rates, rate, decay, time), cpu::numbers(&gradient));
    assert!(
        *gradient.layout().shape() == shape && m.len() == g.len() && v.len() == g.len(),
        "a gradient of {} and moments of {} and {} numbers for parameters of {shape}",
        gradient.layout().shape(),
        m.len(),
        v.len(),
    );
    let length = g.len().div_ceil(threads::parts(g.len())).max(1);
    let others = g.chunks(length).zip(m.chunks_mut(length).zip(v.chunks_mut(length)));
    let p = if p.is_unique() {
        let mut p = cpu::into_vec(p);
        let parts = p.chunks_mut(length).zip(others).collect();
        threads::for_each_part(parts, |(p, (g, (m, v))): (&mut [f32], Others)| in_place(p, g, m, v, update));
        p
    } else {
        // Somebody keeps the parameters as they were, as Burn's Learner does while it steps.
        let p = cpu::numbers(&p);
        // SAFETY: the parts cover the buffer, and `elsewhere` writes each number of them.
        unsafe {
            written_by(p.len(), |out| {
                let parts = out.chunks_mut(length).zip(p.chunks(length)).zip(others).collect();
                threads::for_each_part(parts, |((out, p), (g, (m, v))): ((&mut Unwritten, &[f32]), Others)| {
                    elsewhere(out, p, g, m, v, update)
                });
            })
        }
    };
    let [parameters, moment_1, moment_2] = [p, m, v].map(|values| cpu::plain(cpu::primitive(values, shape.clone())));
    Ok((parameters, AdaptiveMomentumState { time, moment_1, moment_2, max_moment_2 }))
}

/// The numbers of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Update {
    pub(crate) rates: Rates,
    /// `rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)`.
    pub(crate) rate: f32,
    /// `epsilon * sqrt(1 - beta_2^t)`.
    pub(crate) epsilon: f32,
    /// What of the parameters is added to the gradient.
    pub(crate) added: f32,
    /// What of them is kept.
    pub(crate) kept: f32,
}

impl Update {
    fn new(rates: Rates, rate: f64, decay: Decay, time: usize) -> Self {
        let bias = |beta: f32| 1.0 - f64::from(beta).powi(i32::try_from(time).unwrap_or(i32::MAX));
        let spread = bias(rates.beta_2).sqrt();
        let (added, kept) = match decay {
            Decay::Gradient(added) => (added, 1.0),
            Decay::Parameters(kept) => (0.0, kept),
        };
        let epsilon = (f64::from(rates.epsilon) * spread) as f32;
        Self { rates, rate: (rate * spread / bias(rates.beta_1)) as f32, epsilon, added, kept }
    }

    /// The new parameter; the moments are changed in place.
    #[inline(always)]
    fn step(self, p: f32, g: f32, m: &mut f32, v: &mut f32) -> f32 {
        let Rates { beta_1, beta_2, .. } = self.rates;
        let g = math::fma(self.added, p, g);
        *m = math::fma(beta_1, *m, (1.0 - beta_1) * g);
        *v = math::fma(beta_2, *v, (1.0 - beta_2) * g * g);
        self.kept * p - self.rate * *m / (v.sqrt() + self.epsilon)
    }
}

vectorised! {
    fn in_place(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], update: Update) {
        for ((p, g), (m, v)) in p.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
            *p = update.step(*p, *g, m, v);
        }
    }

    fn elsewhere(out: &mut Unwritten, p: &[f32], g: &[f32], m: &mut [f32], v: &mut [f32], update: Update) {
        for ((out, p), (g, (m, v))) in out.iter_mut().zip(p).zip(g.iter().zip(m.iter_mut().zip(v))) {
            out.write(update.step(*p, *g, m, v));
        }
    }
}
