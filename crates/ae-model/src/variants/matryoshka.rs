//! Matryoshka: a dictionary whose first units alone must reconstruct the row, for several numbers of first units.
//!
//! `min mean_x sum_w L(x, g(h_1..w)) + AuxK` over nested widths `w`, with the code of [batch top-k](super::batch_top_k)
//! (Bussmann et al. 2025). In other wide dictionaries a general unit is absorbed by specific ones; here the first units
//! stay general.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Recipe,
    penalty::{AuxK, Matryoshka, PenaltyConfig},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "matryoshka",
    idea: "a dictionary whose first units alone must reconstruct, at several widths",
    formula: "sum_w L(x, g(h_1..w)) + AuxK, h = the k B largest of f(x) in a batch of B rows",
    reference: "Bussmann et al. 2025",
    width: CodeWidth::Any,
    training: Hints::DICTIONARY,
    recipe,
};

fn recipe() -> Recipe {
    let penalty = PenaltyConfig::default().with(AuxK::default()).with(Matryoshka::default());
    Recipe { penalty, ..super::batch_top_k::recipe() }
}
