use burn::tensor::{Device, IndexingUpdateOp, Tensor, module};

use super::*;
use crate::{Activation, Sparse};

#[test]
fn sparse_codes() {
    let device = seeded(5);
    for (batch, width, k, d_out) in [(1, 1, 1, 1), (5, 40, 40, 3), (33, 500, 7, 20), (128, 6144, 32, 50)] {
        for activation in [Activation::Relu, Activation::Identity, Activation::Sigmoid] {
            let dense = |z: &Tensor<2>| {
                let y = activation.with_burn(z.clone());
                let (values, places) = z.clone().detach().topk_with_indices(k, 1);
                y * z.zeros_like().detach().scatter(1, places, values.ones_like(), IndexingUpdateOp::Add)
            };
            let bias = random([d_out], &device);
            let inputs = [random([batch, width], &device), random([width, d_out], &device)];
            let sparse = |z: &Tensor<2>| Sparse::top_k(z, k, activation).expect("a kernel");
            assert_same("dense", &inputs[..1], |t| sparse(&t[0]).dense(), |t| dense(&t[0]));
            for after in [Activation::Identity, Activation::Tanh, Activation::Gelu] {
                let ours = |t: &[Tensor<2>]| sparse(&t[0]).linear(t[1].clone(), on(&bias, &t[0]), after);
                let burn = |t: &[Tensor<2>]| {
                    after.with_burn(module::linear(dense(&t[0]), t[1].clone(), Some(on(&bias, &t[0]))))
                };
                assert_same(&format!("{k} of {width}, {after:?}"), &inputs, ours, burn);
            }
        }
    }
}

#[test]
fn top_k_handles_ties_infinities_and_nan() {
    let device = Device::flex();
    let kept = |row: &[f32], k: usize| {
        let z = Tensor::<1>::from_floats(row, &device).unsqueeze_dim::<2>(0);
        let h = numbers(Sparse::top_k(&z, k, Activation::Identity).expect("a kernel").dense());
        (0..row.len()).filter(|&i| h[i] != 0.0).collect::<Vec<_>>()
    };
    assert_eq!(kept(&[1.0; 100], 3), [0, 1, 2]);
    assert_eq!(kept(&[f32::NEG_INFINITY; 70], 2), [0, 1]);
    let mut row: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1000) as f32).collect();
    row[17] = f32::INFINITY;
    row[400] = f32::NAN;
    let mut best: Vec<usize> = (0..1000).filter(|&i| i != 400).collect();
    best.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    best.truncate(50);
    best.sort_unstable();
    assert_eq!(kept(&row, 50), best);
    let h = Tensor::<2>::from_floats([[0.0, -3.0, 0.0, 0.5], [0.0, 0.0, 0.0, -0.0]], &device);
    let of = Sparse::of(&h, 2).expect("at most two in a row");
    assert_eq!(numbers(of.dense()), numbers(h.clone()));
    assert!(Sparse::of(&h, 1).is_none(), "a row has two");
    assert_eq!(kept(&[f32::NAN, 2.0, f32::NAN], 2), [0, 1], "NaN is kept where nothing else is left");
}
