//! The derivative of the code: `||J(x)||_F^2 = sum_ij (dh_j / dx_i)^2`, per example.
//!
//! - closed form, where the network is one affine map: `J = diag(phi'(z)) W^T`, so that `||J||^2 = sum_j phi'_j^2 sum_i W_ij^2`
//!   (Rifai et al. 2011a);
//! - exact for any network, by forward mode: one tangent for each input, `sum_i ||J e_i||^2`;
//! - Hutchinson's estimate, for networks of many inputs: `E ||J v||^2` for `v ~ N(0, I)`, one tangent a probe, unbiased.
//!
//! All are ordinary differentiable tensor operations: a loss on them trains the network, and without gradients they give the same value.

use burn::{
    serde::{Deserialize, Serialize},
    tensor::Tensor,
};

use crate::{Autoencoder, Code, Decoder, Encoder};

/// Rows that go through the network at a time when a Jacobian is computed exactly.
const ROWS: usize = 4096;

/// Inputs up to which [`Method::Auto`] computes exactly: beyond, the tangents would cost far more than the step that they belong to.
pub const EXACT_UP_TO: usize = 32;

/// How the norm is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(crate = "burn::serde", rename_all = "snake_case")]
pub enum Method {
    /// In closed form for one affine map; else exactly for up to [`EXACT_UP_TO`] inputs, whose tangents cost one pass each; else by
    /// Hutchinson's estimate.
    #[default]
    Auto,
    /// One tangent for each input; the closed form where there is one, which is the same number.
    Exact,
    /// By random probes, even where there is a closed form.
    Hutchinson,
}

/// How to take the derivative of the code at some points.
#[derive(Debug, Clone, Copy)]
pub struct Jacobian {
    /// How the norm is computed.
    pub method: Method,
    /// Probes of Hutchinson's estimate, at least 1.
    pub probes: usize,
}

