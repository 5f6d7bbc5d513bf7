//! Sparse: the sum of the units' magnitudes is in the loss, so that few units are active for any input.
//!
//! `min mean_x L(x, g(f(x))) + lambda sum_j |h_j|`, a Laplace prior on the code (Goodfellow et al. 2016, section
//! 14.2.1).
//!
//! Its units are ReLUs, which are exactly 0 where a sigmoid is only small (Glorot et al. 2011). The decoder's rows have
//! length 1 (Olshausen and Field 1996). Otherwise the model could evade the penalty with a small code and large decoder
//! weights.

use super::{CodeWidth, Hints, Variant};
use crate::{Activation, Recipe, constraint::ConstraintConfig, penalty::L1};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "sparse",
    idea: "few units of the code are active at a time: the sum of their magnitudes is penalized",
    formula: "L(x, g(f(x))) + lambda sum_j |h_j|, rows of g of length 1",
    reference: "Olshausen and Field 1996; Goodfellow et al. 2016, 14.2.1",
    width: CodeWidth::Any,
    training: Hints::COMMON,
    recipe,
};

fn recipe() -> Recipe {
    Recipe {
        code: Activation::Relu.into(),
        penalty: L1 { weight: 0.05.into() }.into(),
        constraint: ConstraintConfig { unit_norm: true, ..ConstraintConfig::default() },
        ..super::overcomplete::recipe()
    }
}
