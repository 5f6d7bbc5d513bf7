//! k-sparse: only the `k` largest units of each example reach the decoder.
//!
//! `h = top_k(phi(z))`, `min mean_x L(x, g(h))` (Makhzani and Frey 2013).
//!
//! There is no penalty to weigh: `k` is the number of active units. Training starts with more of them, and the weights
//! are tied as in the paper: both keep units from becoming inactive before they have learned anything.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Recipe,
    code::TopKConfig,
    network::{MlpConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "k_sparse",
    idea: "only the k largest units of the code reach the decoder",
    formula: "L(x, g(top_k(f(x))))",
    reference: "Makhzani and Frey 2013",
    width: CodeWidth::Any,
    training: Hints { learning_rate: 3e-3, ..Hints::COMMON },
    recipe,
};

fn recipe() -> Recipe {
    Recipe {
        network: Network::Mlp(MlpConfig { hidden: Vec::new(), tied: true, ..MlpConfig::default() }),
        code: TopKConfig { k: 25, k_start: 150, anneal: 0.6, ..TopKConfig::default() }.into(),
        ..super::overcomplete::recipe()
    }
}
