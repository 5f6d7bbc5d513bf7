//! Element-wise activations `phi`, each with its tangent rule for forward-mode differentiation.
//!
//! `jvp(z, t)` returns `(phi(z), phi'(z) * t)`. The derivative consists of differentiable tensor operations. So a loss
//! on the tangent, such as the contractive penalty, has an exact gradient although Burn's autodiff is first-order.
//!
//! References: ELU, Clevert et al. 2016; GELU (exact, with the error function), Hendrycks and Gimpel 2016; SiLU,
//! Elfwing et al. 2018.

use std::{f64::consts, fmt, str::FromStr};

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Slope of [`Activation::LeakyRelu`] below zero.
const LEAKY_SLOPE: f64 = 0.01;

/// An element-wise activation function `phi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "burn::serde", try_from = "String", into = "String")]
pub enum Activation {
    /// `z`. Range: all reals.
    Identity,
    /// `max(z, 0)`. Range: `[0, inf)`.
    Relu,
    /// `z` above zero, `0.01 z` below. Range: all reals.
    LeakyRelu,
    /// `z` above zero, `exp(z) - 1` below. Range: `(-1, inf)`.
    Elu,
    /// `z * Phi(z)` with the normal distribution function `Phi`. Range: `(-0.17, inf)`.
    Gelu,
    /// `z * sigmoid(z)`. Range: `(-0.28, inf)`.
    Silu,
    /// Hyperbolic tangent. Range: `(-1, 1)`.
    Tanh,
    /// `1 / (1 + exp(-z))`. Range: `(0, 1)`.
    Sigmoid,
    /// `log(1 + exp(z))`. Range: `(0, inf)`.
    Softplus,
}

impl JsonSchema for Activation {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Activation".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Self::ALL.map(Self::name) })
    }
}

impl Activation {
    /// All activations, in the order of lists for users.
    pub const ALL: [Self; 9] = [
        Self::Identity,
        Self::Relu,
        Self::LeakyRelu,
        Self::Elu,
        Self::Gelu,
        Self::Silu,
        Self::Tanh,
        Self::Sigmoid,
        Self::Softplus,
    ];

    /// Name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky_relu",
            Self::Elu => "elu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Softplus => "softplus",
        }
    }

    /// Infimum and supremum of `phi`, where its slope vanishes towards them: a unit close to them is saturated.
    pub fn bounds(self) -> (Option<f64>, Option<f64>) {
        match self {
            Self::Identity | Self::LeakyRelu | Self::Gelu | Self::Silu => (None, None),
            Self::Relu | Self::Softplus => (Some(0.0), None),
            Self::Elu => (Some(-1.0), None),
            Self::Tanh => (Some(-1.0), Some(1.0)),
            Self::Sigmoid => (Some(0.0), Some(1.0)),
        }
    }

    /// The magnitude up to which a unit counts as inactive: 1e-6, or 0.05 if `phi` approaches 0 without reaching it.
    pub fn inactive(self) -> f64 {
        match self {
            Self::Sigmoid | Self::Softplus => 0.05,
            _ => 1e-6,
        }
    }

    /// The corresponding activation of the kernels.
    pub(crate) fn kernel(self) -> ae_kernels::Activation {
        match self {
            Self::Identity => ae_kernels::Activation::Identity,
            Self::Relu => ae_kernels::Activation::Relu,
            Self::LeakyRelu => ae_kernels::Activation::LeakyRelu(LEAKY_SLOPE),
            Self::Elu => ae_kernels::Activation::Elu,
            Self::Gelu => ae_kernels::Activation::Gelu,
            Self::Silu => ae_kernels::Activation::Silu,
            Self::Tanh => ae_kernels::Activation::Tanh,
            Self::Sigmoid => ae_kernels::Activation::Sigmoid,
            Self::Softplus => ae_kernels::Activation::Softplus,
        }
    }

    /// `phi(z)`, element-wise.
    pub fn forward<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        ae_kernels::activate(self.kernel(), z)
    }

    /// `(phi(z), phi'(z) * t)`: the activation, and its derivative along the tangent `t`.
    pub fn jvp<const D: usize>(self, z: Tensor<D>, t: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
        if let Some(both) = ae_kernels::jvp(self.kernel(), &z, &t) {
            return both;
        }
        match self {
            Self::Identity => (z, t),
            Self::Relu => {
                let off = z.clone().lower_equal_elem(0.0);
                (self.forward(z), t.mask_fill(off, 0.0))
            }
            Self::LeakyRelu => {
                let off = z.clone().lower_elem(0.0); // at 0 the slope is that of Burn's gradient
                (self.forward(z), t.clone().mask_where(off, t.mul_scalar(LEAKY_SLOPE)))
            }
            Self::Elu => {
                let slope = z.clone().clamp_max(0.0).exp();
                (self.forward(z), t * slope)
            }
            Self::Gelu => {
                let cdf = z.clone().mul_scalar(consts::FRAC_1_SQRT_2).erf().add_scalar(1.0).mul_scalar(0.5);
                let pdf = z
                    .clone()
                    .square()
                    .mul_scalar(-0.5)
                    .exp()
                    .mul_scalar(0.5 * consts::FRAC_2_SQRT_PI * consts::FRAC_1_SQRT_2);
                let slope = cdf + z.clone() * pdf;
                (self.forward(z), t * slope)
            }
            Self::Silu => {
                let s = Self::Sigmoid.forward(z.clone());
                let slope = s.clone() + z.clone() * s.clone() * (s.clone().neg().add_scalar(1.0));
                (z * s, t * slope)
            }
            Self::Tanh => {
                let y = self.forward(z);
                let slope = y.clone().square().neg().add_scalar(1.0);
                (y, t * slope)
            }
            Self::Sigmoid => {
                let y = self.forward(z);
                let slope = y.clone() * y.clone().neg().add_scalar(1.0);
                (y, t * slope)
            }
            Self::Softplus => {
                let slope = Self::Sigmoid.forward(z.clone());
                (self.forward(z), t * slope)
            }
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Activation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|activation| activation.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|activation| activation.name()).collect();
            format!("unknown activation `{name}`, expected one of {}", names.join(", "))
        })
    }
}

