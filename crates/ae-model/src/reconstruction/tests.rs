//! The losses, and the head of a table.

use burn::tensor::{Device, Tensor, Tolerance};

use super::*;
use crate::Layout;

fn rows(values: [[f32; 2]; 2]) -> Tensor<2> {
    Tensor::from_floats(values, &Device::default())
}

#[test]
fn squared_error_is_half_the_sum_per_example() {
    let loss = SquaredError.loss(rows([[1.0, 2.0], [0.0, 0.0]]), rows([[0.0, 4.0], [0.0, 1.0]]), None);
    loss.into_data().assert_eq(&[2.5f32, 0.5].into(), true);
}

#[test]
fn bernoulli_is_log_two_at_logit_zero_and_finite_far_away() {
    let loss = Bernoulli.loss(rows([[0.3, 1.0], [1.0, 0.0]]), rows([[0.0, 0.0], [1e4, -1e4]]), None);
    loss.into_data().assert_approx_eq::<f32>(&[2.0 * std::f32::consts::LN_2, 0.0].into(), Tolerance::absolute(1e-6));
}

#[test]
fn missing_values_do_not_count() {
    let observed = rows([[1.0, 0.0], [0.0, 0.0]]);
    for (loss, first) in [(&SquaredError as &dyn Loss, 0.5), (&Bernoulli, std::f32::consts::LN_2)] {
        let x = rows([[1.0, 7.0], [5.0, 5.0]]);
        let counted = loss.loss(x.clone(), rows([[0.0, 0.0], [0.0, 0.0]]), Some(observed.clone())).into_data();
        counted.assert_approx_eq::<f32>(&[first, 0.0].into(), Tolerance::absolute(1e-6));
    }
}

#[test]
fn each_kind_of_column_has_its_loss() {
    let device = Device::default();
    let head = Head::new(SquaredError, Some(Layout { numbers: 1, booleans: 1, categories: vec![2, 3] }));
    // A 2 reconstructed as 1; a true boolean at logit 0; the second of two levels at equal logits; a missing
    // category.
    let x = Tensor::<2>::from_floats([[2.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]], &device);
    let output = Tensor::<2>::from_floats([[1.0, 0.0, 5.0, 5.0, 1.0, 2.0, 3.0]], &device);
    let observed = Tensor::<2>::from_floats([[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]], &device);
    let loss = head.loss(x.clone(), output.clone(), Some(observed));
    let two = std::f32::consts::LN_2;
    loss.into_data().assert_approx_eq::<f32>(&[0.5 + two + two].into(), Tolerance::absolute(1e-6));
    let mean: Vec<f32> = head.mean(output).into_data().iter::<f32>().collect();
    assert_eq!(mean[..4], [1.0, 0.5, 0.5, 0.5]);
    assert!((mean[4..].iter().sum::<f32>() - 1.0).abs() < 1e-6 && mean[6] > mean[5]);
    assert_eq!((&*head.name(), &*Head::default().name()), ("reconstruction", "squared_error"));
}

#[test]
fn numeric_features_need_no_layout() {
    assert!(Head::new(Bernoulli, Some(Layout::of_numbers(3))).layout.is_none());
}
