//! A term of the loss.

use std::borrow::Cow;

use burn::tensor::Tensor;

/// A named term of the loss.
#[derive(Debug, Clone)]
pub struct Term {
    /// Name in logs and tables.
    pub name: Cow<'static, str>,
    /// Factor in the loss; a term with weight 0 is only measured.
    pub weight: f64,
    /// Value per example before weighting, `[batch]`; in nats if it is a likelihood or a divergence.
    pub value: Tensor<1>,
}
