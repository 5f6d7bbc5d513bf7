//! Winner-take-all: each unit keeps only its largest activations over the batch.
//!
//! In training `h_j = relu(z_j)` where it is among the largest fraction `rate` of the batch, and 0 elsewhere. After
//! training it is kept where it reaches the average of the smallest values that won (Makhzani and Frey 2015;
//! [`lifetime`](crate::code::lifetime) explains the difference from the paper).
//!
//! This is lifetime sparsity: each unit wins some examples of each batch, so that none can become inactive forever.

use super::{CodeWidth, Hints, Variant};
use crate::{Recipe, code::LifetimeConfig};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "winner_take_all",
    idea: "each unit of the code is kept only for the examples of the batch where it is largest",
    formula: "L(x, g(wta(f(x))))",
    reference: "Makhzani and Frey 2015",
    width: CodeWidth::Any,
    training: Hints { learning_rate: 3e-3, ..Hints::COMMON },
    recipe,
};

fn recipe() -> Recipe {
    Recipe { code: LifetimeConfig::default().into(), ..super::overcomplete::recipe() }
}
