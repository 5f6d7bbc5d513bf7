//! Constraints on the decoder's first weight, enforced after each step.
//!
//! An objective must have a minimum. If a penalty is on the code only, the encoder can shrink while the decoder grows:
//! reconstruction loss **and** penalty decrease forever, and nothing is learned about the data (Goodfellow et al. 2016,
//! 14.7). Tied weights prevent this (Rifai et al. 2011), and so does a decoder whose rows have a fixed length
//! (Olshausen and Field 1996).
//!
//! Implement [`Constraint`] for a constraint of your own. For one that a [`Recipe`](crate::Recipe) can name, add a line
//! to the list below.

use std::{borrow::Cow, fmt::Debug, sync::Arc};

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

/// A projection that is applied, after each step, to the weight by which the code enters the decoder.
pub trait Constraint: Debug + Send + Sync {
    /// Name in messages.
    fn name(&self) -> Cow<'static, str>;

    /// The projection of `atoms`, of the same shape `[d_code, width]`. Row `j` is what unit `j` adds to the decoder's
    /// first layer.
    fn project(&self, atoms: Tensor<2>) -> Tensor<2>;
}

/// Rows of length 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitNorm;

impl Constraint for UnitNorm {
    fn name(&self) -> Cow<'static, str> {
        "unit_norm".into()
    }

    fn project(&self, atoms: Tensor<2>) -> Tensor<2> {
        // A row of zeros has no direction, and stays as it is.
        let length = atoms.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
        atoms / length
    }
}

/// No negative entries: the contributions of the units cannot cancel out (Lee and Seung 1999).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonNegative;

impl Constraint for NonNegative {
    fn name(&self) -> Cow<'static, str> {
        "non_negative".into()
    }

    fn project(&self, atoms: Tensor<2>) -> Tensor<2> {
        atoms.clamp_min(0.0)
    }
}

/// Declares the constraints that a recipe can name.
macro_rules! constraints {
    ($($(#[$about:meta])* $name:ident: $constraint:expr,)*) => {
        /// Which constraints are enforced, in the order of the fields; none by default.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(crate = "burn::serde", default, deny_unknown_fields)]
        pub struct ConstraintConfig {
            $($(#[$about])* #[serde(skip_serializing_if = "std::ops::Not::not")] pub $name: bool,)*
        }

        impl ConstraintConfig {
            /// The constraints.
            pub fn init(&self) -> Vec<Arc<dyn Constraint>> {
                let mut constraints: Vec<Arc<dyn Constraint>> = Vec::new();
                $(if self.$name {
                    constraints.push(Arc::new($constraint));
                })*
                constraints
            }
        }
    };
}

constraints! {
    /// Whether the entries of the decoder's first weight are kept at 0 or more: true or false. Default: false.
    non_negative: NonNegative,
    /// Whether each row of the decoder's first weight, which is what a unit contributes, is scaled to length 1: true or
    /// false. Default: false.
    unit_norm: UnitNorm,
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn rows_have_length_one_and_no_entry_below_zero() {
        let constraints = ConstraintConfig { non_negative: true, unit_norm: true }.init();
        let atoms = Tensor::<2>::from_floats([[3.0, 4.0], [-2.0, 0.5], [0.0, 0.0]], &Device::default());
        let atoms = constraints.iter().fold(atoms, |atoms, constraint| constraint.project(atoms));
        atoms.into_data().assert_eq(&[[0.6f32, 0.8], [0.0, 1.0], [0.0, 0.0]].into(), true);
    }
}
