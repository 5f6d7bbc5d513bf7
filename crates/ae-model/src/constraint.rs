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

    /// The gradient of the loss by `atoms` that the optimizer gets, of the same shape. Default: unchanged.
    fn project_gradient(&self, atoms: &Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
        let _ = atoms;
        gradient
    }

    /// Whether [`project_gradient`](Self::project_gradient) changes gradients. Default: false.
    fn changes_gradient(&self) -> bool {
        false
    }
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

/// Gradients without their part along the atom, which only changes its length. With [`UnitNorm`], which restores the
/// length after the step, the optimizer's averages then contain nothing that is undone (Bricken et al. 2023).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tangent;

impl Constraint for Tangent {
    fn name(&self) -> Cow<'static, str> {
        "tangent".into()
    }

    fn project(&self, atoms: Tensor<2>) -> Tensor<2> {
        atoms
    }

    fn project_gradient(&self, atoms: &Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
        let along = (gradient.clone() * atoms.clone()).sum_dim(1);
        let squared = atoms.clone().square().sum_dim(1).clamp_min(1e-30);
        gradient - atoms.clone() * (along / squared)
    }

    fn changes_gradient(&self) -> bool {
        true
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
    /// Whether gradients of the decoder's first weight lose their part along each row, which only changes its length:
    /// true or false; for use with `unit_norm`. Default: false.
    tangent: Tangent,
    /// Whether each row of the decoder's first weight, which is what a unit contributes, is scaled to length 1: true or
    /// false. Default: false.
    unit_norm: UnitNorm,
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn a_projected_gradient_is_orthogonal_to_the_atoms() {
        let device = Device::default();
        let atoms = Tensor::<2>::from_floats([[3.0, 4.0], [0.0, 0.5], [0.0, 0.0]], &device);
        let gradient = Tensor::<2>::from_floats([[1.0, 2.0], [-3.0, 7.0], [1.0, 1.0]], &device);
        let projected = Tangent.project_gradient(&atoms, gradient);
        assert!((projected.clone() * atoms).sum_dim(1).abs().max().into_scalar::<f32>() < 1e-6);
        // What is left of (1, 2) beside (3, 4)/5 * 11/5 is (-0.32, 0.24); nothing has a direction along 0.
        let expected = [[-0.32f32, 0.24], [-3.0, 0.0], [1.0, 1.0]];
        projected.into_data().assert_approx_eq::<f32>(&expected.into(), burn::tensor::Tolerance::absolute(1e-6));
    }

    #[test]
    fn rows_have_length_one_and_no_entry_below_zero() {
        let constraints = ConstraintConfig { non_negative: true, tangent: false, unit_norm: true }.init();
        let atoms = Tensor::<2>::from_floats([[3.0, 4.0], [-2.0, 0.5], [0.0, 0.0]], &Device::default());
        let atoms = constraints.iter().fold(atoms, |atoms, constraint| constraint.project(atoms));
        atoms.into_data().assert_eq(&[[0.6f32, 0.8], [0.0, 1.0], [0.0, 0.0]].into(), true);
    }
}
