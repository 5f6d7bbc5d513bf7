//! The Gaussian code of a variational autoencoder (Kingma and Welling 2014).
//!
//! The encoder computes the mean and the variance of each unit, `q(h | x) = N(m(x), diag(e^{l(x)}))`. A term of the
//! loss keeps them close to the prior `p(h) = N(0, I)`: the divergence
//! `KL(q || p) = 1/2 sum_j (m_j^2 + e^{l_j} - 1 - l_j)`, per example, in nats.
//!
//! In training the decoder reads a sample, `h = m + e^{l/2} eps` with `eps ~ N(0, I)`. Afterwards the code is the mean
//! `m`. The encoder has two outputs for each unit: first all means, then all logarithms of the variances.
//!
//! Set a [variance](crate::variance) of the reconstruction with this code. A squared error implies a variance of 1, and
//! most data have no direction that is worth a nat at that variance.

use std::borrow::Cow;

use burn::{
    module::{Flag, Module, Param},
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

use super::{AnyCode, CodeSettings, Plain};
use crate::{Activation, Code, ConfigError, Latent, Settings, Term, Weight, weight::Ramp};

/// Bound of the logarithm of a variance, so that its exponential stays finite in `f32`.
const LOG_VARIANCE: f64 = 20.0;

/// The code of a variational autoencoder: a normal distribution for each unit, close to a standard normal prior (Kingma
/// and Welling 2014).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct GaussianConfig {
    /// Factor of the divergence from the prior, 0 or more; above 1 fewer units are active, and they are more
    /// disentangled (Higgins et al. 2017). Default: 1, reached from 0 over a fifth of the training (Bowman et al.
    /// 2016).
    pub beta: Weight,
    /// Part of each unit's divergence, in nats and on average over a batch, that is not penalized; 0 or more (Kingma et
    /// al. 2016). Default: 0.
    pub free_bits: f64,
}

crate::macros::setters! {
    GaussianConfig {
        with_beta(beta: impl Into<Weight>),
        with_free_bits(free_bits: f64),
    }
}

impl GaussianConfig {
    /// The default settings.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for GaussianConfig {
    fn default() -> Self {
        Self { beta: Weight::Ramp(Ramp { from: 0.0, to: 1.0, over: 0.2 }), free_bits: 0.0 }
    }
}

impl Settings for GaussianConfig {
    const NAME: &'static str = "gaussian";
}

impl CodeSettings for GaussianConfig {
    fn compares_rows(&self) -> bool {
        true
    }

    fn check(&self, _d_code: usize) -> Result<(), ConfigError> {
        self.beta.check("beta")?;
        if self.free_bits >= 0.0 && self.free_bits.is_finite() {
            return Ok(());
        }
        Err(ConfigError::new("free_bits", self.free_bits, "0 or more"))
    }

    fn reads(&self, d_code: usize) -> usize {
        2 * d_code
    }

    fn build(&self, d_code: usize, device: &Device) -> AnyCode {
        AnyCode::new(self.init(d_code, device))
    }
}

impl GaussianConfig {
    /// The code, for `d_code` units.
    pub fn init(&self, _d_code: usize, _device: &Device) -> Gaussian {
        Gaussian { training: Param::from_bool(true), beta: self.beta, free_bits: self.free_bits }
    }
}

/// A normal distribution for each unit, `h ~ N(m, diag(e^l))`.
#[derive(Module, Debug)]
pub struct Gaussian {
    /// Whether samples are drawn in training; off in a frozen part of a model, whose code is the mean.
    pub training: Param<Flag>,
    /// Factor of the divergence in the loss.
    #[module(skip)]
    pub beta: Weight,
    /// Part of each unit's divergence, in nats, that is not penalized.
    #[module(skip)]
    pub free_bits: f64,
}

impl Gaussian {
    /// The means and the logarithms of the variances, `[batch, d_code]` each, from the encoder's output.
    pub fn parameters(z: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let [batch, both] = z.dims();
        let mean = z.clone().slice([0..batch, 0..both / 2]);
        let log_variance = z.clone().slice([0..batch, both / 2..both]).clamp(-LOG_VARIANCE, LOG_VARIANCE);
        (mean, log_variance)
    }

    /// The sample `m + e^{l/2} eps` for the noise `eps`, `[batch, d_code]`.
    pub fn with_noise(z: Tensor<2>, noise: Tensor<2>) -> Latent {
        let parameters = Self::parameters(&z);
        Self::sampled(z, parameters, noise)
    }

    fn sampled(z: Tensor<2>, (mean, log_variance): (Tensor<2>, Tensor<2>), noise: Tensor<2>) -> Latent {
        let code = mean.clone() + log_variance.div_scalar(2.0).exp() * noise;
        Latent { z: Some(z), mean: Some(mean), ..code.into() }
    }

    /// The divergence of each unit from the prior, in nats: `[batch, d_code]`.
    pub fn divergence_of_units(z: &Tensor<2>) -> Tensor<2> {
        let (mean, log_variance) = Self::parameters(z);
        (mean.square() + log_variance.clone().exp() - log_variance).sub_scalar(1.0).div_scalar(2.0)
    }
}

