//! Perceptrons with tied and untied weights, their tangents, and dropout.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use super::*;
use crate::{
    Activation, Autoencoder,
    network::{
        Affine, Decode, Encoder, NetworkDecoder, NetworkEncoder, NormKind, Sizes, finite_difference_jvp,
        tests::in_double_precision,
    },
};

#[test]
fn a_tied_decoder_halves_the_weights_and_still_decodes() {
    let device = Device::default();
    let config = MlpConfig { hidden: vec![6, 5], activation: Activation::Tanh, tied: true, ..Default::default() };
    let sizes = Sizes::new(8, 3);
    let (encoder, decoder) =
        (config.encoder(&sizes, &device), config.tied_decoder(&sizes, Activation::Sigmoid, &device));
    assert_eq!(encoder.num_params(), (8 * 6 + 6) + (6 * 5 + 5) + (5 * 3 + 3));
    assert_eq!(decoder.num_params(), 5 + 6 + 8);
    let model = Autoencoder::new(encoder, decoder);
    assert_eq!(model.reconstruct(Tensor::zeros([2, 8], &device)).dims(), [2, 8]);
}

#[test]
fn gradients_of_tied_weights_sum_both_uses() {
    // r = x W W^T with the 1 x 1 matrix W = w: r = w^2 x, so that dr/dw = 2 w x; the encoder's use by itself would
    // give w x.
    let device = Device::default().autodiff();
    let config = MlpConfig { hidden: vec![], tied: true, ..Default::default() };
    let sizes = Sizes::new(1, 1);
    let (mut encoder, decoder) =
        (config.encoder(&sizes, &device), config.tied_decoder(&sizes, Activation::Identity, &device));
    encoder.layers[0] = Affine::from_tensors(Tensor::from_floats([[3.0]], &device), Tensor::zeros([1], &device));
    let model = Autoencoder::new(encoder, decoder);
    let grads = model.reconstruct(Tensor::from_floats([[2.0]], &device)).sum().backward();
    let weight = model.encoder.layers[0].weight.val();
    assert_eq!(weight.grad(&grads).expect("the weight is trained").into_scalar::<f32>(), 12.0);
}

#[test]
fn a_layer_of_no_units_is_refused_by_name() {
    let error = MlpConfig { hidden: vec![4, 0], ..Default::default() }.check().unwrap_err();
    assert_eq!(error.field, "hidden[1]");
}

#[test]
fn a_stack_without_layers_changes_nothing() {
    let x = Tensor::<2>::from_floats([[1.0, -2.0]], &Device::default());
    let (stack, data) = (Mlp::new(Vec::new(), Activation::Relu), x.clone().into_data());
    Encoder::forward(&stack, x.clone()).into_data().assert_eq(&data, true);
    stack.decode(&x.clone().into(), &stack).into_data().assert_eq(&data, true);
    stack.jvp(x.ones_like(), x.clone()).unwrap().1.into_data().assert_eq(&data, true);
    stack.vjp(x.ones_like(), x.clone()).unwrap().into_data().assert_eq(&data, true);
    assert!(stack.affine().is_none() && stack.weights().is_empty());
}

#[test]
fn a_decoder_can_have_its_own_widths() {
    let device = Device::default();
    let sizes = Sizes::new(8, 3).with_reads(6);
    let widths = |decoder: &Mlp| decoder.layers.iter().map(|layer| layer.weight.val().dims()).collect::<Vec<_>>();
    let mirror = MlpConfig::new().with_hidden([7, 5]);
    assert!(mirror.is_mirrored() && mirror.clone().with_decoder_hidden([5, 7]).is_mirrored());
    assert_eq!(widths(&mirror.decoder(&sizes, Activation::Identity, &device)), [[3, 5], [5, 7], [7, 8]]);
    for (given, expected) in [(vec![], vec![[3, 8]]), (vec![4], vec![[3, 4], [4, 8]])] {
        let config = mirror.clone().with_norm(NormKind::Layer).with_decoder_hidden(given);
        config.check().unwrap();
        assert!(!config.is_mirrored());
        let network = crate::network::Network::from(config.clone());
        let (encoder, decoder) = network.init(&sizes, Activation::Identity, &device);
        let (NetworkEncoder::Mlp(encoder), NetworkDecoder::Mlp(decoder)) = (encoder, decoder) else {
            panic!("perceptrons")
        };
        assert_eq!((widths(&encoder), widths(&decoder)), (vec![[8, 7], [7, 5], [5, 6]], expected));
        assert_eq!(decoder.norms.len(), decoder.layers.len() - 1);
        assert_eq!(decoder.forward(Tensor::zeros([2, 3], &device)).dims(), [2, 8]);
    }
}

