//! Quality of generated rows compared with real rows, by measures that need no pretrained network.
//!
//! - Frechet distance of the Gaussians with the moments of the two sets (Dowson and Landau 1982; Heusel et al. 2017):
//!   `|m_1 - m_2|^2 + tr(A + B - 2 (A B)^(1/2))` with means `m` and covariances `A`, `B`.
//! - Leave-one-out accuracy of a nearest-neighbor classifier that separates the two sets (Lopez-Paz and Oquab 2017).
//! - Density and coverage (Naeem et al. 2020), based on balls around real rows.
//! - Distance to the nearest training row, relative to that of held-out rows.
//!
//! All distances are Euclidean distances between the rows as they are, so columns should have the same scale. All
//! computation is in `f64`.

mod distances;
mod frechet;
mod pairs;

use serde::{Deserialize, Serialize};

pub use self::frechet::Space;
use self::{
    frechet::frechet_of,
    pairs::{NEIGHBORS, Pairs, nearest_train},
};

/// Maximum number of rows of each set that are compared pair by pair.
const ROWS: usize = 2000;

/// Quality of generated rows compared with real rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SampleQuality {
    /// Squared Frechet distance in squared units of the rows, at least 0: 0 for equal means and covariances. It is
    /// larger for small sets, so only distances from about as many rows can be compared.
    pub frechet: f64,
    /// The space in which [`frechet`](Self::frechet) is computed.
    pub frechet_of: Space,
    /// Share of generated and real rows whose nearest other row is from their own set, 0 to 1: 0.5 if the sets cannot
    /// be told apart, 1 if they are far apart, and below 0.5 if generated rows are copies of real ones. A tie counts
    /// half.
    pub nearest_accuracy: f64,
    /// Mean number of balls of real rows that contain a generated row, divided by 5; a ball reaches up to the 5th
    /// nearest other real row. At least 0, about 1 for real rows, above 1 for rows concentrated where real rows are
    /// dense.
    pub density: f64,
    /// Share of the real rows with a generated row in their ball, 0 to 1; 0.97 is expected for real rows.
    pub coverage: f64,
    /// Median distance of generated rows to their nearest training row, divided by that of the real rows: about 1 for
    /// new rows, well below 1 for memorized ones. `None` without training rows, or if half of the real rows are among
    /// them.
    pub nearest_train: Option<f64>,
    /// Number of rows of each set that were compared pair by pair.
    pub rows: usize,
}

impl SampleQuality {
    /// Compares `samples` with `real` rows. `real` rows should be held out; `train` are the rows that the generating
    /// model was fitted to, and may be empty. All are rows of `width` finite values, row by row.
    ///
    /// The Frechet distance uses all rows, and the rows themselves up to 256 columns. Accuracy, density and coverage
    /// use equally many rows of both sets, at most 2,000, spread evenly over them; the nearest of at most 100,000
    /// training rows is searched for at most 1,000 rows of each set.
    ///
    /// # Errors
    /// No columns, fewer than 6 samples or real rows, values that do not make whole rows, or a value that is not
    /// finite.
    pub fn of(samples: &[f32], real: &[f32], train: &[f32], width: usize) -> Result<Self, String> {
        check("generated", samples, width, NEIGHBORS + 1)?;
        check("real", real, width, NEIGHBORS + 1)?;
        check("training", train, width, 0)?;
        let (frechet, frechet_of) = frechet_of(samples, real, width)?;
        let rows = ROWS.min(samples.len() / width).min(real.len() / width);
        let pairs = Pairs::of(samples, real, width, rows);
        Ok(Self {
            frechet,
            frechet_of,
            nearest_accuracy: pairs.accuracy(),
            density: pairs.density(),
            coverage: pairs.coverage(),
            nearest_train: nearest_train(samples, real, train, width),
            rows,
        })
    }
}

