//! The objective: the only place where loss terms are weighted, summed and averaged.
//!
//! `loss = mean over the batch of L(x, g(f(x~))) + sum_k w_k Omega_k`, every term per example. The input is corrupted
//! in training alone, which is when the batch is on an autodiff device; the target is always clean.

use std::{borrow::Cow, sync::Arc};

use ae_kernels::step;
use burn::{
    lr_scheduler::module_lr_scheduler::ModuleLearningRate,
    optim::{GradientsParams, ModuleOptimizer},
    tensor::Tensor,
};

use crate::{
    Autoencoder, Forward,
    autoencoder::{ModuleCode, ModuleDecoder, ModuleEncoder},
    constraint::Constraint,
    corruption::{Corrupt, Corrupted, Corruption},
    parts::blank,
    penalty::{Context, Penalty},
};

/// What is minimised. By default the reconstruction loss alone.
#[derive(Debug, Clone)]
pub struct Objective {
    /// What is asked for beside copying.
    pub penalties: Vec<Arc<dyn Penalty>>,
    /// What is done to the input in training.
    pub corruption: Corruption,
    /// What the decoder's first weight is brought back to after each step.
    pub constraints: Vec<Arc<dyn Constraint>>,
    /// Share of the training that is over, in `[0, 1]`, for weights that change with it. 1 where nobody says.
    pub progress: f64,
}

impl Default for Objective {
    fn default() -> Self {
        Self { penalties: Vec::new(), corruption: Corruption::default(), constraints: Vec::new(), progress: 1.0 }
    }
}

/// Rows to learn from or to look at.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What the network reads, `[batch, d_input]`.
    pub input: Tensor<2>,
    /// What is to come out, `[batch, d_output]`; the input if none.
    pub target: Option<Tensor<2>>,
    /// 1 where a value of the input is there, else 0, `[batch, d_input]`; all are if none. What stands elsewhere,
    /// `NaN` too, is not looked at. Where the target is the input, nothing else of it is asked for.
    pub observed: Option<Tensor<2>>,
    /// What the random numbers of [`Objective::evaluate`] depend on alone (see [`seeded`](ae_kernels::seeded)); they
    /// are the device's if none.
    pub seed: Option<u64>,
}

impl From<Tensor<2>> for Sample {
    fn from(input: Tensor<2>) -> Self {
        Self { input, target: None, observed: None, seed: None }
    }
}

impl Sample {
    /// The same, of which only these values are there.
    pub fn with_observed(mut self, observed: impl Into<Option<Tensor<2>>>) -> Self {
        self.observed = observed.into();
        self
    }

    /// The same, whose random numbers depend on this seed alone: as those of the batches of `ae_data::Loader` do on
    /// seed, epoch and place.
    pub fn with_seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.seed = seed.into();
        self
    }

    /// Does the work with the random numbers of this sample.
    pub(crate) fn seeded<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.seed {
            Some(seed) => ae_kernels::seeded(seed, &self.input.device().inner(), work),
            None => work(),
        }
    }

    /// The same with something else to come out: the outputs of another layer, the next row, the image in full
    /// resolution.
    pub fn with_target(mut self, target: Tensor<2>) -> Self {
        self.target = Some(target);
        self
    }
}

/// One named part of the loss.
#[derive(Debug, Clone)]
pub struct Term {
    /// Name in logs and tables.
    pub name: Cow<'static, str>,
    /// Its factor in the sum; a term of weight 0 is only measured.
    pub weight: f64,
    /// Value per example, `[batch]`, before weighting; in nats, where it is a likelihood or a divergence.
    pub value: Tensor<1>,
}

/// The objective evaluated on one batch.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The parts of the loss, the reconstruction first.
    pub terms: Vec<Term>,
    /// Code and decoder output that they were computed from.
    pub forward: Forward,
}

impl Evaluation {
    /// The weighted sum of the terms per example, `[batch]`.
    pub fn per_example(&self) -> Tensor<1> {
        let weighted = |term: &Term| {
            if term.weight == 1.0 { term.value.clone() } else { term.value.clone().mul_scalar(term.weight) }
        };
        let (first, rest) = self.terms.split_first().expect("the reconstruction is always a term");
        rest.iter().filter(|term| term.weight != 0.0).fold(weighted(first), |sum, term| sum + weighted(term))
    }

    /// The number that is minimised: the mean over the batch, `[1]`; `NaN` for a batch of no rows.
    pub fn loss(&self) -> Tensor<1> {
        ae_kernels::batch_mean(self.per_example())
    }
}

impl Objective {
    /// The same with one more penalty, of this crate or of another.
    pub fn with_penalty(mut self, penalty: impl Penalty + 'static) -> Self {
        self.penalties.push(Arc::new(penalty));
        self
    }

