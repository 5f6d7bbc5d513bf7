//! Contractive: the squared size of the code's derivative is in the loss, so that the code follows only the changes that the data makes.
//!
//! `min mean_x L(x, g(f(x))) + lambda ||J_f(x)||_F^2` (Rifai et al. 2011a). Add `penalty.contractive_hessian` for CAE+H (Rifai et al. 2011b).

use super::{CodeWidth, Hints, Variant};
use crate::{
    Recipe,
    penalty::{Contractive, Penalties},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "contractive",
    idea: "the code changes little around the data: its derivative is in the loss",
    formula: "L(x, g(f(x))) + lambda |J_f(x)|_F^2",
    reference: "Rifai et al. 2011",
    width: CodeWidth::Any,
    training: Hints::COMMON,
    recipe,
};

fn recipe() -> Recipe {
    Recipe {
        penalty: Penalties { contractive: Some(Contractive { weight: 0.1, ..Contractive::default() }), ..Penalties::default() },
        ..super::overcomplete::recipe()
    }
}
