//! The baselines that every result is printed beside: principal component analysis of the same width, and the mean.
//!
//! PCA with `k` components projects on the `k` eigenvectors of the covariance with the largest eigenvalues (Pearson 1901): no linear
//! autoencoder of the same width has a smaller squared error on the rows that it was fitted to. Everything here is in `f64`.

use ae_data::progress::Progress;
use faer::{
    Accum, Mat, MatRef, Par, Side,
    linalg::{matmul::matmul, solvers::Solve},
};

use crate::evaluation::Errors;

/// Rows that the covariance is accumulated over at a time: bounds the memory for large data.
const CHUNK: usize = 4096;

/// Rows of scaled values; missing ones are `NaN`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// Row by row.
    pub values: &'a [f32],
    /// Features of a row.
    pub width: usize,
}

impl Matrix<'_> {
    /// The mean of each feature over what was observed; 0 where nothing was.
    pub fn mean(&self) -> Vec<f64> {
        let mut sums = vec![(0.0, 0.0f64); self.width];
        for row in self.values.chunks_exact(self.width) {
            for (sum, &value) in sums.iter_mut().zip(row).filter(|(_, value)| !value.is_nan()) {
                *sum = (sum.0 + f64::from(value), sum.1 + 1.0);
            }
        }
        sums.into_iter().map(|(sum, count)| sum / count.max(1.0)).collect()
    }

    /// A row less `mean`, missing values as 0.
    fn centred<'m>(row: &'m [f32], mean: &'m [f64]) -> impl Iterator<Item = f64> + 'm {
        row.iter().zip(mean).map(|(&value, mean)| if value.is_nan() { 0.0 } else { f64::from(value) - mean })
    }
}

/// Principal components of some rows.
#[derive(Debug, Clone)]
pub struct Pca {
    mean: Vec<f64>,
    /// `[width, k]`, orthonormal columns.
    components: Mat<f64>,
    /// Variance along every component, the kept ones first: `width` numbers, falling.
    variances: Vec<f64>,
}

impl Pca {
    /// The first `k` principal components of `rows` (at most as many as there are features).
    pub fn fit(rows: Matrix, k: usize) -> Self {
        let width = rows.width;
        let mean = rows.mean();
        let mut covariance = Mat::<f64>::zeros(width, width);
        let mut progress = Progress::new("principal components of rows", rows.values.len() / width);
        for chunk in rows.values.chunks(CHUNK * width) {
            let centred: Vec<f64> = chunk.chunks_exact(width).flat_map(|row| Matrix::centred(row, &mean)).collect();
            let centred = MatRef::from_row_major_slice(&centred, chunk.len() / width, width);
            matmul(&mut covariance, Accum::Add, centred.transpose(), centred, 1.0, Par::Seq);
            progress.steps(chunk.len() / width);
        }
        let decomposition = covariance.self_adjoint_eigen(Side::Lower).expect("a finite covariance has eigenvectors");
        let vectors = decomposition.U(); // eigenvalues ascend
        let components = Mat::from_fn(width, k.min(width), |row, column| vectors[(row, width - 1 - column)]);
        let count = (rows.values.len() / width) as f64;
        let values = decomposition.S().column_vector();
        let variances = (0..width).map(|index| (values[width - 1 - index] / count).max(0.0)).collect();
        Self { mean, components, variances }
    }

    /// From its parts: the mean (`width` numbers), the kept components (each `width` numbers, one after the other), and the variances along
    /// all.
    pub fn from_parts(mean: Vec<f64>, components: &[f64], variances: Vec<f64>) -> Self {
        let width = mean.len();
        let components = Mat::from_fn(width, components.len() / width, |row, column| components[column * width + row]);
        Self { mean, components, variances }
    }

    /// What [`from_parts`](Self::from_parts) takes.
    pub fn parts(&self) -> (&[f64], Vec<f64>, &[f64]) {
        let components = (0..self.components.ncols()).flat_map(|column| (0..self.mean.len()).map(move |row| (row, column)));
        (&self.mean, components.map(|(row, column)| self.components[(row, column)]).collect(), &self.variances)
    }

    /// The same with the first `k` components alone; with none it is the mean.
    pub fn first(&self, k: usize) -> Self {
        let kept = k.min(self.components.ncols());
        let components = Mat::from_fn(self.mean.len(), kept, |row, column| self.components[(row, column)]);
        Self { mean: self.mean.clone(), components, variances: self.variances.clone() }
    }

