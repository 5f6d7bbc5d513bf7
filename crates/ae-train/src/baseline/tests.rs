use faer::{Mat, Side, linalg::solvers::Solve};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::evaluation::{hide, imputation_mse};

#[test]
fn points_on_a_line_are_one_component() {
    let values: Vec<f32> = (0..20).flat_map(|i| [i as f32, 2.0 * i as f32 + 1.0, -(i as f32)]).collect();
    let rows = Matrix { values: &values, width: 3 };
    assert!(Pca::fit(rows, 1).unwrap().errors(rows).sse() < 1e-20);
    let nothing = mean_errors(&rows.mean(), rows);
    assert!((nothing.fvu() - 1.0).abs() < 1e-12);
}

#[test]
fn a_missing_value_is_imputed_from_the_line_of_the_other_rows() {
    let values: Vec<f32> = (0..20).flat_map(|i| [i as f32, 2.0 * i as f32 + 1.0, -(i as f32)]).collect();
    let pca = Pca::fit(Matrix { values: &values, width: 3 }, 1).unwrap();
    let filled = pca.impute(Matrix { values: &[4.0, f32::NAN, -4.0], width: 3 });
    assert!((filled[1] - 9.0).abs() < 1e-4, "{filled:?}");
    assert_eq!((filled[0], filled[2]), (4.0, -4.0));
    let copied = pca.reconstruct(Matrix { values: &[4.0, 9.0, -4.0], width: 3 });
    assert!(copied.iter().zip([4.0, 9.0, -4.0]).all(|(found, expected)| (found - expected).abs() < 1e-4), "{copied:?}");
}

#[test]
fn imputation_is_the_conditional_mean_of_a_gaussian_for_any_code_width() {
    let values: Vec<f32> = (0..400).map(|i| ((i * 37 + i * i * 11) % 101) as f32 / 101.0).collect();
    let rows = Matrix { values: &values, width: 5 };
    for k in 1..=4 {
        let pca = Pca::fit(rows, k).unwrap();
        let rest = pca.spectrum.rest();
        let covariance = Mat::<f64>::from_fn(5, 5, |i, j| {
            let shared = |c: usize| {
                (pca.spectrum.variances[c] - rest) * pca.spectrum.components[(i, c)] * pca.spectrum.components[(j, c)]
            };
            (0..k).map(shared).sum::<f64>() + if i == j { rest } else { 0.0 }
        });
        let (seen, missing) = ([0, 2, 4], [1, 3]);
        let part = |a: &[usize], b: &[usize]| Mat::<f64>::from_fn(a.len(), b.len(), |i, j| covariance[(a[i], b[j])]);
        let target = Mat::<f64>::from_fn(3, 1, |i, _| f64::from(values[seen[i]]) - pca.mean[seen[i]]);
        let expected = part(&missing, &seen) * part(&seen, &seen).llt(Side::Lower).unwrap().solve(target);
        let mut holes = values[..5].to_vec();
        missing.iter().for_each(|&column| holes[column] = f32::NAN);
        let filled = pca.impute(Matrix { values: &holes, width: 5 });
        for (index, &column) in missing.iter().enumerate() {
            let wanted = expected[(index, 0)] + pca.mean[column];
            assert!(
                (f64::from(filled[column]) - wanted).abs() < 1e-5,
                "{k} components, column {column}: {} for {wanted}",
                filled[column]
            );
        }
    }
}

#[test]
fn digits_give_the_published_figures() {
    // Results of another PCA implementation on the official split, pixels / 16.
    let digits = ae_data::open("digits").unwrap();
    let scaled = |rows: &ae_data::Rows| {
        (0..rows.len()).flat_map(|i| rows.row(i).unwrap()).map(|v| (v / 16.0) as f32).collect::<Vec<f32>>()
    };
    let (train, test) = (scaled(&digits.train), scaled(&digits.test.unwrap()));
    let (train, test) = (Matrix { values: &train, width: 64 }, Matrix { values: &test, width: 64 });
    for (k, sse) in [(2, 3.432), (8, 1.608), (10, 1.289), (16, 0.760), (32, 0.177)] {
        let found = Pca::fit(train, k).unwrap().errors(test).sse();
        assert!((found - sse).abs() < 6e-4, "PCA-{k}: {found}, expected {sse}");
    }
    assert!((mean_errors(&train.mean(), test).sse() - 4.705).abs() < 6e-4);
}

