//! The cross-entropy of categories.

use std::borrow::Cow;

use burn::tensor::{Tensor, activation};

use super::Loss;

/// The cross-entropy of the levels of one category, from logits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Categorical;

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

/// The weighted sum over features, `[batch, d] -> [batch]`.
fn sum_weighted(per_feature: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
    let counted = match weights {
        Some(weights) => per_feature * weights,
        None => per_feature,
    };
    counted.sum_dim(1).squeeze_dim(1)
}
