//! Normalization of a hidden layer before its activation, with its tangent rule.
//!
//! `y = gamma (z - m) / sqrt(s^2 + 1e-5) + beta`, with one `gamma` and `beta` for each unit or channel.
//!
//! Layer norm takes mean `m` and variance `s^2` over the units of one example (Ba et al. 2016). Batch norm takes them,
//! for each unit, over the batch in training, and uses their running averages afterwards (Ioffe and Szegedy 2015).
//!
//! With the statistics of a batch every code depends on every example, and there is no derivative per example. So the
//! tangent of a batch norm always uses the running averages.

use burn::{
    module::{Module, Param},
    nn::{BatchNorm, BatchNormConfig, Initializer},
    serde::{Deserialize, Serialize},
    tensor::{Device, Tensor},
};
use schemars::JsonSchema;

/// A kind of normalization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", rename_all = "snake_case")]
pub enum NormKind {
    /// No normalization.
    #[default]
    None,
    /// Over the units of an example.
    Layer,
    /// Over the examples of a batch.
    Batch,
}

impl NormKind {
    /// Parameters for each unit or channel, including running statistics.
    pub(super) fn parameters(self) -> usize {
        match self {
            Self::None => 0,
            Self::Layer => 2,
            Self::Batch => 4,
        }
    }

    /// A normalization of `channels` units or channels; `None` for no normalization.
    pub fn init(self, channels: usize, device: &Device) -> Option<Norm> {
        match self {
            Self::None => None,
            Self::Layer => Some(Norm::Layer(LayerNorm {
                gamma: Initializer::Ones.init([channels], device),
                beta: Initializer::Zeros.init([channels], device),
            })),
            Self::Batch => Some(Norm::Batch(BatchNormConfig::new(channels).init(device))),
        }
    }
}

/// Added to the variance, so that it does not vanish.
const EPSILON: f64 = 1e-5;

/// Layer norm over all units of an example, that is, over channels and pixels. Burn's layer norm normalizes the last
/// dimension only, which in an image is a row of pixels, and its group norm does not allow two units.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// The scale, `[channels]`.
    pub gamma: Param<Tensor<1>>,
    /// The shift, `[channels]`.
    pub beta: Param<Tensor<1>>,
}

impl LayerNorm {
    /// The normalized units, `[batch, units]`, and the inverse of their standard deviation, `[batch, 1]`.
    fn unit<const D: usize>(z: Tensor<D>) -> (Tensor<2>, Tensor<2>) {
        let flat: Tensor<2> = z.flatten(1, -1);
        let centered = flat.clone() - flat.mean_dim(1);
        let inverse = centered.clone().square().mean_dim(1).add_scalar(EPSILON).sqrt().recip();
        (centered * inverse.clone(), inverse)
    }
}

/// A normalization of `[batch, channels, ...]`.
#[derive(Module, Debug)]
pub enum Norm {
    /// Over the units of an example.
    Layer(LayerNorm),
    /// Over the examples of a batch.
    Batch(BatchNorm),
}

impl Norm {
    /// The normalized `z`, of the same shape: `[batch, channels, ...]`.
    pub fn forward<const D: usize>(&self, z: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Layer(norm) => {
                let shape = z.dims();
                LayerNorm::unit(z).0.reshape(shape) * per_channel(norm.gamma.val()) + per_channel(norm.beta.val())
            }
            // A batch without rows has no statistics, and must not enter the running average.
            Self::Batch(_) if z.dims()[0] == 0 => z,
            Self::Batch(norm) => norm.forward(z),
        }
    }

    /// The normalized `z` and its derivative along the tangent `t`, with training switched off.
    pub fn jvp<const D: usize>(&self, z: Tensor<D>, t: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
        match self {
            Self::Layer(norm) => {
                let shape = z.dims();
                let t: Tensor<2> = t.flatten(1, -1); // [batch, units]
                let (unit, inverse) = LayerNorm::unit(z);
                let along = (unit.clone() * t.clone()).mean_dim(1);
                let t = (t.clone() - t.mean_dim(1) - unit.clone() * along) * inverse;
                let gamma = per_channel(norm.gamma.val());
                (unit.reshape(shape) * gamma.clone() + per_channel(norm.beta.val()), t.reshape(shape) * gamma)
            }
            Self::Batch(norm) => {
                let device = z.device();
                let mean = norm.running_mean.value_sync().to_device(&device);
                let variance = norm.running_var.value_sync().to_device(&device);
                let scale = norm.gamma.val() / variance.add_scalar(norm.epsilon).sqrt();
                let y = (z - per_channel(mean)) * per_channel(scale.clone()) + per_channel(norm.beta.val());
                (y, t * per_channel(scale))
            }
        }
    }
}

/// One value for each channel, with a shape that broadcasts to `[batch, channels, ...]`.
fn per_channel<const D: usize>(values: Tensor<1>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[1] = values.dims()[0];
    values.reshape(shape)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    #[test]
    fn a_layer_norm_worked_by_hand() {
        let device = Device::default();
        let norm = NormKind::Layer.init(2, &device).unwrap();
        // With mean 2 and variance 1, the normalized pair is -1, 1 whatever the scale: only a common shift or scaling
        // is lost.
        let z = Tensor::<2>::from_floats([[1.0, 3.0]], &device);
        let (y, t) = norm.jvp(z.clone(), Tensor::from_floats([[1.0, 1.0]], &device));
        y.into_data().assert_approx_eq::<f32>(&norm.forward(z).into_data(), Tolerance::absolute(1e-6));
        t.into_data().assert_approx_eq::<f32>(&[[0.0f32, 0.0]].into(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn a_batch_norm_uses_its_running_statistics_after_training() {
        let device = Device::default();
        let norm = NormKind::Batch.init(1, &device).unwrap();
        let Norm::Batch(inner) = &norm else { panic!("a batch norm") };
        inner.running_mean.update(Tensor::from_floats([2.0], &device));
        inner.running_var.update(Tensor::from_floats([4.0], &device));
        let z = Tensor::<3>::from_floats([[[4.0, 0.0]]], &device);
        let (y, t) = norm.jvp(z.clone(), z.ones_like());
        y.into_data().assert_approx_eq::<f32>(&[[[1.0f32, -1.0]]].into(), Tolerance::absolute(1e-5));
        norm.forward(z).into_data().assert_approx_eq::<f32>(&[[[1.0f32, -1.0]]].into(), Tolerance::absolute(1e-5));
        t.into_data().assert_approx_eq::<f32>(&[[[0.5f32, 0.5]]].into(), Tolerance::absolute(1e-5));
    }
}
