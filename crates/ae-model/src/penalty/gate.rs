//! Gate: the size of the open gates of a [gated](crate::code::gated) code, `Omega = sum_j max(0, z_j)`, per example
//! (Rajamanoharan et al. 2024).

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Context, Penalty};
use crate::{ConfigError, Settings, Weight};

/// Gate: how far the gates of a gated code are open, `sum_j max(0, z_j)`; of a dictionary, times `|d_j|` (Rajamanoharan
/// et al. 2024).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct Gate {
    /// Factor of the penalty in the loss, 0 or more; with 0 it is only measured. Default: 0.1.
    pub weight: Weight,
}

impl Gate {
    /// The penalty with this factor in the loss, 0 or more.
    pub fn new(weight: impl Into<Weight>) -> Self {
        Self { weight: weight.into() }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self { weight: 0.1.into() }
    }
}

impl Settings for Gate {
    const NAME: &'static str = "gate";
}

impl Penalty for Gate {
    fn weight(&self, progress: f64) -> f64 {
        self.weight.at(progress)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.weight.check("weight")
    }

    fn reads_z(&self) -> bool {
        true
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        let z = context.latent.z.clone().expect("the encoder's output, as `reads_z` asks for");
        let open = z.clamp_min(0.0);
        let open = match context.model.decoder.lengths() {
            Some(lengths) => open * lengths.unsqueeze::<2>(),
            None => open,
        };
        open.sum_dim(1).squeeze_dim(1)
    }
}
