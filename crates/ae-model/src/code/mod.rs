//! The code `h`: how it is computed from the encoder's output.
//!
//! For a code of your own, implement [`Code`] and pass it to
//! [`Autoencoder::with_code`](crate::Autoencoder::with_code). One that a [`Recipe`](crate::Recipe) can name also has
//! [`Settings`](crate::Settings), and a line in the [`Registry`](crate::Registry).

pub mod any;
pub mod batch_top_k;
mod config;
pub mod deterministic;
pub mod gated;
pub mod gaussian;
pub mod jump_relu;
pub mod lifetime;
pub(crate) mod selection;
pub mod top_k;

use std::borrow::Cow;

use burn::tensor::{Device, Tensor};

pub use any::AnyCode;
pub use batch_top_k::{BatchTopK, BatchTopKConfig};
pub use config::{CodeConfig, CodeSettings};
pub use deterministic::{Deterministic, DeterministicConfig};
pub use gated::{Gated, GatedConfig};
pub use gaussian::{Gaussian, GaussianConfig};
pub use jump_relu::{JumpRelu, JumpReluConfig};
pub use lifetime::{Lifetime, LifetimeConfig};
pub use top_k::{TopK, TopKConfig};

use crate::{Activation, ConfigError, Latent, objective::term::Term};

/// The part between encoder and decoder. It is a Burn module if it has parameters, running statistics or a training
/// flag of its own.
///
/// ```
/// use ae_model::{Activation, Autoencoder, Code, Latent, network::{MlpConfig, Sizes}};
/// use burn::{module::Module, tensor::{Device, Tensor}};
///
/// /// A soft threshold: small units become 0.
/// #[derive(Module, Debug)]
/// struct Shrink {
///     #[module(skip)]
///     by: f64,
/// }
///
/// impl Code for Shrink {
///     fn forward(&self, z: Tensor<2>) -> Latent {
///         (z.clone().abs().sub_scalar(self.by).clamp_min(0.0) * z.sign()).into()
///     }
/// }
///
/// let (device, sizes, config) = (Device::default(), Sizes::new(8, 2), MlpConfig::new());
/// let (encoder, decoder) =
///     (config.encoder(&sizes, &device), config.decoder(&sizes, Activation::Identity, &device));
/// let model = Autoencoder::new(encoder, decoder).with_code(Shrink { by: 100.0 });
/// assert_eq!(model.encode(Tensor::ones([1, 8], &device)).abs().sum().into_scalar::<f32>(), 0.0);
/// ```
pub trait Code {
    /// Checks the settings of a code without parameters, for `d_code` units.
    ///
    /// # Errors
    /// A field is outside its range.
    fn check(&self, d_code: usize) -> Result<(), ConfigError> {
        let _ = d_code;
        Ok(())
    }

    /// Number of encoder outputs that it reads for `d_code` units. Default: `d_code`.
    fn reads(&self, d_code: usize) -> usize {
        d_code
    }

    /// Computes the code from the encoder's output, `[batch, reads] -> [batch, d_code]`.
    ///
    /// Training behavior acts if the tensor is on an autodiff device and the module's own training flag, if it has one,
    /// is on.
    fn forward(&self, z: Tensor<2>) -> Latent;

    /// As [`forward`](Self::forward), for units that are compared by what they add to the reconstruction: `z_j` times
    /// the `lengths` of the decoder's atoms, `[d_code]`. The values of the code itself are not multiplied. Default:
    /// `forward`, for codes that do not compare units.
    fn forward_by(&self, z: Tensor<2>, lengths: &Tensor<1>) -> Latent {
        let _ = lengths;
        self.forward(z)
    }

    /// The latent for a given code, `[batch, d_code]`, as the decoder reads it.
    fn given(&self, h: Tensor<2>) -> Latent {
        h.into()
    }

