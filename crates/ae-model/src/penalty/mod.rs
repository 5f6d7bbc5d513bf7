//! Penalties `Omega`: regularization terms of the loss. They can be combined with each other and with every network.
//!
//! For a penalty of your own, implement [`Penalty`] and pass it to
//! [`Objective::with_penalty`](crate::Objective::with_penalty). One that a [`Recipe`](crate::Recipe) can name also has
//! [`Settings`](crate::Settings), and a line in the [`Registry`](crate::Registry).

mod config;
pub mod contractive;
pub mod contractive_hessian;
pub mod kl_rate;
pub mod l1;

use std::{borrow::Cow, fmt::Debug};

use burn::tensor::Tensor;

pub use config::PenaltyConfig;
pub use contractive::Contractive;
pub use contractive_hessian::ContractiveHessian;
pub use kl_rate::KlRate;
pub use l1::L1;

use crate::{ConfigError, Latent, Parts, registry::settings::name_of};

/// What a penalty is computed from.
pub struct Context<'a> {
    /// The model.
    pub model: &'a Parts<'a>,
    /// The input of the network, `[batch, d_input]`: corrupted in training; 0 where a value is not visible.
    pub input: Tensor<2>,
    /// The clean target, `[batch, d_output]`.
    pub target: Tensor<2>,
    /// 1 where a value is visible to the network, `[batch, d_input]`; all are visible if `None`.
    pub visible: Option<Tensor<2>>,
    /// The latent of the input.
    pub latent: &'a Latent,
    /// The decoder's output, `[batch, d_output]`.
    pub output: Tensor<2>,
    /// Fraction of the training that is done, in `[0, 1]`; 1 after training.
    pub progress: f64,
}

/// A regularization term of the loss.
///
/// ```
/// use ae_model::{Objective, Penalty, penalty::Context};
/// use burn::tensor::Tensor;
///
/// /// A Student-t prior on the code, `sum_j log(1 + h_j^2)`.
/// #[derive(Debug)]
/// struct StudentT;
///
/// impl Penalty for StudentT {
///     fn weight(&self, _progress: f64) -> f64 {
///         0.1
///     }
///
///     fn value(&self, context: &Context) -> Tensor<1> {
///         context.latent.code.clone().square().log1p().sum_dim(1).squeeze_dim(1)
///     }
/// }
///
/// let objective = Objective::default().with_penalty(StudentT);
/// assert_eq!(objective.penalties[0].name(), "student_t");
/// ```
pub trait Penalty: Debug + Send + Sync {
    /// Name in logs and tables. Default: the name of the type, `student_t` for `StudentT`.
    fn name(&self) -> Cow<'static, str> {
        name_of::<Self>()
    }

    /// Factor in the loss, 0 or more, when the fraction `progress` of the training, in `[0, 1]`, is done.
    fn weight(&self, progress: f64) -> f64;

    /// The value `Omega` per example, `[batch]`.
    fn value(&self, context: &Context) -> Tensor<1>;

    /// Checks the settings.
    ///
    /// # Errors
    /// A field is outside its range.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

fn check_probes(probes: usize) -> Result<(), ConfigError> {
    match probes {
        0 => Err(ConfigError::new("probes", 0, "at least 1")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_outside_their_range_are_refused_by_name() {
        let refused = |penalties: PenaltyConfig| penalties.check().unwrap_err().field;
        assert_eq!(refused(L1 { weight: (-1.0).into() }.into()), "l1.weight");
        assert_eq!(refused(KlRate { rate: 1.0, ..Default::default() }.into()), "kl_rate.rate");
        assert_eq!(refused(Contractive { probes: 0, ..Default::default() }.into()), "contractive.probes");
        assert_eq!(
            refused(ContractiveHessian { std: f64::NAN, ..Default::default() }.into()),
            "contractive_hessian.std"
        );
    }
}
