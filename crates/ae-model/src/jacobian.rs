//! The derivative of the code, and its squared norm `||J(x)||_F^2 = sum_ij (dh_j / dx_i)^2`, per example.
//!
//! There are three ways to compute the norm:
//!
//! - In closed form, if the network is a single affine map and the code is [diagonal](crate::Code::is_diagonal):
//!   `J = diag(phi'(z)) W^T`, so that `||J||^2 = sum_j phi'_j^2 sum_i W_ij^2` (Rifai et al. 2011a).
//! - Exactly, with a tangent for each input in forward mode, `sum_i ||J e_i||^2`. If there are fewer units in the code
//!   than inputs, and the network implements [`Encoder::vjp`](crate::Encoder::vjp), it takes a backward pass for each
//!   unit instead, `sum_j ||J^T e_j||^2`.
//! - As an estimate with random directions, for networks with many inputs: `E ||J v||^2` with independent signs
//!   `v_i = +-1` and one tangent for each direction. It is unbiased (Hutchinson 1990), and its variance is smaller than
//!   with Gaussian directions.
//!
//! All of them are differentiable tensor operations: a loss on the norm trains the network. Without gradients they
//! return the same value. The derivative is taken at the point that the network reads: a value that is not visible is
//! read as 0, and its column of the derivative is the network's derivative there.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};
use schemars::JsonSchema;

use crate::{Parts, macros::setters};

/// Number of rows that go through the network at a time when the derivative is computed exactly.
pub const ROWS: usize = 4096;

/// Number of inputs up to which [`Method::Auto`] computes exactly. Beyond that, the tangents would cost far more than
/// the rest of the step.
pub const EXACT_UP_TO: usize = 32;

/// How the norm of the derivative is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", rename_all = "snake_case")]
pub enum Method {
    /// In closed form for an affine map; otherwise exactly for up to [`EXACT_UP_TO`] inputs, with one pass for each;
    /// otherwise with Hutchinson's estimator.
    #[default]
    Auto,
    /// With one pass for each input, or for each unit of the code if those are fewer; in closed form where there is
    /// one, which has the same value.
    Exact,
    /// With random directions, even if there is a closed form.
    Hutchinson,
}

/// How the derivative of the code is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jacobian {
    /// How the norm is computed. Default: `auto`.
    pub method: Method,
    /// Number of random directions of Hutchinson's estimator, at least 1; it panics with 0. Default: 1.
    pub probes: usize,
}

impl Default for Jacobian {
    fn default() -> Self {
        Self { method: Method::Auto, probes: 1 }
    }
}

setters! {
    Jacobian {
        with_probes(probes: usize),
    }
}

impl Jacobian {
    /// The derivative with this method.
    pub fn new(method: Method) -> Self {
        Self { method, ..Self::default() }
    }

