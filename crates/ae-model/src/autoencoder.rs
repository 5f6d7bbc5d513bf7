//! The autoencoder: an encoder, a code and a decoder of any type.
//!
//! `z = f(x)`, `h = code(z)`, `o = g(h)`. The reconstruction `r` follows from the output `o` and the reconstruction
//! loss: it is `o` itself for squared error, and `sigmoid(o)` for Bernoulli.

use std::borrow::Cow;

use burn::{
    module::{Module, ModuleDisplay},
    tensor::Tensor,
};

use crate::{
    Activation, Activity, AnyCode, Code, Encoder, Head, Latent, Parts, Variance, network::Decode,
    parts::without_training,
};

/// An [`Encoder`] that is a Burn module. It is implemented for every such type.
pub trait ModuleEncoder: Encoder + Module + ModuleDisplay + 'static {}
impl<T: Encoder + Module + ModuleDisplay + 'static> ModuleEncoder for T {}

/// A [`Decode`] that is a Burn module. It is implemented for every such type.
pub trait ModuleDecoder: Decode + Module + ModuleDisplay + 'static {}
impl<T: Decode + Module + ModuleDisplay + 'static> ModuleDecoder for T {}

/// A [`Code`] that is a Burn module. It is implemented for every such type.
pub trait ModuleCode: Code + Module + ModuleDisplay + 'static {}
impl<T: Code + Module + ModuleDisplay + 'static> ModuleCode for T {}

/// An encoder, a code and a decoder.
///
/// ```
/// use ae_model::{Autoencoder, Decoder, Encoder};
/// use burn::{
///     module::Module,
///     nn::{Linear, LinearConfig},
///     tensor::{Device, Tensor},
/// };
///
/// #[derive(Module, Debug)]
/// struct Mine {
///     layer: Linear,
/// }
///
/// impl Encoder for Mine {
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.layer.forward(x)
///     }
/// }
///
/// impl Decoder for Mine {
///     fn forward(&self, h: Tensor<2>) -> Tensor<2> {
///         self.layer.forward(h)
///     }
/// }
///
/// let device = Device::default();
/// let layer = |from, to| Mine { layer: LinearConfig::new(from, to).init(&device) };
/// let model = Autoencoder::new(layer(8, 2), layer(2, 8));
/// assert_eq!(model.reconstruct(Tensor::zeros([4, 8], &device)).dims(), [4, 8]);
/// ```
#[derive(Module, Debug)]
pub struct Autoencoder<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode = AnyCode> {
    /// The encoder `f`: `[batch, d_input] -> [batch, d_code]`, or as many values as the code reads.
    pub encoder: E,
    /// Computes the code from `f(x)`.
    pub code: C,
    /// The decoder `g`: `[batch, d_code] -> [batch, d_output]`.
    pub decoder: D,
    /// How the reconstruction and its loss are computed from the decoder's output.
    #[module(skip)]
    pub reconstruction: Head,
    /// The variance of numeric features around their reconstruction, for a Gaussian likelihood with all constants;
    /// `None` for a squared error.
    pub variance: Option<Variance>,
    /// Whether the encoder also reads which values are visible (1 or 0), as a second half of its input.
    #[module(skip)]
    pub mask_input: bool,
    /// When each unit was last active, for penalties on units that never are; `None` if there are none.
    pub activity: Option<Activity>,
}

/// The result of one forward pass.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The latent of the input.
    pub latent: Latent,
    /// The decoder's output, `[batch, d_output]`: the reconstruction itself, or its logits under Bernoulli.
    pub output: Tensor<2>,
}

impl<E: ModuleEncoder, D: ModuleDecoder> Autoencoder<E, D> {
    /// An autoencoder whose code is the encoder's output, and whose reconstruction loss is the squared error.
    pub fn new(encoder: E, decoder: D) -> Self {
        let code = Activation::Identity.into();
        Self {
            encoder,
            code,
            decoder,
            reconstruction: Head::default(),
            variance: None,
            mask_input: false,
            activity: None,
        }
    }
}

impl<E: ModuleEncoder, D: ModuleDecoder, C: ModuleCode> Autoencoder<E, D, C> {
    /// Sets the code, one of this crate or your own.
    pub fn with_code<Other: ModuleCode>(self, code: Other) -> Autoencoder<E, D, Other> {
        let Self { encoder, decoder, reconstruction, variance, mask_input, activity, .. } = self;
        Autoencoder { encoder, code, decoder, reconstruction, variance, mask_input, activity }
    }

    /// Sets the reconstruction loss.
    pub fn with_reconstruction(mut self, reconstruction: impl Into<Head>) -> Self {
        self.reconstruction = reconstruction.into();
        self
    }

    /// Sets the variance of numeric features around their reconstruction.
    pub fn with_variance(mut self, variance: impl Into<Option<Variance>>) -> Self {
        self.variance = variance.into();
        self
    }

    /// Sets whether the encoder also reads which values of its input are visible; it then has twice as many inputs.
    pub fn with_mask_input(mut self, mask_input: bool) -> Self {
        self.mask_input = mask_input;
        self
    }

    /// Sets that it records when each of its units was last active in training.
    pub fn with_activity(mut self, activity: impl Into<Option<Activity>>) -> Self {
        self.activity = activity.into();
        self
    }

