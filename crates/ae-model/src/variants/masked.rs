//! Masked: some values are hidden, the network reads which, and all values are reconstructed. The trained network fills
//! in missing values.
//!
//! `min mean_x L(x, g(f(x * m, m)))` with the mask `m` as a second half of the input. Each example hides a random
//! fraction of its values, drawn between 10% and 60% (masking noise, Vincent et al. 2008). Values that are missing from
//! the data are hidden too, and do not count in the loss.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Activation, Recipe,
    corruption::Masking,
    network::{MlpConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "masked",
    idea: "some values are hidden from the network, and all of them are reconstructed",
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
