//! Penalties `Omega`: what the loss asks for beside copying. They combine freely, with each other and with every network.
//!
//! A new penalty is one file here and one line in the list below.

pub mod contractive;
pub mod contractive_hessian;
pub mod kl_rate;
pub mod l1;

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};

pub use contractive::Contractive;
pub use contractive_hessian::ContractiveHessian;
pub use kl_rate::KlRate;
pub use l1::L1;

use crate::{Autoencoder, ConfigError, Decoder, Encoder, objective::Term};

/// What a penalty may look at.
pub struct Context<'a, E: Encoder, D: Decoder> {
    /// The model.
    pub model: &'a Autoencoder<E, D>,
    /// What the network read, `[batch, d_input]`: corrupted, in training.
    pub x: Tensor<2>,
    /// 1 where the network sees a value; none if all is visible.
    pub visible: Option<Tensor<2>>,
    /// The code of it, `[batch, d_code]`.
    pub code: Tensor<2>,
}

/// Declares the settings of all penalties, and what is done with each of them.
macro_rules! penalties {
    ($($(#[$about:meta])* $name:ident: $penalty:ident,)*) => {
        /// Which penalties are in the loss; none by default.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(crate = "burn::serde", default, deny_unknown_fields)]
        pub struct Penalties {
            $($(#[$about])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$penalty>,)*
        }

        impl Penalties {
            /// Whether the settings can be used.
            ///
            /// # Errors
            /// A field outside its range.
            pub fn check(&self) -> Result<(), ConfigError> {
                $(if let Some(penalty) = &self.$name {
                    penalty.check().map_err(|error| error.within(stringify!($name)))?;
                })*
                Ok(())
            }

            /// The names of the penalties that are there.
            pub fn names(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$name.is_some() {
                    names.push(stringify!($name));
                })*
                names
            }

            /// The terms of the loss, each per example.
            pub fn terms<E: Encoder, D: Decoder>(&self, context: &Context<E, D>) -> Vec<Term> {
                let mut terms = Vec::new();
                $(if let Some(penalty) = &self.$name {
                    terms.push(Term { name: stringify!($name), weight: penalty.weight, value: penalty.value(context) });
                })*
                terms
            }
        }
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

fn check_weight(weight: f64) -> Result<(), ConfigError> {
    match weight >= 0.0 && weight.is_finite() {
        true => Ok(()),
        false => Err(ConfigError::new("weight", weight, "0 or more")),
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
        let refused = |penalties: Penalties| penalties.check().unwrap_err().field;
        assert_eq!(refused(Penalties { l1: Some(L1 { weight: -1.0 }), ..Default::default() }), "l1.weight");
        assert_eq!(refused(Penalties { kl_rate: Some(KlRate { rate: 1.0, ..Default::default() }), ..Default::default() }), "kl_rate.rate");
        let without = Contractive { probes: 0, ..Default::default() };
        assert_eq!(refused(Penalties { contractive: Some(without), ..Default::default() }), "contractive.probes");
        let nowhere = ContractiveHessian { std: f64::NAN, ..Default::default() };
        assert_eq!(refused(Penalties { contractive_hessian: Some(nowhere), ..Default::default() }), "contractive_hessian.std");
    }
}
