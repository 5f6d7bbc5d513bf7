//! The reconstruction loss `L(x, r)`: minus the log-likelihood of the input, per example, in nats.
//!
//! - `squared_error`: `L = 1/2 sum_i (x_i - r_i)^2`, a unit-variance Gaussian up to a constant. The decoder's output is `r`.
//! - `bernoulli`: `L = -sum_i x_i log s(l_i) + (1 - x_i) log(1 - s(l_i))` with the logistic function `s`. The decoder's output is the logit
//!   `l`, and `r = s(l)`. Inputs lie in `[0, 1]`; values between count as probabilities.
//!
//! - `categorical`, for the columns of a table that hold categories: `L = -sum_l x_l log softmax(l)_l` over the levels of each.
//!
//! A [`Head`] says which features are explained by which. Where a value is missing, `observed` is 0 and the feature is left out of the sum.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::{Tensor, activation},
};

use crate::Activation;

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
            Self::Bernoulli => Activation::Sigmoid.forward(output),
        }
    }

    /// `L`, per example (`[batch]`, nats), of the decoder's `output` for the input `x`; `weights` (`[batch, d_input]`) says how much each
    /// feature counts: 1 where it was observed, 0 where it is missing, or what an emphasis gives it.
    pub fn loss(self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        match self {
            Self::SquaredError => ae_kernels::squared_error(x, output, weights),
            Self::Bernoulli => ae_kernels::bernoulli(x, output, weights),
        }
    }
}

/// How many features are of each kind, in this order: numbers first, then truth values, then the levels of each category.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Features that are numbers.
    pub numbers: usize,
    /// Features that are 0 or 1.
    pub booleans: usize,
    /// Levels of each category; of a row's features one is 1.
    pub categories: Vec<usize>,
}

impl Layout {
    /// Whether every feature is a number.
    pub fn is_numbers(&self) -> bool {
        self.booleans == 0 && self.categories.is_empty()
    }

    /// Features of a row.
    pub fn width(&self) -> usize {
        self.numbers + self.booleans + self.categories.iter().sum::<usize>()
    }
}

/// What the decoder's output stands for, and how its error is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// How numbers are explained.
    pub numbers: Reconstruction,
    /// Where the features are not all numbers: truth values are explained by Bernoulli logits, categories by the logits of their levels.
    pub layout: Option<Layout>,
}

impl From<Reconstruction> for Head {
    fn from(numbers: Reconstruction) -> Self {
        Self { numbers, layout: None }
    }
}

/// A part of the features.
enum Block {
    Numbers(Reconstruction),
    Category,
}

impl Head {
    /// The head of features of these kinds.
    pub fn new(numbers: Reconstruction, layout: Option<Layout>) -> Self {
        Self { numbers, layout: layout.filter(|layout| !layout.is_numbers()) }
    }

    /// The term's name in logs and tables.
    pub fn name(&self) -> &'static str {
        if self.layout.is_some() { "reconstruction" } else { self.numbers.name() }
    }

    /// The parts of `features` features, each with its first and its last but one.
    fn blocks(&self, features: usize) -> Vec<(Block, usize, usize)> {
        let Some(layout) = &self.layout else { return vec![(Block::Numbers(self.numbers), 0, features)] };
        let mut blocks = vec![
            (Block::Numbers(self.numbers), 0, layout.numbers),
            (Block::Numbers(Reconstruction::Bernoulli), layout.numbers, layout.numbers + layout.booleans),
        ];
        let mut start = layout.numbers + layout.booleans;
        for levels in &layout.categories {
            blocks.push((Block::Category, start, start + levels));
            start += levels;
        }
        blocks.retain(|(_, start, end)| start < end);
        blocks
    }

    /// The reconstruction `r` that the decoder's `output` stands for; both `[batch, d_input]`. Of a category, the probability of each level.
    pub fn mean(&self, output: Tensor<2>) -> Tensor<2> {
        let [batch, features] = output.dims();
        let mean = |block: &Block, output| match block {
            Block::Numbers(numbers) => numbers.mean(output),
            Block::Category => activation::softmax(output, 1),
        };
        let blocks = self.blocks(features);
        if let [(block, ..)] = blocks.as_slice() {
            return mean(block, output);
        }
        let parts = blocks.iter().map(|(block, start, end)| mean(block, output.clone().slice([0..batch, *start..*end])));
        Tensor::cat(parts.collect(), 1)
    }

    /// `L`, per example (`[batch]`, nats), of the decoder's `output` for the input `x`, as [`Reconstruction::loss`].
    pub fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let [batch, features] = x.dims();
        let parts = self.blocks(features).into_iter().map(|(block, start, end)| {
            let of =
                |tensor: &Tensor<2>| if end - start == features { tensor.clone() } else { tensor.clone().slice([0..batch, start..end]) };
            let (x, output, weights) = (of(&x), of(&output), weights.as_ref().map(of));
            match block {
                Block::Numbers(numbers) => numbers.loss(x, output, weights),
                Block::Category => sum_weighted((x * activation::log_softmax(output, 1)).neg(), weights),
            }
        });
        parts.reduce(|sum, part| sum + part).expect("there is at least one feature")
    }

    /// `sum_i (x_i - r_i)^2` over the observed features, per example (`[batch]`): what the printed errors are made of, whatever the loss.
    pub fn squared_error(&self, x: Tensor<2>, output: Tensor<2>, observed: Option<Tensor<2>>) -> Tensor<1> {
        let half = match (self.numbers, &self.layout) {
            (Reconstruction::Bernoulli, None) => ae_kernels::squared_error_of_logits(x, output, observed),
            _ => ae_kernels::squared_error(x, self.mean(output), observed),
        };
        half.mul_scalar(2.0)
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

    #[test]
    fn a_table_is_explained_kind_by_kind() {
        let device = Device::default();
        let head = Head::new(Reconstruction::SquaredError, Some(Layout { numbers: 1, booleans: 1, categories: vec![2, 3] }));
        // Number 2 explained as 1; true at logit 0; the second of two levels at equal logits; the first of three, missing.
        let x = Tensor::<2>::from_floats([[2.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]], &device);
        let output = Tensor::<2>::from_floats([[1.0, 0.0, 5.0, 5.0, 1.0, 2.0, 3.0]], &device);
        let observed = Tensor::<2>::from_floats([[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]], &device);
        let loss = head.loss(x.clone(), output.clone(), Some(observed));
        let two = std::f32::consts::LN_2;
        loss.into_data().assert_approx_eq::<f32>(&[0.5 + two + two].into(), Tolerance::absolute(1e-6));
        let mean: Vec<f32> = head.mean(output).into_data().iter::<f32>().collect();
        assert_eq!(mean[..4], [1.0, 0.5, 0.5, 0.5]);
        assert!((mean[4..].iter().sum::<f32>() - 1.0).abs() < 1e-6 && mean[6] > mean[5]);
        assert_eq!((head.name(), Head::default().name()), ("reconstruction", "squared_error"));
    }

    #[test]
    fn numbers_alone_need_no_layout() {
        let layout = Layout { numbers: 3, ..Layout::default() };
        assert_eq!(Head::new(Reconstruction::Bernoulli, Some(layout)), Head::from(Reconstruction::Bernoulli));
    }
}
