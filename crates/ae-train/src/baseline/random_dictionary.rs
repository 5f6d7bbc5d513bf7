//! A dictionary of random atoms: what a sparse code explains without learning anything.

use ae_data::progress::Progress;
use burn::tensor::{Device, Tensor, TensorData};
use faer::{Mat, Side, linalg::solvers::Solve};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{Result, matrix::Matrix, random::normal, reconstruction_error::Errors, tensors::numbers};

/// Rows that it is measured on, at most.
pub const RANDOM_ROWS: usize = 512;

/// The errors of reconstructing `rows` minus `mean` by a dictionary of `units` random directions. Each row uses the `k`
/// whose products with it are the largest in magnitude, with the coefficients of least squares. At most 512 rows are
/// measured, spread evenly. None if values are missing, or if `k` is more than the width of a row, which so many atoms
/// reconstruct exactly.
///
/// # Errors
/// A device that fails to return its results.
pub fn random_dictionary(rows: Matrix, mean: &[f64], units: usize, k: usize, seed: u64) -> Result<Option<Errors>> {
    let width = rows.width;
    let step = rows.count().div_ceil(RANDOM_ROWS).max(1);
    let chosen: Vec<&[f32]> = rows.values.chunks_exact(width).step_by(step).collect();
    if k > width || chosen.is_empty() || chosen.iter().any(|row| row.iter().any(|value| value.is_nan())) {
        return Ok(None);
    }
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut atoms: Vec<f32> = (0..units * width).map(|_| normal(&mut generator) as f32).collect();
    for atom in atoms.chunks_exact_mut(width) {
        let length = atom.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        atom.iter_mut().for_each(|value| *value /= length);
    }
    let centered: Vec<f32> =
        chosen.iter().flat_map(|row| row.iter().zip(mean).map(|(value, mean)| value - *mean as f32)).collect();
    let device = Device::flex();
    let weights = Tensor::<2>::from_data(TensorData::new(atoms.clone(), [units, width]), &device).transpose();
    let measured = chosen.concat();
    let mut errors = Errors::new(&Matrix { values: &measured, width });
    let mut progress = Progress::new("measuring a random dictionary: rows", chosen.len());
    for (rows, chosen) in centered.chunks(256 * width).zip(chosen.chunks(256)) {
        let x = Tensor::<2>::from_data(TensorData::new(rows.to_vec(), [chosen.len(), width]), &device);
        let products = numbers(ae_kernels::matmul(x, weights.clone()))?;
        for ((products, centered), row) in products.chunks_exact(units).zip(rows.chunks_exact(width)).zip(chosen) {
            let fitted = fit(&best(products, k), centered, &atoms, width);
            errors.add(row, |column| mean[column] + fitted[column]);
            progress.step();
        }
    }
    Ok(Some(errors))
}

/// The units with the `k` largest magnitudes.
fn best(products: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..products.len()).collect();
    let k = k.min(order.len());
    if k < order.len() {
        order.select_nth_unstable_by(k, |&a, &b| products[b].abs().total_cmp(&products[a].abs()));
        order.truncate(k);
    }
    order
}

/// The least-squares fit of `row` by these atoms.
fn fit(units: &[usize], row: &[f32], atoms: &[f32], width: usize) -> Vec<f64> {
    let atom = |unit: usize| &atoms[unit * width..(unit + 1) * width];
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let k = units.len();
    // A small number on the diagonal, for more atoms than there are directions.
    let gram = Mat::from_fn(k, k, |a, b| dot(atom(units[a]), atom(units[b])) + if a == b { 1e-6 } else { 0.0 });
    let products = Mat::from_fn(k, 1, |unit, _| dot(atom(units[unit]), row));
    let mut fitted = vec![0.0; width];
    let Ok(factors) = gram.llt(Side::Lower) else { return fitted };
    let coefficients = factors.solve(&products);
    for (index, &unit) in units.iter().enumerate() {
        let coefficient = coefficients[(index, 0)];
        fitted.iter_mut().zip(atom(unit)).for_each(|(sum, value)| *sum += coefficient * f64::from(*value));
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_atoms_as_features_explain_everything_and_fewer_explain_their_share() {
        let mut generator = ChaCha8Rng::seed_from_u64(3);
        let values: Vec<f32> = (0..200 * 8).map(|_| normal(&mut generator) as f32 + 5.0).collect();
        let rows = Matrix { values: &values, width: 8 };
        let fvu = |units, k| {
            let errors = random_dictionary(rows, &rows.mean(), units, k, 1).unwrap();
            errors.expect("no value is missing").figures().fvu
        };
        assert!(fvu(8, 8) < 1e-6, "a basis");
        // One of one direction in eight: a share of 1/8. The best of many explains more.
        assert!((fvu(1, 1) - 0.875).abs() < 0.05, "{}", fvu(1, 1));
        assert!(fvu(64, 1) < 0.6 && fvu(64, 2) < fvu(64, 1));
        let missing = [f32::NAN; 8];
        assert!(random_dictionary(Matrix { values: &missing, width: 8 }, &[0.0; 8], 4, 1, 0).unwrap().is_none());
    }
}
