//! Beta: a variational autoencoder with a stronger divergence term, so that fewer units are active, and they are more
//! disentangled (Higgins et al. 2017).
//!
//! `min mean_x -E_q log p(x | h) + beta KL(q(h | x) || N(0, I))` with `beta` above 1.

use super::{CodeWidth, Hints, Variant};
use crate::{Recipe, Weight, code::GaussianConfig, weight::Ramp};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "beta",
    idea: "a variational code kept closer to its prior: fewer active and more disentangled units",
    formula: "-E log p(x | h) + beta KL(q(h | x) || N(0, I)), beta > 1",
    reference: "Higgins et al. 2017",
    width: CodeWidth::Any,
    training: Hints::COMMON,
    recipe,
};

fn recipe() -> Recipe {
    Recipe {
        code: GaussianConfig {
            beta: Weight::Ramp(Ramp { from: 0.0, to: 4.0, over: 0.2 }),
            ..GaussianConfig::default()
        }
        .into(),
        ..super::variational::recipe()
    }
}