    /// `||J(x)||_F^2` of the code of `x` (`[batch, d_input]`; `visible` as in [`Parts::encode`]), per example:
    /// `[batch]`.
    pub fn norm2(&self, model: &Parts, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<1> {
        self.sum(model, &[x], visible)
    }

    /// [`norm2`](Self::norm2), if the code `h` of `x` is known already; the closed form then needs nothing else.
    pub fn norm2_of(&self, model: &Parts, x: Tensor<2>, visible: Option<Tensor<2>>, h: &Tensor<2>) -> Tensor<1> {
        self.kernel(model, x.dims()[1], h).unwrap_or_else(|| self.norm2(model, x, visible))
    }

    /// The first direction of Hutchinson's estimator at `x`, `[batch, d_input]`; `None` if another way is chosen, or if
    /// the code of `x` in training does not have this derivative.
    pub(crate) fn direction(&self, model: &Parts, x: &Tensor<2>) -> Option<Tensor<2>> {
        let estimates = match self.method {
            Method::Exact => false,
            Method::Auto => {
                x.dims()[1] > EXACT_UP_TO && !(model.code.is_diagonal() && model.encoder.affine().is_some())
            }
            Method::Hutchinson => true,
        };
        (estimates && self.probes > 0 && x.dims()[0] > 0 && !model.encoder.changes_in_training())
            .then(|| ae_kernels::signs_like(x))
    }

    /// Hutchinson's estimate of [`norm2`](Self::norm2), if the tangent of its first [direction](Self::direction) is
    /// known.
    pub(crate) fn norm2_with(
        &self,
        tangent: Tensor<2>,
        model: &Parts,
        x: Tensor<2>,
        visible: Option<Tensor<2>>,
    ) -> Tensor<1> {
        let first = tangent.square().sum_dim(1).squeeze_dim(1);
        match self.probes {
            1 => first,
            probes => {
                let others = Self { method: Method::Hutchinson, probes: probes - 1 };
                let sum = first + others.norm2(model, x, visible).mul_scalar((probes - 1) as f64);
                sum.div_scalar(probes as f64)
            }
        }
    }

    /// The closed form for a single layer in a kernel, if the code is only its activation.
    fn kernel(&self, model: &Parts, features: usize, h: &Tensor<2>) -> Option<Tensor<1>> {
        if self.method == Method::Hutchinson || !model.code.is_elementwise() {
            return None;
        }
        let (weight, activation) = (model.encoder.affine()?, model.code.activation().kernel());
        // The rows of the mask have no derivative by the inputs.
        let weight = if weight.dims()[0] == features { weight } else { weight.slice(0..features) };
        ae_kernels::layer_jacobian_norm2(h, &weight, activation)
    }

    /// `||J(x) - J(y)||_F^2`, per example: `[batch]`.
    pub fn difference2(&self, model: &Parts, x: Tensor<2>, y: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<1> {
        self.sum(model, &[x, y], visible)
    }

    /// The whole derivative of the code of `x`, `[batch, d_input, d_code]`: row `i` is `dh / dx_i`. It is exact,
    /// whatever the method.
    pub fn matrix(model: &Parts, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<3> {
        let [batch, features] = x.dims();
        if batch == 0 {
            let units = model.encode(x.clone(), visible).code.dims()[1];
            return Tensor::zeros([0, features, units], (&x.device(), x.dtype()));
        }
        let parts = chunks(features, batch).map(|(first, count)| {
            let repeat = |rows: &Tensor<2>| rows.clone().repeat_dim(0, count);
            let v = directions(&x, features, first, count);
            let (_, t) = model.encode_jvp(repeat(&x), v, visible.as_ref().map(repeat));
            let units = t.dims()[1];
            t.reshape([count, batch, units]).swap_dims(0, 1) // [batch, count, d_code]
        });
        Tensor::cat(parts.collect(), 1)
    }

    /// The squared norm of the derivative at the first point, or of the difference of the derivatives at two points.
    fn sum(&self, model: &Parts, points: &[Tensor<2>], visible: Option<Tensor<2>>) -> Tensor<1> {
        let [batch, features] = points[0].dims();
        if batch == 0 {
            return points[0].clone().sum_dim(1).squeeze_dim(1);
        }
        if self.method != Method::Hutchinson
            && model.code.is_diagonal()
            && let Some(weight) = model.encoder.affine()
        {
            let slopes = difference(points.iter().map(|x| model.slopes(x.clone(), visible.clone())));
            let d_code = slopes.dims()[1];
            // The rows of the mask have no derivative by the inputs.
            let columns = weight.slice([0..features, 0..d_code]).square().sum_dim(0); // [1, d_code]
            return (slopes.square() * columns).sum_dim(1).squeeze_dim(1);
        }
        let tangent = |v: Tensor<2>, times: usize| {
            let repeat = |rows: &Tensor<2>| rows.clone().repeat_dim(0, times);
            let tangents =
                points.iter().map(|x| model.encode_jvp(repeat(x), v.clone(), visible.as_ref().map(repeat)).1);
            difference(tangents).square().sum_dim(1) // [times * batch, 1]
        };
        match self.method {
            Method::Exact => self.backwards(model, points, visible.as_ref()),
            _ => None,
        }
        .unwrap_or_else(|| {
            if self.method == Method::Exact || (self.method == Method::Auto && features <= EXACT_UP_TO) {
                let parts = chunks(features, batch).map(|(first, count)| {
                    let v = directions(&points[0], features, first, count);
                    tangent(v, count).reshape([count, batch]).sum_dim(0).reshape([batch])
                });
                return parts.reduce(|sum, part| sum + part).expect("an input has at least one feature");
            }
            let probes = (0..self.probes).map(|_| tangent(ae_kernels::signs_like(&points[0]), 1).reshape([batch]));
            probes.reduce(|sum, probe| sum + probe).expect("at least 1 probe is needed").div_scalar(self.probes as f64)
        })
    }

    /// [`sum`](Self::sum) with a backward pass for each unit of the code; `None` if those are not fewer than the
    /// inputs, or if the network has no backward pass.
    fn backwards(&self, model: &Parts, points: &[Tensor<2>], visible: Option<&Tensor<2>>) -> Option<Tensor<1>> {
        let [batch, features] = points[0].dims();
        if !model.code.is_diagonal() {
            return None;
        }
        let slopes: Vec<Tensor<2>> = points.iter().map(|x| model.slopes(x.clone(), visible.cloned())).collect();
        let units = slopes[0].dims()[1];
        if units >= features {
            return None;
        }
        let parts = chunks(units, batch).map(|(first, count)| {
            let repeat = |rows: &Tensor<2>| rows.clone().repeat_dim(0, count);
            let unit = directions(&points[0], units, first, count);
            let rows: Option<Vec<Tensor<2>>> = points
                .iter()
                .zip(&slopes)
                .map(|(x, slopes)| {
                    model.encoder.vjp(model.read(repeat(x), visible.map(repeat)), unit.clone() * repeat(slopes))
                })
                .collect();
            // The rows of the mask have no derivative by the inputs.
            let rows = difference(rows?.into_iter()).slice([0..count * batch, 0..features]);
            Some(rows.square().sum_dim(1).reshape([count, batch]).sum_dim(0).reshape([batch]))
        });
        parts.reduce(|sum, part| Some(sum? + part?)).flatten()
    }
}

/// Divides `count` directions into chunks that are computed together: the first direction of each, and their number.
fn chunks(count: usize, batch: usize) -> impl Iterator<Item = (usize, usize)> {
    let at_once = (ROWS / batch.max(1)).clamp(1, count.max(1));
    (0..count).step_by(at_once).map(move |first| (first, at_once.min(count - first)))
}

/// Unit vectors `first`, `first + 1`, ... of `width` coordinates, each for the whole batch of `like`, one after the
/// other: `[count * batch, width]`.
fn directions(like: &Tensor<2>, width: usize, first: usize, count: usize) -> Tensor<2> {
    let batch = like.dims()[0];
    let identity = Tensor::<2>::eye(width, &like.device()).cast(like.dtype());
    let v = identity.slice([first..first + count, 0..width]).reshape([count, 1, width]);
    v.expand([count, batch, width]).reshape([count * batch, width])
}

/// The first tensor, minus the second one if there is one.
fn difference(mut tensors: impl Iterator<Item = Tensor<2>>) -> Tensor<2> {
    let first = tensors.next().expect("a point");
    tensors.fold(first, |first, second| first - second)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tolerance};

    use super::*;
    use crate::{
        Activation, Autoencoder,
        network::{MlpConfig, Sizes},
    };

    fn model(hidden: Vec<usize>) -> Autoencoder<crate::network::Mlp, crate::network::Mlp> {
        let config = MlpConfig { hidden, activation: Activation::Tanh, ..Default::default() };
        let (sizes, device) = (Sizes::new(6, 4), Device::default());
        let decoder = config.decoder(&sizes, Activation::Identity, &device);
        Autoencoder::new(config.encoder(&sizes, &device), decoder).with_code(Activation::Sigmoid.into())
    }

    fn points() -> [Tensor<2>; 2] {
        [0.3, 0.9].map(|scale| {
            let values: Vec<f32> = (0..18).map(|i| scale * (i as f32 * 0.7).sin()).collect();
            Tensor::<1>::from_floats(values.as_slice(), &Device::default()).reshape([3, 6])
        })
    }

    #[test]
    fn the_closed_form_is_the_sum_over_all_directions() {
        let model = model(vec![]);
        let [x, y] = points();
        let exact = |points: &[Tensor<2>]| {
            let directions = (0..6).map(|i| {
                let v = x.zeros_like().slice_assign([0..3, i..i + 1], Tensor::ones([3, 1], &x.device()));
                difference(points.iter().map(|x| model.encode_jvp(x.clone(), v.clone(), None).1)).square().sum_dim(1)
            });
            directions.reduce(|sum, part| sum + part).unwrap().into_data()
        };
        let closed = Jacobian { method: Method::Auto, probes: 1 };
        let compare = |found: Tensor<1>, expected: burn::tensor::TensorData| {
            found.reshape([3, 1]).into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
        };
        compare(closed.norm2(&model.parts(), x.clone(), None), exact(std::slice::from_ref(&x)));
        compare(closed.difference2(&model.parts(), x.clone(), y.clone(), None), exact(&[x.clone(), y]));
    }

    #[test]
    fn the_norm_is_that_of_the_matrix() {
        let model = model(vec![5]);
        let [x, _] = points();
        let matrix = Jacobian::matrix(&model.parts(), x.clone(), None);
        assert_eq!(matrix.dims(), [3, 6, 4]);
        let expected = matrix.square().sum_dim(2).sum_dim(1).reshape([3]);
        let norm2 = Jacobian { method: Method::Exact, probes: 1 }.norm2(&model.parts(), x, None);
        norm2.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn the_estimate_is_unbiased() {
        for hidden in [vec![], vec![5]] {
            let model = model(hidden);
            let [x, _] = points();
            let exact = Jacobian { method: Method::Exact, probes: 1 }
                .norm2(&model.parts(), x.clone(), None)
                .sum()
                .into_scalar::<f32>();
            let estimate = Jacobian { method: Method::Hutchinson, probes: 3000 }
                .norm2(&model.parts(), x, None)
                .sum()
                .into_scalar::<f32>();
            // The relative standard deviation of one direction is at most sqrt(2): three standard errors for 3,000 are
            // 8%.
            assert!((estimate / exact - 1.0).abs() < 0.08, "{estimate}, expected {exact}");
        }
    }
}
