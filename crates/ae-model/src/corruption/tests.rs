//! The statistics of each corruption, and what it leaves unchanged.

use burn::tensor::{Device, Tensor};

use super::*;
use crate::{Inputs, Layout};

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn of(config: impl Into<CorruptionConfig>) -> Corruption {
    config.into().init(&Inputs::unit(1))
}

#[test]
fn each_noise_has_its_own_statistics() {
    let x = Tensor::<2>::full([200, 50], 0.5, &Device::default());
    let gaussian = values(of(GaussianConfig::new(0.3)).apply(x.clone(), None, None).x);
    let mean = gaussian.iter().sum::<f32>() / 1e4;
    let std = (gaussian.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 1e4).sqrt();
    // For ten thousand samples, three standard errors are 0.009 for the mean and 0.0064 for the standard deviation.
    assert!((mean - 0.5).abs() < 0.012 && (std - 0.3).abs() < 0.01, "{mean} {std}");

    let salt = values(of(SaltAndPepper { rate: 0.2, ..Default::default() }).apply(x.clone(), None, None).x);
    let share = |value: f32| salt.iter().filter(|&&seen| seen == value).count() as f32 / 1e4;
    assert!((share(0.0) - 0.1).abs() < 0.015 && (share(1.0) - 0.1).abs() < 0.015 && (share(0.5) - 0.8).abs() < 0.02);

    let masking = of(Masking { rate: 0.1, rate_max: 0.6 });
    let hidden = masking.apply(x, None, None).hidden.unwrap().sum_dim(1).div_scalar(50.0);
    let rates = values(hidden);
    assert!((rates.iter().sum::<f32>() / 200.0 - 0.35).abs() < 0.06);
    assert!(
        rates.iter().any(|&rate| rate < 0.2) && rates.iter().any(|&rate| rate > 0.5),
        "each example draws its own rate"
    );
}

#[test]
fn missing_values_stay_missing_and_do_not_count() {
    let device = Device::default();
    let observed = Tensor::<2>::from_floats([[1.0, 0.0, 1.0, 0.0]], &device);
    let x = Tensor::<2>::from_floats([[0.7, 0.0, 0.2, 0.0]], &device);
    let masking = Masking { rate: 0.5, rate_max: 0.0 };
    let emphasis = Emphasis { changed: 3.0, intact: 1.0 };
    let corruption = of(CorruptionConfig::from(GaussianConfig::default()).with(masking).with_emphasis(emphasis));
    for _ in 0..20 {
        let corrupted = corruption.apply(x.clone(), Some(observed.clone()), None);
        let (x, visible, weights) =
            (values(corrupted.x), values(corrupted.visible.unwrap()), values(corrupted.weights.unwrap()));
        assert_eq!((x[1], x[3], visible[1], visible[3]), (0.0, 0.0, 0.0, 0.0));
        assert!(x.iter().zip(&visible).all(|(x, visible)| *visible == 1.0 || *x == 0.0));
        for (place, expected) in [(0, 3.0 - 2.0 * visible[0]), (1, 0.0), (2, 3.0 - 2.0 * visible[2]), (3, 0.0)] {
            assert_eq!(weights[place], expected, "noise that is added everywhere changes no weight");
        }
    }
}

#[test]
fn emphasis_weights_the_hidden_by_alpha_and_the_rest_by_beta() {
    let masking = CorruptionConfig::from(Masking { rate: 0.5, rate_max: 0.0 });
    let corruption = of(masking.with_emphasis(Emphasis { changed: 2.0, intact: 0.5 }));
    let corrupted = corruption.apply(Tensor::ones([4, 8], &Device::default()), None, None);
    for (visible, weight) in values(corrupted.visible.unwrap()).iter().zip(values(corrupted.weights.unwrap())) {
        assert_eq!(weight, if *visible == 1.0 { 0.5 } else { 2.0 });
    }
}

/// Rows with a numeric column, a boolean that is true, and a category of three levels of which the second is set.
fn table(rows: usize) -> (Tensor<2>, Layout) {
    let row = Tensor::<2>::from_floats([[0.5, 1.0, 0.0, 1.0, 0.0]], &Device::default());
    (row.repeat_dim(0, rows), Layout { numbers: 1, booleans: 1, categories: vec![3] })
}

#[test]
fn corrupted_tables_are_valid() {
    let (x, layout) = table(4000);
    // P(a normal variable with standard deviation 0.5 is above 0.5) = 0.1587.
    for (corruption, flips, moves) in [
        (of(GaussianConfig::new(0.5)), 0.1587, 2.0 * 0.1587 * 2.0 / 3.0),
        (of(SaltAndPepper { rate: 0.3, ..Default::default() }), 0.15, 0.3 * 2.0 / 3.0),
    ] {
        let rows = values(corruption.apply(x.clone(), None, Some(&layout)).x);
        let rows: Vec<&[f32]> = rows.chunks_exact(5).collect();
        for row in &rows {
            assert!(
                row[1..].iter().all(|&value| value == 0.0 || value == 1.0) && row[2..].iter().sum::<f32>() == 1.0,
                "{row:?}"
            );
        }
        let share = |is: &dyn Fn(&[f32]) -> bool| rows.iter().filter(|row| is(row)).count() as f64 / 4000.0;
        assert!((share(&|row| row[1] == 0.0) - flips).abs() < 0.025, "{corruption:?}: booleans");
        assert!((share(&|row| row[3] == 0.0) - moves).abs() < 0.03, "{corruption:?}: categories");
        assert!(share(&|row| row[0] == 0.5) < 0.75, "{corruption:?}: numbers");
    }
    let hidden = values(of(Masking { rate: 0.3, rate_max: 0.0 }).apply(x, None, Some(&layout)).hidden.unwrap());
    for row in hidden.chunks_exact(5) {
        assert!(row[2] == row[3] && row[3] == row[4], "a category is hidden with all its levels: {row:?}");
    }
    let share = hidden.chunks_exact(5).map(|row| row[2]).sum::<f32>() / 4000.0;
    assert!((share - 0.3).abs() < 0.03, "{share}");
}

#[test]
fn settings_outside_their_range_are_refused_by_name() {
    let refused = |corruption: CorruptionConfig| corruption.check().unwrap_err().field;
    assert_eq!(refused(GaussianConfig::new(0.0).into()), "gaussian.std");
    assert_eq!(refused(Masking { rate: 1.0, rate_max: 0.0 }.into()), "masking.rate");
    assert_eq!(refused(Masking { rate: 0.5, rate_max: 0.4 }.into()), "masking.rate_max");
    assert_eq!(refused(SaltAndPepper { low: 1.0, high: 0.0, ..Default::default() }.into()), "salt_and_pepper.high");
    assert_eq!(refused(CorruptionConfig::default().with_emphasis(Emphasis::default())), "emphasis");
    assert_eq!(
        refused(CorruptionConfig::from(GaussianConfig::new(0.3)).with_emphasis(Emphasis::default())),
        "emphasis"
    );
}
