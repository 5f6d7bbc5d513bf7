//! Frechet distance of two sets of rows.

use ae_data::progress::beat;
use faer::{Mat, MatRef, Side};
use serde::{Deserialize, Serialize};

use super::distances::BLOCK;
use crate::{
    baseline::Pca,
    matrix::{Matrix, add_square},
};

/// Number of columns up to which the Frechet distance is computed on the rows themselves.
const FEW: usize = 256;

/// Number of principal components of the real rows on whose scores it is computed for wider rows.
const COMPONENTS: usize = 64;

/// The space in which a Frechet distance is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// The rows themselves.
    Rows,
    /// The scores of the first 64 principal components of the real rows.
    Components,
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
            add_square(&mut covariance, x, scale);
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

pub(super) fn frechet_of(samples: &[f32], real: &[f32], width: usize) -> Result<(f64, Space), String> {
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

#[cfg(test)]
mod tests {
    use faer::MatRef;

    use super::{
        super::tests::{near, noise},
        *,
    };

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
}
