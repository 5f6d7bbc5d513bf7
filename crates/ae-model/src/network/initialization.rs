//! The initial weights of a network.

use burn::{
    nn::Initializer,
    serde::{Deserialize, Serialize},
};
use schemars::JsonSchema;

/// The distribution of a layer's initial weights, drawn from the device's generator. Biases are always uniform in
/// `+-1/sqrt(d_in)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "burn::serde", rename_all = "snake_case")]
pub enum Initialization {
    /// Uniform in `+-1/sqrt(d_in)`, as in Burn's and PyTorch's layers.
    #[default]
    Auto,
    /// Uniform with variance `2 / (d_in + d_out)`, for units that are linear near 0, such as tanh (Glorot and Bengio
    /// 2010).
    XavierUniform,
    /// Normal with the variance of `XavierUniform`.
    XavierNormal,
    /// Uniform with variance `2 / d_in`, for ReLU and similar activations (He et al. 2015).
    KaimingUniform,
    /// Normal with the variance of `KaimingUniform`.
    KaimingNormal,
    /// Orthonormal rows or columns, whichever are fewer (Saxe et al. 2014). A convolution's kernels are its rows.
    Orthogonal,
}

/// Uniform in `+-1/sqrt(d_in)`.
pub(super) const UNIFORM: Initializer =
    Initializer::KaimingUniform { gain: 0.577_350_269_189_625_8, fan_out_only: false };

impl Initialization {
    /// All initializations, in the order of lists for users.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::XavierUniform,
        Self::XavierNormal,
        Self::KaimingUniform,
        Self::KaimingNormal,
        Self::Orthogonal,
    ];

    /// Burn's initializer.
    pub fn initializer(self) -> Initializer {
        let (gain, fan_out_only) = (std::f64::consts::SQRT_2, false);
        match self {
            Self::Auto => UNIFORM,
            Self::XavierUniform => Initializer::XavierUniform { gain: 1.0 },
            Self::XavierNormal => Initializer::XavierNormal { gain: 1.0 },
            Self::KaimingUniform => Initializer::KaimingUniform { gain, fan_out_only },
            Self::KaimingNormal => Initializer::KaimingNormal { gain, fan_out_only },
            Self::Orthogonal => Initializer::Orthogonal { gain: 1.0 },
        }
    }
}

impl From<Initialization> for Initializer {
    fn from(initialization: Initialization) -> Self {
        initialization.initializer()
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        module::Module,
        tensor::{Device, Tensor, Tolerance},
    };

    use super::*;
    use crate::{
        Activation, Encoder,
        network::{ConvConfig, MlpConfig, Sizes},
    };

    fn variance(weights: Tensor<1>) -> f64 {
        weights.square().mean().into_scalar::<f64>()
    }

    #[test]
    fn each_initialization_has_its_variance() {
        let (d_in, d_out) = (300, 100);
        for (initialization, expected) in [
            (Initialization::Auto, 1.0 / (3 * d_in) as f64),
            (Initialization::XavierUniform, 2.0 / (d_in + d_out) as f64),
            (Initialization::XavierNormal, 2.0 / (d_in + d_out) as f64),
            (Initialization::KaimingUniform, 2.0 / d_in as f64),
            (Initialization::KaimingNormal, 2.0 / d_in as f64),
            (Initialization::Orthogonal, 1.0 / d_in as f64),
        ] {
            let config = MlpConfig::new().with_hidden([]).with_initializer(initialization);
            for device in [Device::default(), Device::default().autodiff()] {
                let layer = config.encoder(&Sizes::new(d_in, d_out), &device).layers.remove(0);
                assert!(layer.weight.val().is_require_grad() == device.is_autodiff(), "{initialization:?}");
                let found = variance(layer.weight.val().flatten(0, 1));
                // For 30,000 normal samples, three standard errors of the mean square are 2.4%.
                assert!((found / expected - 1.0).abs() < 0.04, "{initialization:?}: {found}, expected {expected}");
                let bias = layer.bias.val().abs().max().into_scalar::<f64>();
                assert!(
                    bias < 1.0 / (d_in as f64).sqrt() && bias > 0.9 / (d_in as f64).sqrt(),
                    "{initialization:?}: {bias}"
                );
            }
        }
    }

    #[test]
    fn orthogonal_columns_are_orthonormal() {
        let config = MlpConfig::new().with_hidden([]).with_initializer(Initialization::Orthogonal);
        let weight = config.encoder(&Sizes::new(20, 6), &Device::default()).layers[0].weight.val();
        let product = weight.clone().transpose().matmul(weight);
        product
            .into_data()
            .assert_approx_eq::<f32>(&Tensor::<2>::eye(6, &Device::default()).into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn convolutions_have_the_variance_of_their_fan() {
        let sizes = Sizes::new(16 * 64, 8).with_image(Some([16, 8, 8]));
        for (initialization, down, up) in [
            (Initialization::Auto, 1.0 / (3.0 * 16.0 * 9.0), 1.0 / (3.0 * 32.0 * 9.0 / 4.0)),
            (Initialization::KaimingNormal, 2.0 / (16.0 * 9.0), 2.0 / (32.0 * 9.0 / 4.0)),
            (
                Initialization::XavierUniform,
                2.0 / (16.0 * 9.0 + 32.0 * 9.0 / 4.0),
                2.0 / (32.0 * 9.0 / 4.0 + 16.0 * 9.0),
            ),
            (Initialization::Orthogonal, 1.0 / (16.0 * 9.0), 1.0 / (16.0 * 9.0)),
        ] {
            let config = ConvConfig::new().with_channels([32]).with_initializer(initialization);
            let (encoder, decoder) = config.init(&sizes, Activation::Identity, &Device::default());
            for (layer, expected) in [(&encoder.convolutions[0], down), (&decoder.convolutions[0], up)] {
                let found = variance(layer.weight.val().flatten(0, 3));
                assert!((found / expected - 1.0).abs() < 0.1, "{initialization:?}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn every_initialization_builds_tied_and_untied_networks() {
        let device = Device::default();
        for initialization in Initialization::ALL {
            let (config, sizes) = (MlpConfig::new().with_initializer(initialization), Sizes::new(12, 5));
            let encoder = config.encoder(&sizes, &device);
            assert_eq!(encoder.forward(Tensor::zeros([2, 12], &device)).dims(), [2, 5]);
            assert!(encoder.weights().iter().all(|weight| weight.clone().abs().max().into_scalar::<f32>() > 0.0));
            config.decoder(&sizes, Activation::Identity, &device).num_params();
            config.tied_decoder(&sizes, Activation::Identity, &device).num_params();
        }
    }
}
