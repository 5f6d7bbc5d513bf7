//! Pre-activation: `Omega = sum_j max(0, theta_j - z_j) |d_j|` over the units that are dead, which raises them to their
//! threshold (Conerly et al. 2025).

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Context, Penalty};
use crate::{ConfigError, Settings, Weight};

/// Pre-activation: how far units that were not active for many rows are below their threshold, `sum_j max(0, theta_j -
/// z_j)`; of a dictionary, times `|d_j|` (Conerly et al. 2025). The threshold is 0 for a code without one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct PreActivation {
    /// Factor of the penalty in the loss, 0 or more; with 0 it is only measured. Default: 3e-6.
    pub weight: Weight,
    /// Number of rows without activity after which a unit is dead; with 0, half an epoch. Default: 0.
    pub dead_after: usize,
}

impl PreActivation {
    /// The penalty with this factor in the loss, 0 or more.
    pub fn new(weight: impl Into<Weight>) -> Self {
        Self { weight: weight.into(), ..Self::default() }
    }
}

impl Default for PreActivation {
    fn default() -> Self {
        Self { weight: 3e-6.into(), dead_after: 0 }
    }
}

impl Settings for PreActivation {
    const NAME: &'static str = "pre_activation";
}

impl Penalty for PreActivation {
    fn weight(&self, progress: f64) -> f64 {
        self.weight.at(progress)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.weight.check("weight")
    }

    fn reads_z(&self) -> bool {
        true
    }

    fn reads_activity(&self) -> bool {
        true
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        let code = &context.latent.code;
        let (Some(z), Some(dead)) = (&context.latent.z, context.dead(self.dead_after)) else {
            return Tensor::zeros([code.dims()[0]], &code.device());
        };
        let below = match context.model.code.thresholds() {
            Some(threshold) => threshold.unsqueeze::<2>() - z.clone(),
            None => z.clone().neg(),
        };
        let below = below.clamp_min(0.0) * dead.unsqueeze::<2>();
        let below = match context.model.decoder.lengths() {
            Some(lengths) => below * lengths.unsqueeze::<2>(),
            None => below,
        };
        below.sum_dim(1).squeeze_dim(1)
    }
}
