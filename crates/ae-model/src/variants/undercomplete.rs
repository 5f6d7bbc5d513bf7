//! Undercomplete: the code is narrower than the input, so that only what explains most of the data passes through.
//!
//! `min mean_x L(x, g(f(x)))` with `d_code < d_input`. With a deep encoder and decoder this is nonlinear principal
//! component analysis (Kramer 1991; Hinton and Salakhutdinov 2006). With too much capacity for the number of examples
//! it memorizes them instead.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Recipe,
    network::{MlpConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "undercomplete",
    idea: "a code narrower than the input only passes what explains most of the data",
    formula: "L(x, g(f(x))), d_code < d_input",
    reference: "Kramer 1991; Hinton and Salakhutdinov 2006",
    width: CodeWidth::Undercomplete,
    training: Hints::COMMON,
    recipe,
};

pub(super) fn recipe() -> Recipe {
    Recipe { code_dim: 10, network: Network::Mlp(MlpConfig::default()), ..Recipe::default() }
}
