//! Gated: which units are active and how large they are is computed apart (Rajamanoharan et al. 2024).
//!
//! `h_j = [z_j > 0] max(0, z_j e^{r_j} + s_j)`: the gate is open where `z` is positive, and a scale and a shift of each
//! unit give its magnitude from the same `z`. So a penalty that keeps units inactive does not shrink the active ones.
//!
//! The gate has no derivative. The penalties [`gate`](crate::penalty::Gate) and
//! [`gate_reconstruction`](crate::penalty::GateReconstruction) train it.

use burn::{
    module::{Module, Param},
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

use super::{AnyCode, CodeSettings};
use crate::{Activation, Code, Latent, Settings, network::affine::replaced, precision::indicator};

/// Gated: a gate decides which units are active, apart from their magnitudes (Rajamanoharan et al. 2024). Use it with
/// the penalties `gate` and `gate_reconstruction`, which train the gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct GatedConfig {}

impl GatedConfig {
    /// The code, for `d_code` units.
    pub fn init(&self, d_code: usize, device: &Device) -> Gated {
        let zeros = || Param::from_tensor(Tensor::zeros([d_code], device));
        Gated { scale: zeros(), shift: zeros() }
    }
}

impl Settings for GatedConfig {
    const NAME: &'static str = "gated";
}

impl CodeSettings for GatedConfig {
    fn activation(&self) -> Activation {
        Activation::Relu
    }

    fn build(&self, d_code: usize, device: &Device) -> AnyCode {
        AnyCode::new(self.init(d_code, device))
    }
}

/// Each unit has a gate and a magnitude.
#[derive(Module, Debug)]
pub struct Gated {
    /// The logarithm `r` of the factor from `z` to the magnitude, `[d_code]`.
    pub scale: Param<Tensor<1>>,
    /// What is added to the magnitude, `s`, `[d_code]`.
    pub shift: Param<Tensor<1>>,
}

impl Gated {
    /// The magnitudes before they are cut off at 0.
    fn magnitudes(&self, z: Tensor<2>) -> Tensor<2> {
        z * self.scale.val().exp().unsqueeze::<2>() + self.shift.val().unsqueeze::<2>()
    }
}

impl Code for Gated {
    fn forward(&self, z: Tensor<2>) -> Latent {
        let open = indicator(z.clone().detach().greater_elem(0.0), &z);
        (self.magnitudes(z).clamp_min(0.0) * open).into()
    }

    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let h = self.forward(z).code;
        let active = indicator(h.clone().detach().greater_elem(0.0), &h);
        Some((h, t * self.scale.val().exp().unsqueeze::<2>() * active))
    }

    fn is_diagonal(&self) -> bool {
        true
    }

    fn activation(&self) -> Activation {
        Activation::Relu
    }

    fn rescale(&mut self, factors: &Tensor<1>) {
        self.shift = replaced(self.shift.clone(), &|old| {
            let factors = factors.clone().without_autodiff().to_device(&old.device());
            old * factors
        });
    }
}
