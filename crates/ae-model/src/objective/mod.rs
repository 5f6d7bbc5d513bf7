//! The objective: weights, sums and averages the terms of the loss.
//!
//! `loss = mean over the batch of L(x, g(f(x~))) + sum_k w_k Omega_k`, where every term is per example.
//!
//! The input is corrupted only in training, that is, when the batch is on an autodiff device. The target is always
//! clean.

mod evaluation;
mod sample;
pub(crate) mod term;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc};

use ae_kernels::step;
use burn::{
    lr_scheduler::module_lr_scheduler::ModuleLearningRate,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::Tensor,
};

pub use evaluation::Evaluation;
pub use sample::Sample;
pub(crate) use sample::clean;
pub use term::Term;

use crate::{
    Autoencoder, Forward,
    autoencoder::{ModuleCode, ModuleDecoder, ModuleEncoder},
    constraint::Constraint,
    corruption::{Corrupt, Corrupted, Corruption},
    penalty::{Context, Penalty},
    resample::{Candidates, Resample},
};

/// What training minimizes: the reconstruction loss, and further terms. By default only the reconstruction loss.
///
/// ```
/// use ae_model::{Inputs, Objective, Recipe, corruption::Masking, penalty::L1};
/// use burn::tensor::{Device, Tensor};
///
/// let objective = Objective::default().with_penalty(L1::new(0.01)).with_corruption(Masking::new(0.25));
/// let device = Device::default();
/// let model = Recipe::default().init(&Inputs::unit(8), &device);
/// let evaluation = objective.evaluate(&model, Tensor::<2>::ones([4, 8], &device));
/// assert_eq!(evaluation.terms.iter().map(|term| &*term.name).collect::<Vec<_>>(), ["squared_error", "l1"]);
/// assert_eq!(evaluation.per_example().dims(), [4]);
/// ```
#[derive(Debug, Clone)]
pub struct Objective {
    /// Regularization terms in addition to the reconstruction loss.
    pub penalties: Vec<Arc<dyn Penalty>>,
    /// The corruption of the input in training.
    pub corruption: Corruption,
    /// Constraints on the decoder's first weight, enforced after each step.
    pub constraints: Vec<Arc<dyn Constraint>>,
    /// When units that are never active start again. Default: never.
    pub resample: Resample,
    /// Fraction of the training that is done, in `[0, 1]`, for weights that change with it. Default: 1.
    pub progress: f64,
    /// Number of training rows, for penalties that depend on it; 0 if unknown. Default: 0.
    pub epoch_rows: usize,
    /// Number of steps done by [`step`](Self::step). Default: 0.
    pub steps: usize,
}

impl Default for Objective {
    fn default() -> Self {
        Self {
            penalties: Vec::new(),
            corruption: Corruption::default(),
            constraints: Vec::new(),
            resample: Resample::default(),
            progress: 1.0,
            epoch_rows: 0,
            steps: 0,
        }
    }
}

impl Objective {
    /// Adds a penalty, of this crate or of your own.
    pub fn with_penalty(mut self, penalty: impl Penalty + 'static) -> Self {
        self.penalties.push(Arc::new(penalty));
        self
    }

    /// Adds a corruption after the others, of this crate or of your own.
    pub fn with_corruption(mut self, corruption: impl Corrupt + 'static) -> Self {
        self.corruption.parts.push(Arc::new(corruption));
        self
    }

    /// Adds a constraint after the others, of this crate or of your own.
    pub fn with_constraint(mut self, constraint: impl Constraint + 'static) -> Self {
        self.constraints.push(Arc::new(constraint));
        self
    }

    /// Whether it needs to know when each unit was last active: a model for it has an
    /// [`Activity`](crate::Activity).
    pub fn reads_activity(&self) -> bool {
        !self.resample.is_off() || self.penalties.iter().any(|penalty| penalty.reads_activity())
    }