impl Jacobian {
    /// `||J(x)||_F^2` of the code of `x` (`[batch, d_input]`; `visible` as in [`Autoencoder::encode_visible`]), per example: `[batch]`.
    pub fn norm2<E: Encoder, D: Decoder>(&self, model: &Autoencoder<E, D>, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<1> {
        self.sum(model, &[x], visible)
    }

    /// [`norm2`](Self::norm2) where the code `h` of `x` is known: in closed form it is then all that is needed.
    pub fn norm2_of<E: Encoder, D: Decoder>(
        &self,
        model: &Autoencoder<E, D>,
        x: Tensor<2>,
        visible: Option<Tensor<2>>,
        h: &Tensor<2>,
    ) -> Tensor<1> {
        self.kernel(model, x.dims()[1], h).unwrap_or_else(|| self.norm2(model, x, visible))
    }

    /// The closed form of one layer by its kernel, where there is one.
    fn kernel<E: Encoder, D: Decoder>(&self, model: &Autoencoder<E, D>, features: usize, h: &Tensor<2>) -> Option<Tensor<1>> {
        let (Code::Deterministic(code), false) = (&model.code, self.method == Method::Hutchinson) else { return None };
        let (weight, activation) = (model.encoder.affine()?, code.activation.kernel()?);
        // The rows of a mask carry no derivative by the inputs.
        let weight = if weight.dims()[0] == features { weight } else { weight.slice(0..features) };
        ae_kernels::layer_jacobian_norm2(h, &weight, activation)
    }

    /// `||J(x) - J(y)||_F^2`, per example: `[batch]`.
    pub fn difference2<E: Encoder, D: Decoder>(
        &self,
        model: &Autoencoder<E, D>,
        x: Tensor<2>,
        y: Tensor<2>,
        visible: Option<Tensor<2>>,
    ) -> Tensor<1> {
        self.sum(model, &[x, y], visible)
    }

    /// The whole derivative of the code of `x`, `[batch, d_input, d_code]`: row `i` is `dh / dx_i`. Exact, whatever the method.
    pub fn matrix<E: Encoder, D: Decoder>(model: &Autoencoder<E, D>, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<3> {
        let [batch, features] = x.dims();
        let tangents = (0..features).map(|i| {
            let v = x.zeros_like().slice_fill([0..batch, i..i + 1], 1.0);
            model.encode_jvp(x.clone(), v, visible.clone()).1.unsqueeze_dim::<3>(1)
        });
        Tensor::cat(tangents.collect(), 1)
    }

    /// The squared norm of the first point's Jacobian, less that of the second one if there is a second.
    fn sum<E: Encoder, D: Decoder>(&self, model: &Autoencoder<E, D>, points: &[Tensor<2>], visible: Option<Tensor<2>>) -> Tensor<1> {
        let [batch, features] = points[0].dims();
        if self.method != Method::Hutchinson
            && let Some(weight) = model.encoder.affine()
        {
            let slopes = difference(points.iter().map(|x| model.slopes(x.clone(), visible.clone())));
            let d_code = slopes.dims()[1];
            // The rows of a mask carry no derivative by the inputs.
            let columns = weight.slice([0..features, 0..d_code]).square().sum_dim(0); // [1, d_code]
            return (slopes.square() * columns).sum_dim(1).squeeze_dim(1);
        }
        let exact = self.method == Method::Exact || (self.method == Method::Auto && features <= EXACT_UP_TO);
        let tangent = |v: Tensor<2>, times: usize| {
            let repeat = |rows: &Tensor<2>| rows.clone().repeat_dim(0, times);
            let tangents = points.iter().map(|x| model.encode_jvp(repeat(x), v.clone(), visible.as_ref().map(repeat)).1);
            difference(tangents).square().sum_dim(1) // [times * batch, 1]
        };
        if exact {
            let at_once = (ROWS / batch.max(1)).clamp(1, features);
            let identity = Tensor::<2>::eye(features, &points[0].device()).cast(points[0].dtype());
            let parts = (0..features).step_by(at_once).map(|first| {
                let count = at_once.min(features - first);
                // Each direction for the whole batch, one after the other: [count * batch, features].
                let v = identity.clone().slice([first..first + count, 0..features]).reshape([count, 1, features]);
                let v = v.expand([count, batch, features]).reshape([count * batch, features]);
                tangent(v, count).reshape([count, batch]).sum_dim(0).reshape([batch])
            });
            parts.reduce(|sum, part| sum + part).expect("an input has at least one feature")
        } else {
            let probes = (0..self.probes).map(|_| {
                let v = ae_kernels::normal_like(&points[0], 1.0);
                tangent(v, 1).reshape([batch])
            });
            probes.reduce(|sum, probe| sum + probe).expect("there is at least one probe").div_scalar(self.probes as f64)
        }
    }
}

/// The first tensor, less the second one if there is a second.
fn difference(mut tensors: impl Iterator<Item = Tensor<2>>) -> Tensor<2> {
    let first = tensors.next().expect("a point");
    tensors.fold(first, |first, second| first - second)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tolerance};

    use super::*;
    use crate::{
        Activation,
        network::{MlpConfig, Sizes},
    };

    fn model(hidden: Vec<usize>) -> Autoencoder<crate::network::Mlp, crate::network::Mlp> {
        let config = MlpConfig { hidden, activation: Activation::Tanh, ..Default::default() };
        let (encoder, decoder) = config.init(&Sizes::new(6, 4), Activation::Identity, &Device::default());
        Autoencoder::new(encoder, decoder).with_code(Activation::Sigmoid.into())
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
        compare(closed.norm2(&model, x.clone(), None), exact(std::slice::from_ref(&x)));
        compare(closed.difference2(&model, x.clone(), y.clone(), None), exact(&[x.clone(), y]));
    }

    #[test]
    fn the_norm_is_that_of_the_matrix() {
        let model = model(vec![5]);
        let [x, _] = points();
        let matrix = Jacobian::matrix(&model, x.clone(), None);
        assert_eq!(matrix.dims(), [3, 6, 4]);
        let expected = matrix.square().sum_dim(2).sum_dim(1).reshape([3]);
        let norm2 = Jacobian { method: Method::Exact, probes: 1 }.norm2(&model, x, None);
        norm2.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn the_estimate_is_unbiased() {
        for hidden in [vec![], vec![5]] {
            let model = model(hidden);
            let [x, _] = points();
            let exact = Jacobian { method: Method::Exact, probes: 1 }.norm2(&model, x.clone(), None).sum().into_scalar::<f32>();
            let estimate = Jacobian { method: Method::Hutchinson, probes: 3000 }.norm2(&model, x, None).sum().into_scalar::<f32>();
            // One probe's relative deviation is at most sqrt(2): three deviations of the mean of 3,000 are 8%.
            assert!((estimate / exact - 1.0).abs() < 0.08, "{estimate}, expected {exact}");
        }
    }
}
