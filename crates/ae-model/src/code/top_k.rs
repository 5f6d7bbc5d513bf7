//! Top-k, the k-sparse code: the `k` largest units of `phi(z)` in each example are kept, the others are 0.
//!
//! The gradient passes only through the kept units (Makhzani and Frey 2013). Units that are never among the largest do
//! not learn and stay inactive. To avoid this, training can start with a larger `k`, which then decreases.

use ae_kernels::{Rule, Sparse};
use burn::{
    module::{Flag, Module, Param},
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

use super::{
    AnyCode, CodeSettings, Plain,
    selection::{annealed, check_annealed, selected, selected_jvp},
};
use crate::{Activation, Code, ConfigError, Latent, Settings};

/// The sparse kernels are used if the code has at least this many times `k` units; below that they are slower.
pub(super) const SPARSE: usize = 8;

/// Top-k: the `k` largest units of each example are kept, the others are 0 (Makhzani and Frey 2013).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct TopKConfig {
    /// Number of units that each example keeps, at least 1 and at most the width of the code. Default: 25.
    pub k: usize,
    /// Number of units kept at the start of training, from which it decreases linearly to `k`; `k` up to the width of
    /// the code, or 0 for always `k`. Default: 0.
    pub k_start: usize,
    /// Fraction of the training after which `k` is reached, in `(0, 1]`. Default: 0.5.
    pub anneal: f64,
    /// Activation `phi` of the code. Default: `relu`.
    pub activation: Activation,
}

crate::macros::setters! {
    TopKConfig {
        with_k_start(k_start: usize),
        with_anneal(anneal: f64),
        with_activation(activation: Activation),
    }
}

impl TopKConfig {
    /// A code of which each example keeps `k` units, at least 1 and at most the width of the code.
    pub fn new(k: usize) -> Self {
        Self { k, ..Self::default() }
    }
}

impl Default for TopKConfig {
    fn default() -> Self {
        Self { k: 25, k_start: 0, anneal: 0.5, activation: Activation::Relu }
    }
}

impl Settings for TopKConfig {
    const NAME: &'static str = "top_k";
}

impl CodeSettings for TopKConfig {
    fn check(&self, d_code: usize) -> Result<(), ConfigError> {
        check_annealed([self.k as f64, self.k_start as f64, self.anneal], "1", d_code)
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn fixes_activity(&self) -> bool {
        true
    }

    fn build(&self, d_code: usize, device: &Device) -> AnyCode {
        AnyCode::new(self.init(d_code, device))
    }
}

impl TopKConfig {
    /// The code, for `d_code` units. It keeps `k` units in training too, until [`Code::after_step`] is called.
    pub fn init(&self, _d_code: usize, _device: &Device) -> TopK {
        TopK {
            training: Param::from_bool(true),
            k: self.k,
            k_start: self.k_start.max(self.k),
            anneal: self.anneal,
            k_training: self.k,
            activation: self.activation,
        }
    }
}

/// Keeps the `k` largest units of `phi(z)` in each example.
#[derive(Module, Debug)]
pub struct TopK {
    /// Whether `k` differs in training; off in a frozen part of a model, which keeps `k` units.
    pub training: Param<Flag>,
    /// Units kept after training.
    #[module(skip)]
    pub k: usize,
    /// Units kept at the start of training.
    #[module(skip)]
    pub k_start: usize,
    /// Fraction of the training after which `k` is reached.
    #[module(skip)]
    pub anneal: f64,
    /// Units currently kept in training.
    #[module(skip)]
    pub k_training: usize,
    /// The activation `phi`.
    #[module(skip)]
    pub activation: Activation,
}

impl Code for TopK {
    fn forward(&self, z: Tensor<2>) -> Latent {
        self.selected(z, None)
    }

    fn forward_by(&self, z: Tensor<2>, lengths: &Tensor<1>) -> Latent {
        self.selected(z, Some(lengths))
    }

    fn given(&self, h: Tensor<2>) -> Latent {
        let k = self.kept_of(&h);
        let sparse = if k * SPARSE <= h.dims()[1] { Sparse::of(&h, k) } else { None };
        Latent { sparse, ..h.into() }
    }

    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let rule = Rule::Largest(self.kept_of(&z));
        Some(selected_jvp(z, t, rule, None, self.activation))
    }

    fn jvp_by(&self, z: Tensor<2>, t: Tensor<2>, lengths: &Tensor<1>) -> Option<(Tensor<2>, Tensor<2>)> {
        let rule = Rule::Largest(self.kept_of(&z));
        Some(selected_jvp(z, t, rule, Some(lengths), self.activation))
    }

    fn is_diagonal(&self) -> bool {
        true
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn after_step(&mut self, progress: f64) {
        self.k_training = annealed(self.k_start as f64, self.k as f64, self.anneal, progress).round() as usize;
    }

    fn plain(&self) -> Option<Plain> {
        Some(Plain::Largest(self.k))
    }
}

impl TopK {
    /// The code, of units that are compared by the lengths of their atoms, if given.
    fn selected(&self, z: Tensor<2>, lengths: Option<&Tensor<1>>) -> Latent {
        let k = self.kept_of(&z);
        let is_few = k * SPARSE <= z.dims()[1];
        selected(z, Rule::Largest(k), lengths, self.activation, is_few)
    }

    /// The number of units that are kept in each row of `z`.
    fn kept_of(&self, z: &Tensor<2>) -> usize {
        if self.training.is_enabled() && z.device().is_autodiff() { self.k_training } else { self.k }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn exactly_k_units_are_kept_even_where_values_are_equal() {
        let code =
            TopKConfig { k: 2, activation: Activation::Identity, ..Default::default() }.init(8, &Device::default());
        let z = Tensor::<2>::from_floats([[0.1, 3.0, -5.0, 2.0], [1.0, 1.0, 1.0, 1.0]], &Device::default());
        let h: Vec<f32> = code.forward(z).code.into_data().iter::<f32>().collect();
        assert_eq!(h[..4], [0.0, 3.0, 0.0, 2.0]);
        assert_eq!(h[4..].iter().filter(|&&value| value == 1.0).count(), 2);
    }

    #[test]
    fn k_falls_linearly_in_training_and_is_final_at_once_afterwards() {
        let mut code =
            TopKConfig { k: 2, k_start: 6, anneal: 0.5, activation: Activation::Identity }.init(8, &Device::default());
        let active = |code: &TopK, device: &Device| {
            code.forward(Tensor::<2>::ones([1, 8], device)).code.sum().into_scalar::<f32>()
        };
        let (training, after) = (Device::default().autodiff(), Device::default());
        assert_eq!(active(&code, &training), 2.0, "without progress there is no annealing");
        let mut seen = Vec::new();
        for progress in [0.0, 0.25, 0.5, 1.0] {
            code.after_step(progress);
            seen.push(active(&code, &training));
            assert_eq!(active(&code, &after), 2.0);
        }
        assert_eq!(seen, [6.0, 4.0, 2.0, 2.0]);
    }

    #[test]
    fn settings_that_do_not_match_the_code_are_refused_by_name() {
        let refused = |config: TopKConfig| config.check(8).unwrap_err().field;
        assert_eq!(refused(TopKConfig { k: 9, ..Default::default() }), "k");
        assert_eq!(refused(TopKConfig { k: 4, k_start: 3, ..Default::default() }), "k_start");
        assert_eq!(refused(TopKConfig { k: 4, anneal: 0.0, ..Default::default() }), "anneal");
    }
}
