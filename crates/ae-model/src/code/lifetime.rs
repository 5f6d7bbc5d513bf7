//! Lifetime sparsity, the winner-take-all code: each unit keeps its largest values over the batch, a fraction `rate` of
//! them, and is 0 elsewhere (Makhzani and Frey 2015).
//!
//! Top-k makes each example sparse; this makes each unit sparse. Each unit wins some examples of each batch, so that
//! none can become inactive forever.
//!
//! After training there is no batch to compare with. A unit is then kept where it reaches a threshold: the smallest
//! value that won, averaged over the training as the statistics of a batch norm are. The paper instead drops the
//! sparsity after training, for features that a classifier reads. The decoder has never seen such codes, and then
//! reconstructs worse than the mean.

use burn::{
    module::{Flag, Module, Param, RunningState},
    serde::{Deserialize, Serialize},
    tensor::{Device, IndexingUpdateOp, Tensor},
};
use schemars::JsonSchema;

use super::{AnyCode, CodeSettings, Plain};
use crate::{Activation, Code, ConfigError, Latent, Settings};

/// Weight of a batch in the running average of the thresholds.
const MOMENTUM: f64 = 0.05;

/// Winner-take-all: each unit keeps its largest values over the batch and is 0 elsewhere (Makhzani and Frey 2015).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", default, deny_unknown_fields)]
pub struct LifetimeConfig {
    /// Fraction of the batch's examples that each unit keeps, at least one, in `(0, 1]`. Default: 0.1.
    pub rate: f64,
    /// Activation `phi` of the code. Default: `relu`.
    pub activation: Activation,
}

crate::macros::setters! {
    LifetimeConfig {
        with_activation(activation: Activation),
    }
}

impl LifetimeConfig {
    /// A code of which each unit keeps this fraction of the batch's examples, in `(0, 1]`.
    pub fn new(rate: f64) -> Self {
        Self { rate, ..Self::default() }
    }
}

impl Default for LifetimeConfig {
    fn default() -> Self {
        Self { rate: 0.1, activation: Activation::Relu }
    }
}

impl Settings for LifetimeConfig {
    const NAME: &'static str = "lifetime";
}

impl CodeSettings for LifetimeConfig {
    fn check(&self, _d_code: usize) -> Result<(), ConfigError> {
        if self.rate > 0.0 && self.rate <= 1.0 {
            return Ok(());
        }
        Err(ConfigError::new("rate", self.rate, "greater than 0 and at most 1"))
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn compares_rows(&self) -> bool {
        true
    }

    fn build(&self, d_code: usize, device: &Device) -> AnyCode {
        AnyCode::new(self.init(d_code, device))
    }
}

impl LifetimeConfig {
    /// The code, for `d_code` units.
    pub fn init(&self, d_code: usize, device: &Device) -> Lifetime {
        Lifetime {
            threshold: RunningState::new(Tensor::zeros([d_code], device)),
            training: Param::from_bool(true),
            rate: self.rate,
            activation: self.activation,
        }
    }
}

/// Keeps the largest values of each unit over the batch.
#[derive(Module, Debug)]
pub struct Lifetime {
    /// The smallest value of each unit that won, averaged over the training, `[d_code]`.
    pub threshold: RunningState<Tensor<1>>,
    /// Whether it compares with the batch in training; off in a frozen part of a model, whose thresholds are fixed.
    pub training: Param<Flag>,
    /// Fraction of the batch's examples that each unit keeps.
    #[module(skip)]
    pub rate: f64,
    /// The activation `phi`.
    #[module(skip)]
    pub activation: Activation,
}

impl Code for Lifetime {
    fn forward(&self, z: Tensor<2>) -> Latent {
        let y = self.activation.forward(z);
        // Without rows there is no winner.
        if !(self.training.is_enabled() && y.device().is_autodiff()) || y.dims()[0] == 0 {
            let kept = self.kept(&y);
            return (y * kept).into();
        }
        let winners = ((y.dims()[0] as f64 * self.rate).ceil() as usize).max(1);
        let seen = y.clone().detach();
        let (values, indices) = seen.clone().topk_with_indices(winners, 0);
        let least = values.clone().min_dim(0).squeeze_dim::<1>(0);
        let average = self.threshold.value_sync().to_device(&y.device()).cast(y.dtype());
        self.threshold.update((average.mul_scalar(1.0 - MOMENTUM) + least.mul_scalar(MOMENTUM)).detach());
        (y * seen.zeros_like().scatter(0, indices, values.ones_like(), IndexingUpdateOp::Add)).into()
    }

    fn jvp(&self, z: Tensor<2>, t: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        let (y, t) = self.activation.jvp(z, t);
        let kept = self.kept(&y);
        Some((y * kept.clone(), t * kept))
    }

    fn is_diagonal(&self) -> bool {
        true
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn plain(&self) -> Option<Plain> {
        Some(Plain::AtLeast(Box::new(self.threshold.value_sync())))
    }
}

impl Lifetime {
    /// 1 where a unit reaches its threshold, 0 elsewhere.
    fn kept(&self, y: &Tensor<2>) -> Tensor<2> {
        let threshold =
            self.threshold.value_sync().to_device(&y.device()).cast(y.dtype()).unsqueeze::<2>().expand(y.shape());
        let y = y.clone().detach();
        y.zeros_like().mask_fill(y.greater_equal(threshold), 1.0)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn each_unit_keeps_its_best_examples() {
        let code = LifetimeConfig { rate: 0.5, activation: Activation::Relu }.init(2, &Device::default());
        let z = [[1.0f32, 8.0], [2.0, 7.0], [3.0, -6.0], [4.0, 5.0]];
        for _ in 0..400 {
            let training = code.forward(Tensor::from_floats(z, &Device::default().autodiff()));
            training.code.into_data().assert_eq(&[[0.0f32, 8.0], [0.0, 7.0], [3.0, 0.0], [4.0, 0.0]].into(), true);
        }
        // The smallest winners were 3 and 7, and the average has approached them from below.
        let after = code.forward(Tensor::from_floats([[2.9, 7.1], [3.1, 6.9]], &Device::default()));
        after.code.into_data().assert_eq(&[[0.0f32, 7.1], [3.1, 0.0]].into(), true);
    }

    #[test]
    fn a_frozen_code_keeps_its_thresholds() {
        let code = LifetimeConfig { rate: 0.5, activation: Activation::Relu }.init(1, &Device::default()).freeze();
        code.threshold.update(Tensor::from_floats([2.0], &Device::default()));
        let h = code.forward(Tensor::from_floats([[1.0], [3.0], [4.0]], &Device::default().autodiff()));
        h.code.into_data().assert_eq(&[[0.0f32], [3.0], [4.0]].into(), true);
        code.threshold.value_sync().into_data().assert_eq(&[2.0f32].into(), true);
    }
}
