//! The reconstruction loss `L(x, r)`: the negative log-likelihood of the target, per example, in nats.
//!
//! - `squared_error`: `L = 1/2 sum_i (x_i - r_i)^2`, a unit-variance Gaussian up to a constant. The decoder's output is
//!   `r`.
//! - `bernoulli`: `L = -sum_i x_i log s(l_i) + (1 - x_i) log(1 - s(l_i))` with the logistic function `s`. The decoder's
//!   output is the logit `l`, and `r = s(l)`. Targets lie in `[0, 1]`; values in between are probabilities.
//! - `categorical`, for the categories of a table: `L = -sum_l x_l log softmax(l)_l` over the levels of each category.
//!
//! A [`Head`] assigns a loss to each kind of feature. Missing values have a weight of 0 and are left out of the sum.

mod bernoulli;
mod categorical;
mod config;
mod head;
mod squared_error;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt::Debug};

use burn::tensor::Tensor;

pub use bernoulli::Bernoulli;
pub use config::LossConfig;
pub use head::Head;
pub use squared_error::SquaredError;

use crate::{ConfigError, registry::settings::name_of};

/// A reconstruction loss. Pass one of your own to
/// [`Autoencoder::with_reconstruction`](crate::Autoencoder::with_reconstruction).
///
/// ```
/// use ae_model::{Head, Loss};
/// use burn::tensor::{Device, Tensor};
///
/// /// The sum of absolute errors, a Laplace likelihood up to a constant.
/// #[derive(Debug)]
/// struct AbsoluteError;
///
/// impl Loss for AbsoluteError {
///     fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
///         let error = (x - output).abs();
///         weights.map_or(error.clone(), |weights| error * weights).sum_dim(1).squeeze_dim(1)
///     }
/// }
///
/// let zeros = Tensor::<2>::zeros([1, 3], &Device::default());
/// let head = Head::from(AbsoluteError);
/// assert_eq!(head.name(), "absolute_error");
/// assert_eq!(head.loss(zeros.ones_like(), zeros, None).into_scalar::<f32>(), 3.0);
/// ```
pub trait Loss: Debug + Send + Sync {
    /// Name of its term in logs and tables. Default: the name of the type, `squared_error` for `SquaredError`.
    fn name(&self) -> Cow<'static, str> {
        name_of::<Self>()
    }

    /// The reconstruction `r` for the decoder's `output`: `[batch, d_output]` to `[batch, d_output]`. Default: the
    /// output itself.
    fn mean(&self, output: Tensor<2>) -> Tensor<2> {
        output
    }

    /// The loss `L` per example, in nats: `[batch]`.
    ///
    /// The target `x`, the decoder's `output` and the `weights` are `[batch, d_output]`. A weight is 1 if the feature
    /// is observed and 0 if it is missing, or what an [emphasis](crate::corruption::Emphasis) sets; all are 1 if
    /// `None`. `x` holds 0 where a value is missing.
    fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1>;

    /// Checks the settings.
    ///
    /// # Errors
    /// A field is outside its range.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Whether the decoder's output is a logit, for targets in `[0, 1]`: no activation may follow it. Default: false.
    fn reads_logits(&self) -> bool {
        false
    }

    /// The constant of the negative log-likelihood that [`loss`](Self::loss) omits for each observed value, in nats.
    /// Default: 0.
    fn constant(&self) -> f64 {
        0.0
    }

    /// Whether [`loss`](Self::loss) is half the squared error of the reconstruction. Default: false.
    fn is_half_squared_error(&self) -> bool {
        false
    }

    /// Half the squared error of the reconstruction per example, with the arguments of [`loss`](Self::loss).
    fn half_squared_error(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        ae_kernels::squared_error(x, self.mean(output), weights)
    }
}