#[test]
fn a_decoder_with_its_own_widths_cannot_be_tied() {
    let config = MlpConfig::new().with_hidden([7, 5]).with_tied(true);
    config.clone().with_decoder_hidden([5, 7]).check().unwrap();
    let error = config.with_decoder_hidden([5]).check().unwrap_err().to_string();
    assert!(error.starts_with("`decoder_hidden` is [5], but must be left out with `tied`"), "{error}");
    assert_eq!(MlpConfig::new().with_decoder_hidden([3, 0]).check().unwrap_err().field, "decoder_hidden[1]");
}

#[test]
fn tangents_include_norms_and_exclude_dropout() {
    let device = Device::default();
    for norm in [NormKind::None, NormKind::Layer, NormKind::Batch] {
        let config =
            MlpConfig { hidden: vec![7, 6], activation: Activation::Tanh, norm, dropout: 0.5, ..Default::default() };
        let encoder = in_double_precision(config.encoder(&Sizes::new(5, 3), &device));
        let random = |distribution| Tensor::<2>::random([6, 5], distribution, &device).cast(burn::tensor::DType::F64);
        let x = random(burn::tensor::Distribution::Uniform(-2.0, 2.0));
        let v = random(burn::tensor::Distribution::Normal(0.0, 1.0));
        let (code, tangent) = encoder.jvp(x.clone(), v.clone()).unwrap();
        let (same, estimate) = finite_difference_jvp(|x| Encoder::forward(&encoder, x), x, v);
        code.into_data().assert_approx_eq::<f64>(&same.into_data(), burn::tensor::Tolerance::absolute(1e-9));
        tangent.into_data().assert_approx_eq::<f64>(&estimate.into_data(), burn::tensor::Tolerance::absolute(1e-5));
    }
}

#[test]
fn dropout_acts_in_training_only() {
    let training = Device::default().autodiff();
    let config = MlpConfig { hidden: vec![64], dropout: 0.5, ..Default::default() };
    let encoder = config.encoder(&Sizes::new(5, 3), &training);
    let x = Tensor::<2>::ones([2, 5], &training);
    let different = |a: Tensor<2>, b: Tensor<2>| (a - b).abs().max().into_scalar::<f32>();
    assert!(different(Encoder::forward(&encoder, x.clone()), Encoder::forward(&encoder, x.clone())) > 0.0);
    let (encoder, x) = (encoder.valid(), x.without_autodiff());
    assert_eq!(different(Encoder::forward(&encoder, x.clone()), Encoder::forward(&encoder, x)), 0.0);
}

#[test]
fn vjp_and_jvp_agree() {
    // u . (J v) = (J^T u) . v for all u and v.
    let device = Device::default();
    let random = |width| Tensor::<2>::random([6, width], burn::tensor::Distribution::Normal(0.0, 1.0), &device);
    for hidden in [vec![], vec![7, 4]] {
        let config = MlpConfig { hidden, activation: Activation::Softplus, ..Default::default() };
        let encoder = config.encoder(&Sizes::new(5, 3), &device);
        let (x, v, u) = (random(5), random(5), random(3));
        let forwards = (encoder.jvp(x.clone(), v.clone()).unwrap().1 * u.clone()).sum_dim(1);
        let backwards = (encoder.vjp(x, u).unwrap() * v).sum_dim(1);
        forwards.into_data().assert_approx_eq::<f32>(&backwards.into_data(), burn::tensor::Tolerance::absolute(1e-5));
    }
}
