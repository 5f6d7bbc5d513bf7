//! Denoising: the input is corrupted, and the clean one must come out.
//!
//! `min mean_x L(x, g(f(x~)))`, `x~ = x + e`, `e ~ N(0, 0.3^2 I)` (Vincent et al. 2008, 2010). The network learns to move points towards
//! where the data lies.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Recipe,
    corruption::{Corruption, Gaussian},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "denoising",
    idea: "noise is added to the input, and the clean input must come out",
    formula: "L(x, g(f(x + e))), e ~ N(0, s^2 I)",
    reference: "Vincent et al. 2008, 2010",
    width: CodeWidth::Any,
    training: Hints::COMMON,
    recipe,
};

fn recipe() -> Recipe {
    Recipe { corruption: Corruption { gaussian: Some(Gaussian { std: 0.3 }), ..Corruption::default() }, ..super::overcomplete::recipe() }
}
