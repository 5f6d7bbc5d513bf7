//! The objective: the only place where loss terms are weighted, summed and averaged.
//!
//! `loss = mean over the batch of sum_k w_k * term_k`, every term per example and in nats.

use burn::tensor::Tensor;

use crate::{Autoencoder, Decoder, Encoder, Forward};

/// What is minimised.
#[derive(Debug, Clone, Default)]
pub struct Objective {}

/// One named part of the loss.
#[derive(Debug, Clone)]
pub struct Term {
    /// Name in logs and tables.
    pub name: &'static str,
    /// Its factor in the sum.
    pub weight: f64,
    /// Value per example, `[batch]`, in nats, before weighting.
    pub value: Tensor<1>,
}

/// The objective evaluated on one batch.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The parts of the loss, the reconstruction first.
    pub terms: Vec<Term>,
    /// Code and decoder output that they were computed from.
    pub forward: Forward,
}

impl Evaluation {
    /// The weighted sum of the terms per example, `[batch]`, in nats.
    pub fn per_example(&self) -> Tensor<1> {
        let weighted = |term: &Term| if term.weight == 1.0 { term.value.clone() } else { term.value.clone().mul_scalar(term.weight) };
        let (first, rest) = self.terms.split_first().expect("the reconstruction is always a term");
        rest.iter().fold(weighted(first), |sum, term| sum + weighted(term))
    }

    /// The number that is minimised: the mean over the batch, `[1]`.
    pub fn loss(&self) -> Tensor<1> {
        self.per_example().mean()
    }
}

impl Objective {
    /// The objective of `model` on the inputs `x` (`[batch, d_input]`), counting only what was `observed` (1 or 0; everything if none).
    pub fn evaluate<E: Encoder, D: Decoder>(&self, model: &Autoencoder<E, D>, x: Tensor<2>, observed: Option<Tensor<2>>) -> Evaluation {
        let forward = model.forward(x.clone());
        let value = model.reconstruction.loss(x, forward.output.clone(), observed);
        Evaluation { terms: vec![Term { name: model.reconstruction.name(), weight: 1.0, value }], forward }
    }
}
