//! Batch top-k: a dictionary in which `k` units are active on average, more for rows that need more.
//!
//! `min mean_x L(x, g(h)) + AuxK`: in `h` only the units with the `k B` largest `z_j |d_j|` of a batch of `B` rows are
//! not 0 (Bussmann et al. 2024), and units that are never active learn the error of the others (Gao et al. 2024).
//!
//! For wide arrays, such as the activations of a language model. Their values are centered and divided by one number,
//! which keeps the ratios of distances between them.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Recipe,
    code::BatchTopKConfig,
    network::{DictionaryConfig, Network},
    penalty::AuxK,
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "batch_top_k",
    idea: "a dictionary of which k units are active on average over a batch",
    formula: "L(x, g(h)) + AuxK, h = the k B largest of f(x) in a batch of B rows",
    reference: "Bussmann et al. 2024; Gao et al. 2024",
    width: CodeWidth::Any,
    training: Hints::DICTIONARY,
    recipe,
};

pub(super) fn recipe() -> Recipe {
    Recipe {
        code_dim: 512,
        network: Network::Dictionary(DictionaryConfig::default()),
        code: BatchTopKConfig::default().into(),
        penalty: AuxK::default().into(),
        ..Recipe::default()
    }
}