impl TryFrom<String> for Activation {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Activation> for String {
    fn from(activation: Activation) -> Self {
        activation.name().to_string()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tolerance};

    use super::*;

    /// Kinks at zero are avoided: the one-sided slopes differ there, and no central difference agrees with either.
    const POINTS: [f64; 8] = [-30.0, -3.1, -1.0, -0.2, 0.3, 1.0, 2.7, 30.0];

    #[test]
    fn tangents_agree_with_central_differences() {
        let device = Device::default();
        let z = Tensor::<1>::from_data(POINTS, (&device, burn::tensor::DType::F64));
        let step = 1e-6;
        for activation in Activation::ALL {
            let (y, t) = activation.jvp(z.clone(), z.ones_like().mul_scalar(2.0));
            y.into_data()
                .assert_approx_eq::<f64>(&activation.forward(z.clone()).into_data(), Tolerance::absolute(1e-12));
            let up = activation.forward(z.clone().add_scalar(step));
            let down = activation.forward(z.clone().sub_scalar(step));
            let slope = (up - down).div_scalar(step);
            t.into_data().assert_approx_eq::<f64>(&slope.into_data(), Tolerance::absolute(1e-7));
        }
    }

    #[test]
    fn tangents_at_zero_are_those_of_the_gradient() {
        for activation in Activation::ALL {
            let z = Tensor::<1>::zeros([1], &Device::default().autodiff()).require_grad();
            let gradient = z.grad(&activation.forward(z.clone()).backward()).unwrap().into_scalar::<f32>();
            for z in [z.clone(), z.without_autodiff()] {
                let slope = activation.jvp(z.clone(), z.ones_like()).1.into_scalar::<f32>();
                assert!((slope - gradient).abs() < 1e-6, "{activation}: {slope}, expected {gradient}");
            }
        }
    }

    #[test]
    fn large_inputs_keep_finite_gradients() {
        let device = Device::default().autodiff();
        for activation in Activation::ALL {
            let z = Tensor::<1>::from_floats([-1e4, -90.0, 90.0, 1e4], &device).require_grad();
            let (y, t) = activation.jvp(z.clone(), z.ones_like());
            let grads = (y + t.square()).sum().backward();
            let gradient = z.grad(&grads).expect("a gradient reaches the input").into_data();
            assert!(gradient.iter::<f32>().all(f32::is_finite), "{activation}: {gradient}");
        }
    }

    #[test]
    fn names_round_trip_and_unknown_ones_are_listed() {
        for activation in Activation::ALL {
            assert_eq!(activation.name().parse(), Ok(activation));
        }
        let message = "swish".parse::<Activation>().unwrap_err();
        assert!(message.contains("`swish`") && message.contains("leaky_relu"), "{message}");
    }
}
