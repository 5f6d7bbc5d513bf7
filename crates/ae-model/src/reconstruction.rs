//! The reconstruction loss `L(x, r)`: minus the log-likelihood of the input, per example, in nats.
//!
//! - `squared_error`: `L = 1/2 sum_i (x_i - r_i)^2`, a unit-variance Gaussian up to a constant. The decoder's output is
//!   `r`.
//! - `bernoulli`: `L = -sum_i x_i log s(l_i) + (1 - x_i) log(1 - s(l_i))` with the logistic function `s`. The decoder's
//!   output is the logit `l`, and `r = s(l)`. Inputs lie in `[0, 1]`; values between count as probabilities.
//!
//! - `categorical`, for the columns of a table that hold categories: `L = -sum_l x_l log softmax(l)_l` over the levels
//!   of each.
//!
//! A [`Head`] says which features are explained by which. Where a value is missing, `observed` is 0 and the feature is
//! left out of the sum.

use std::{borrow::Cow, f64::consts::TAU, fmt::Debug, ops::Deref, sync::Arc};

use burn::{
    serde::{Deserialize, Serialize, Serializer},
    tensor::{Tensor, activation},
};
use schemars::JsonSchema;
use serde_json::Value;

use crate::{
    Activation, ConfigError, Layout, Registry, Settings, Variance,
    registry::{self, Part, ReadError},
};

/// How well an output explains a target. One of another crate is handed to
/// [`Autoencoder::with_reconstruction`](crate::Autoencoder::with_reconstruction).
pub trait Loss: Debug + Send + Sync {
    /// The term's name in logs and tables; by default that of the type, `squared_error` for `SquaredError`.
    fn name(&self) -> Cow<'static, str> {
        registry::name_of::<Self>()
    }

    /// The reconstruction `r` that the decoder's `output` stands for; both `[batch, d_output]`. By default the output
    /// itself.
    fn mean(&self, output: Tensor<2>) -> Tensor<2> {
        output
    }

    /// `L`, per example (`[batch]`, nats), of the decoder's `output` for the target `x`; `weights` (`[batch,
    /// d_output]`) says how much each feature counts: 1 where it was observed, 0 where it is missing, or what an
    /// emphasis gives it. `x` holds 0 where it is missing.
    fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1>;

    /// Whether the settings can be used.
    ///
    /// # Errors
    /// A field outside its range.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Whether the decoder's output is a logit, which no activation may follow, of targets in `[0, 1]`. Default: false.
    fn reads_logits(&self) -> bool {
        false
    }

    /// What [`loss`](Self::loss) leaves out of minus a log-likelihood for each observed value, in nats. Default: 0.
    fn constant(&self) -> f64 {
        0.0
    }

    /// Half the sum of squared errors of the reconstruction, per example, as [`loss`](Self::loss).
    fn half_squared_error(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        ae_kernels::squared_error(x, self.mean(output), weights)
    }
}

/// Half the sum of squared errors, `1/2 sum_i (x_i - r_i)^2`: a Gaussian of unit variance, up to a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde")]
pub struct SquaredError;

impl Settings for SquaredError {
    const NAME: &'static str = "squared_error";
}

impl Loss for SquaredError {
    fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        ae_kernels::squared_error(x, output, weights)
    }

    fn constant(&self) -> f64 {
        TAU.ln() / 2.0
    }
}

/// Cross-entropy of a Bernoulli variable for each feature, from logits; inputs in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde")]
pub struct Bernoulli;

impl Settings for Bernoulli {
    const NAME: &'static str = "bernoulli";
}

impl Loss for Bernoulli {
    fn mean(&self, output: Tensor<2>) -> Tensor<2> {
        Activation::Sigmoid.forward(output)
    }

    fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        ae_kernels::bernoulli(x, output, weights)
    }

    fn reads_logits(&self) -> bool {
        true
    }

    fn half_squared_error(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        ae_kernels::squared_error_of_logits(x, output, weights)
    }
}

/// Which loss explains numbers: its name, or a table with its name as `kind` and its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct LossConfig(Part<dyn Loss>);

impl Deref for LossConfig {
    type Target = Part<dyn Loss>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Default for LossConfig {
    fn default() -> Self {
        SquaredError.into()
    }
}

impl<S: Loss + Settings> From<S> for LossConfig {
    fn from(settings: S) -> Self {
        Self(settings.into())
    }
}

impl Serialize for LossConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_plain() { serializer.serialize_str(self.0.name()) } else { self.0.serialize_tagged(serializer) }
    }
}

