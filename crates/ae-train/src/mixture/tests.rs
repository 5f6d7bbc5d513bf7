use super::Mixture;

/// Two components in the plane, the first with a correlation of 0.6.
fn known() -> Mixture {
    let covariances = [[1.0, 0.6, 0.6, 1.0], [0.25, 0.0, 0.0, 4.0]];
    // `[[1, 0.6], [0.6, 1]] = L L^T` with `L = [[1, 0], [0.6, 0.8]]`.
    let mixture = Mixture {
        components: 2,
        weights: vec![0.3, 0.7],
        means: vec![vec![-4.0, 0.0], vec![4.0, 1.0]],
        factors: vec![vec![1.0, 0.6, 0.8], vec![0.5, 0.0, 2.0]],
    };
    for (k, covariance) in covariances.into_iter().enumerate() {
        let pairs = mixture.covariance(k).into_iter().zip(covariance);
        pairs.for_each(|(found, value)| assert!((found - value).abs() < 1e-15));
    }
    mixture
}

#[test]
fn one_component_is_the_closed_form() {
    // Mean (1, 2), covariance [[1, 1.5], [1.5, 4]], determinant 1.75.
    let rows = [0.0, 0.0, 2.0, 4.0, 0.0, 1.0, 2.0, 3.0, 0.0, -0.5, 2.0, 4.5f32];
    let (sxx, sxy) = (1.0, (2.0 + 2.0 + 1.0 + 1.0 + 2.5 + 2.5) / 6.0);
    let syy = (4.0 + 4.0 + 1.0 + 1.0 + 6.25 + 6.25) / 6.0;
    let mixture = Mixture::fit(&rows, 2, 1, 0).unwrap();
    assert_eq!((mixture.components, mixture.width(), mixture.weights.as_slice()), (1, 2, [1.0].as_slice()));
    let ridge = 1e-6 * (sxx + syy) / 2.0;
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    near(mixture.means[0][0], 1.0);
    near(mixture.means[0][1], 2.0);
    let found = mixture.covariance(0);
    [sxx + ridge, sxy, sxy, syy + ridge].into_iter().zip(&found).for_each(|(value, &found)| near(found, value));
    // -ln 2 pi - 1/2 ln |S| - 1/2 d^T S^-1 d at d = (1, -1): S^-1 = [[syy, -sxy], [-sxy, sxx]] / |S|.
    let [a, b, _, c] = found[..] else { panic!("four numbers") };
    let determinant = a * c - b * b;
    let log = -std::f64::consts::TAU.ln() - 0.5 * determinant.ln() - 0.5 * (c + 2.0 * b + a) / determinant;
    near(mixture.log_density(&[2.0, 1.0]), log);
    near(mixture.log_densities(&[1.0, 2.0, 2.0, 1.0])[1], log);
    // The mean log-likelihood of a Gaussian on its own rows is -(ln 2 pi + 1/2 ln |S| + 1), apart from the ridge.
    let own = -std::f64::consts::TAU.ln() - 0.5 * (sxx * syy - sxy * sxy).ln() - 1.0;
    assert!((mixture.mean_log_density(&rows) - own).abs() < 1e-5);
}

#[test]
fn a_standard_normal_by_hand() {
    let mixture = Mixture { components: 1, weights: vec![1.0], means: vec![vec![0.0]], factors: vec![vec![1.0]] };
    assert!((mixture.log_density(&[0.0]) + 0.918_938_533_204_672_7).abs() < 1e-15);
    assert!((mixture.log_density(&[2.0]) + 2.918_938_533_204_672_7).abs() < 1e-15);
    // Half and half of N(-1, 1) and N(1, 1), at 0: the density of N(0, 1) at 1.
    let (means, factors) = (vec![vec![-1.0], vec![1.0]], vec![vec![1.0]; 2]);
    let two = Mixture { components: 2, weights: vec![0.5; 2], means, factors };
    assert!((two.log_density(&[0.0]) + 1.418_938_533_204_672_7).abs() < 1e-15);
    // Far away nothing overflows.
    assert!((two.log_density(&[1e6]) / -0.5e12 - 1.0).abs() < 1e-5);
}

#[test]
fn the_log_likelihood_never_decreases() {
    let rows = known().sample(3000, 1);
    for (components, seed) in [(1, 0), (2, 1), (3, 2), (5, 3), (8, 4)] {
        let mut seen = Vec::new();
        let mixture = Mixture::fit_watched(&rows, 2, components, seed, |mean| seen.push(mean)).unwrap();
        assert_eq!(mixture.components, components);
        assert!(seen.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9), "{seen:?}");
        let last = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(components <= 2 || seen.len() > 3); // the first two are found by k-means
        assert!((mixture.mean_log_density(&rows) - last).abs() < 1e-12);
    }
}

