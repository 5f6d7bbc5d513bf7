//! JumpReLU: a dictionary in which each unit has a threshold of its own, which is trained.
//!
//! `min mean_x L(x, g(h)) + c (mean L0 - k)^2 / k` with `h_j = z_j [z_j > theta_j]` (Rajamanoharan et al. 2024): the
//! average number of active units comes to its target `k`, and rows differ in how many they need.

use super::{CodeWidth, Hints, Variant};
use crate::{Recipe, code::JumpReluConfig, penalty::PenaltyConfig};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "jump_relu",
    idea: "a dictionary with a trained threshold for each unit, and a target for the number of active units",
    formula: "L(x, g(h)) + c (mean L0 - k)^2 / k, h_j = z_j [z_j > theta_j]",
    reference: "Rajamanoharan et al. 2024",
    width: CodeWidth::Any,
    training: Hints::DICTIONARY,
    recipe,
};

fn recipe() -> Recipe {
    Recipe { code: JumpReluConfig::default().into(), penalty: PenaltyConfig::default(), ..super::batch_top_k::recipe() }
}
