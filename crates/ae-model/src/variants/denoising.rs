//! Denoising: the input is corrupted, and the clean one must come out.
//!
//! `min mean_x L(x, g(f(x~)))`, `x~ = x + e`, `e ~ N(0, s^2 I)` (Vincent et al. 2008, 2010). The network learns to move
//! points towards where the data lies: `r(x) - x` is `s^2` times the gradient of the log-density of the *noisy* data
//! (Vincent 2011), which for small `s` is that of the data (Alain and Bengio 2014). Rows that it moves far are
//! anomalies.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Activation, Recipe,
    corruption::GaussianConfig,
    network::{MlpConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "denoising",
    idea: "noise is added to the input, and the clean input must come out",
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
