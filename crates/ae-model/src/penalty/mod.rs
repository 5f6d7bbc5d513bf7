//! Penalties `Omega`: what the loss asks for beside copying. They combine freely, with each other and with every network.
//!
//! A penalty of another crate implements [`Penalty`] and is handed to [`Objective::with_penalty`](crate::Objective::with_penalty). One that a
//! [`Recipe`](crate::Recipe) can name is one file here and one line in the list below.

pub mod contractive;
pub mod contractive_hessian;
pub mod kl_rate;
pub mod l1;

use std::{borrow::Cow, fmt::Debug, sync::Arc};

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};

pub use contractive::Contractive;
pub use contractive_hessian::ContractiveHessian;
pub use kl_rate::KlRate;
pub use l1::L1;

use crate::{ConfigError, Latent, Parts};

/// What a penalty may look at.
pub struct Context<'a> {
    /// The model.
    pub model: &'a Parts<'a>,
    /// What the network read, `[batch, d_input]`: corrupted, in training; 0 where nothing is visible.
    pub input: Tensor<2>,
    /// What is to come out, `[batch, d_output]`: clean.
    pub target: Tensor<2>,
    /// 1 where the network sees a value, `[batch, d_input]`; none if all is visible.
    pub visible: Option<Tensor<2>>,
    /// What the code made of it.
    pub latent: &'a Latent,
    /// The decoder's output, `[batch, d_output]`.
    pub output: Tensor<2>,
    /// Share of the training that is over, in `[0, 1]`; 1 after it.
    pub progress: f64,
}

/// A term of the loss beside the reconstruction.
pub trait Penalty: Debug + Send + Sync {
    /// Name in logs and tables.
    fn name(&self) -> Cow<'static, str>;

    /// Its factor in the loss, 0 or more, when this share of the training, in `[0, 1]`, is over.
    fn weight(&self, progress: f64) -> f64;

    /// `Omega`, per example: `[batch]`.
    fn value(&self, context: &Context) -> Tensor<1>;

    /// Whether the settings can be used.
    ///
    /// # Errors
    /// A field outside its range.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Declares the penalties that a recipe can name.
macro_rules! penalties {
    ($($(#[$about:meta])* $name:ident: $penalty:ident,)*) => {
        /// Which penalties are in the loss; none by default.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(crate = "burn::serde", default, deny_unknown_fields)]
        pub struct PenaltyConfig {
            $($(#[$about])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$penalty>,)*
        }

        impl PenaltyConfig {
            /// Whether the settings can be used.
            ///
            /// # Errors
            /// A field outside its range.
            pub fn check(&self) -> Result<(), ConfigError> {
                self.init().iter().try_for_each(|penalty| penalty.check().map_err(|error| error.within(&penalty.name())))
            }

            /// The penalties.
            pub fn init(&self) -> Vec<Arc<dyn Penalty>> {
                let mut penalties: Vec<Arc<dyn Penalty>> = Vec::new();
                $(if let Some(penalty) = self.$name {
                    penalties.push(Arc::new(penalty));
                })*
                penalties
            }
        }

        $(impl From<$penalty> for PenaltyConfig {
            fn from(penalty: $penalty) -> Self {
                Self { $name: Some(penalty), ..Self::default() }
            }
        })*
    };
}

penalties! {
    /// Sum of the units' sizes: [`l1`].
    l1: L1,
    /// Divergence of the units' mean activities from a rate: [`kl_rate`].
    kl_rate: KlRate,
    /// Squared size of the code's derivative: [`contractive`].
    contractive: Contractive,
    /// Squared change of the code's derivative nearby: [`contractive_hessian`].
    contractive_hessian: ContractiveHessian,
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
        assert_eq!(refused(ContractiveHessian { std: f64::NAN, ..Default::default() }.into()), "contractive_hessian.std");
    }
}