fn check(what: &str, rows: &[f32], width: usize, fewest: usize) -> Result<(), String> {
    if width == 0 || !rows.len().is_multiple_of(width) {
        let count = rows.len();
        return Err(format!("the {what} rows to compare are not whole rows of {width} values: got {count} values"));
    }
    let count = rows.len() / width;
    if count < fewest {
        return Err(format!("comparing samples needs at least {fewest} {what} rows, but there are {count}"));
    }
    match rows.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => {
            let (row, column) = (place / width + 1, place % width + 1);
            Err(format!("comparing samples needs finite values: value {column} of {what} row {row} is {}", rows[place]))
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Normal numbers with this standard deviation.
    pub(super) fn noise(count: usize, deviation: f64, seed: u64) -> Vec<f32> {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let normal = |_| {
            let (radius, angle) = (1.0 - generator.random::<f64>(), generator.random::<f64>());
            ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos() * deviation) as f32
        };
        (0..count).map(normal).collect()
    }

    #[track_caller]
    pub(super) fn near(a: f64, b: f64, by: f64) {
        assert!((a - b).abs() <= by, "{a} {b}");
    }

    #[test]
    fn small_sets_by_hand() {
        // The balls of the real rows reach -5..5, -3..5, -1..5, 0..6, 0..8 and 0..10. The samples lie in 1, 1, 0, 0, 2
        // and 0 of them: those of the first, the fifth and the sixth row.
        let real = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0f32];
        let samples = [-4.5, 9.5, 10.5, 100.0, 7.2, 50.0f32];
        let quality = SampleQuality::of(&samples, &real, &[0.5, 20.0], 1).unwrap();
        near(quality.density, 4.0 / 30.0, 1e-12);
        near(quality.coverage, 0.5, 1e-12);
        // The nearest other row of -4.5 is 0, and that of 7.2 is 5; all others are nearest to their own set.
        near(quality.nearest_accuracy, 10.0 / 12.0, 1e-12);
        // Distances to the training rows: 5, 6.7, 9, 9.5, 30 and 80 for the samples, 0.5, 0.5, 1.5, 2.5, 3.5 and 4.5
        // for the real rows.
        near(quality.nearest_train.unwrap(), 9.25 / 2.0, 1e-6);
        assert_eq!(quality.rows, 6);
        let json = serde_json::to_string(&quality).unwrap();
        assert!(json.contains(r#""frechet_of":"rows""#), "{json}");
        // 2.5 lies in all balls; 10 is on the boundary of one, which is outside.
        let inside = SampleQuality::of(&[2.5, 10.0, 90.0, 91.0, 92.0, 93.0], &real, &[], 1).unwrap();
        near(inside.density, 6.0 / 30.0, 1e-12);
        near(inside.coverage, 1.0, 1e-12);
        assert_eq!(inside.nearest_train, None);
    }

    #[test]
    fn equal_sets_halves_of_a_set_and_distant_sets() {
        let rows = noise(8000, 1.0, 5);
        let (one, two) = rows.split_at(4000);
        let equal = SampleQuality::of(one, one, two, 4).unwrap();
        near(equal.frechet, 0.0, 1e-12);
        near(equal.nearest_accuracy, 0.0, 0.0); // each row's copy is in the other set
        near(equal.coverage, 1.0, 0.0);
        near(equal.nearest_train.unwrap(), 1.0, 1e-12);
        let halves = SampleQuality::of(one, two, one, 4).unwrap();
        near(halves.nearest_accuracy, 0.5, 0.04);
        near(halves.density, 1.0, 0.1);
        near(halves.coverage, 0.97, 0.03);
        assert_eq!(halves.nearest_train, Some(0.0)); // copies of the training rows
        assert_eq!(SampleQuality::of(one, two, two, 4).unwrap().nearest_train, None);
        let apart: Vec<f32> = two.iter().map(|value| value + 100.0).collect();
        let apart = SampleQuality::of(&apart, one, &[], 4).unwrap();
        near(apart.nearest_accuracy, 1.0, 0.0);
        near(apart.density + apart.coverage, 0.0, 0.0);
        near(apart.frechet, 40_000.0, 200.0);
        // More rows than are compared, and of unequal number: 2,000 of each, and the accuracy is still about one half.
        let many =
            SampleQuality::of(&noise(20_000, 1.0, 6), &noise(12_000, 1.0, 7), &noise(10_000, 1.0, 8), 4).unwrap();
        assert_eq!(many.rows, 2000);
        near(many.nearest_accuracy, 0.5, 0.04);
        near(many.nearest_train.unwrap(), 1.0, 0.1);
        // Rows with few distinct values have ties, which count half.
        let coins: Vec<f32> = noise(800, 1.0, 9).into_iter().map(f32::signum).collect();
        let coins = SampleQuality::of(&coins[..400], &coins[400..], &[], 4).unwrap();
        near(coins.nearest_accuracy, 0.5, 0.0);
        near(coins.coverage, 1.0, 0.0); // the balls have radius 0
    }

    #[test]
    fn rows_that_cannot_be_compared_are_refused() {
        let rows = noise(12, 1.0, 12);
        let error =
            |samples: &[f32], real: &[f32], train: &[f32]| SampleQuality::of(samples, real, train, 2).unwrap_err();
        assert!(error(&rows[..10], &rows, &[]).contains("at least 6 generated rows, but there are 5"));
        assert!(error(&rows, &rows[..11], &[]).contains("whole rows of 2"));
        assert!(error(&rows, &rows, &[1.0, f32::NAN]).contains("value 2 of training row 1 is NaN"));
    }
}