impl LossConfig {
    /// From a name, or a table with a `kind`.
    pub(crate) fn read(value: Value, registry: &Registry) -> Result<Self, ReadError> {
        registry::read_tagged(registry.losses(), "reconstruction", value).map(Self)
    }
}

/// The levels of one category, from their logits.
#[derive(Debug, Clone, Copy)]
struct Categorical;

impl Loss for Categorical {
    fn name(&self) -> Cow<'static, str> {
        "categorical".into()
    }

    fn mean(&self, output: Tensor<2>) -> Tensor<2> {
        activation::softmax(output, 1)
    }

    fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        sum_weighted((x * activation::log_softmax(output, 1)).neg(), weights)
    }
}

/// What the decoder's output stands for, and how its error is counted.
#[derive(Debug, Clone)]
pub struct Head {
    /// How numbers are explained.
    pub numbers: Arc<dyn Loss>,
    /// What it is called, if not as its type is.
    name: Option<&'static str>,
    /// Where the features are not all numbers: truth values are explained by Bernoulli logits, categories by the
    /// logits of their levels.
    pub layout: Option<Layout>,
}

impl Default for Head {
    fn default() -> Self {
        SquaredError.into()
    }
}

impl<L: Loss + 'static> From<L> for Head {
    fn from(numbers: L) -> Self {
        Self { numbers: Arc::new(numbers), name: None, layout: None }
    }
}

impl Head {
    /// The head of features of these kinds.
    pub fn new(numbers: impl Loss + 'static, layout: Option<Layout>) -> Self {
        Self::of(Arc::new(numbers), layout)
    }

    /// The same with a loss of any type.
    pub fn of(numbers: Arc<dyn Loss>, layout: Option<Layout>) -> Self {
        Self { numbers, name: None, layout: layout.filter(|layout| !layout.is_numbers()) }
    }

    /// The same under another name in logs and tables.
    pub fn called(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// The term's name in logs and tables.
    pub fn name(&self) -> Cow<'static, str> {
        match (&self.layout, self.name) {
            (Some(_), _) => "reconstruction".into(),
            (None, Some(name)) => name.into(),
            (None, None) => self.numbers.name(),
        }
    }

    /// The loss of each part of `features` features, with the part as a half-open range.
    fn blocks(&self, features: usize) -> Vec<(&dyn Loss, usize, usize)> {
        let Some(layout) = &self.layout else { return vec![(&*self.numbers, 0, features)] };
        let single = layout.numbers + layout.booleans;
        let mut blocks: Vec<(&dyn Loss, usize, usize)> =
            vec![(&*self.numbers, 0, layout.numbers), (&Bernoulli, layout.numbers, single)];
        blocks.extend(layout.levels().map(|(start, end)| (&Categorical as &dyn Loss, start, end)));
        blocks.retain(|(_, start, end)| start < end);
        blocks
    }

    /// The reconstruction `r` that the decoder's `output` stands for; both `[batch, d_output]`. Of a category, the
    /// probability of each level.
    pub fn mean(&self, output: Tensor<2>) -> Tensor<2> {
        let [batch, features] = output.dims();
        let blocks = self.blocks(features);
        if let [(loss, ..)] = blocks.as_slice() {
            return loss.mean(output);
        }
        let parts = blocks.iter().map(|(loss, start, end)| loss.mean(output.clone().slice([0..batch, *start..*end])));
        Tensor::cat(parts.collect(), 1)
    }

