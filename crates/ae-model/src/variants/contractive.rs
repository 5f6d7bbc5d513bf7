//! Contractive: the squared norm of the code's derivative is in the loss, so that the code only follows changes that
//! the data make.
//!
//! `min mean_x L(x, g(f(x))) + lambda ||J_f(x)||_F^2` with tied weights (Rifai et al. 2011a).
//!
//! If the decoder had weights of its own, it could grow while the encoder shrinks: reconstruction error and penalty
//! would both decrease forever, and the code would stay a linear map in the middle of its sigmoids (Goodfellow et al.
//! 2016, 14.7). With tied weights the units saturate instead. Add `penalty.contractive_hessian` for CAE+H (Rifai et al.
//! 2011b).

use super::{CodeWidth, Hints, Variant};
use crate::{
    Recipe,
    network::{MlpConfig, Network},
    penalty::Contractive,
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "contractive",
    idea: "the code changes little around the data: the norm of its derivative is penalized",
    formula: "L(x, g(f(x))) + lambda |J_f(x)|_F^2, g tied to f",
    reference: "Rifai et al. 2011",
    width: CodeWidth::Any,
    training: Hints::COMMON,
    recipe,
};

fn recipe() -> Recipe {
    Recipe {
        network: Network::Mlp(MlpConfig { hidden: Vec::new(), tied: true, ..MlpConfig::default() }),
        penalty: Contractive { weight: 0.1.into(), ..Contractive::default() }.into(),
        ..super::overcomplete::recipe()
    }
}
