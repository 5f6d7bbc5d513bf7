//! Variational: the code of each example is a distribution close to a prior, from which new examples can be sampled
//! (Kingma and Welling 2014).
//!
//! `min mean_x -E_q log p(x | h) + KL(q(h | x) || N(0, I))`, the negative evidence lower bound of `log p(x)`.
//!
//! The variance of the reconstruction is fitted (Rybkin et al. 2021). With a fixed variance of 1, most data are not
//! worth a nat, and no unit carries information.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Activation, Recipe,
    code::GaussianConfig,
    network::{MlpConfig, Network},
    variance::{Named, VarianceConfig},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "variational",
    idea: "the code is a distribution close to a standard normal prior, from which new rows can be sampled",
    formula: "-E log p(x | h) + KL(q(h | x) || N(0, I)), h ~ q(h | x)",
    reference: "Kingma and Welling 2014",
    width: CodeWidth::Any,
    training: Hints::COMMON,
    recipe,
};

pub(super) fn recipe() -> Recipe {
    Recipe {
        code_dim: 10,
        variance: VarianceConfig::Named(Named::Learned),
        network: Network::Mlp(MlpConfig {
            hidden: vec![256, 128],
            activation: Activation::Relu,
            ..MlpConfig::default()
        }),
        code: GaussianConfig::default().into(),
        ..Recipe::default()
    }
}
