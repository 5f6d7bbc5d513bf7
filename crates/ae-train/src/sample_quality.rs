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

use ae_data::progress::beat;
use faer::{
    Accum, Mat, MatRef, Par, Side,
    linalg::matmul::{
        matmul,
        triangular::{BlockStructure, matmul as triangular},
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    baseline::{Matrix, Pca},
    ranking::quantile,
};

/// Number of the nearest real row whose distance is the radius of a ball, for density and coverage.
const NEIGHBOURS: usize = 5;
/// Maximum number of rows of each set that are compared pair by pair.
const ROWS: usize = 2000;
/// Maximum number of rows of each set for which the nearest training row is searched.
const QUERIES: usize = 1000;
/// Maximum number of training rows that are searched.
const TRAINING: usize = 100_000;
/// Number of columns up to which the Frechet distance is computed on the rows themselves.
const FEW: usize = 256;
/// Number of principal components of the real rows on whose scores it is computed for wider rows.
const COMPONENTS: usize = 64;
/// Number of rows in a block of distances: (from, to).
const BLOCK: (usize, usize) = (256, 2048);
/// A squared distance below this share of the squared lengths is rounding error.
const ROUNDING: f64 = 1e-13;
/// Smallest relative difference of squared distances that are not equal.
const EQUAL: f64 = 1e-9;

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

/// The space in which a Frechet distance is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// The rows themselves.
    Rows,
    /// The scores of the first 64 principal components of the real rows.
    Components,
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
        check("generated", samples, width, NEIGHBOURS + 1)?;
        check("real", real, width, NEIGHBOURS + 1)?;
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

/// A mean and a covariance.
struct Moments {
    mean: Vec<f64>,
    /// The lower triangle, `[width, width]`, divided by the number of rows minus 1.
    covariance: Mat<f64>,
}

impl Moments {
    fn of(rows: &[f32], width: usize) -> Self {
        let mean = Matrix { values: rows, width }.mean();
        let mut covariance = Mat::zeros(width, width);
        let scale = 1.0 / (rows.len() / width - 1) as f64;
        for block in rows.chunks(BLOCK.1 * width) {
            let pairs = block.chunks_exact(width).flat_map(|row| row.iter().zip(&mean));
            let centered: Vec<f64> = pairs.map(|(&value, mean)| f64::from(value) - mean).collect();
            let x = MatRef::from_column_major_slice(&centered, width, block.len() / width);
            use BlockStructure::{Rectangular, TriangularLower};
            let (to, by) = (TriangularLower, Rectangular);
            triangular(&mut covariance, to, Accum::Add, x, by, x.transpose(), by, scale, Par::Seq);
            beat();
        }
        Self { mean, covariance }
    }

    /// Square roots of the eigenvalues of the covariance, and its eigenvectors as columns.
    fn decomposed(&self) -> Result<(Vec<f64>, Mat<f64>), String> {
        let decomposition = self.covariance.self_adjoint_eigen(Side::Lower).map_err(|_| undecided())?;
        let values = decomposition.S().column_vector().iter().map(|value| value.max(0.0).sqrt());
        Ok((values.collect(), decomposition.U().to_owned()))
    }
}

fn undecided() -> String {
    "cannot compute the Frechet distance: the decomposition of a covariance did not converge".to_string()
}

fn frechet_of(samples: &[f32], real: &[f32], width: usize) -> Result<(f64, Space), String> {
    if width <= FEW {
        return Ok((frechet(&Moments::of(samples, width), &Moments::of(real, width))?, Space::Rows));
    }
    let pca = Pca::fit(Matrix { values: real, width }, COMPONENTS).map_err(|error| error.to_string())?;
    let [samples, real] = [samples, real].map(|values| pca.encode(Matrix { values, width }));
    let width = pca.components();
    Ok((frechet(&Moments::of(&samples, width), &Moments::of(&real, width))?, Space::Components))
}

/// The squared Frechet distance of two Gaussians. With `A = U D^2 U^T` and `B = V E^2 V^T`, `tr (A B)^(1/2)` is the sum
/// of the singular values of `D U^T V E`. Working with square roots, nothing small is lost beside the square of
/// something large.
fn frechet(a: &Moments, b: &Moments) -> Result<f64, String> {
    let ((d, u), (e, v)) = (a.decomposed()?, b.decomposed()?);
    let mut product = u.transpose() * v;
    for (column, e) in e.iter().enumerate() {
        product.col_as_slice_mut(column).iter_mut().zip(&d).for_each(|(value, d)| *value *= d * e);
    }
    let common: f64 = product.singular_values().map_err(|_| undecided())?.iter().sum();
    let between: f64 = a.mean.iter().zip(&b.mean).map(|(a, b)| (a - b).powi(2)).sum();
    let within: f64 = d.iter().chain(&e).map(|root| root * root).sum();
    Ok((between + within - 2.0 * common).max(0.0))
}

/// Rows in `f64`, and the squared length of each.
struct Rows {
    values: Vec<f64>,
    squares: Vec<f64>,
    width: usize,
}

impl Rows {
    fn of(rows: &[f32], width: usize, places: impl Iterator<Item = usize>) -> Self {
        let values = places.flat_map(|place| &rows[place * width..(place + 1) * width]);
        let values: Vec<f64> = values.copied().map(f64::from).collect();
        let squares = values.chunks_exact(width).map(|row| row.iter().map(|value| value * value).sum()).collect();
        Self { values, squares, width }
    }

    fn len(&self) -> usize {
        self.squares.len()
    }

    /// Calls `visit` with the index of a row here, the index of one of `others`, and their squared distance, for all
    /// pairs.
    fn each_distance(&self, others: &Self, mut visit: impl FnMut(usize, usize, f64)) {
        let width = self.width;
        for (block, from) in self.values.chunks(BLOCK.0 * width).enumerate() {
            let from = MatRef::from_column_major_slice(from, width, from.len() / width);
            for (other, to) in others.values.chunks(BLOCK.1 * width).enumerate() {
                let to = MatRef::from_row_major_slice(to, to.len() / width, width);
                let mut products = Mat::zeros(to.nrows(), from.ncols());
                matmul(&mut products, Accum::Replace, to, from, 1.0, Par::Seq);
                for column in 0..products.ncols() {
                    let (row, first) = (block * BLOCK.0 + column, other * BLOCK.1);
                    let square = self.squares[row];
                    let others = products.col_as_slice(column).iter().zip(&others.squares[first..]).enumerate();
                    for (place, (product, other)) in others {
                        let squared = square + other - 2.0 * product;
                        // With only `max` equal rows would remain slightly apart.
                        let squared = if squared > ROUNDING * (square + other) { squared } else { 0.0 };
                        visit(row, first + place, squared);
                    }
                }
                beat();
            }
        }
    }
}

/// At most `most` of `count` indices, spread evenly.
fn spread(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let kept = count.min(most);
    (0..kept).map(move |place| place * count / kept)
}

/// Statistics of the squared distances between equally many generated and real rows.
struct Pairs {
    /// Squared distances to the nearest other row of the same set and to the nearest row of the other set: generated
    /// rows first, then real rows.
    nearest: Vec<(f64, f64)>,
    /// Number of generated rows in the ball of each real row.
    within: Vec<usize>,
}

impl Pairs {
    fn of(samples: &[f32], real: &[f32], width: usize, most: usize) -> Self {
        let [samples, real] = [samples, real].map(|rows| Rows::of(rows, width, spread(rows.len() / width, most)));
        let mut nearest_sample = vec![(f64::INFINITY, f64::INFINITY); samples.len()];
        let mut nearest_real = vec![(f64::INFINITY, f64::INFINITY); real.len()];
        let mut within = vec![0; real.len()];
        // The smallest distances to other real rows, ascending.
        let mut neighbours = vec![[f64::INFINITY; NEIGHBOURS]; real.len()];
        real.each_distance(&real, |row, other, squared| {
            let least = &mut neighbours[row];
            if row != other && squared < least[NEIGHBOURS - 1] {
                let place = least.partition_point(|&known| known <= squared);
                least[place..].rotate_right(1);
                least[place] = squared;
            }
        });
        for (nearest, least) in nearest_real.iter_mut().zip(&neighbours) {
            nearest.0 = least[0];
        }
        real.each_distance(&samples, |row, sample, squared| {
            nearest_real[row].1 = nearest_real[row].1.min(squared);
            nearest_sample[sample].1 = nearest_sample[sample].1.min(squared);
            // Balls are open, as in the authors' code, but a ball of radius 0 contains its center.
            let radius = neighbours[row][NEIGHBOURS - 1];
            within[row] += usize::from(squared * (1.0 + EQUAL) < radius || squared == 0.0);
        });
        samples.each_distance(&samples, |row, other, squared| {
            if row != other {
                nearest_sample[row].0 = nearest_sample[row].0.min(squared);
            }
        });
        Self { nearest: [nearest_sample, nearest_real].concat(), within }
    }

    fn accuracy(&self) -> f64 {
        let right = |&(own, other): &(f64, f64)| match () {
            () if own * (1.0 + EQUAL) < other => 1.0,
            () if other * (1.0 + EQUAL) < own => 0.0,
            () => 0.5,
        };
        self.nearest.iter().map(right).sum::<f64>() / self.nearest.len() as f64
    }

    fn density(&self) -> f64 {
        self.within.iter().sum::<usize>() as f64 / (NEIGHBOURS * self.within.len()) as f64
    }

    fn coverage(&self) -> f64 {
        self.within.iter().filter(|&&samples| samples > 0).count() as f64 / self.within.len() as f64
    }
}

/// The ratio of the median distances to the nearest training row.
fn nearest_train(samples: &[f32], real: &[f32], train: &[f32], width: usize) -> Option<f64> {
    if train.is_empty() {
        return None;
    }
    let [samples, real] = [samples, real].map(|rows| Rows::of(rows, width, spread(rows.len() / width, QUERIES)));
    let mut nearest = [&samples, &real].map(|rows| vec![f64::INFINITY; rows.len()]);
    // Training rows are converted block by block: all of them might not fit into memory as `f64`.
    let places: Vec<usize> = spread(train.len() / width, TRAINING).collect();
    for places in places.chunks(BLOCK.1) {
        let train = Rows::of(train, width, places.iter().copied());
        for (rows, nearest) in [&samples, &real].into_iter().zip(&mut nearest) {
            rows.each_distance(&train, |row, _, squared| nearest[row] = nearest[row].min(squared));
        }
    }
    let [samples, real] = nearest.map(|mut nearest| {
        nearest.iter_mut().for_each(|squared| *squared = squared.sqrt());
        nearest.sort_by(f64::total_cmp);
        quantile(&nearest, 0.5)
    });
    (real > 0.0).then(|| samples / real)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Normal numbers with this standard deviation.
    fn noise(count: usize, deviation: f64, seed: u64) -> Vec<f32> {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let normal = |_| {
            let (radius, angle) = (1.0 - generator.random::<f64>(), generator.random::<f64>());
            ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos() * deviation) as f32
        };
        (0..count).map(normal).collect()
    }

    #[track_caller]
    fn near(a: f64, b: f64, by: f64) {
        assert!((a - b).abs() <= by, "{a} {b}");
    }

    #[test]
    fn frechet_distance_of_known_moments() {
        let moments = |mean: [f64; 2], covariance: [f64; 4]| Moments {
            mean: mean.to_vec(),
            covariance: MatRef::from_row_major_slice(&covariance, 2, 2).to_owned(),
        };
        // Variances 4 and 9 compared with 1 and 16, means 3 and 4 apart: 25 + (2 - 1)^2 + (3 - 4)^2.
        let (a, b) = (moments([0.0, 0.0], [4.0, 0.0, 0.0, 9.0]), moments([3.0, -4.0], [1.0, 0.0, 0.0, 16.0]));
        near(frechet(&a, &b).unwrap(), 27.0, 1e-12);
        // Covariances that do not commute: tr (A B)^(1/2) = (tr A B + 2 |A B|^(1/2))^(1/2) in two columns, here of
        // A = [[2, 1], [1, 2]] and B = [[1, 0], [0, 4]]: tr A B = 10, |A B| = 12.
        let (a, b) = (moments([0.0, 0.0], [2.0, 1.0, 1.0, 2.0]), moments([0.0, 0.0], [1.0, 0.0, 0.0, 4.0]));
        let distance = 4.0 + 5.0 - 2.0 * (10.0 + 2.0 * 12.0f64.sqrt()).sqrt();
        near(frechet(&a, &b).unwrap(), distance, 1e-12);
        near(frechet(&b, &a).unwrap(), distance, 1e-12);
        near(frechet(&a, &a).unwrap(), 0.0, 1e-12);
        // A singular covariance compared with a zero covariance: its trace.
        let (a, b) = (moments([0.0, 0.0], [1.0, 1.0, 1.0, 1.0]), moments([0.0, 0.0], [0.0; 4]));
        near(frechet(&a, &b).unwrap(), 2.0, 1e-12);
        near(frechet(&a, &a).unwrap(), 0.0, 1e-12);
    }

    #[test]
    fn frechet_distance_of_rows() {
        // Variances 4/3 a^2 of rows (+-a, +-b), with the number of rows minus 1 in the denominator: (2 - 1)^2 and (6 -
        // 3)^2 times 4/3.
        let rows = |a: f32, b: f32, at: f32| [a, b, -a, b, a, -b, -a, -b].map(|value| value + at).to_vec();
        let (distance, space) = frechet_of(&rows(2.0, 6.0, 1.0), &rows(1.0, 3.0, 0.0), 2).unwrap();
        near(distance, 2.0 + 40.0 / 3.0, 1e-12);
        assert_eq!(space, Space::Rows);
        // Many rows of N(1, 4 I) compared with N(0, I), 3 columns: 3 + 3 (2 - 1)^2.
        let moved: Vec<f32> = noise(30_000, 2.0, 1).into_iter().map(|value| value + 1.0).collect();
        let (distance, _) = frechet_of(&moved, &noise(30_000, 1.0, 2), 3).unwrap();
        near(distance, 6.0, 0.2);
        // Three orthonormal directions among 300 columns: the distance of the scores is that of the three.
        let wide = |rows: Vec<f32>| -> Vec<f32> {
            let embedded = |row: &[f32]| (0..300).map(|i| row[i % 3] * 0.1).collect::<Vec<_>>();
            rows.chunks_exact(3).flat_map(embedded).collect()
        };
        let (moved, still) = (noise(3000, 2.0, 3), noise(3000, 1.0, 4));
        let (narrow, _) = frechet_of(&moved, &still, 3).unwrap();
        let (distance, space) = frechet_of(&wide(moved), &wide(still), 300).unwrap();
        assert_eq!(space, Space::Components);
        near(distance, narrow, 1e-3 * narrow);
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
    fn distances_equal_those_of_differences() {
        let (width, a, b) = (7, noise(7 * 300, 1.0, 10), noise(7 * 2100, 1.0, 11));
        let rows = |rows: &[f32]| Rows::of(rows, width, 0..rows.len() / width);
        let mut pairs = 0;
        rows(&a).each_distance(&rows(&b), |i, j, squared| {
            let (x, y) = (&a[i * width..(i + 1) * width], &b[j * width..(j + 1) * width]);
            let exact: f64 = x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
            near(squared, exact, 1e-12);
            pairs += 1;
        });
        assert_eq!(pairs, 300 * 2100);
        assert_eq!(spread(10, 4).collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(spread(3, 4).collect::<Vec<_>>(), [0, 1, 2]);
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
