//! Masked: values are hidden, the network is told which, and all of them must come out. What it learned fills in
//! missing values.
//!
//! `min mean_x L(x, g(f(x * m, m)))`, each example hiding its own share, drawn between 10% and 60%, at random (masking
//! noise, Vincent et al. 2008), with the mask `m` as a second half of the input. Values that are missing from the data
//! are hidden too, and not asked for.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Activation, Recipe,
    corruption::Masking,
    network::{MlpConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "masked",
    idea: "values are hidden from the network, and all of them must come out",
    formula: "L(x, g(f(x * m, m))), m_i ~ Bernoulli",
    reference: "Vincent et al. 2008",
    width: CodeWidth::Any,
    training: Hints::COMMON,
    recipe,
};

fn recipe() -> Recipe {
    Recipe {
        code_dim: 512,
        mask_input: true,
        network: Network::Mlp(MlpConfig { hidden: vec![512], ..MlpConfig::default() }),
        code: Activation::Elu.into(),
        corruption: Masking { rate: 0.1, rate_max: 0.6 }.into(),
        ..Recipe::default()
    }
}
