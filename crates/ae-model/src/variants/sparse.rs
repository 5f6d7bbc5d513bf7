//! Sparse: the sum of the code's sizes is in the loss, so that few units answer to any input.
//!
//! `min mean_x L(x, g(f(x))) + lambda sum_j |h_j|`, a Laplace prior on the code (Olshausen and Field 1996; Goodfellow et al. 2016, section
//! 14.2.1).

use super::{CodeWidth, Hints, Variant};
use crate::{
    Recipe,
    penalty::{L1, Penalties},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "sparse",
    idea: "few units of the code are active at a time: their sizes are in the loss",
    formula: "L(x, g(f(x))) + lambda sum_j |h_j|",
    reference: "Olshausen and Field 1996; Goodfellow et al. 2016, 14.2.1",
    width: CodeWidth::Any,
    training: Hints::COMMON,
    recipe,
};

fn recipe() -> Recipe {
    Recipe { penalty: Penalties { l1: Some(L1 { weight: 0.004 }), ..Penalties::default() }, ..super::overcomplete::recipe() }
}