    /// The code and its derivative along the tangent `t` of `z`, with training switched off. Default: `None`, and
    /// central differences are used.
    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let _ = (z, t);
        None
    }

    /// As [`jvp`](Self::jvp), for units that are compared as in [`forward_by`](Self::forward_by).
    fn jvp_by(&self, z: Tensor<2>, t: Tensor<2>, lengths: &Tensor<1>) -> Option<(Tensor<2>, Tensor<2>)> {
        let _ = lengths;
        self.jvp(z, t)
    }

    /// Whether each unit depends on its own element of `z` only. The derivative along a tangent of ones is then the
    /// slope of each unit, and the norm of the derivative has a closed form for a single affine layer. Default: false.
    fn is_diagonal(&self) -> bool {
        false
    }

    /// Whether the code is only its [activation](Self::activation), `h = phi(z)`. The closed form then needs only `h`.
    /// Default: false.
    fn is_elementwise(&self) -> bool {
        false
    }

    /// The activation of the units, which defines their bounds and when they are inactive. Default: identity.
    fn activation(&self) -> Activation {
        Activation::Identity
    }

    /// Whether the decoder reads samples of the code in training. Such a code also implements [`draw`](Self::draw),
    /// [`log_ratio`](Self::log_ratio) and [`divergence`](Self::divergence). Default: false.
    fn is_stochastic(&self) -> bool {
        false
    }

    /// A new sample of a stochastic code, on any device; the code itself if it is not stochastic.
    fn draw(&self, z: Tensor<2>) -> Latent {
        self.forward(z)
    }

    /// `log p(h) - log q(h | x)` of a latent that was [drawn](Self::draw), per example and in nats: `[batch]`. It is
    /// the difference of the sample's log-densities under the prior and under the encoder's distribution. `None` if the
    /// code is not stochastic.
    fn log_ratio(&self, latent: &Latent) -> Option<Tensor<1>> {
        let _ = latent;
        None
    }

    /// The divergence of `q(h | x)` from the prior in closed form, per example and in nats: `[batch]`. `None` if the
    /// code is not stochastic.
    fn divergence(&self, latent: &Latent) -> Option<Tensor<1>> {
        let _ = latent;
        None
    }

    /// The terms that it adds to the loss. `progress` is the fraction of the training that is done, in `[0, 1]`.
    fn terms(&self, latent: &Latent, progress: f64) -> Vec<Term> {
        let _ = (latent, progress);
        Vec::new()
    }

    /// The names of those terms, in the same order.
    fn term_names(&self) -> Vec<Cow<'static, str>> {
        Vec::new()
    }

    /// The threshold above which each unit is active, `[d_code]`, with a gradient if it is trained. Default: `None`.
    fn thresholds(&self) -> Option<Tensor<1>> {
        None
    }

    /// Called once before the first step, with the encoder's outputs for some training rows, for codes that start from
    /// them.
    fn start(&mut self, z: Tensor<2>) {
        let _ = z;
    }

    /// Called after training, with the encoder's outputs for some rows that were held out from it, each multiplied by
    /// the length of its unit's atom where the code compares [by lengths](Self::forward_by). For codes with a threshold
    /// that must be found when training is over. Returns what it found, in one sentence; `None` if there is nothing to
    /// find.
    fn calibrate(&mut self, scores: &mut dyn Iterator<Item = Tensor<2>>) -> Option<String> {
        let _ = scores;
        None
    }

    /// Called when each unit is multiplied by a factor, `[d_code]`, greater than 0: encoder and decoder have been
    /// changed so that the reconstruction stays the same.
    fn rescale(&mut self, factors: &Tensor<1>) {
        let _ = factors;
    }

    /// `count` samples of the prior, `[count, d_code]`. Default: `None`, there is no prior.
    fn sample(&self, count: usize, d_code: usize, device: &Device) -> Option<Tensor<2>> {
        let _ = (count, d_code, device);
        None
    }

    /// What the code is after training, for an export to other programs. Default: `None`, it cannot be exported.
    fn plain(&self) -> Option<Plain> {
        None
    }

    /// Called before the first step and after each, with the fraction of the training that is done, in `[0, 1]`, for
    /// codes that change during training.
    fn after_step(&mut self, progress: f64) {
        let _ = progress;
    }
}

/// A code after training, in terms that a program without this crate can implement.
#[derive(Debug, Clone)]
pub enum Plain {
    /// The activation of the encoder's output, `phi(z)`.
    Activation,
    /// This number of largest units of `phi(z)`; the others are 0.
    Largest(usize),
    /// The units of `phi(z)` that reach these thresholds, `[d_code]`; the others are 0.
    AtLeast(Box<Tensor<1>>),
    /// The units of `phi(z)` whose `z` is greater than these thresholds, `[d_code]`; the others are 0.
    Above(Box<Tensor<1>>),
    /// The first `d_code` elements of `z`.
    First,
}
