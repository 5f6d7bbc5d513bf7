//! The likelihood of data under a model with a stochastic code, by importance sampling (Burda et al. 2016).
//!
//! `log p(x) >= E log (1/S) sum_s w_s`, `w_s = p(x | h_s) p(h_s) / q(h_s | x)`, `h_s ~ q(h | x)`.
//!
//! One sample gives the evidence lower bound. The bound does not decrease with more samples, and its limit is
//! `log p(x)`. It is in nats, with all constants of the reconstruction loss.

use burn::tensor::Tensor;

use crate::{
    Autoencoder, Sample,
    autoencoder::{ModuleCode, ModuleDecoder, ModuleEncoder},
    objective::clean,
};

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode> Autoencoder<E, D, C> {
    /// The logarithms of the importance weights of `samples` codes that are drawn for each example, `[samples, batch]`;
    /// `None` if the code is not stochastic.
    pub fn log_weights(&self, sample: impl Into<Sample>, samples: usize) -> Option<Tensor<2>> {
        let Sample { input, target, observed, .. } = clean(sample.into());
        let parts = self.parts();
        let has_target = target.is_some();
        let target = target.unwrap_or_else(|| input.clone());
        let read = parts.read(input, observed.clone());
        let z = parts.encoder.forward(read.clone());
        let weights = if has_target { None } else { observed };
        let drawn = (0..samples).map(|_| {
            let latent = parts.with_input(self.code.draw(z.clone()), read.clone());
            let ratio = self.code.log_ratio(&latent)?;
            let likelihood = self.log_likelihood(target.clone(), parts.decode(&latent), weights.clone());
            Some((likelihood + ratio).unsqueeze_dim::<2>(0))
        });
        Some(Tensor::cat(drawn.collect::<Option<Vec<_>>>()?, 0))
    }
}

/// The lower bound of `log p(x)` for each example, from the [logarithms of the importance
/// weights](Autoencoder::log_weights): `[samples, batch] -> [batch]`.
pub fn bound(log_weights: Tensor<2>) -> Tensor<1> {
    let samples = log_weights.dims()[0];
    let largest = log_weights.clone().detach().max_dim(0); // [1, batch]
    let sum = (log_weights - largest.clone()).exp().sum_dim(0);
    (sum.log() + largest).sub_scalar((samples as f64).ln()).squeeze_dim(0)
}