    /// The same with one more corruption after the others, of this crate or of another.
    pub fn with_corruption(mut self, corruption: impl Corrupt + 'static) -> Self {
        self.corruption.parts.push(Arc::new(corruption));
        self
    }

    /// The same with one more constraint after the others, of this crate or of another.
    pub fn with_constraint(mut self, constraint: impl Constraint + 'static) -> Self {
        self.constraints.push(Arc::new(constraint));
        self
    }

    /// The names of the loss's terms, the reconstruction first.
    pub fn terms<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
    ) -> Vec<Cow<'static, str>> {
        let penalties = self.penalties.iter().map(|penalty| penalty.name());
        std::iter::once(model.loss_name()).chain(model.code.term_names()).chain(penalties).collect()
    }

    /// The objective of `model` on some rows. On an autodiff device the input is corrupted first, with fresh noise,
    /// which a [seed](Sample::with_seed) of the sample decides; elsewhere weights that change with the training are
    /// those of its end.
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
        let target = sample.target.unwrap_or_else(|| x.clone());
        let corrupted = if x.device().is_autodiff() && !self.corruption.is_none() {
            self.corruption.apply(x, observed, model.reconstruction.layout.as_ref())
        } else {
            Corrupted { x, visible: observed.clone(), weights: observed, hidden: None }
        };
        let forward = model.forward(corrupted.x.clone(), corrupted.visible.clone());
        self.evaluate_on(model, target, corrupted, forward)
    }

    /// The objective that epochs are judged by, on examples that are not learned from: with noise that is always the
    /// same, for a model that is to remove noise; at hidden values, for one that is to fill them in; of samples,
    /// for a stochastic code. None for others, where [`evaluate`](Self::evaluate) judges.
    pub fn judge<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        sample: impl Into<Sample>,
    ) -> Option<Evaluation> {
        /// Of the noise.
        const SEED: u64 = 0x5eed;
        if self.corruption.is_none() && !model.code.is_stochastic() {
            return None;
        }
        let sample = clean(sample.into()).with_seed(SEED);
        Some(sample.clone().seeded(|| self.judge_with_draws(model, sample)))
    }

    fn judge_with_draws<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        sample: Sample,
    ) -> Evaluation {
        let target = sample.target.unwrap_or_else(|| sample.input.clone());
        let mut corrupted = self.corruption.apply(sample.input, sample.observed, model.reconstruction.layout.as_ref());
        if let Some(hidden) = corrupted.hidden.clone().filter(|hidden| hidden.dims() == target.dims()) {
            corrupted.weights = Some(hidden);
        }
        let parts = model.parts();
        let read = parts.read(corrupted.x.clone(), corrupted.visible.clone());
        let latent = model.code.draw(model.encoder.forward(read));
        let output = parts.decode(&latent);
        self.evaluate_on(model, target, corrupted, Forward { latent, output })
    }

    fn evaluate_on<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &self,
        model: &Autoencoder<E, D, C>,
        target: Tensor<2>,
        corrupted: Corrupted,
        forward: Forward,
    ) -> Evaluation {
        let progress = if target.device().is_autodiff() { self.progress } else { 1.0 };
        // Weights are those of the input's features, which another target may not have.
        let weights = corrupted.weights.filter(|weights| weights.dims() == target.dims());
        let value = model.loss(target.clone(), forward.output.clone(), weights);
        let mut terms = vec![Term { name: model.loss_name(), weight: 1.0, value }];
        terms.extend(model.code.terms(&forward.latent, progress));
        if !self.penalties.is_empty() {
            let context = Context {
                model: &model.parts(),
                input: corrupted.x,
                target,
                visible: corrupted.visible,
                latent: &forward.latent,
                output: forward.output.clone(),
                progress,
            };
            let of = |penalty: &Arc<dyn Penalty>| Term {
                name: penalty.name(),
                weight: penalty.weight(progress),
                value: penalty.value(&context),
            };
            terms.extend(self.penalties.iter().map(of));
        }
        Evaluation { terms, forward }
    }

    /// One step of training: the model after it, and what the objective was before. `progress` is the share of the
    /// training that was over when it began, in `[0, 1)`, for a code and for weights that change with it.
    ///
    /// # Panics
    /// A sample of no rows; and as [`after_step`](Self::after_step).
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
        let evaluation = self.evaluate(&model, sample);
        let gradients = GradientsParams::from_grads(evaluation.loss().backward(), &model);
        let model = step(optimizer, rate.into(), model, gradients);
        (self.constrained(model), evaluation)
    }

    /// The model as it goes on after a step of an optimizer: within its constraints, and its code told that this share
    /// of the training, in `[0, 1]`, is over. [`step`](Self::step) does it; a loop with a step of its own does it
    /// here, before the first step, with 0, and after each.
    ///
    /// # Panics
    /// A constraint on a decoder that has no weight for it ([`Decode::map_atoms`](crate::Decode::map_atoms)).
    pub fn after_step<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode>(
        &mut self,
        mut model: Autoencoder<E, D, C>,
        progress: f64,
    ) -> Autoencoder<E, D, C> {
        self.progress = progress;
        model.code.after_step(progress);
        self.constrained(model)
    }

    /// The model within the constraints.
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
                decoder.unwrap_or_else(|| panic!("{}: this decoder has no weight of its own for it", names()));
        }
        model
    }
}

