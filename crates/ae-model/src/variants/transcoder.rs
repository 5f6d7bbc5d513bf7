//! Transcoder: a dictionary that predicts other rows than its input, such as the output of a layer from its input.
//!
//! `min mean_(x, y) L(y, g(h)) + AuxK` with the code `h` of [batch top-k](super::batch_top_k), and a target `y` in
//! place of the input (Dunefsky et al. 2024). Its units say what a part of a network computes, not only what it holds.
//! Each of `x` and `y` is centered and divided by one number.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Recipe,
    network::{DictionaryConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "transcoder",
    idea: "a dictionary that predicts a target, such as the output of a layer from its input",
    formula: "L(y, g(h)) + AuxK, h = the k B largest of f(x) in a batch of B rows",
    reference: "Dunefsky et al. 2024",
    width: CodeWidth::Any,
    training: HINTS,
    recipe,
};

pub(super) const HINTS: Hints = Hints { target: true, ..Hints::DICTIONARY };

fn recipe() -> Recipe {
    let network = DictionaryConfig::new().with_center(false);
    Recipe { network: Network::Dictionary(network), ..super::batch_top_k::recipe() }
}
