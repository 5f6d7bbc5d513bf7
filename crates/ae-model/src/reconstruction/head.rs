//! A loss for each kind of feature.

use std::{borrow::Cow, sync::Arc};

use burn::tensor::Tensor;

use super::{Bernoulli, Loss, SquaredError, categorical::Categorical};
use crate::{Layout, Variance};

/// Assigns a reconstruction loss to each kind of feature.
#[derive(Debug, Clone)]
pub struct Head {
    /// The loss of numeric features.
    pub numbers: Arc<dyn Loss>,
    /// A name that replaces that of the loss.
    name: Option<&'static str>,
    /// The layout of the features, if not all are numeric: booleans have a Bernoulli loss, categories a categorical
    /// one, both from logits.
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
    /// A head for features of this layout.
    pub fn new(numbers: impl Loss + 'static, layout: Option<Layout>) -> Self {
        Self::of(Arc::new(numbers), layout)
    }

    /// As [`new`](Self::new), for a loss of any type.
    pub fn of(numbers: Arc<dyn Loss>, layout: Option<Layout>) -> Self {
        Self { numbers, name: None, layout: layout.filter(|layout| !layout.is_numbers()) }
    }

    /// Sets the name in logs and tables.
    pub fn with_name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Name of the reconstruction term in logs and tables.
    pub fn name(&self) -> Cow<'static, str> {
        match (&self.layout, self.name) {
            (Some(_), _) => "reconstruction".into(),
            (None, Some(name)) => name.into(),
            (None, None) => self.numbers.name(),
        }
    }

    /// The losses of `features` features, each with its features as a half-open range.
    fn blocks(&self, features: usize) -> Vec<(&dyn Loss, usize, usize)> {
        let Some(layout) = &self.layout else { return vec![(&*self.numbers, 0, features)] };
        let single = layout.numbers + layout.booleans;
        let mut blocks: Vec<(&dyn Loss, usize, usize)> =
            vec![(&*self.numbers, 0, layout.numbers), (&Bernoulli, layout.numbers, single)];
        blocks.extend(layout.levels().map(|(start, end)| (&Categorical as &dyn Loss, start, end)));
        blocks.retain(|(_, start, end)| start < end);
        blocks
    }

    /// The reconstruction `r` for the decoder's `output`: `[batch, d_output]` to `[batch, d_output]`. For a category it
    /// is the probability of each level.
    pub fn mean(&self, output: Tensor<2>) -> Tensor<2> {
        let [batch, features] = output.dims();
        let blocks = self.blocks(features);
        if let [(loss, ..)] = blocks.as_slice() {
            return loss.mean(output);
        }
        let parts = blocks.iter().map(|(loss, start, end)| loss.mean(output.clone().slice([0..batch, *start..*end])));
        Tensor::cat(parts.collect(), 1)
    }

    /// The loss `L` per example, in nats: `[batch]`. The arguments are those of [`Loss::loss`].
    pub fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        self.sum(x, output, weights, &|loss, _, x, output, weights| loss.loss(x, output, weights))
    }

    /// As [`loss`](Self::loss), but numeric features have a Gaussian likelihood with this variance, whatever their own
    /// loss is.
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

    /// The constant of the negative log-likelihood that [`loss`](Self::loss) omits, per example and in nats: `[batch]`.
    pub fn constant(&self, x: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        self.sum(x.clone(), x, weights, &|loss, _, x, _, weights| {
            let counted = weights.unwrap_or_else(|| x.ones_like());
            counted.sum_dim(1).squeeze_dim::<1>(1).mul_scalar(loss.constant())
        })
    }

    /// The sum of `of` over the parts of the features.
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

    /// The squared error `sum_i (x_i - r_i)^2` over the observed features, per example (`[batch]`), whatever the loss.
    /// Reported errors are computed from it.
    pub fn squared_error(&self, x: Tensor<2>, output: Tensor<2>, observed: Option<Tensor<2>>) -> Tensor<1> {
        self.half_squared_error(x, output, observed).mul_scalar(2.0)
    }

    /// Half of [`squared_error`](Self::squared_error).
    pub(crate) fn half_squared_error(&self, x: Tensor<2>, output: Tensor<2>, observed: Option<Tensor<2>>) -> Tensor<1> {
        match &self.layout {
            None => self.numbers.half_squared_error(x, output, observed),
            Some(_) => ae_kernels::squared_error(x, self.mean(output), observed),
        }
    }

    /// Whether [`loss`](Self::loss) is half of [`squared_error`](Self::squared_error).
    pub(crate) fn is_half_squared_error(&self) -> bool {
        self.layout.is_none() && self.numbers.is_half_squared_error()
    }
}

/// A function of a loss, the first of its features, and its part of the target, the output and the weights, with a
/// result per example.
type PartLoss<'a> = dyn Fn(&dyn Loss, usize, Tensor<2>, Tensor<2>, Option<Tensor<2>>) -> Tensor<1> + 'a;
