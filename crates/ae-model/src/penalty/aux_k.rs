//! AuxK: units that are never active learn to reconstruct what the others leave over (Gao et al. 2024).
//!
//! A unit is dead if it was not active for many rows. The `k` dead units of a row with the largest `z` reconstruct the
//! error of the model, `e = x - r`, as a constant: `Omega = 1/2 |e - sum_j z_j d_j|^2 min(1, dead / k)`, over the
//! values that count in the loss. Of booleans and categories `r` is a probability. The gradient is in no other unit and
//! not in the decoder's bias. `z` is not cut off at 0, because a dead unit mostly has a negative one.

use ae_kernels::{Activation, Rule, Sparse};
use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Context, Penalty};
use crate::{ConfigError, Settings, Weight, code::selection::kept};

/// AuxK: units that were not active for many rows reconstruct the error of the others, `1/2 |e - sum_j z_j d_j|^2` (Gao
/// et al. 2024); the decoder must be a single layer without activation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct AuxK {
    /// Factor of the penalty in the loss, 0 or more; with 0 it is only measured. Default: 1.
    pub weight: Weight,
    /// Number of dead units that each row uses; with 0, half the number of its values. Default: 0.
    pub k: usize,
    /// Number of rows without activity after which a unit is dead; with 0, half as many as there are training rows.
    /// Default: 0.
    pub dead_after: usize,
}

crate::macros::setters! {
    AuxK {
        with_k(k: usize),
        with_dead_after(dead_after: usize),
    }
}

impl AuxK {
    /// The penalty with this factor in the loss, 0 or more.
    pub fn new(weight: impl Into<Weight>) -> Self {
        Self { weight: weight.into(), ..Self::default() }
    }
}

impl Default for AuxK {
    fn default() -> Self {
        Self { weight: 1.0.into(), k: 0, dead_after: 0 }
    }
}

impl Settings for AuxK {
    const NAME: &'static str = "aux_k";
}

impl Penalty for AuxK {
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

    fn needs_atoms(&self) -> bool {
        true
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        let target = context.target.clone();
        let [rows, width] = target.dims();
        let none = || Tensor::zeros([rows], &target.device());
        let (Some(z), Some(atoms), Some(dead)) =
            (&context.latent.z, context.model.atoms(), context.dead(self.dead_after))
        else {
            return none();
        };
        let is_dead = dead.without_autodiff().greater_elem(0.5);
        let dead: Vec<u32> =
            is_dead.to_data().iter::<bool>().zip(0..).filter(|(is_dead, _)| *is_dead).map(|(_, unit)| unit).collect();
        if dead.is_empty() {
            return none();
        }
        let wanted = if self.k > 0 { self.k } else { (width / 2).max(1) };
        let (k, share) = (wanted.min(dead.len()), (dead.len() as f64 / wanted as f64).min(1.0));
        let lengths = context.model.lengths();
        let sparse = Sparse::select(z, Rule::Largest(k), lengths.as_ref(), Some(&dead), Activation::Identity);
        let explained = match sparse {
            Some(sparse) => {
                let bias = Tensor::zeros([atoms.dims()[1]], &atoms.device());
                sparse.linear(atoms, bias, Activation::Identity)
            }
            None => {
                let living = is_dead.bool_not().unsqueeze::<2>().expand(z.shape());
                (z.clone() * kept(z, Rule::Largest(k), lengths.as_ref(), Some(living))).matmul(atoms)
            }
        };
        let error = (target - context.mean(context.output.clone())).detach();
        let left = match &context.weights {
            Some(weights) => (error - explained).square() * weights.clone(),
            None => (error - explained).square(),
        };
        left.sum_dim(1).squeeze_dim::<1>(1).mul_scalar(0.5 * share)
    }
}