    /// Components that are kept.
    pub fn components(&self) -> usize {
        self.components.ncols()
    }

    /// Variance along every component, falling.
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// The direction of a component.
    pub fn component(&self, k: usize) -> Vec<f64> {
        (0..self.mean.len()).map(|row| self.components[(row, k)]).collect()
    }

    /// How many components it takes to explain `share` of the variance.
    pub fn components_for(&self, share: f64) -> usize {
        let total: f64 = self.variances.iter().sum();
        let mut sum = 0.0;
        let enough = self.variances.iter().position(|variance| {
            sum += variance;
            sum >= share * total
        });
        enough.map_or(self.variances.len(), |index| index + 1)
    }

    /// Mean variance along the directions left out.
    fn rest(&self) -> f64 {
        let left = &self.variances[self.components.ncols()..];
        left.iter().sum::<f64>() / left.len().max(1) as f64
    }

    /// The reconstructions of `rows` from their `k` coordinates, row by row.
    pub fn reconstruct(&self, rows: Matrix) -> Vec<f32> {
        let mut values = Vec::with_capacity(rows.values.len());
        self.each(rows, |_, r| values.extend((0..rows.width).map(|column| r(column) as f32)));
        values
    }

    /// The `k` coordinates of each row, row by row.
    pub fn encode(&self, rows: Matrix) -> Vec<f32> {
        let mut codes = Vec::new();
        for row in rows.values.chunks_exact(rows.width) {
            let centred: Vec<f64> = Matrix::centred(row, &self.mean).collect();
            let code = MatRef::from_row_major_slice(&centred, 1, rows.width) * &self.components;
            codes.extend((0..self.components.ncols()).map(|component| code[(0, component)] as f32));
        }
        codes
    }

    /// `rows` with the missing values filled in: their mean given the observed ones, under probabilistic PCA (Tipping and Bishop 1999). That is
    /// least squares on what is observed, each coordinate held back by the variance left out over its own.
    pub fn impute(&self, rows: Matrix) -> Vec<f32> {
        let (width, k, rest) = (rows.width, self.components.ncols(), self.rest());
        let ridge: Vec<f64> = self.variances[..k].iter().map(|variance| (rest / (variance - rest).max(1e-12)).max(1e-9)).collect();
        // Wide codes: the same mean is cheaper by the inverse covariance, up to its scale, whose system has the missing columns as unknowns.
        let precision = (2 * k > width).then(|| {
            let scaled = Mat::<f64>::from_fn(width, k, |column, component| self.components[(column, component)] / (1.0 + ridge[component]));
            Mat::<f64>::identity(width, width) - scaled * self.components.transpose()
        });
        let mut values = rows.values.to_vec();
        for row in values.chunks_exact_mut(width) {
            let (missing, seen): (Vec<usize>, Vec<usize>) = (0..width).partition(|&column| row[column].is_nan());
            let target = Mat::<f64>::from_fn(seen.len(), 1, |index, _| f64::from(row[seen[index]]) - self.mean[seen[index]]);
            let solve =
                |system: Mat<f64>, side: Mat<f64>| system.llt(Side::Lower).expect("a ridge makes the system positive definite").solve(side);
            let filled = if let Some(precision) = &precision {
                let part = |columns: &[usize]| Mat::from_fn(missing.len(), columns.len(), |i, j| precision[(missing[i], columns[j])]);
                solve(part(&missing), -(part(&seen) * target))
            } else {
                let part = |columns: &[usize]| Mat::from_fn(columns.len(), k, |index, j| self.components[(columns[index], j)]);
                let basis = part(&seen);
                let mut gram = basis.transpose() * &basis;
                ridge.iter().enumerate().for_each(|(component, ridge)| gram[(component, component)] += ridge);
                part(&missing) * solve(gram, basis.transpose() * target)
            };
            for (index, &column) in missing.iter().enumerate() {
                row[column] = (filled[(index, 0)] + self.mean[column]) as f32;
            }
        }
        values
    }

    /// The errors of the reconstructions of `rows` from their `k` coordinates.
    pub fn errors(&self, rows: Matrix) -> Errors {
        let mut errors = Errors::new(&rows);
        self.each(rows, |row, r| errors.add(row, r));
        errors
    }

