//! Stacked: a deep network whose layers are first trained one after the other, each as an autoencoder of the layer
//! below.
//!
//! Layer by layer, `min L(h_l, g_l(f_l(h_l)))` with `h_0 = x`; then all layers together, `min L(x, g(f(x)))` (Bengio et
//! al. 2007, who stack autoencoders where Hinton and Salakhutdinov 2006 stack restricted Boltzmann machines).
//!
//! Pre-training gives deep sigmoid networks a start, where gradient descent from random weights makes little progress.
//! With a corruption, the layers are denoising autoencoders too (Vincent et al. 2010).

use super::{CodeWidth, Hints, Variant};
use crate::{
    Activation, Recipe,
    network::{MlpConfig, Network},
};

/// The variant.
pub const VARIANT: Variant = Variant {
    name: "stacked",
    idea: "a code narrower than the input; the layers are first trained one after the other",
    formula: "L(x, g(f(x))), d_code < d_input",
    reference: "Hinton and Salakhutdinov 2006; Bengio et al. 2007; Vincent et al. 2010",
    width: CodeWidth::Undercomplete,
    training: Hints { pretrain_epochs: 20, ..Hints::COMMON },
    recipe,
};

fn recipe() -> Recipe {
    Recipe {
        network: Network::Mlp(MlpConfig { activation: Activation::Sigmoid, ..MlpConfig::default() }),
        ..super::undercomplete::recipe()
    }
}
