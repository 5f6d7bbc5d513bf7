//! Overcomplete: a code wider than the input and nothing that keeps the network from copying, the control of every
//! regularized variant.
//!
//! `min mean_x L(x, g(f(x)))` with any `d_code`, here one layer of 512 sigmoid units each way. It copies best and
//! learns least: it passes noise through, and its code follows every change of the input (Bengio, Courville and Vincent
//! 2013, section 7).

use super::{CodeWidth, Hints, Variant};
use crate::{
    Activation, Recipe,
    network::{MlpConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "overcomplete",
    idea: "nothing does: the control that the regularized variants are compared with",
    formula: "L(x, g(f(x)))",
    reference: "Bengio et al. 2013, section 7",
    width: CodeWidth::Any,
    training: Hints::COMMON,
    recipe,
};

pub(super) fn recipe() -> Recipe {
    Recipe {
        code_dim: 512,
        network: Network::Mlp(MlpConfig { hidden: Vec::new(), ..MlpConfig::default() }),
        code: Activation::Sigmoid.into(),
        ..Recipe::default()
    }
}
