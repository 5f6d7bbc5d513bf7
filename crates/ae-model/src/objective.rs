//! The objective: the only place where loss terms are weighted, summed and averaged.
//!
//! `loss = mean over the batch of L(x, g(f(x~))) + sum_k w_k Omega_k`, every term per example and in nats. The input is corrupted in training
//! alone, which is, as everywhere in Burn, when the batch is on an autodiff device; the target is always clean.

use burn::tensor::Tensor;

use crate::{
    Autoencoder, Decoder, Encoder, Forward,
    corruption::{Corrupted, Corruption},
    penalty::{Context, Penalties},
};

/// What is minimised. By default the reconstruction loss alone.
#[derive(Debug, Clone, Default)]
pub struct Objective {
    /// What is asked for beside copying.
    pub penalties: Penalties,
    /// What is done to the input in training.
    pub corruption: Corruption,
}

/// One named part of the loss.
#[derive(Debug, Clone)]
pub struct Term {
    /// Name in logs and tables.
    pub name: &'static str,
    /// Its factor in the sum; a term of weight 0 is measured alone.
    pub weight: f64,
    /// Value per example, `[batch]`, in nats, before weighting.
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
    /// The weighted sum of the terms per example, `[batch]`, in nats.
    pub fn per_example(&self) -> Tensor<1> {
        let weighted = |term: &Term| if term.weight == 1.0 { term.value.clone() } else { term.value.clone().mul_scalar(term.weight) };
        let (first, rest) = self.terms.split_first().expect("the reconstruction is always a term");
        rest.iter().filter(|term| term.weight != 0.0).fold(weighted(first), |sum, term| sum + weighted(term))
    }

    /// The number that is minimised: the mean over the batch, `[1]`.
    pub fn loss(&self) -> Tensor<1> {
        ae_kernels::batch_mean(self.per_example())
    }
}

impl Objective {
    /// The names of the loss's terms, the reconstruction first.
    pub fn terms<E: Encoder, D: Decoder>(&self, model: &Autoencoder<E, D>) -> Vec<&'static str> {
        [vec![model.reconstruction.name()], self.penalties.names()].concat()
    }

    /// The objective of `model` on the inputs `x` (`[batch, d_input]`), counting only what was `observed` (1 or 0; everything if none).
    /// On an autodiff device the input is corrupted first, with fresh noise from the device's generator.
    pub fn evaluate<E: Encoder, D: Decoder>(&self, model: &Autoencoder<E, D>, x: Tensor<2>, observed: Option<Tensor<2>>) -> Evaluation {
        let corrupted = if x.device().is_autodiff() && !self.corruption.is_none() {
            self.corruption.apply(x.clone(), observed)
        } else {
            Corrupted { x: x.clone(), visible: observed.clone(), weights: observed }
        };
        self.evaluate_on(model, x, corrupted)
    }

    /// The objective that epochs are judged by, on examples that are not learned from: with noise that is always the same, for a model that is to remove
    /// noise; at hidden values, for one that is to fill them in. None without a corruption, where [`evaluate`](Self::evaluate) judges. The device's
    /// generator is seeded anew.
    pub fn judge<E: Encoder, D: Decoder>(
        &self,
        model: &Autoencoder<E, D>,
        x: Tensor<2>,
        observed: Option<Tensor<2>>,
    ) -> Option<Evaluation> {
        /// Of the noise.
        const SEED: u64 = 0x5eed;
        if self.corruption.is_none() {
            return None;
        }
        x.device().seed(SEED);
        let mut corrupted = self.corruption.apply(x.clone(), observed.clone());
        if let Some(visible) = corrupted.visible.clone().filter(|_| self.corruption.masking.is_some()) {
            let there = observed.unwrap_or_else(|| x.ones_like());
            corrupted.weights = Some(there - visible);
        }
        Some(self.evaluate_on(model, x, corrupted))
    }

    fn evaluate_on<E: Encoder, D: Decoder>(&self, model: &Autoencoder<E, D>, x: Tensor<2>, corrupted: Corrupted) -> Evaluation {
        let forward = model.forward(corrupted.x.clone(), corrupted.visible.clone());
        let value = model.reconstruction.loss(x, forward.output.clone(), corrupted.weights);
        let mut terms = vec![Term { name: model.reconstruction.name(), weight: 1.0, value }];
        let context = Context { model, x: corrupted.x, visible: corrupted.visible, code: forward.code.clone() };
        terms.extend(self.penalties.terms(&context));
        Evaluation { terms, forward }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corruption::{Gaussian, Masking};

    #[test]
    fn epochs_are_judged_by_what_the_corruption_is_for() {
        let device = burn::tensor::Device::default();
        let mut recipe = (crate::Variant::find("linear").unwrap().recipe)();
        recipe.code_dim = 1;
        let model = recipe.init(&crate::Inputs { features: 3, image: None, unit_range: false, layout: None }, &device);
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]], &device);
        let judge = |corruption: Corruption| Objective { corruption, ..Objective::default() }.judge(&model, x.clone(), None);
        assert!(judge(Corruption::default()).is_none());
        // Noise: the target is clean, and every value counts.
        let noisy = judge(Corruption { gaussian: Some(Gaussian::new(0.5)), ..Corruption::default() }).unwrap();
        let errors = (noisy.forward.output.clone() - x.clone()).square().sum_dim(1).squeeze_dim::<1>(1).div_scalar(2.0);
        let near = burn::tensor::Tolerance::default();
        noisy.terms[0].value.clone().into_data().assert_approx_eq::<f32>(&errors.into_data(), near);
        // Hidden values: those alone count, whether nearly all or nearly none are.
        for (rate, share) in [(1.0 - 1e-12, 1.0), (1e-12, 0.0)] {
            let judged = judge(Corruption { masking: Some(Masking { rate, rate_max: 0.0 }), ..Corruption::default() }).unwrap();
            let errors = (judged.forward.output.clone() - x.clone()).square().sum_dim(1).squeeze_dim::<1>(1).mul_scalar(share / 2.0);
            judged.terms[0].value.clone().into_data().assert_approx_eq::<f32>(&errors.into_data(), near);
        }
    }
}
