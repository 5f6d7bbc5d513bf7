//! What is measured of a dictionary, by the definitions that are usual for sparse autoencoders of activations.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::Activations;
use crate::{Result, matrix::Matrix, reconstruction_error::null_is_nan, tensors::numbers, trained::Trained};

/// Share of the rows above which a unit is dense.
pub const DENSE: f64 = 0.1;
/// Units whose atoms are compared with all others, at most.
const COMPARED: usize = 1024;
/// Of these at a time.
const AT_ONCE: usize = 128;

/// Measures of a dictionary on rows `x` (of a transcoder, the target) and their reconstructions `r`, in the units of
/// the data. Missing values are left out of every sum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DictionaryMeasures {
    /// Explained variance: `1 - sum |x - r|^2 / sum |x - mean|^2`, with the mean of the same rows.
    #[serde(deserialize_with = "null_is_nan")]
    pub explained_variance: f64,
    /// Normalized error: the mean over the rows of `|x - r|^2 / |x|^2`, as in the code of Gao et al. (2024).
    #[serde(deserialize_with = "null_is_nan")]
    pub normalized_error: f64,
    /// Shrinkage: the mean over the rows of `|r| / |x|`; 1 is none.
    #[serde(deserialize_with = "null_is_nan")]
    pub shrinkage: f64,
    /// Relative reconstruction bias: `mean |r|^2 / mean x.r` (Rajamanoharan et al. 2024); 1 is none.
    #[serde(deserialize_with = "null_is_nan")]
    pub relative_bias: f64,
    /// The mean over the rows of the cosine between `x` and `r`.
    #[serde(deserialize_with = "null_is_nan")]
    pub cosine: f64,
    /// Units that are active on more than a tenth of the rows.
    pub dense_units: usize,
    /// The mean |cosine| between the atoms of two units. Among numbers of active units the right one has a small value
    /// (Chanin and Garriga-Alonso 2025). Of living units, at most 1,024 of which are compared with all.
    #[serde(deserialize_with = "null_is_nan")]
    pub atom_cosine: f64,
    /// The mean over units of the |cosine| between their atom and the nearest other.
    #[serde(deserialize_with = "null_is_nan")]
    pub nearest_atom_cosine: f64,
}

impl DictionaryMeasures {
    /// Of rows, their reconstructions (both scaled) and the activations of their codes.
    pub(super) fn of(trained: &Trained, rows: Matrix, copies: &[f32], activations: &Activations) -> Result<Self> {
        let width = rows.width;
        let scaled_mean: Vec<f32> = rows.mean().into_iter().map(|value| value as f32).collect();
        let mean = trained.unscale(&scaled_mean);
        let mut sums = Sums::default();
        for (x, r) in rows.values.chunks_exact(width).zip(copies.chunks_exact(width)) {
            sums.add(&trained.unscale(x), &trained.unscale(r), &mean);
        }
        let living: Vec<usize> = (0..activations.width()).filter(|&unit| !activations.of(unit).is_empty()).collect();
        let [atom_cosine, nearest_atom_cosine] = match trained.atoms()? {
            Some(atoms) => atoms.cosines(&living, trained)?,
            None => [f64::NAN; 2],
        };
        let dense = |unit: &usize| activations.rate(*unit) > DENSE;
        Ok(Self {
            dense_units: living.iter().filter(|unit| dense(unit)).count(),
            atom_cosine,
            nearest_atom_cosine,
            ..sums.measures()
        })
    }
}

/// Sums over rows.
#[derive(Default)]
struct Sums {
    rows: f64,
    error: f64,
    variance: f64,
    normalized: f64,
    shrinkage: f64,
    cosine: f64,
    made: f64,
    product: f64,
}

impl Sums {
    fn add(&mut self, x: &[f64], r: &[f64], mean: &[f64]) {
        let [mut error, mut size, mut made, mut product] = [0.0; 4];
        for ((x, r), mean) in x.iter().zip(r).zip(mean).filter(|((x, _), _)| !x.is_nan()) {
            error += (x - r) * (x - r);
            size += x * x;
            made += r * r;
            product += x * r;
            self.variance += (x - mean) * (x - mean);
        }
        self.rows += 1.0;
        self.error += error;
        self.made += made;
        self.product += product;
        self.normalized += error / size;
        self.shrinkage += (made / size).sqrt();
        // A reconstruction of 0 has no direction.
        self.cosine += if made > 0.0 { product / (size * made).sqrt() } else { 0.0 };
    }

    fn measures(&self) -> DictionaryMeasures {
        DictionaryMeasures {
            explained_variance: 1.0 - self.error / self.variance,
            normalized_error: self.normalized / self.rows,
            shrinkage: self.shrinkage / self.rows,
            relative_bias: self.made / self.product,
            cosine: self.cosine / self.rows,
            dense_units: 0,
            atom_cosine: f64::NAN,
            nearest_atom_cosine: f64::NAN,
        }
    }
}

