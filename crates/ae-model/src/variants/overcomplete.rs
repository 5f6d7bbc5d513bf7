//! Overcomplete: a code wider than the input, without regularization. It is the control for the regularized variants.
//!
//! `min mean_x L(x, g(f(x)))` with any `d_code`, here one layer of 512 sigmoid units each way. It has the smallest
//! reconstruction error and learns least: it passes noise through, and its code follows every change of the input
//! (Bengio, Courville and Vincent 2013, section 7).

use super::{CodeWidth, Hints, Variant};
use crate::{
    Activation, Recipe,
    network::{MlpConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "overcomplete",
    idea: "nothing does: the control for the regularized variants",
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