#[test]
fn samples_have_the_moments_and_fitting_finds_them_again() {
    let known = known();
    let count = 40_000;
    let rows = known.sample(count, 7);
    assert_eq!(rows, known.sample(count, 7));
    assert_ne!(rows[..10], known.sample(5, 8)[..]);
    let densities = known.log_densities(&rows);
    for (row, density) in rows.chunks_exact(2).zip(densities).step_by(997) {
        assert!((known.log_density(row) - density).abs() < 1e-12);
    }
    assert_eq!(known.log_densities(&[f32::NAN, 0.0]), [f64::NEG_INFINITY]);
    assert_eq!(known.log_density(&[f32::NAN, 0.0]), f64::NEG_INFINITY);
    // Mean 0.3 (-4) + 0.7 (4) and 0.7; second moments E xx = 0.3 (1 + 16) + 0.7 (0.25 + 16), E yy = 0.3 + 0.7 (5),
    // E xy = 0.3 (0.6) + 0.7 (4).
    let mean = |value: fn(f64, f64) -> f64| {
        let values = rows.chunks_exact(2).map(|row| value(row[0].into(), row[1].into()));
        values.sum::<f64>() / count as f64
    };
    let near = |a: f64, b: f64, by: f64| assert!((a - b).abs() < by, "{a} {b}");
    near(mean(|x, _| x), 1.6, 0.07);
    near(mean(|_, y| y), 0.7, 0.04);
    near(mean(|x, _| x * x), 16.475, 0.15);
    near(mean(|_, y| y * y), 3.8, 0.11);
    near(mean(|x, y| x * y), 2.98, 0.15);
    let found = Mixture::fit(&rows, 2, 2, 3).unwrap();
    let order = if found.means[0][0] < 0.0 { [0, 1] } else { [1, 0] };
    for (place, k) in order.into_iter().enumerate() {
        near(found.weights[k], known.weights[place], 0.01);
        found.means[k].iter().zip(&known.means[place]).for_each(|(a, b)| near(*a, *b, 0.05));
        let covariances = found.covariance(k).into_iter().zip(known.covariance(place));
        covariances.for_each(|(a, b)| near(a, b, 0.12));
    }
    near(found.mean_log_density(&rows), known.mean_log_density(&rows), 1e-3);
}

#[test]
fn a_mixture_survives_serialization_and_is_validated() {
    let mixture = Mixture::fit(&known().sample(500, 2), 2, 3, 5).unwrap();
    let json = serde_json::to_string(&mixture).unwrap();
    let read: Mixture = serde_json::from_str(&json).unwrap();
    for row in [[0.0, 0.0], [-4.0, 1.0], [9.0, 9.0f32]] {
        assert!((read.log_density(&row) - mixture.log_density(&row)).abs() < 1e-11);
    }
    assert_eq!(read.sample(3, 1).len(), 6);
    let refused = |what: &str| {
        let error = serde_json::from_str::<Mixture>(what).unwrap_err().to_string();
        assert!(error.contains("mixture"), "{error}");
    };
    refused(r#"{"components": 0, "weights": [], "means": [], "factors": []}"#);
    refused(r#"{"components": 1, "weights": [1.0], "means": [[0.0, 0.0]], "factors": [[1.0, 1.0]]}"#);
    refused(r#"{"components": 1, "weights": [1.0], "means": [[0.0]], "factors": [[0.0]]}"#);
    refused(r#"{"components": 2, "weights": [0.5, 0.4], "means": [[0.0], [1.0]], "factors": [[1.0], [1.0]]}"#);
}

#[test]
fn constant_columns_few_rows_and_equal_rows_are_handled() {
    let constant: Vec<f32> = known().sample(400, 3).chunks_exact(2).flat_map(|row| [row[0], 7.5, row[1]]).collect();
    let mixture = Mixture::fit(&constant, 3, 4, 0).unwrap();
    assert!(mixture.mean_log_density(&constant).is_finite());
    assert!(mixture.sample(50, 0).chunks_exact(3).all(|row| (row[1] - 7.5).abs() < 0.05));
    // 20 rows of 2 columns are enough for three components.
    assert_eq!(Mixture::fit(&constant[..40], 2, 10, 0).unwrap().components, 3);
    for value in [0.0, 1e-20, 0.1, 3e30f32] {
        let equal = vec![value; 60];
        let mixture = Mixture::fit(&equal, 2, 3, 0).unwrap();
        assert_eq!(mixture.components, 1);
        assert!(mixture.log_density(&equal[..2]).is_finite());
    }
    let mut outlier = known().sample(400, 4);
    outlier.extend([1e6, -1e6]);
    assert!(Mixture::fit(&outlier, 2, 3, 0).unwrap().log_density(&[0.0, 0.0]).is_finite());
}

#[test]
fn rows_that_cannot_be_fitted_are_refused() {
    assert!(Mixture::fit(&[], 2, 1, 0).unwrap_err().contains("0 values"));
    assert!(Mixture::fit(&[1.0; 5], 2, 1, 0).unwrap_err().contains("whole rows of 2"));
    assert!(Mixture::fit(&[1.0; 4], 2, 0, 0).unwrap_err().contains("one component"));
    let error = Mixture::fit(&[1.0, 2.0, f32::NAN, 2.0], 2, 1, 0).unwrap_err();
    assert!(error.contains("value 1 of row 2 is NaN"), "{error}");
}