/// Normal numbers by the Box-Muller transform.
fn normal(seed: u64) -> impl FnMut() -> f64 {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    move || {
        let (radius, angle): (f64, f64) = (generator.random(), generator.random());
        (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

/// Gaussian rows `z A + noise` with `directions` directions; direction `i` has size `size(i)`.
fn gaussian(count: usize, width: usize, directions: usize, size: fn(usize) -> f64, noise: f64) -> Vec<f32> {
    let (mut z, mut a, mut e) = (normal(1), normal(2), normal(3));
    let scale = 1.0 / (width as f64).sqrt();
    let a = Mat::from_fn(directions, width, |i, _| size(i) * scale * a());
    let z = Mat::from_fn(directions, count, |_, _| z());
    let x = a.transpose() * z;
    (0..count)
        .flat_map(|row| x.col_as_slice(row).iter().map(|x| (x + noise * e() + 0.3) as f32).collect::<Vec<_>>())
        .collect()
}

fn decays(i: usize) -> f64 {
    (1.0 + i as f64).powf(-0.25)
}

fn pca(mean: Vec<f64>, spectrum: Spectrum) -> Pca {
    Pca { map: None, mean, spectrum }
}

#[test]
fn every_algorithm_gives_the_same_components() {
    let steep: fn(usize) -> f64 = |i| 0.7f64.powi(i as i32);
    for (count, width, directions, size) in [
        (300, 200, 200, decays as fn(usize) -> f64),
        (160, 500, 160, decays),
        (300, 250, 100, steep),
        (90, 200, 3, decays),
    ] {
        let values = gaussian(count, width, directions, size, 0.0);
        let rows = Matrix { values: &values, width };
        let mean = rows.mean();
        for k in [1, 8, 40, 100] {
            let full = pca(mean.clone(), spectrum::of_covariance(&spectrum::covariance(rows, &mean), k, 0.0).unwrap());
            let error = |pca: &Pca| pca.errors(rows).sse() / pca.total();
            for (way, found) in [
                ("gram", spectrum::from_gram(rows, &mean, k, 0.0)),
                ("krylov", spectrum::from_krylov(rows, &mean, k, 0.0)),
            ] {
                let found = pca(mean.clone(), found.unwrap());
                let [total, explained, error] = [
                    found.total() / full.total() - 1.0,
                    found.explained() - full.explained(),
                    error(&found) - error(&full),
                ]
                .map(f64::abs);
                assert!(
                    total < 1e-9 && explained < 1e-6 && error < 1e-6,
                    "{way} {count}x{width} k {k}: {total} {explained} {error}"
                );
                let products = found.spectrum.components.transpose() * &found.spectrum.components;
                let off = (products - Mat::<f64>::identity(found.components(), found.components())).norm_max();
                assert!(off < 1e-6, "{way} {count}x{width} k {k}: {off} from orthonormal");
            }
        }
    }
}

#[test]
fn a_share_of_the_variance_takes_the_expected_number_of_components() {
    let values = gaussian(300, 200, 200, decays, 0.0);
    let rows = Matrix { values: &values, width: 200 };
    let mean = rows.mean();
    let full = Pca::fit_share(rows, 3, 0.9).unwrap();
    assert_eq!(full.components(), full.components_for(0.9));
    assert!(
        (0.9..0.91).contains(&full.explained()) && full.components() > 50,
        "{} {}",
        full.components(),
        full.explained()
    );
    let krylov = pca(mean.clone(), spectrum::from_krylov(rows, &mean, 3, 0.9).unwrap());
    assert!(krylov.components().abs_diff(full.components()) <= 1, "{} {}", krylov.components(), full.components());
    assert_eq!(Pca::fit(rows, 3).unwrap().components(), 3);
    let rest = (full.total() - full.variances()[..3].iter().sum::<f64>()) / 197.0;
    assert!((full.first(3).spectrum.rest() / rest - 1.0).abs() < 1e-9);
}

#[test]
fn a_row_with_missing_values_is_reconstructed_from_observed_ones() {
    let values = gaussian(400, 30, 4, |_| 1.0, 0.01);
    let pca = Pca::fit(Matrix { values: &values, width: 30 }, 4).unwrap();
    let holes = hide(Matrix { values: &values, width: 30 }, 0.3, 1);
    let (all, seen) =
        (pca.errors(Matrix { values: &values, width: 30 }), pca.errors(Matrix { values: &holes, width: 30 }));
    assert!(seen.fvu() < 1.2 * all.fvu(), "{} with missing values, {} without", seen.fvu(), all.fvu());
    let codes = [&values, &holes].map(|values| pca.encode(Matrix { values, width: 30 }));
    let (difference, size) =
        codes[0].iter().zip(&codes[1]).fold((0.0, 0.0), |(d, s), (a, b)| (d + (a - b).powi(2), s + a * a));
    assert!(difference < 0.01 * size, "codes differ by {difference} of {size}");
}

#[test]
fn values_that_are_not_finite_are_an_error() {
    let error = Pca::fit(Matrix { values: &[0.0, 1.0, f32::INFINITY, 2.0], width: 2 }, 1).unwrap_err().to_string();
    assert!(error.contains("feature 1 of row 2 is infinite"), "{error}");
    assert!(Pca::fit(Matrix { values: &[], width: 0 }, 1).is_err());
    // The largest numbers and the most missing values possible are handled.
    for values in [
        [f32::MAX, -f32::MAX, f32::MAX, 0.0, 1.0, 2.0],
        [f32::NAN; 6],
        [f32::NAN, f32::NAN, f32::NAN, 1.0, f32::NAN, 2.0],
        [7.0; 6],
    ] {
        let rows = Matrix { values: &values, width: 2 };
        for k in 0..=2 {
            let pca = Pca::fit(rows, k).unwrap();
            assert!(pca.impute(rows).iter().all(|value| value.is_finite()), "{values:?} {k}");
        }
    }
    assert!(Pca::fit(Matrix { values: &[], width: 2 }, 1).unwrap().components() <= 1);
}

#[test]
fn inconsistent_parts_are_an_error() {
    let pca = Pca::fit(Matrix { values: &[0.0, 1.0, 3.0, 2.0, 4.0, 0.5], width: 2 }, 1).unwrap();
    let (mean, components, variances, total) = pca.parts();
    let (mean, variances) = (mean.to_vec(), variances.to_vec());
    let again = Pca::from_parts(mean.clone(), &components, variances.clone(), total).unwrap();
    assert_eq!(again.parts(), pca.parts());
    assert!(Pca::from_parts(vec![], &components, variances.clone(), total).is_err());
    assert!(Pca::from_parts(mean.clone(), &components[1..], variances.clone(), total).is_err());
    assert!(Pca::from_parts(mean.clone(), &components, vec![], total).is_err());
    assert!(Pca::from_parts(mean.clone(), &components, variances.clone(), 0.1 * total).is_err());
    assert!(Pca::from_parts(mean.clone(), &[f64::NAN, 1.0], variances.clone(), total).is_err());
    assert!(Pca::from_parts(mean, &components, variances, f64::INFINITY).is_err());
}

/// Errors at hidden values of new rows: for components of complete rows, of the same rows with 30% missing, and of the
/// latter with missing values replaced by the mean.
fn with_missing(count: usize, width: usize, k: usize, directions: usize, noise: f64) -> [f64; 3] {
    let all = gaussian(2 * count, width, directions, |i| 0.8f64.powi(i as i32), noise);
    let (train, test) = all.split_at(count * width);
    let (train, test) = (Matrix { values: train, width }, Matrix { values: test, width });
    let holes = hide(train, 0.3, 5);
    let holes = Matrix { values: &holes, width };
    let mean: Vec<f32> = holes.mean().into_iter().map(|mean| mean as f32).collect();
    let naive: Vec<f32> =
        holes.values.iter().enumerate().map(|(i, &x)| if x.is_nan() { mean[i % width] } else { x }).collect();
    let hidden = hide(test, 0.3, 6);
    let hidden = Matrix { values: &hidden, width };
    [train, holes, Matrix { values: &naive, width }]
        .map(|rows| imputation_mse(test, hidden, &Pca::fit(rows, k).unwrap().impute(hidden)))
}

#[test]
fn components_of_rows_with_missing_values_are_almost_those_of_complete_rows() {
    // Few features, with an unrestricted covariance; many features; and few rows with many features.
    for (count, width, k, noise) in [(600, 20, 5, 0.05), (600, 20, 18, 0.05), (500, 300, 8, 0.01), (150, 400, 8, 0.01)]
    {
        let [oracle, fitted, naive] = with_missing(count, width, k, 8, noise);
        println!(
            "{count}x{width}, {k} components: {oracle:.6} complete, {fitted:.6} with missing values, \
             {naive:.6} filled with the mean"
        );
        assert!(fitted < 1.15 * oracle && naive > 1.25 * fitted, "{count}x{width} k {k}: {oracle} {fitted} {naive}");
    }
}
