//! Denoising: the clean input is reconstructed from a corrupted one.
//!
//! `min mean_x L(x, g(f(x~)))`, `x~ = x + e`, `e ~ N(0, s^2 I)` (Vincent et al. 2008, 2010).
//!
//! The network learns to move points towards the data: `r(x) - x` is `s^2` times the gradient of the log-density of the
//! *noisy* data (Vincent 2011), which for small `s` is that of the data (Alain and Bengio 2014). Rows that it moves far
//! are anomalous.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Activation, Recipe,
    corruption::GaussianConfig,
    network::{MlpConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "denoising",
    idea: "the clean input is reconstructed from a noisy one",
    formula: "L(x, g(f(x + e))), e ~ N(0, s^2 I)",
    reference: "Vincent et al. 2008, 2010",
    width: CodeWidth::Any,
    training: Hints::COMMON,
    recipe,
};

fn recipe() -> Recipe {
    Recipe {
        code_dim: 64,
        network: Network::Mlp(MlpConfig { hidden: vec![256], activation: Activation::Relu, ..MlpConfig::default() }),
        code: Activation::Relu.into(),
        corruption: GaussianConfig::default().into(),
        ..Recipe::default()
    }
}