    /// `L`, per example (`[batch]`, nats), of the decoder's `output` for the target `x`, as [`Loss::loss`].
    pub fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        self.sum(x, output, weights, &|loss, _, x, output, weights| loss.loss(x, output, weights))
    }

    /// The same with numbers that have this variance around what the decoder gives, whatever their own loss is.
    pub fn loss_with(
        &self,
        variance: &Variance,
        x: Tensor<2>,
        output: Tensor<2>,
        weights: Option<Tensor<2>>,
    ) -> Tensor<1> {
        let is_number = self.layout.as_ref().is_none_or(|layout| layout.numbers > 0);
        self.sum(x, output, weights, &|loss, first, x, output, weights| match first == 0 && is_number {
            true => variance.loss(x, output, weights),
            false => loss.loss(x, output, weights),
        })
    }

    /// What [`loss`](Self::loss) leaves out of minus a log-likelihood, per example: `[batch]`, nats; of the target `x`.
    pub fn constant(&self, x: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        self.sum(x.clone(), x, weights, &|loss, _, x, _, weights| {
            let counted = weights.unwrap_or_else(|| x.ones_like());
            counted.sum_dim(1).squeeze_dim::<1>(1).mul_scalar(loss.constant())
        })
    }

    /// The sum of what `of` makes of each part of the features.
    fn sum(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>, of: &PartLoss) -> Tensor<1> {
        let [batch, features] = x.dims();
        let parts = self.blocks(features).into_iter().map(|(loss, start, end)| {
            let part = |tensor: &Tensor<2>| {
                if end - start == features { tensor.clone() } else { tensor.clone().slice([0..batch, start..end]) }
            };
            of(loss, start, part(&x), part(&output), weights.as_ref().map(part))
        });
        parts.reduce(|sum, part| sum + part).expect("there is at least one feature")
    }

    /// `sum_i (x_i - r_i)^2` over the observed features, per example (`[batch]`): what the printed errors are made of,
    /// whatever the loss.
    pub fn squared_error(&self, x: Tensor<2>, output: Tensor<2>, observed: Option<Tensor<2>>) -> Tensor<1> {
        let half = match &self.layout {
            None => self.numbers.half_squared_error(x, output, observed),
            Some(_) => ae_kernels::squared_error(x, self.mean(output), observed),
        };
        half.mul_scalar(2.0)
    }
}

/// Of the loss of a part of the features, its first feature, and the part of target, output and weights: per example.
type PartLoss<'a> = dyn Fn(&dyn Loss, usize, Tensor<2>, Tensor<2>, Option<Tensor<2>>) -> Tensor<1> + 'a;

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
        let loss = SquaredError.loss(rows([[1.0, 2.0], [0.0, 0.0]]), rows([[0.0, 4.0], [0.0, 1.0]]), None);
        loss.into_data().assert_eq(&[2.5f32, 0.5].into(), true);
    }

    #[test]
    fn bernoulli_is_log_two_at_logit_zero_and_finite_far_away() {
        let loss = Bernoulli.loss(rows([[0.3, 1.0], [1.0, 0.0]]), rows([[0.0, 0.0], [1e4, -1e4]]), None);
        loss.into_data()
            .assert_approx_eq::<f32>(&[2.0 * std::f32::consts::LN_2, 0.0].into(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn what_was_not_observed_is_not_counted() {
        let observed = rows([[1.0, 0.0], [0.0, 0.0]]);
        for (loss, first) in [(&SquaredError as &dyn Loss, 0.5), (&Bernoulli, std::f32::consts::LN_2)] {
            let x = rows([[1.0, 7.0], [5.0, 5.0]]);
            let counted = loss.loss(x.clone(), rows([[0.0, 0.0], [0.0, 0.0]]), Some(observed.clone())).into_data();
            counted.assert_approx_eq::<f32>(&[first, 0.0].into(), Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn a_table_is_explained_kind_by_kind() {
        let device = Device::default();
        let head = Head::new(SquaredError, Some(Layout { numbers: 1, booleans: 1, categories: vec![2, 3] }));
        // Number 2 explained as 1; true at logit 0; the second of two levels at equal logits; the first of three,
        // missing.
        let x = Tensor::<2>::from_floats([[2.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]], &device);
        let output = Tensor::<2>::from_floats([[1.0, 0.0, 5.0, 5.0, 1.0, 2.0, 3.0]], &device);
        let observed = Tensor::<2>::from_floats([[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]], &device);
        let loss = head.loss(x.clone(), output.clone(), Some(observed));
        let two = std::f32::consts::LN_2;
        loss.into_data().assert_approx_eq::<f32>(&[0.5 + two + two].into(), Tolerance::absolute(1e-6));
        let mean: Vec<f32> = head.mean(output).into_data().iter::<f32>().collect();
        assert_eq!(mean[..4], [1.0, 0.5, 0.5, 0.5]);
        assert!((mean[4..].iter().sum::<f32>() - 1.0).abs() < 1e-6 && mean[6] > mean[5]);
        assert_eq!((&*head.name(), &*Head::default().name()), ("reconstruction", "squared_error"));
    }

    #[test]
    fn numbers_alone_need_no_layout() {
        assert!(Head::new(Bernoulli, Some(Layout::of_numbers(3))).layout.is_none());
    }
}