    /// The names of the loss's terms, the reconstruction first.
    pub fn terms<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
    ) -> Vec<Cow<'static, str>> {
        let penalties = self.penalties.iter().map(|penalty| penalty.name());
        std::iter::once(model.loss_name()).chain(model.code.term_names()).chain(penalties).collect()
    }

    /// The objective of `model` on some rows.
    ///
    /// On an autodiff device the input is corrupted first, with new noise from the sample's
    /// [seed](Sample::with_seed). Elsewhere the input is not corrupted, and weights that change during training have
    /// their final value.
    pub fn evaluate<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        sample: impl Into<Sample>,
    ) -> Evaluation {
        let sample = sample.into();
        sample.clone().seeded(|| self.evaluate_with_draws(model, sample))
    }

    fn evaluate_with_draws<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        sample: Sample,
    ) -> Evaluation {
        let sample = clean(sample);
        let (x, observed) = (sample.input, sample.observed);
        let has_target = sample.target.is_some();
        let target = sample.target.unwrap_or_else(|| x.clone());
        let corrupted = if x.device().is_autodiff() && !self.corruption.is_none() {
            self.corruption.apply(x, observed, model.reconstruction.layout.as_ref())
        } else {
            Corrupted { x, visible: observed.clone(), weights: observed, hidden: None }
        };
        let corrupted = if has_target { Corrupted { weights: None, ..corrupted } } else { corrupted };
        let (x, visible) = (corrupted.x.clone(), corrupted.visible.clone());
        let keep_z = self.penalties.iter().any(|penalty| penalty.reads_z());
        let (index, direction) = self.direction(model, &x).unzip();
        let (forward, tangent) = model.forward_with(keep_z, direction, x, visible);
        let is_training = target.device().is_autodiff();
        let evaluation = self.evaluate_on(model, target, corrupted, forward, index.zip(tangent));
        if let (true, Some(activity)) = (is_training, &model.activity) {
            activity.update(&evaluation.forward.latent);
        }
        evaluation
    }

    /// The objective that selects the best epoch, on validation examples; `None` if that is
    /// [`evaluate`](Self::evaluate).
    ///
    /// It differs in three cases: for a model that removes noise, the input has noise, always the same; for a model
    /// that fills in missing values, only the hidden values count; for a stochastic code, the decoder reads samples.
    pub fn validate<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        sample: impl Into<Sample>,
    ) -> Option<Evaluation> {
        /// Seed of the noise.
        const SEED: u64 = 0x5eed;
        if self.corruption.is_none() && !model.code.is_stochastic() {
            return None;
        }
        let sample = clean(sample.into()).with_seed(SEED);
        Some(sample.clone().seeded(|| self.validate_with_draws(model, sample)))
    }

    fn validate_with_draws<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        sample: Sample,
    ) -> Evaluation {
        let has_target = sample.target.is_some();
        let target = sample.target.unwrap_or_else(|| sample.input.clone());
        let mut corrupted = self.corruption.apply(sample.input, sample.observed, model.reconstruction.layout.as_ref());
        if let Some(hidden) = corrupted.hidden.clone() {
            corrupted.weights = Some(hidden);
        }
        if has_target {
            corrupted.weights = None;
        }
        let parts = model.parts();
        let read = parts.read(corrupted.x.clone(), corrupted.visible.clone());
        let z = model.encoder.forward(read.clone());
        let latent = if model.code.is_stochastic() { model.code.draw(z) } else { parts.code_of(z) };
        let latent = parts.with_input(latent, read);
        let output = parts.decode(&latent);
        self.evaluate_on(model, target, corrupted, Forward { latent, output }, None)
    }

    /// The first penalty, by its index, that needs the derivative of the code along a direction, and the direction.
    fn direction<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        x: &Tensor<2>,
    ) -> Option<(usize, Tensor<2>)> {
        let parts = model.parts();
        self.penalties
            .iter()
            .enumerate()
            .find_map(|(index, penalty)| penalty.direction(&parts, x).map(|direction| (index, direction)))
    }

    fn evaluate_on<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        target: Tensor<2>,
        corrupted: Corrupted,
        forward: Forward,
        tangent: Option<(usize, Tensor<2>)>,
    ) -> Evaluation {
        let progress = if target.device().is_autodiff() { self.progress } else { 1.0 };
        // They are for the features of the input: a target of its own has none.
        let weights = corrupted.weights;
        let value = model.loss(target.clone(), forward.output.clone(), weights.clone());
        let mut terms = vec![Term { name: model.loss_name(), weight: 1.0, value }];
        terms.extend(model.code.terms(&forward.latent, progress));
        if !self.penalties.is_empty() {
            let idle = model.activity.as_ref().filter(|_| target.device().is_autodiff());
            let mut context = Context {
                tangent: None,
                idle: idle.map(|activity| activity.idle(&target)),
                epoch_rows: self.epoch_rows,
                weights,
                head: &model.reconstruction,
                reconstruction: &|target, output, weights| model.loss(target, output, weights),
                model: &model.parts(),
                input: corrupted.x,
                target,
                visible: corrupted.visible,
                latent: &forward.latent,
                output: forward.output.clone(),
                progress,
            };
            for (index, penalty) in self.penalties.iter().enumerate() {
                context.tangent = tangent.as_ref().filter(|(of, _)| *of == index).map(|(_, tangent)| tangent.clone());
                let (name, weight) = (penalty.name(), penalty.weight(progress));
                terms.push(Term { name, weight, value: penalty.value(&context) });
            }
        }
        Evaluation { terms, forward }
    }

    /// One training step: returns the updated model, and the objective before the update.
    ///
    /// `progress` is the fraction of the training that is done before this step, in `[0, 1)`, for codes and weights
    /// that change with it.
    ///
    /// # Panics
    /// The sample has no rows; and as [`after_step`](Self::after_step).
    pub fn step<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &mut self,
        mut model: Autoencoder<E, D, C>,
        optimizer: &mut ModuleOptimizer,
        rate: impl Into<ModuleLearningRate>,
        sample: impl Into<Sample>,
        progress: f64,
    ) -> (Autoencoder<E, D, C>, Evaluation) {
        let sample = sample.into();
        assert!(sample.input.dims()[0] > 0, "a step of training needs at least one row");
        self.progress = progress;
        model.code.after_step(progress);
        let evaluation = self.evaluate(&model, sample.clone());
        let gradients = GradientsParams::from_grads(evaluation.loss().backward(), &model);
        let gradients = self.projected(&model, gradients);
        self.steps += 1;
        let is_due = self.resample.is_due(self.steps, progress);
        let start = is_due.then(|| Candidates::new(sample, &evaluation));
        let start = start.and_then(|candidates| self.restart(&model, &candidates));
        let forgotten = start.as_ref().map(|start| start.forgotten(&model)).unwrap_or_default();
        let model = forgotten.during(|| step(optimizer, rate.into(), model, gradients));
        let model = match start {
            Some(start) => start.apply(model),
            None => model,
        };
        (self.constrained(model), evaluation)
    }

    /// Finishes an optimizer step: enforces the constraints, and informs the code that the fraction `progress` of the
    /// training, in `[0, 1]`, is done.
    ///
    /// [`step`](Self::step) includes this. A loop with a step of its own calls it before the first step, with 0, and
    /// after each step.
    ///
    /// # Panics
    /// There is a constraint, but the decoder has no weight for it ([`Decode::map_atoms`](crate::Decode::map_atoms)).
    pub fn after_step<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &mut self,
        mut model: Autoencoder<E, D, C>,
        progress: f64,
    ) -> Autoencoder<E, D, C> {
        self.progress = progress;
        model.code.after_step(progress);
        self.constrained(model)
    }

    /// The gradients as the constraints let the optimizer see them.
    pub(crate) fn projected<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        mut gradients: GradientsParams,
    ) -> GradientsParams {
        let changing = || self.constraints.iter().filter(|constraint| constraint.changes_gradient());
        if changing().next().is_some()
            && let Some(weight) = model.decoder.first_weight()
            && let Some(gradient) = gradients.remove::<2>(weight.id)
        {
            let atoms = weight.val().without_autodiff();
            let project = |gradient, constraint: &Arc<dyn Constraint>| constraint.project_gradient(&atoms, gradient);
            gradients.register(weight.id, changing().fold(gradient, project));
        }
        gradients
    }

    /// The model with the constraints enforced.
    pub(crate) fn constrained<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        mut model: Autoencoder<E, D, C>,
    ) -> Autoencoder<E, D, C> {
        if !self.constraints.is_empty() {
            let project =
                |atoms: Tensor<2>| self.constraints.iter().fold(atoms, |atoms, constraint| constraint.project(atoms));
            let names = || self.constraints.iter().map(|constraint| constraint.name()).collect::<Vec<_>>().join(", ");
            let decoder = model.decoder.map_atoms(&project);
            model.decoder =
                decoder.unwrap_or_else(|| panic!("{}: this decoder has no weight of its own to constrain", names()));
        }
        model
    }
}
