//! Sparse by rate: each unit is pulled towards a small mean activation over the batch.
//!
//! `min mean_x L(x, g(f(x))) + beta sum_j KL(rho || mean_x h_j)` with sigmoid units (Ng 2011).

use super::{CodeWidth, Hints, Variant};
use crate::{Recipe, penalty::KlRate};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "sparse_kl",
    idea: "each unit of the code is active for a small fraction of the examples",
    formula: "L(x, g(f(x))) + beta sum_j KL(rho || mean h_j)",
    reference: "Ng 2011",
    width: CodeWidth::Any,
    training: Hints { learning_rate: 3e-3, ..Hints::COMMON },
    recipe,
};

fn recipe() -> Recipe {
    Recipe { penalty: KlRate { weight: 0.03.into(), rate: 0.05 }.into(), ..super::overcomplete::recipe() }
}
