//! Gate reconstruction: the gates of a [gated](crate::code::gated) code must reconstruct the row by themselves,
//! `Omega = L(x, max(0, z) W_d + b)` with the reconstruction loss `L`, per example (Rajamanoharan et al. 2024). This is
//! what trains them.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Context, Penalty};
use crate::{ConfigError, Latent, Settings, Weight};

/// Gate reconstruction: the reconstruction loss of the gates of a gated code, `L(x, max(0, z) W_d + b)` (Rajamanoharan
/// et al. 2024); the decoder must be a single layer without activation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct GateReconstruction {
    /// Factor of the penalty in the loss, 0 or more; with 0 it is only measured. Default: 1.
    pub weight: Weight,
    /// Whether the decoder is a constant in this penalty, as in the paper: true or false. Default: true.
    pub frozen: bool,
}

crate::macros::setters! {
    GateReconstruction {
        with_weight(weight: impl Into<Weight>),
        with_frozen(frozen: bool),
    }
}

impl Default for GateReconstruction {
    fn default() -> Self {
        Self { weight: 1.0.into(), frozen: true }
    }
}

impl Settings for GateReconstruction {
    const NAME: &'static str = "gate_reconstruction";
}

impl Penalty for GateReconstruction {
    fn weight(&self, progress: f64) -> f64 {
        self.weight.at(progress)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.weight.check("weight")
    }

    fn reads_z(&self) -> bool {
        true
    }

    fn needs_atoms(&self) -> bool {
        true
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        let z = context.latent.z.clone().expect("the encoder's output, as `reads_z` asks for");
        let atoms = context.model.atoms().expect("a decoder of a single layer, as `needs_atoms` asks for");
        let open = z.clamp_min(0.0);
        // The bias is what an empty code is decoded to.
        let bias = match &context.latent.input {
            Some(input) => {
                let empty = open.clone().detach().zeros_like();
                context.model.decode(&Latent { input: Some(input.clone()), ..empty.into() })
            }
            None => context.model.decode(&open.clone().detach().slice(0..1).zeros_like().into()),
        };
        let (atoms, bias) = if self.frozen { (atoms.detach(), bias.detach()) } else { (atoms, bias) };
        let output = ae_kernels::matmul(open, atoms) + bias;
        context.loss(context.target.clone(), output, context.weights.clone())
    }
}