    /// The squared error of each row's reconstruction, over what was observed.
    pub fn row_errors(&self, rows: Matrix) -> Vec<f64> {
        let mut errors = Vec::with_capacity(rows.values.len() / rows.width);
        self.each(rows, |row, r| {
            let observed = row.iter().enumerate().filter(|(_, value)| !value.is_nan());
            errors.push(observed.map(|(column, &value)| (f64::from(value) - r(column)).powi(2)).sum());
        });
        errors
    }

    /// Calls `visit` with each row and its reconstruction by column.
    fn each(&self, rows: Matrix, mut visit: impl FnMut(&[f32], &dyn Fn(usize) -> f64)) {
        let width = rows.width;
        for chunk in rows.values.chunks(CHUNK * width) {
            let centred: Vec<f64> = chunk.chunks_exact(width).flat_map(|row| Matrix::centred(row, &self.mean)).collect();
            let centred = MatRef::from_row_major_slice(&centred, chunk.len() / width, width);
            let reconstructed = (centred * &self.components) * self.components.transpose();
            for (index, row) in chunk.chunks_exact(width).enumerate() {
                visit(row, &|column| reconstructed[(index, column)] + self.mean[column]);
            }
        }
    }
}

/// The errors of predicting `mean` for every row.
pub fn mean_errors(mean: &[f64], rows: Matrix) -> Errors {
    let mut errors = Errors::new(&rows);
    rows.values.chunks_exact(rows.width).for_each(|row| errors.add(row, |column| mean[column]));
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_are_one_component() {
        let values: Vec<f32> = (0..20).flat_map(|i| [i as f32, 2.0 * i as f32 + 1.0, -(i as f32)]).collect();
        let rows = Matrix { values: &values, width: 3 };
        assert!(Pca::fit(rows, 1).errors(rows).sse() < 1e-20);
        let nothing = mean_errors(&rows.mean(), rows);
        assert!((nothing.fvu() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_missing_value_is_filled_in_from_the_line_that_the_rest_lies_on() {
        let values: Vec<f32> = (0..20).flat_map(|i| [i as f32, 2.0 * i as f32 + 1.0, -(i as f32)]).collect();
        let pca = Pca::fit(Matrix { values: &values, width: 3 }, 1);
        let filled = pca.impute(Matrix { values: &[4.0, f32::NAN, -4.0], width: 3 });
        assert!((filled[1] - 9.0).abs() < 1e-4, "{filled:?}");
        assert_eq!((filled[0], filled[2]), (4.0, -4.0));
        let copied = pca.reconstruct(Matrix { values: &[4.0, 9.0, -4.0], width: 3 });
        assert!(copied.iter().zip([4.0, 9.0, -4.0]).all(|(found, expected)| (found - expected).abs() < 1e-4), "{copied:?}");
    }

    #[test]
    fn filling_in_is_the_conditional_mean_of_a_gaussian_whatever_the_width_of_the_code() {
        let values: Vec<f32> = (0..400).map(|i| ((i * 37 + i * i * 11) % 101) as f32 / 101.0).collect();
        let rows = Matrix { values: &values, width: 5 };
        for k in 1..=4 {
            let pca = Pca::fit(rows, k);
            let rest = pca.rest();
            let covariance = Mat::<f64>::from_fn(5, 5, |i, j| {
                let shared = |c: usize| (pca.variances[c] - rest) * pca.components[(i, c)] * pca.components[(j, c)];
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
        // The figures of another PCA implementation on the official split, pixels / 16.
        let digits = ae_data::open("digits").unwrap();
        let scaled = |rows: &ae_data::Rows| (0..rows.len()).flat_map(|i| rows.row(i).unwrap()).map(|v| (v / 16.0) as f32).collect::<Vec<f32>>();
        let (train, test) = (scaled(&digits.train), scaled(&digits.test.unwrap()));
        let (train, test) = (Matrix { values: &train, width: 64 }, Matrix { values: &test, width: 64 });
        for (k, sse) in [(2, 3.432), (8, 1.608), (10, 1.289), (16, 0.760), (32, 0.177)] {
            let found = Pca::fit(train, k).errors(test).sse();
            assert!((found - sse).abs() < 6e-4, "PCA-{k}: {found}, expected {sse}");
        }
        assert!((mean_errors(&train.mean(), test).sse() - 4.705).abs() < 6e-4);
    }
}
