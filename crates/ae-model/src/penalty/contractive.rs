//! The contractive penalty: `Omega = ||J_f(x)||_F^2`, the squared Frobenius norm of the code's derivative at the point
//! that the network reads, per example (Rifai et al. 2011a).
//!
//! With it the code changes little in the neighborhood of the data. [`crate::jacobian`] describes the computation: in
//! closed form for a single layer, exactly for small inputs, and by Hutchinson's estimator for others.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use super::{Context, Penalty, check_probes};
use crate::{
    ConfigError, Parts, Settings, Weight,
    jacobian::{Jacobian, Method},
};

/// Contractive penalty: squared Frobenius norm of the derivative of the code, `||J_f(x)||_F^2` (Rifai et al. 2011).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct Contractive {
    /// Factor of the penalty in the loss, 0 or more; with 0 it is only measured. Default: 0.1.
    pub weight: Weight,
    /// How the norm is computed. Default: `auto`.
    pub method: Method,
    /// Number of random directions of Hutchinson's estimator, at least 1. Default: 1.
    pub probes: usize,
}

crate::macros::setters! {
    Contractive {
        with_method(method: Method),
        with_probes(probes: usize),
    }
}

impl Contractive {
    /// The penalty with this factor in the loss, 0 or more.
    pub fn new(weight: impl Into<Weight>) -> Self {
        Self { weight: weight.into(), ..Self::default() }
    }

    fn jacobian(&self) -> Jacobian {
        Jacobian { method: self.method, probes: self.probes }
    }
}

impl Default for Contractive {
    fn default() -> Self {
        Self { weight: 0.1.into(), method: Method::Auto, probes: 1 }
    }
}

impl Settings for Contractive {
    const NAME: &'static str = "contractive";
}

impl Penalty for Contractive {
    fn compares_rows(&self) -> bool {
        true
    }

    fn weight(&self, progress: f64) -> f64 {
        self.weight.at(progress)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_probes(self.probes)?;
        self.weight.check("weight")
    }

    fn direction(&self, model: &Parts, input: &Tensor<2>) -> Option<Tensor<2>> {
        self.jacobian().direction(model, input)
    }

    fn value(&self, context: &Context) -> Tensor<1> {
        let (x, visible) = (context.input.clone(), context.visible.clone());
        let Some(first) = context.tangent.clone() else {
            return self.jacobian().norm2_of(context.model, x, visible, &context.latent.code);
        };
        self.jacobian().norm2_with(first, context.model, x, visible)
    }
}