    /// The parts as trait objects, for penalties and [`Jacobian`](crate::Jacobian).
    pub fn parts(&self) -> Parts<'_> {
        Parts {
            encoder: &self.encoder,
            code: &self.code,
            decoder: &self.decoder,
            mask_input: self.mask_input,
            without_training: Box::new(|| {
                (Box::new(without_training(&self.encoder)), Box::new(without_training(&self.code)))
            }),
        }
    }

    /// The code `h`: `[batch, d_input] -> [batch, d_code]`.
    pub fn encode(&self, x: Tensor<2>) -> Tensor<2> {
        self.encode_visible(x, None)
    }

    /// The code of an input of which only some values are `visible` (1 or 0, `[batch, d_input]` like `x`; all values if
    /// `None`). Other values of `x` are ignored, even `NaN`.
    pub fn encode_visible(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<2> {
        self.parts().encode(x, visible).code
    }

    /// The code and its derivative along `v`, as [`Parts::encode_jvp`].
    pub fn encode_jvp(&self, x: Tensor<2>, v: Tensor<2>, visible: Option<Tensor<2>>) -> (Tensor<2>, Tensor<2>) {
        self.parts().encode_jvp(x, v, visible)
    }

    /// The reconstruction of a code: `[batch, d_code] -> [batch, d_output]`.
    ///
    /// # Panics
    /// The decoder also [reads the input](Decode::reads_input), which a code alone does not have.
    pub fn decode(&self, h: Tensor<2>) -> Tensor<2> {
        self.reconstruction.mean(self.decoder.decode(&self.code.given(h), &self.encoder))
    }

    /// The reconstruction `r` of an input: `[batch, d_input] -> [batch, d_output]`.
    pub fn reconstruct(&self, x: Tensor<2>) -> Tensor<2> {
        self.reconstruct_visible(x, None)
    }

    /// The reconstruction of an input of which only some values are `visible`.
    pub fn reconstruct_visible(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Tensor<2> {
        self.reconstruction.mean(self.forward(x, visible).output)
    }

    /// `x` with the reconstruction in place of the values that are not `visible` (1 or 0); all are `[batch, d_input]`.
    /// Visible values stay as they are.
    pub fn impute(&self, x: Tensor<2>, visible: Tensor<2>) -> Tensor<2> {
        let filled = self.reconstruct_visible(x.clone(), Some(visible.clone()));
        x.mask_where(visible.lower_equal_elem(0.5), filled)
    }

    /// The name of the reconstruction's term in logs and tables.
    pub fn loss_name(&self) -> Cow<'static, str> {
        if self.variance.is_some() && self.reconstruction.layout.is_none() {
            return "gaussian".into();
        }
        self.reconstruction.name()
    }

    /// The reconstruction loss per example, in nats: `[batch]`.
    ///
    /// The decoder's `output` and the target `x` are `[batch, d_output]`; `weights` as in
    /// [`Loss::loss`](crate::Loss::loss).
    pub fn loss(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        match &self.variance {
            Some(variance) => self.reconstruction.loss_with(variance, x, output, weights),
            None => self.reconstruction.loss(x, output, weights),
        }
    }

    /// `log p(x | h)` per example, in nats and with all constants: `[batch]`, for the decoder's `output` for `h`.
    pub fn log_likelihood(&self, x: Tensor<2>, output: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let loss = self.loss(x.clone(), output, weights.clone());
        match self.variance {
            Some(_) => loss.neg(),
            None => (loss + self.reconstruction.constant(x, weights)).neg(),
        }
    }

    /// The latent and the decoder's output together, as a loss needs them.
    pub fn forward(&self, x: Tensor<2>, visible: Option<Tensor<2>>) -> Forward {
        self.forward_with(false, None, x, visible).0
    }

    /// As [`forward`](Self::forward), with the encoder's output in the latent if `keep_z`. Also the derivative of the
    /// code along `v`, if given and if the encoder computes it.
    pub(crate) fn forward_with(
        &self,
        keep_z: bool,
        v: Option<Tensor<2>>,
        x: Tensor<2>,
        visible: Option<Tensor<2>>,
    ) -> (Forward, Option<Tensor<2>>) {
        let parts = self.parts();
        let read = parts.read(x, visible);
        // In training it would replace dropout and the statistics of a batch norm.
        let v = v.filter(|_| !parts.encoder.changes_in_training());
        let both = v.and_then(|v| parts.encoder.jvp(read.clone(), parts.tangent(v)));
        let (z, t) = match both {
            Some((z, t)) => (z, Some(t)),
            None => (parts.encoder.forward(read.clone()), None),
        };
        // The code first: its derivative is at the thresholds that this batch has moved.
        let code = parts.code_of(z.clone());
        let t = t.map(|t| parts.code_jvp(z.clone(), t).1);
        let kept = keep_z.then_some(z);
        let mut latent = parts.with_input(code, read);
        latent.z = kept.or(latent.z);
        let output = parts.decode(&latent);
        (Forward { latent, output }, t)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{
        Activation,
        network::{MlpConfig, Sizes},
    };

    #[test]
    fn imputation_only_replaces_missing_values() {
        let device = Device::default();
        for mask_input in [false, true] {
            let sizes = Sizes::new(3, 2);
            let sizes = if mask_input { sizes.with_mask() } else { sizes };
            let config = MlpConfig::default();
            let (encoder, decoder) =
                (config.encoder(&sizes, &device), config.decoder(&sizes, Activation::Sigmoid, &device));
            let model = Autoencoder::new(encoder, decoder).with_mask_input(mask_input);
            let visible = Tensor::<2>::from_floats([[1.0, 0.0, 1.0]], &device);
            let filled = |missing: f32| -> Vec<f32> {
                let x = Tensor::<2>::from_floats([[0.25, missing, -7.0]], &device);
                model.impute(x, visible.clone()).into_data().iter::<f32>().collect()
            };
            let values = filled(f32::NAN);
            assert_eq!((values[0], values[2]), (0.25, -7.0));
            assert!(values[1] > 0.0 && values[1] < 1.0, "{values:?}");
            assert_eq!(values, filled(123.0), "values that are not visible are ignored");
        }
    }
}
