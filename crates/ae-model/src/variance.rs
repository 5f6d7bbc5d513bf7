//! The variance of a Gaussian reconstruction, `x_i ~ N(r_i, s^2)`. Its loss, in nats and with all constants, is
//!
//! `L = 1/2 sum_i (x_i - r_i)^2 / s^2 + 1/2 sum_i log(2 pi s^2)`.
//!
//! The squared error is the case `s^2 = 1`. Next to a term in nats, such as the divergence of a stochastic code, this
//! is an assumption about the data: if no direction of the data has a variance above 1, the best such code carries no
//! information (Lucas et al. 2019).
//!
//! So `s^2` can be fitted. Given the rest of the model, the likelihood is largest if it is the mean squared error
//! (Rybkin et al. 2021), which is averaged over the training batches.

use std::f64::consts::TAU;

use burn::{
    module::{Flag, Module, Param, RunningState},
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

use crate::ConfigError;

/// Weight of a batch in the running average.
const MOMENTUM: f64 = 0.02;

/// The smallest fitted variance. Without it, the likelihood of rounded values, which can be reproduced exactly, would
/// be unbounded.
pub const FLOOR: f64 = 1e-4;

/// The smallest variance that can be set: below, losses exceed the precision of `f32`.
const MIN_FIXED: f64 = 1e-8;

/// The variance of a Gaussian reconstruction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", untagged, expecting = "must be none, learned, per_column, or a number")]
pub enum VarianceConfig {
    /// A fixed variance, at least 1e-8.
    Fixed(f64),
    /// No variance, or one that is fitted in training.
    Named(Named),
}

/// A variance setting by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", rename_all = "snake_case")]
pub enum Named {
    /// A squared error, without constants.
    None,
    /// One variance for all values, fitted in training and at least [`FLOOR`].
    Learned,
    /// One variance for each numeric column, fitted in the same way.
    PerColumn,
}

impl Default for VarianceConfig {
    fn default() -> Self {
        Self::Named(Named::None)
    }
}

impl VarianceConfig {
    /// Checks whether the setting can be used.
    ///
    /// # Errors
    /// The variance is below 1e-8 or not finite.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Fixed(variance) if !(*variance >= MIN_FIXED && variance.is_finite()) => Err(ConfigError::new(
                "variance",
                variance,
                format!("none, learned, per_column, or a number of at least {MIN_FIXED:e}"),
            )),
            _ => Ok(()),
        }
    }

    /// The variance of `numbers` numeric columns; `None` for a squared error.
    pub fn init(&self, numbers: usize, device: &Device) -> Option<Variance> {
        match self {
            Self::Fixed(variance) => Some(Variance::fixed(*variance, device)),
            Self::Named(Named::None) => None,
            Self::Named(Named::Learned) => Some(Variance::fitted(1, device)),
            Self::Named(Named::PerColumn) => Some(Variance::fitted(numbers, device)),
        }
    }
}

/// A variance, fixed or fitted.
#[derive(Module, Debug)]
pub struct Variance {
    /// `s^2`: one, or one for each column, `[columns]`. 0 until the first batch.
    pub value: RunningState<Tensor<1>>,
    /// Whether it is fitted in training; off in a frozen part of a model.
    pub training: Param<Flag>,
}

impl Variance {
    /// The same fixed variance for all values, greater than 0.
    pub fn fixed(variance: f64, device: &Device) -> Self {
        Self { value: RunningState::new(Tensor::full([1], variance, device)), training: Param::from_bool(false) }
    }

    /// Fitted in training: one variance if `columns` is 1, otherwise one for each column.
    pub fn fitted(columns: usize, device: &Device) -> Self {
        Self { value: RunningState::new(Tensor::zeros([columns], device)), training: Param::from_bool(true) }
    }

    /// The variances, `[columns]`; 1 before the first batch.
    pub fn values(&self) -> Tensor<1> {
        let value = self.value.value_sync();
        let unseen = value.clone().lower_equal_elem(0.0);
        value.mask_fill(unseen, 1.0)
    }

