//! Linear: principal component analysis by gradient descent.
//!
//! `min mean_x 1/2 ||x - (x W + b) V - c||^2`. Every critical point that is not a saddle spans the subspace of the
//! first `d_code` principal components (Bourlard and Kamp 1988; Baldi and Hornik 1989). So its error can approach that
//! of PCA, but cannot be below it on the rows that both were fitted to. It is a baseline for all other variants.

use super::{CodeWidth, Hints, Variant};
use crate::{
    Activation, Recipe,
    network::{MlpConfig, Network},
    recipe::Output,
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "linear",
    idea: "linear maps both ways: the subspace of principal component analysis, by gradient descent",
    formula: "1/2 |x - (x W + b) V - c|^2, d_code < d_input",
    reference: "Bourlard and Kamp 1988; Baldi and Hornik 1989",
    width: CodeWidth::Undercomplete,
    training: Hints { learning_rate: 1e-2, ..Hints::COMMON },
    recipe,
};

fn recipe() -> Recipe {
    Recipe {
        code_dim: 8,
        output: Output::Fixed(Activation::Identity),
        network: Network::Mlp(MlpConfig { hidden: Vec::new(), ..MlpConfig::default() }),
        ..Recipe::default()
    }
}
