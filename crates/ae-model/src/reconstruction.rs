//! The reconstruction loss `L(x, r)`: minus the log-likelihood of the input, per example, in nats.
//!
//! - `squared_error`: `L = 1/2 sum_i (x_i - r_i)^2`, a unit-variance Gaussian up to a constant. The decoder's output is `r`.
//! - `bernoulli`: `L = -sum_i x_i log s(l_i) + (1 - x_i) log(1 - s(l_i))` with the logistic function `s`. The decoder's output is the logit
//!   `l`, and `r = s(l)`. Inputs lie in `[0, 1]`; values between count as probabilities.
//!
//! Where a value is missing, `observed` is 0 and the feature is left out of the sum.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::{Tensor, activation},
};

/// How well an output explains an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(crate = "burn::serde", rename_all = "snake_case")]
pub enum Reconstruction {
    /// Half the sum of squared errors.
    #[default]
    SquaredError,
    /// Cross-entropy of a Bernoulli variable for each feature, from logits.
    Bernoulli,
}

impl Reconstruction {
    /// The term's name in logs and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::SquaredError => "squared_error",
            Self::Bernoulli => "bernoulli",
        }
    }

    /// The reconstruction `r` that the decoder's `output` stands for; both `[batch, d_input]`.
    pub fn mean(self, output: Tensor<2>) -> Tensor<2> {
        match self {
            Self::SquaredError => output,
            Self::Bernoulli => activation::sigmoid(output),
        }
    }

    /// `L`, per example (`[batch]`, nats), of the decoder's `output` for the input `x`; `weights` (`[batch, d_input]`) says how much each
    /// feature counts: 1 where it was observed, 0 where it is missing, or what an emphasis gives it.
    pub fn loss(self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let per_feature = match self {
            Self::SquaredError => (x - output).square().mul_scalar(0.5),
            // log(1 + exp(l)) - x l, with the exponent kept from overflowing.
            Self::Bernoulli => {
                output.clone().clamp_min(0.0) - x * output.clone() + output.abs().neg().exp().log1p() // [batch, d_input]
            }
        };
        sum_weighted(per_feature, weights)
    }

    /// `sum_i (x_i - r_i)^2` over the observed features, per example (`[batch]`): what the printed errors are made of, whatever the loss.
    pub fn squared_error(self, x: Tensor<2>, output: Tensor<2>, observed: Option<Tensor<2>>) -> Tensor<1> {
        sum_weighted((x - self.mean(output)).square(), observed)
    }
}

/// Weighted sum over features, `[batch, d] -> [batch]`.
fn sum_weighted(per_feature: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    let counted = match weights {
        Some(weights) => per_feature * weights,
        None => per_feature,
    };
    counted.sum_dim(1).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tolerance};

    use super::*;

    fn rows(values: [[f32; 2]; 2]) -> Tensor<2> {
        Tensor::from_floats(values, &Device::default())
    }

    #[test]
    fn squared_error_is_half_the_sum_per_example() {
        let loss = Reconstruction::SquaredError.loss(rows([[1.0, 2.0], [0.0, 0.0]]), rows([[0.0, 4.0], [0.0, 1.0]]), None);
        loss.into_data().assert_eq(&[2.5f32, 0.5].into(), true);
    }

    #[test]
    fn bernoulli_is_log_two_at_logit_zero_and_finite_far_away() {
        let loss = Reconstruction::Bernoulli.loss(rows([[0.3, 1.0], [1.0, 0.0]]), rows([[0.0, 0.0], [1e4, -1e4]]), None);
        loss.into_data().assert_approx_eq::<f32>(&[2.0 * std::f32::consts::LN_2, 0.0].into(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn what_was_not_observed_is_not_counted() {
        let observed = rows([[1.0, 0.0], [0.0, 0.0]]);
        for loss in [Reconstruction::SquaredError, Reconstruction::Bernoulli] {
            let x = rows([[1.0, 7.0], [5.0, 5.0]]);
            let counted = loss.loss(x.clone(), rows([[0.0, 0.0], [0.0, 0.0]]), Some(observed.clone())).into_data();
            let first = if loss == Reconstruction::SquaredError { 0.5 } else { std::f32::consts::LN_2 };
            counted.assert_approx_eq::<f32>(&[first, 0.0].into(), Tolerance::absolute(1e-6));
        }
    }
}
