//! Names of the GPU operations, one for each activation and loss: Burn's fusion caches its decisions by name.

use crate::{Activation, loss::functions::Loss};

/// Names of the GPU operations with an activation, one for each: Burn's fusion caches its decisions by name.
macro_rules! names {
    ($($(#[$doc:meta])* $function:ident: $name:literal;)*) => {
        impl Activation {
            $($(#[$doc])*
            pub(crate) fn $function(self) -> &'static str {
                match self {
                    Self::Identity => concat!($name, "_identity"),
                    Self::Relu => concat!($name, "_relu"),
                    Self::LeakyRelu(_) => concat!($name, "_leaky_relu"),
                    Self::Elu => concat!($name, "_elu"),
                    Self::Tanh => concat!($name, "_tanh"),
                    Self::Sigmoid => concat!($name, "_sigmoid"),
                    Self::Softplus => concat!($name, "_softplus"),
                    Self::Gelu => concat!($name, "_gelu"),
                    Self::Silu => concat!($name, "_silu"),
                }
            })*
        }
    };
}

names! {
    /// Bias and activation of a layer.
    layer_name: "ae_layer";
    /// The gradient of a layer before its activation, and the sums of that over the batch.
    layer_gradient_name: "ae_layer_gradient";
    /// The squared norm of a layer's derivative.
    contraction_name: "ae_contraction";
    /// The gradient of that norm.
    contraction_gradient_name: "ae_contraction_gradient";
}

impl Loss {
    /// Name of its GPU operation; Burn's fusion caches its decisions by name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SquaredError => "ae_squared_error",
            Self::Bernoulli => "ae_bernoulli",
            Self::SquaredErrorOfLogits => "ae_squared_error_of_logits",
        }
    }

    /// Name of the GPU operation of its gradient.
    pub(crate) fn gradient_name(self) -> &'static str {
        match self {
            Self::SquaredError => "ae_squared_error_gradient",
            Self::Bernoulli => "ae_bernoulli_gradient",
            Self::SquaredErrorOfLogits => "ae_squared_error_of_logits_gradient",
        }
    }
}
