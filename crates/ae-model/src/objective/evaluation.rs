//! The terms of the loss on one batch.

use burn::tensor::Tensor;

use super::term::Term;
use crate::Forward;

/// The objective, evaluated on one batch.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The terms of the loss, the reconstruction first.
    pub terms: Vec<Term>,
    /// The code and the decoder output that they were computed from.
    pub forward: Forward,
}

impl Evaluation {
    /// The weighted sum of the terms per example, `[batch]`.
    pub fn per_example(&self) -> Tensor<1> {
        let weighted = |term: &Term| {
            if term.weight == 1.0 { term.value.clone() } else { term.value.clone().mul_scalar(term.weight) }
        };
        let (first, rest) = self.terms.split_first().expect("the reconstruction is always a term");
        rest.iter().filter(|term| term.weight != 0.0).fold(weighted(first), |sum, term| sum + weighted(term))
    }

    /// The loss to minimize: the mean over the batch, `[1]`; `NaN` for a batch without rows.
    pub fn loss(&self) -> Tensor<1> {
        ae_kernels::batch_mean(self.per_example())
    }
}
