//! Higher-order contraction: `Omega = E ||J_f(x) - J_f(x + e)||_F^2`, `e ~ N(0, std^2 I)`, per example (CAE+H, Rifai et
//! al. 2011b).
//!
//! For small noise this is `std^2` times the squared norm of the Hessian. In addition to the contractive penalty, it
//! makes the derivative of the code change slowly.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Context, Penalty, check_probes};
use crate::{
    ConfigError, Settings, Weight,
    jacobian::{Jacobian, Method},
};

/// Higher-order contraction (CAE+H): squared change of the derivative of the code in the neighborhood of an example
/// (Rifai et al. 2011).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct ContractiveHessian {
    /// Factor `gamma` of the penalty in the loss, 0 or more; with 0 it is only measured. Default: 0.1.
    pub weight: Weight,
    /// Standard deviation of the displacements, in the units of the scaled data, greater than 0. Default: 0.1.
    pub std: f64,
    /// Number of displacements drawn for each example, at least 1. Default: 1.
    pub samples: usize,
    /// How the norm is computed. Default: `auto`.
    pub method: Method,
    /// Number of random directions of Hutchinson's estimator, at least 1. Default: 1.
    pub probes: usize,
}

crate::macros::setters! {
    ContractiveHessian {
        with_std(std: f64),
        with_samples(samples: usize),
        with_method(method: Method),
        with_probes(probes: usize),
    }
}

impl ContractiveHessian {
    /// The penalty with this factor in the loss, 0 or more.
    pub fn new(weight: impl Into<Weight>) -> Self {
        Self { weight: weight.into(), ..Self::default() }
    }
}

impl Default for ContractiveHessian {
    fn default() -> Self {
        Self { weight: 0.1.into(), std: 0.1, samples: 1, method: Method::Auto, probes: 1 }
    }
}

impl Settings for ContractiveHessian {
    const NAME: &'static str = "contractive_hessian";
}

impl Penalty for ContractiveHessian {
    fn compares_rows(&self) -> bool {
        true
    }

    fn weight(&self, progress: f64) -> f64 {
        self.weight.at(progress)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !(self.std > 0.0 && self.std.is_finite()) {
            return Err(ConfigError::new("std", self.std, "greater than 0"));
        }
        if self.samples == 0 {
            return Err(ConfigError::new("samples", 0, "at least 1"));
        }
        check_probes(self.probes)?;
        self.weight.check("weight")
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        let jacobian = Jacobian { method: self.method, probes: self.probes };
        let samples = (0..self.samples).map(|_| {
            let near = context.input.clone() + ae_kernels::normal_like(&context.input, self.std);
            jacobian.difference2(context.model, context.input.clone(), near, context.visible.clone())
        });
        samples
            .reduce(|sum, sample| sum + sample)
            .expect("there is at least one sample")
            .div_scalar(self.samples as f64)
    }
}