fn sum(per_unit: Tensor<2>) -> Tensor<1> {
    per_unit.sum_dim(1).squeeze_dim(1)
}

impl Code for Gaussian {
    fn reads(&self, d_code: usize) -> usize {
        2 * d_code
    }

    fn forward(&self, z: Tensor<2>) -> Latent {
        if z.device().is_autodiff() && self.training.is_enabled() {
            return self.draw(z);
        }
        let (mean, _) = Self::parameters(&z);
        Latent { z: Some(z), mean: Some(mean.clone()), ..mean.into() }
    }

    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let [batch, both] = z.dims();
        Some((z.slice([0..batch, 0..both / 2]), t.slice([0..batch, 0..both / 2])))
    }

    fn activation(&self) -> Activation {
        Activation::Identity
    }

    fn is_stochastic(&self) -> bool {
        true
    }

    fn draw(&self, z: Tensor<2>) -> Latent {
        let parameters = Self::parameters(&z);
        let noise = ae_kernels::normal_like(&parameters.0, 1.0);
        Self::sampled(z, parameters, noise)
    }

    fn log_ratio(&self, latent: &Latent) -> Option<Tensor<1>> {
        let (mean, log_variance) = Self::parameters(latent.z.as_ref()?);
        // The constants `log 2 pi` cancel.
        let surely = (latent.code.clone() - mean).square() / log_variance.clone().exp() + log_variance;
        Some(sum(surely - latent.code.clone().square()).div_scalar(2.0))
    }

    fn divergence(&self, latent: &Latent) -> Option<Tensor<1>> {
        latent.z.as_ref().map(|z| sum(Self::divergence_of_units(z)))
    }

    fn terms(&self, latent: &Latent, progress: f64) -> Vec<Term> {
        let Some(z) = &latent.z else { return Vec::new() };
        let weight = self.beta.at(progress);
        let divergence = Self::divergence_of_units(z);
        if self.free_bits == 0.0 {
            return vec![Term { name: "kl".into(), weight, value: sum(divergence) }];
        }
        // A unit whose average over the batch is below the free part counts as that part, and has no gradient.
        let is_free = divergence.clone().mean_dim(0).lower_equal_elem(self.free_bits).expand(divergence.shape());
        let charged = divergence.clone().mask_fill(is_free, self.free_bits);
        vec![
            Term { name: "kl".into(), weight: 0.0, value: sum(divergence) },
            Term { name: "kl_beyond_free".into(), weight, value: sum(charged) },
        ]
    }

    fn term_names(&self) -> Vec<Cow<'static, str>> {
        let names: &[_] = if self.free_bits == 0.0 { &["kl"] } else { &["kl", "kl_beyond_free"] };
        names.iter().map(|name| Cow::from(*name)).collect()
    }

    fn sample(&self, count: usize, d_code: usize, device: &Device) -> Option<Tensor<2>> {
        Some(ae_kernels::normal_like(&Tensor::zeros([count, d_code], device), 1.0))
    }

    fn plain(&self) -> Option<Plain> {
        Some(Plain::First)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    #[test]
    fn the_code_is_a_sample_in_training_and_the_mean_afterwards() {
        let (device, training) = (Device::default(), Device::default().autodiff());
        let code = GaussianConfig::default().init(2, &device);
        let z = [[1.0f32, -2.0, -50.0, 0.0]];
        let after = code.forward(Tensor::from_floats(z, &device)).code;
        after.into_data().assert_eq(&[[1.0f32, -2.0]].into(), true);
        let drawn = code.forward(Tensor::from_floats(z, &training)).code.into_data().iter::<f32>().collect::<Vec<_>>();
        assert!((drawn[0] - 1.0).abs() < 1e-3 && drawn[1] != -2.0, "{drawn:?}");
        let frozen = code.freeze().forward(Tensor::from_floats(z, &training)).code;
        frozen.into_data().assert_eq(&[[1.0f32, -2.0]].into(), true);
    }

    #[test]
    fn the_divergence_is_the_mean_log_ratio_and_free_bits_cost_nothing() {
        let device = Device::default();
        let code =
            GaussianConfig { beta: Weight::Ramp(Ramp { from: 0.0, to: 1.0, over: 0.5 }), ..GaussianConfig::default() }
                .init(2, &device);
        let z = Tensor::<2>::from_floats([[0.5, -1.0, 0.3, -0.7]], &device).expand([20_000, 4]);
        let drawn = ae_kernels::seeded(1, &device, || code.draw(z));
        let term = &code.terms(&drawn, 0.25)[0];
        assert_eq!((&*term.name, term.weight), ("kl", 0.5));
        let expected = term.value.clone().slice(0..1);
        let found = code.log_ratio(&drawn).unwrap().neg().mean();
        found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(0.02));
        let free = GaussianConfig { free_bits: 10.0, ..GaussianConfig::default() }.init(2, &device);
        let terms = free.terms(&drawn, 1.0);
        assert_eq!(terms.iter().map(|term| &*term.name).collect::<Vec<_>>(), ["kl", "kl_beyond_free"]);
        assert_eq!(terms[1].value.clone().mean().into_scalar::<f32>(), 20.0);
    }
}
