//! Penalties `Omega`: regularization terms of the loss. They can be combined with each other and with every network.
//!
//! For a penalty of your own, implement [`Penalty`] and pass it to
//! [`Objective::with_penalty`](crate::Objective::with_penalty). One that a [`Recipe`](crate::Recipe) can name also has
//! [`Settings`](crate::Settings), and a line in the [`Registry`](crate::Registry).

pub mod aux_k;
mod config;
pub mod contractive;
pub mod contractive_hessian;
pub mod gate;
pub mod gate_reconstruction;
pub mod kl_rate;
pub mod l1;
pub mod matryoshka;
pub mod pre_activation;
pub mod tanh;

use std::{borrow::Cow, fmt::Debug};

use burn::tensor::Tensor;

pub use aux_k::AuxK;
pub use config::PenaltyConfig;
pub use contractive::Contractive;
pub use contractive_hessian::ContractiveHessian;
pub use gate::Gate;
pub use gate_reconstruction::GateReconstruction;
pub use kl_rate::KlRate;
pub use l1::L1;
pub use matryoshka::Matryoshka;
pub use pre_activation::PreActivation;
pub use tanh::Tanh;

use crate::{Activation, ConfigError, Head, Latent, Parts, registry::settings::name_of};

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
    /// The derivative of the code along the penalty's [direction](Penalty::direction), `[batch, d_code]`, if it was
    /// computed together with the code: for the first penalty of an objective that has a direction, and never for an
    /// encoder that [changes in training](crate::Encoder::changes_in_training).
    pub tangent: Option<Tensor<2>>,
    /// Fraction of the training that is done, in `[0, 1]`; 1 after training.
    pub progress: f64,
    /// Weight of each feature of the target in the reconstruction loss, `[batch, d_output]`; 1 if `None`.
    pub weights: Option<Tensor<2>>,
    /// Training rows since each unit was last active, `[d_code]`, before this batch. `None` after training, and if no
    /// penalty [reads it](Penalty::reads_activity).
    pub idle: Option<Tensor<1>>,
    /// Rows of an epoch; 0 if unknown.
    pub epoch_rows: usize,
    /// How the reconstruction follows from the decoder's output.
    pub head: &'a Head,
    /// The reconstruction loss, as [`loss`](Self::loss).
    pub(crate) reconstruction: &'a ReconstructionLoss<'a>,
}

/// The reconstruction loss per example, of a target, the decoder's output and the weights of the features.
pub(crate) type ReconstructionLoss<'a> = dyn Fn(Tensor<2>, Tensor<2>, Option<Tensor<2>>) -> Tensor<1> + 'a;

/// Rows after which a unit is dead, if the length of an epoch is not known.
const DEAD_AFTER: usize = 100_000;

/// Rows without activity after which a unit is dead; half an epoch if `after` is 0.
pub(crate) fn dead_after(after: usize, epoch_rows: usize) -> usize {
    match (after, epoch_rows) {
        (0, 0) => DEAD_AFTER,
        (0, rows) => rows / 2,
        (after, _) => after,
    }
}

impl Context<'_> {
    /// The reconstruction loss per example of another output for a target, `[batch]`, as
    /// [`Autoencoder::loss`](crate::Autoencoder::loss).
    pub fn loss(&self, target: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        (self.reconstruction)(target, output, weights)
    }

    /// The reconstruction of a decoder's output, `[batch, d_output]`: itself, or probabilities where it is logits.
    pub fn mean(&self, output: Tensor<2>) -> Tensor<2> {
        self.head.mean(output)
    }

    /// The magnitudes of the units, `[batch, d_code]`; of a dictionary, times the lengths of their atoms, which is what
    /// they add to the reconstruction.
    pub fn contributions(&self) -> Tensor<2> {
        let code = self.latent.code.clone();
        // Units that cannot be negative are their own magnitudes. The derivative of the magnitude at 0 is 0, which
        // would hide the estimated derivative of a unit just below its threshold.
        let magnitudes = if self.model.code.activation() == Activation::Relu { code } else { code.abs() };
        match self.model.decoder.lengths() {
            Some(lengths) => magnitudes * lengths.unsqueeze::<2>(),
            None => magnitudes,
        }
    }

    /// 1 for units that were not active for more than this number of rows (half an epoch if it is 0), and 0 for the
    /// others: `[d_code]`, a constant. `None` after training.
    pub fn dead(&self, after: usize) -> Option<Tensor<1>> {
        let after = dead_after(after, self.epoch_rows);
        let dead = self.idle.as_ref()?.clone().greater_elem(after as f64).float().cast(self.latent.code.dtype());
        Some(if self.latent.code.device().is_autodiff() { Tensor::from_inner(dead) } else { dead })
    }
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

    /// A direction of the input, `[batch, d_input]`, along which it needs the derivative of the code
    /// ([`Context::tangent`]). Computed together with the code it costs less than afterwards. Where the context has
    /// none, the penalty computes it by [`Parts::encode_jvp`]. Default: `None`, it needs no such derivative.
    fn direction(&self, model: &Parts, input: &Tensor<2>) -> Option<Tensor<2>> {
        let _ = (model, input);
        None
    }

    /// Whether it needs the encoder's output in the latent ([`Latent::z`]). Default: false.
    fn reads_z(&self) -> bool {
        false
    }

    /// Whether it needs to know when each unit was last active ([`Context::idle`]). Default: false.
    fn reads_activity(&self) -> bool {
        false
    }

    /// Whether it needs a decoder that is a single layer without activation ([`Decode::atoms`](crate::Decode::atoms)).
    /// Default: false.
    fn needs_atoms(&self) -> bool {
        false
    }

    /// Whether the value of a row depends on the other rows of the batch, or can depend on random numbers. Default:
    /// false.
    fn compares_rows(&self) -> bool {
        false
    }

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