/// The atoms of a dictionary: what each unit adds to a reconstruction.
#[derive(Debug, Clone)]
pub struct Atoms {
    /// The atoms with length 1, `[units, d_output]`, row by row; zeros if an atom is zero.
    directions: Vec<f32>,
    /// Their lengths.
    lengths: Vec<f64>,
    width: usize,
}

impl Trained {
    /// The atoms of the model in the units of the data, if its decoder is a single layer without an activation.
    ///
    /// # Errors
    /// A device that fails.
    pub fn atoms(&self) -> Result<Option<Atoms>> {
        let Some(atoms) = self.model.parts().atoms() else { return Ok(None) };
        let (mut values, width) = (numbers(atoms)?, self.schema.d_output());
        for atom in values.chunks_exact_mut(width) {
            for (feature, value) in atom.iter_mut().enumerate() {
                *value = (f64::from(*value) * self.schema.output_scaling().of(feature).1) as f32;
            }
        }
        Ok(Some(Atoms::new(values, width)))
    }
}

impl Atoms {
    /// The atoms in the rows of a matrix of this width.
    pub fn new(mut values: Vec<f32>, width: usize) -> Self {
        let lengths = values
            .chunks_exact_mut(width)
            .map(|atom| {
                let length = atom.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
                if length > 0.0 {
                    atom.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
                }
                length
            })
            .collect();
        Self { directions: values, lengths, width }
    }

    /// The length of the atom of a unit.
    pub fn length(&self, unit: usize) -> f64 {
        self.lengths[unit]
    }

    /// The direction of the atom of a unit, with length 1.
    pub fn direction(&self, unit: usize) -> &[f32] {
        &self.directions[unit * self.width..(unit + 1) * self.width]
    }

    /// The directions of all atoms, as rows.
    pub fn matrix(&self) -> Matrix<'_> {
        Matrix { values: &self.directions, width: self.width }
    }

    /// The directions of all atoms, `[units, features]`, row by row.
    pub fn into_directions(self) -> Vec<f32> {
        self.directions
    }

    /// The cosines between the atoms of `units` and the atoms of all units: `[units, all]`, row by row.
    ///
    /// # Errors
    /// A device that fails.
    pub fn cosines_with_all(&self, units: &[usize], trained: &Trained) -> Result<Vec<f32>> {
        let tensor = |values: Vec<f32>| {
            let rows = values.len() / self.width;
            Tensor::<2>::from_data(TensorData::new(values, [rows, self.width]), &trained.device)
        };
        let some = tensor(units.iter().flat_map(|&unit| self.direction(unit).to_vec()).collect());
        numbers(some.matmul(tensor(self.directions.clone()).transpose()))
    }

    /// The mean |cosine| between two of the `living` units, and the mean over them of the largest with another.
    fn cosines(&self, living: &[usize], trained: &Trained) -> Result<[f64; 2]> {
        if living.len() < 2 {
            return Ok([f64::NAN; 2]);
        }
        let step = living.len().div_ceil(COMPARED);
        let probes: Vec<usize> = living.iter().copied().step_by(step).collect();
        let (mut sum, mut nearest) = (0.0, 0.0);
        for units in probes.chunks(AT_ONCE) {
            let cosines = self.cosines_with_all(units, trained)?;
            for (&unit, row) in units.iter().zip(cosines.chunks_exact(self.lengths.len())) {
                let others = living.iter().filter(|&&other| other != unit).map(|&other| f64::from(row[other].abs()));
                let (total, most) = others.fold((0.0, 0.0f64), |(sum, most), cosine| (sum + cosine, most.max(cosine)));
                sum += total;
                nearest += most;
            }
        }
        let count = probes.len() as f64;
        Ok([sum / count / (living.len() - 1) as f64, nearest / count])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_worked_by_hand() {
        let mut sums = Sums::default();
        // Errors 1 and 0, sizes 4 and 1, about the mean (1, 0.5); the missing value counts nowhere.
        sums.add(&[2.0, 0.0], &[1.0, 0.0], &[1.0, 0.5]);
        sums.add(&[f64::NAN, 1.0], &[7.0, 1.0], &[1.0, 0.5]);
        let measures = sums.measures();
        assert_eq!(measures.explained_variance, 1.0 - 1.0 / 1.5);
        assert_eq!(measures.normalized_error, 0.25 / 2.0);
        assert_eq!(measures.shrinkage, 1.5 / 2.0);
        assert_eq!(measures.relative_bias, 2.0 / 3.0);
        assert_eq!(measures.cosine, 1.0);
    }
}