    /// The negative log-likelihood of `x` given its reconstruction `r`, per example and in nats: `[batch, numbers]`
    /// each, to `[batch]`. `weights` as in [`Loss::loss`](crate::Loss::loss).
    ///
    /// In training, the squared errors of this batch enter the running average first.
    pub fn loss(&self, x: Tensor<2>, r: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        if x.device().is_autodiff() && self.training.is_enabled() {
            self.fit(x.clone().detach(), r.clone().detach(), weights.clone());
        }
        let [_, numbers] = x.dims();
        let variance = self.values().to_device(&x.device()).cast(x.dtype());
        let constants = variance.clone().mul_scalar(TAU).log().div_scalar(2.0); // [columns]
        if variance.dims()[0] == 1 {
            let count = match &weights {
                Some(weights) => weights.clone().sum_dim(1).squeeze_dim::<1>(1),
                None => x.clone().slice([0..x.dims()[0], 0..1]).full_like(numbers as f64).squeeze_dim::<1>(1),
            };
            return ae_kernels::squared_error(x, r, weights) / variance + count * constants;
        }
        let deviation = variance.sqrt().unsqueeze::<2>(); // [1, numbers]
        let constants = constants.unsqueeze::<2>().expand(x.shape());
        let constants =
            weights.clone().map_or(constants.clone(), |weights| constants * weights).sum_dim(1).squeeze_dim::<1>(1);
        ae_kernels::squared_error(x / deviation.clone(), r / deviation, weights) + constants
    }

    /// Updates the running average with the mean squared error of a batch.
    fn fit(&self, x: Tensor<2>, r: Tensor<2>, weights: Option<Tensor<2>>) {
        let error = (x - r).square();
        let weights = weights.unwrap_or_else(|| error.ones_like());
        let (errors, counts) = ((error * weights.clone()).sum_dim(0), weights.sum_dim(0)); // [1, numbers]
        let value = self.value.value_sync().to_device(&errors.device()).cast(errors.dtype());
        let (errors, counts) = match value.dims()[0] {
            1 => (errors.sum(), counts.sum()),
            columns => (errors.reshape([columns]), counts.reshape([columns])),
        };
        // A column without values in this batch stays as it is.
        let unseen = counts.clone().lower_equal_elem(0.0);
        let found = (errors / counts.clamp_min(1e-12)).clamp_min(FLOOR);
        let average = value.clone().mul_scalar(1.0 - MOMENTUM) + found.clone().mul_scalar(MOMENTUM);
        let first = value.clone().lower_equal_elem(0.0);
        self.value.update(average.mask_where(first, found).mask_where(unseen, value).detach());
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    #[test]
    fn it_is_the_likelihood_of_a_normal_variable() {
        let device = Device::default();
        let rows = |values: [[f32; 2]; 2]| Tensor::<2>::from_floats(values, &device);
        let (x, r) = (rows([[1.0, 2.0], [0.0, 0.0]]), rows([[0.0, 4.0], [0.0, 1.0]]));
        let weights = rows([[1.0, 1.0], [1.0, 0.0]]);
        let normal = |error: f64, variance: f64| 0.5 * error * error / variance + 0.5 * (TAU * variance).ln();
        let near = |found: Tensor<1>, expected: [f64; 2]| {
            found
                .into_data()
                .assert_approx_eq::<f32>(&expected.map(|value| value as f32).into(), Tolerance::absolute(1e-5));
        };
        let one = Variance::fixed(0.25, &device);
        near(
            one.loss(x.clone(), r.clone(), None),
            [normal(1.0, 0.25) + normal(2.0, 0.25), normal(0.0, 0.25) + normal(1.0, 0.25)],
        );
        near(
            one.loss(x.clone(), r.clone(), Some(weights.clone())),
            [normal(1.0, 0.25) + normal(2.0, 0.25), normal(0.0, 0.25)],
        );
        let two = Variance::fitted(2, &device);
        two.value.update(Tensor::from_floats([0.25, 4.0], &device));
        near(two.loss(x, r, Some(weights)), [normal(1.0, 0.25) + normal(2.0, 4.0), normal(0.0, 0.25)]);
    }

    #[test]
    fn it_is_fitted_to_observed_values_in_training_and_has_a_floor() {
        let (device, plain) = (Device::default().autodiff(), Device::default());
        let rows = |values: [[f32; 2]; 2], device: &Device| Tensor::<2>::from_floats(values, device);
        let weights = rows([[1.0, 1.0], [1.0, 0.0]], &device);
        let (x, r) = (rows([[1.0, 2.0], [0.0, 9.0]], &device), rows([[0.0, 2.0], [0.0, 1.0]], &device));
        let values = |variance: &Variance| variance.values().into_data().iter::<f32>().collect::<Vec<_>>();
        let one = Variance::fitted(1, &plain);
        assert_eq!(values(&one), [1.0], "before the first batch");
        one.loss(x.clone(), r.clone(), Some(weights.clone()));
        assert!((values(&one)[0] - 1.0 / 3.0).abs() < 1e-6);
        one.loss(rows([[9.0, 9.0]; 2], &plain), rows([[0.0, 0.0]; 2], &plain), None);
        assert!((values(&one)[0] - 1.0 / 3.0).abs() < 1e-6, "it does not change after training");
        let columns = Variance::fitted(2, &plain);
        columns.loss(x, r, Some(weights));
        assert_eq!(values(&columns), [0.5, FLOOR as f32]);
    }
}
