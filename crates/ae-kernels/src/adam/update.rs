//! The formula of a step, and the vectorized loops that apply it.

use crate::{math, simd::vectorized};

/// The coefficients that Adam and AdamW have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    pub(crate) beta_1: f32,
    pub(crate) beta_2: f32,
    pub(super) epsilon: f32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 }
    }
}

/// How the weight decay enters a step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decay {
    /// This multiple of the parameters is added to the gradient.
    Gradient(f32),
    /// The parameters are multiplied by this factor.
    Parameters(f32),
}

/// The settings of an optimizer in one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hyperparameters {
    pub(super) rates: Rates,
    /// The learning rate.
    pub(super) rate: f64,
    pub(super) decay: Decay,
}

/// The coefficients of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Update {
    pub(crate) rates: Rates,
    /// `rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)`.
    pub(crate) rate: f32,
    /// `epsilon * sqrt(1 - beta_2^t)`.
    pub(crate) epsilon: f32,
    /// Multiple of the parameters that is added to the gradient.
    pub(crate) l2: f32,
    /// Factor of the parameters.
    pub(crate) scale: f32,
}

impl Update {
    /// The coefficients of step `time`, counted from 1.
    pub(super) fn new(Hyperparameters { rates, rate, decay }: Hyperparameters, time: usize) -> Self {
        let bias = |beta: f32| 1.0 - f64::from(beta).powi(i32::try_from(time).unwrap_or(i32::MAX));
        let spread = bias(rates.beta_2).sqrt();
        let (l2, scale) = match decay {
            Decay::Gradient(l2) => (l2, 1.0),
            Decay::Parameters(scale) => (0.0, scale),
        };
        let epsilon = (f64::from(rates.epsilon) * spread) as f32;
        Self { rates, rate: (rate * spread / bias(rates.beta_1)) as f32, epsilon, l2, scale }
    }

    /// Returns the new parameter and updates the moments in place.
    #[inline(always)]
    fn step(self, p: f32, g: f32, m: &mut f32, v: &mut f32) -> f32 {
        let Rates { beta_1, beta_2, .. } = self.rates;
        let g = math::fma(self.l2, p, g);
        *m = math::fma(beta_1, *m, (1.0 - beta_1) * g);
        *v = math::fma(beta_2, *v, (1.0 - beta_2) * g * g);
        self.scale * p - self.rate * *m / (v.sqrt() + self.epsilon)
    }
}

vectorized! {
    /// Writes the new parameters over the gradient, and updates the moments in place.
    pub(super) fn update(p: &[f32], g: &mut [f32], m: &mut [f32], v: &mut [f32], settings: Update) {
        for ((p, g), (m, v)) in p.iter().zip(g).zip(m.iter_mut().zip(v)) {
            *g = settings.step(*p, *g, m, v);
        }
    }
}
