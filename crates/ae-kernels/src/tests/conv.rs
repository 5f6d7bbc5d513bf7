use burn::tensor::{Tensor, module};

use super::*;
use crate::{Activation, conv_transpose2d, conv2d};

#[test]
fn convolutions() {
    let device = seeded(6);
    for (kernel, stride, height, width) in
        [(1, 1, 3, 4), (3, 1, 5, 7), (3, 2, 28, 27), (5, 2, 9, 9), (3, 3, 10, 11), (5, 4, 6, 13)]
    {
        let padding = kernel / 2;
        let what = format!("kernel {kernel}, stride {stride}, {height} x {width}");
        let bias = random([6], &device);
        let inputs = [random([3, 4, height, width], &device), random([6, 4, kernel, kernel], &device)];
        let options = || burn::tensor::ops::ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
        for phi in [Activation::Elu, Activation::Silu] {
            let inputs = [inputs[0].clone().mul_scalar(0.3), inputs[1].clone()];
            let ours =
                |t: &[Tensor<4>]| conv2d(t[0].clone(), t[1].clone(), Some(on(&bias, &t[0])), stride, padding, phi);
            let burn = |t: &[Tensor<4>]| {
                phi.with_burn(module::conv2d(t[0].clone(), t[1].clone(), Some(on(&bias, &t[0])), options()))
            };
            assert_same(&format!("{what}, {phi:?}"), &inputs, ours, burn);
        }
        let no_bias = |t: &[Tensor<4>]| module::conv2d(t[0].clone(), t[1].clone(), None, options());
        assert_same(
            &what,
            &inputs,
            |t| conv2d(t[0].clone(), t[1].clone(), None, stride, padding, Activation::Identity),
            no_bias,
        );

        for (rest, phi) in
            [([0, 0], Activation::Sigmoid), ([stride - 1, 0], Activation::Sigmoid), ([0, 0], Activation::Gelu)]
        {
            // Small inputs: sums over all images lose digits where GELU's slope is 1 almost everywhere.
            let inputs =
                [random([3, 4, height, width], &device).mul_scalar(0.3), random([4, 6, kernel, kernel], &device)];
            let ours = |t: &[Tensor<4>]| {
                conv_transpose2d(t[0].clone(), t[1].clone(), Some(on(&bias, &t[0])), stride, padding, rest, phi)
            };
            let burn = |t: &[Tensor<4>]| {
                let options = burn::tensor::ops::ConvTransposeOptions::new([stride; 2], [padding; 2], rest, [1, 1], 1);
                phi.with_burn(module::conv_transpose2d(t[0].clone(), t[1].clone(), Some(on(&bias, &t[0])), options))
            };
            assert_same(&format!("transposed, {what}, {phi:?}"), &inputs, ours, burn);
        }
    }
}
