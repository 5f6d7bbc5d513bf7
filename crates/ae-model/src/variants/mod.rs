//! Variants: named recipes, each with an idea, a formula, a reference, and defaults that work.
//!
//! A new variant is one file here and one line in [`VARIANTS`].

pub mod batch_top_k;
pub mod beta;
pub mod contractive;
pub mod denoising;
pub mod jump_relu;
pub mod k_sparse;
pub mod linear;
pub mod masked;
pub mod matryoshka;
pub mod overcomplete;
pub mod skip_transcoder;
pub mod sparse;
pub mod sparse_kl;
pub mod stacked;
pub mod transcoder;
pub mod undercomplete;
pub mod variational;
pub mod winner_take_all;

use crate::{ConfigError, Inputs, Recipe};

/// All variants, in the order of lists for users.
pub const VARIANTS: &[Variant] = &[
    undercomplete::VARIANT,
    linear::VARIANT,
    overcomplete::VARIANT,
    sparse::VARIANT,
    sparse_kl::VARIANT,
    k_sparse::VARIANT,
    winner_take_all::VARIANT,
    batch_top_k::VARIANT,
    jump_relu::VARIANT,
    matryoshka::VARIANT,
    transcoder::VARIANT,
    skip_transcoder::VARIANT,
    contractive::VARIANT,
    denoising::VARIANT,
    masked::VARIANT,
    stacked::VARIANT,
    variational::VARIANT,
    beta::VARIANT,
];

/// A named recipe.
///
/// ```
/// use ae_model::{Inputs, Variant};
/// use burn::tensor::Device;
///
/// let variant = Variant::find("denoising").unwrap();
/// let mut recipe = (variant.recipe)();
/// recipe.code_dim = 32;
/// variant.check(&recipe, &Inputs::unit(64)).unwrap();
/// let model = recipe.init(&Inputs::unit(64), &Device::default());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// Name on the command line and in configurations.
    pub name: &'static str,
    /// What keeps it from learning the identity, in one sentence.
    pub idea: &'static str,
    /// The objective.
    pub formula: &'static str,
    /// Authors and year of the reference.
    pub reference: &'static str,
    /// How wide the code may be.
    pub width: CodeWidth,
    /// How to train it with its defaults.
    pub training: Hints,
    /// The recipe, with its defaults.
    pub recipe: fn() -> Recipe,
}

/// Settings of the training that suit a variant's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hints {
    /// Adam's learning rate, in `(0, 1]`.
    pub learning_rate: f64,
    /// Epochs of greedy pre-training for each layer; 0 for no pre-training.
    pub pretrain_epochs: usize,
    /// Rows of a step.
    pub batch_size: usize,
    /// Largest L2 norm of the gradient of each parameter; 0 for no limit.
    pub gradient_clip: f64,
    /// Whether all features are scaled by one factor, which keeps the directions of differences between rows, instead
    /// of each by its own.
    pub one_scale: bool,
    /// Whether it predicts rows other than its input, which have to be given.
    pub target: bool,
}

impl Hints {
    /// Settings that suit most networks: a learning rate of 1e-3, steps of 64 rows, and no pre-training.
    pub const COMMON: Self = Self {
        learning_rate: 1e-3,
        pretrain_epochs: 0,
        batch_size: 64,
        gradient_clip: 0.0,
        one_scale: false,
        target: false,
    };

    /// Settings for dictionaries: one scale for all features, many rows in a step, since most units are active in few
    /// of them, and a limit for the large gradients of the first steps.
    pub const DICTIONARY: Self =
        Self { learning_rate: 3e-3, batch_size: 1024, gradient_clip: 1.0, one_scale: true, ..Self::COMMON };
}

/// How wide the code of a variant may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeWidth {
    /// Narrower than the input.
    Undercomplete,
    /// Any width.
    Any,
}

impl Variant {
    /// The variant with this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        VARIANTS.iter().find(|variant| variant.name == name)
    }

    /// Inputs of the same data, with a target of as many features if the variant predicts one.
    pub fn inputs(&self, inputs: Inputs) -> Inputs {
        let features = inputs.features;
        if self.training.target { inputs.with_target(features) } else { inputs }
    }

    /// Checks `recipe` for this variant and data like `inputs`.
    ///
    /// # Errors
    /// A field is outside its range, the network does not suit the data, the code is not narrower than the input
    /// although the variant requires it, or there is no target although the variant predicts one.
    pub fn check(&self, recipe: &Recipe, inputs: &Inputs) -> Result<(), ConfigError> {
        recipe.check()?;
        if self.training.target && inputs.target.is_none() {
            let allowed = "another without a target: this one predicts rows other than its input";
            return Err(ConfigError::new("variant", self.name, allowed));
        }
        let d_input = inputs.features;
        if self.width == CodeWidth::Undercomplete && recipe.code_dim >= d_input {
            let allowed = match d_input {
                1 => format!(
                    "narrower than the input for variant `{}`, which is impossible with a single feature: choose \
                     another",
                    self.name
                ),
                _ => format!(
                    "1 to {} for variant `{}` on data of {d_input} features: its code is narrower than its input",
                    d_input - 1,
                    self.name
                ),
            };
            return Err(ConfigError::new("code_dim", recipe.code_dim, allowed));
        }
        recipe.check_inputs(inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_recipes_pass_their_own_check() {
        for (index, variant) in VARIANTS.iter().enumerate() {
            assert!(VARIANTS[..index].iter().all(|other| other.name != variant.name), "{} twice", variant.name);
            variant.check(&(variant.recipe)(), &variant.inputs(Inputs::unit(64))).unwrap();
            assert_eq!(Variant::find(variant.name).map(|found| found.name), Some(variant.name));
        }
    }

    #[test]
    fn an_undercomplete_code_is_narrower_than_the_input() {
        let variant = Variant::find("undercomplete").unwrap();
        let recipe = Recipe { code_dim: 64, ..(variant.recipe)() };
        let error = variant.check(&recipe, &Inputs::unit(64)).unwrap_err();
        assert!(error.to_string().contains("`code_dim` is 64, but must be 1 to 63"), "{error}");
    }
}
