//! Winner-take-all: each unit keeps only its largest activities over the batch.
//!
//! `h_j = relu(z_j)` where it is among the largest `rate` of the batch, else 0, in training; afterwards where it
//! reaches the least value that won, on average (Makhzani and Frey 2015; [`lifetime`](crate::code::lifetime) says where
//! it differs from them). Lifetime sparsity: no unit can die, for each wins some examples of each batch.

use super::{CodeWidth, Hints, Variant};
use crate::{Recipe, code::LifetimeConfig};

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
    Recipe { code: LifetimeConfig::default().into(), ..super::overcomplete::recipe() }
}
