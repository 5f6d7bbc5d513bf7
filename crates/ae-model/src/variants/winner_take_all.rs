//! Winner-take-all: each unit keeps only its largest activities over the batch.
//!
//! `h_j = relu(z_j)` where it is among the largest `rate` of the batch, else 0, in training; `h = relu(z)` afterwards (Makhzani and Frey
//! 2015). Lifetime sparsity: no unit can die, for each wins some examples of each batch.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Recipe,
    code::{CodeConfig, LifetimeConfig},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "winner_take_all",
    idea: "each unit of the code reaches the decoder for its best examples alone",
    formula: "L(x, g(wta(f(x))))",
    reference: "Makhzani and Frey 2015",
    width: CodeWidth::Any,
    training: Hints { learning_rate: 3e-3, ..Hints::COMMON },
    recipe,
};

fn recipe() -> Recipe {
    Recipe { code: CodeConfig::Lifetime(LifetimeConfig::default()), ..super::overcomplete::recipe() }
}
