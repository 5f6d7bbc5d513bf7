//! Convolutional networks of images of any size, and their tangents.

use burn::tensor::{Device, Distribution, Tensor, Tolerance};

use super::*;
use crate::{
    Activation,
    network::{Decoder, Encoder, NormKind, Sizes, finite_difference_jvp, tests::in_double_precision},
};

#[test]
fn images_of_any_size_are_reconstructed() {
    let device = Device::default();
    for (image, stride, layers) in [
        ([1, 8, 8], 2, 3),
        ([3, 7, 5], 2, 2),
        ([2, 1, 9], 3, 2),
        ([1, 6, 10], 4, 1),
        ([1, 5, 5], 1, 2),
        ([1, 11, 4], 3, 1),
    ] {
        let config = ConvConfig { channels: vec![3; layers], stride, ..Default::default() };
        config.check_image(Some(image)).unwrap();
        let features = image.iter().product();
        let (encoder, decoder) =
            config.init(&Sizes::new(features, 4).with_image(Some(image)), Activation::Identity, &device);
        let x = Tensor::<2>::ones([2, features], &device);
        let h = encoder.forward(x);
        assert_eq!(h.dims(), [2, 4], "{image:?}");
        assert_eq!(decoder.forward(h).dims(), [2, features], "{image:?}");
    }
}

#[test]
fn the_tangent_is_that_of_central_differences_with_every_norm() {
    let device = Device::default();
    for norm in [NormKind::None, NormKind::Layer, NormKind::Batch] {
        let config =
            ConvConfig { channels: vec![3, 4], norm, activation: Activation::Tanh, dropout: 0.5, ..Default::default() };
        let (encoder, _) = config.init(&Sizes::new(42, 5).with_image(Some([1, 7, 6])), Activation::Identity, &device);
        let encoder = in_double_precision(encoder);
        let random = |distribution| Tensor::<2>::random([3, 42], distribution, &device).cast(burn::tensor::DType::F64);
        let (x, v) = (random(Distribution::Uniform(0.0, 1.0)), random(Distribution::Normal(0.0, 1.0)));
        let (code, tangent) = encoder.jvp(x.clone(), v.clone()).unwrap();
        let (same, estimate) = finite_difference_jvp(|x| encoder.forward(x), x, v);
        code.into_data().assert_approx_eq::<f64>(&same.into_data(), Tolerance::absolute(1e-9));
        tangent.into_data().assert_approx_eq::<f64>(&estimate.into_data(), Tolerance::absolute(1e-5));
    }
}

#[test]
fn invalid_settings_are_refused_by_name() {
    let config = ConvConfig::default();
    assert_eq!(config.check_image(None).unwrap_err().field, "kind");
    let deep = ConvConfig { channels: vec![4; 5], ..Default::default() };
    let error = deep.check_image(Some([1, 8, 8])).unwrap_err().to_string();
    assert!(error.contains("at most 3 layers"), "{error}");
    assert_eq!(ConvConfig { kernel: 4, ..Default::default() }.check().unwrap_err().field, "kernel");
    assert_eq!(ConvConfig { channels: vec![], ..Default::default() }.check().unwrap_err().field, "channels");
    assert_eq!(ConvConfig { channels: vec![4, 0], ..Default::default() }.check().unwrap_err().field, "channels[1]");
    assert_eq!(ConvConfig { stride: 0, ..Default::default() }.check().unwrap_err().field, "stride");
    assert_eq!(ConvConfig { dropout: 1.0, ..Default::default() }.check().unwrap_err().field, "dropout");
}
