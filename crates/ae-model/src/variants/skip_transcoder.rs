//! Skip transcoder: a [transcoder](super::transcoder) beside a linear map of the input.
//!
//! `min mean_(x, y) L(y, g(h) + x S) + AuxK` (Paulo et al. 2025). `S` starts at 0 and has no penalty. It explains what
//! is linear in the target, so that the units are left with what is not; without units its optimum is least squares.

use super::{CodeWidth, Variant};
use crate::{
    Recipe,
    network::{DictionaryConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "skip_transcoder",
    idea: "a transcoder beside a linear map, so that its units explain what is not linear",
    formula: "L(y, g(h) + x S) + AuxK, h = the k B largest of f(x) in a batch of B rows",
    reference: "Paulo et al. 2025",
    width: CodeWidth::Any,
    training: super::transcoder::HINTS,
    recipe,
};

fn recipe() -> Recipe {
    let network = DictionaryConfig::new().with_center(false).with_skip(true);
    Recipe { network: Network::Dictionary(network), ..super::batch_top_k::recipe() }
}