/// The sample with 0 where nothing was observed: whatever stands there reaches no loss.
pub(crate) fn clean(sample: Sample) -> Sample {
    match &sample.observed {
        Some(observed) => Sample { input: blank(sample.input, observed), ..sample },
        None => sample,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{
        Inputs, Model,
        corruption::{CorruptionConfig, GaussianConfig, Masking},
        penalty::L1,
    };

    fn model(device: &Device) -> Model {
        let mut recipe = (crate::Variant::find("linear").unwrap().recipe)();
        recipe.code_dim = 1;
        recipe.init(&Inputs::real(3), device)
    }

    #[test]
    fn epochs_are_judged_by_what_the_corruption_is_for() {
        let device = Device::default();
        let model = model(&device);
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]], &device);
        let judge = |corruption: CorruptionConfig| {
            Objective { corruption: corruption.init(&Inputs::real(3)), ..Objective::default() }.judge(&model, x.clone())
        };
        assert!(judge(CorruptionConfig::default()).is_none());
        // Noise: the target is clean, and every value counts.
        let noisy = judge(GaussianConfig::new(0.5).into()).unwrap();
        let errors = (noisy.forward.output.clone() - x.clone()).square().sum_dim(1).squeeze_dim::<1>(1).div_scalar(2.0);
        let near = burn::tensor::Tolerance::default();
        noisy.terms[0].value.clone().into_data().assert_approx_eq::<f32>(&errors.into_data(), near);
        // Hidden values: those alone count, whether nearly all or nearly none are.
        for (rate, share) in [(1.0 - 1e-12, 1.0), (1e-12, 0.0)] {
            let judged = judge(Masking { rate, rate_max: 0.0 }.into()).unwrap();
            let errors = (judged.forward.output.clone() - x.clone())
                .square()
                .sum_dim(1)
                .squeeze_dim::<1>(1)
                .mul_scalar(share / 2.0);
            judged.terms[0].value.clone().into_data().assert_approx_eq::<f32>(&errors.into_data(), near);
        }
    }

    #[test]
    fn what_was_not_observed_reaches_neither_loss_nor_gradient() {
        let device = Device::default().autodiff();
        let model = model(&device);
        // At a rate that hides nothing: other tests draw from the same generator.
        let corruption = CorruptionConfig::from(Masking { rate: 1e-12, rate_max: 0.0 }).init(&Inputs::real(3));
        let objective = Objective { corruption, ..Objective::default() };
        let loss = |missing: f32| {
            let x = Tensor::<2>::from_floats([[1.0, missing, 3.0]], &device);
            let observed = Tensor::<2>::from_floats([[1.0, 0.0, 1.0]], &device);
            let loss = objective.evaluate(&model, Sample::from(x).with_observed(observed)).loss();
            let gradients = loss.backward();
            let weight = model.layers()[0].clone();
            let crate::network::layers::Layer::Linear { weight, .. } = &weight[0] else { panic!("a linear layer") };
            (loss.into_scalar::<f32>(), weight.grad(&gradients).unwrap().into_data().iter::<f32>().collect::<Vec<_>>())
        };
        assert_eq!(loss(f32::NAN), loss(7.0));
        assert!(loss(f32::NAN).0.is_finite());
    }

    #[test]
    fn a_target_of_its_own_is_what_comes_out() {
        let device = Device::default();
        let model = model(&device);
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0]], &device);
        let target = Tensor::<2>::from_floats([[0.0, 1.0, -1.0]], &device);
        let objective = Objective::default().with_penalty(L1 { weight: 0.0.into() });
        let evaluation = objective.evaluate(&model, Sample::from(x.clone()).with_target(target.clone()));
        let expected = (model.reconstruct(x) - target).square().sum().div_scalar(2.0);
        evaluation
            .loss()
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), burn::tensor::Tolerance::default());
        assert_eq!(evaluation.terms.iter().map(|term| &*term.name).collect::<Vec<_>>(), ["squared_error", "l1"]);
    }
}
