//! Filling in missing values, and its quality.

use ae_data::{Column, Dataset, Encoding};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    baseline::Pca,
    evaluation::{hide, imputation_mse},
    matrix::Matrix,
    tensors::numbers,
    trained::Trained,
};

/// Share of the values that are hidden to measure the quality of imputation.
pub const HELD_OUT: f64 = 0.1;

/// Maximum number of rows for this measurement, and of their values.
const MEASURED: usize = 10_000;

const VALUES: usize = 2 << 20;

/// Number of times that the imputed row goes through the model again.
const ROUNDS: usize = 5;

/// Quality of imputation: mean squared error at values that were observed and then hidden, in units of the scaled data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Share of the values that were hidden, completely at random.
    pub hidden: f64,
    /// Error of the model.
    pub mse: f64,
    /// Error of probabilistic PCA (Tipping and Bishop 1999), given the observed values.
    pub pca: f64,
    /// Its components: as many as the code has units, or those for 90% of the variance if that would be all of them.
    #[serde(default)]
    pub pca_components: usize,
    /// Error of the mean of each column.
    pub mean: f64,
}

/// Counts of the blank cells of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filled {
    /// Cells that were filled in.
    pub cells: usize,
    /// Cells left blank: in columns that were empty in training, or in rows in which every value is missing.
    pub left: usize,
    /// Rows in which every value is missing, so that they cannot be filled in.
    pub empty_rows: usize,
}

impl Trained {
    /// Refuses a model that cannot fill in missing values: a dictionary has more units than a row has values, and
    /// reading its own output again and again diverges.
    ///
    /// # Errors
    /// The model is a dictionary.
    pub fn check_imputes(&self) -> Result<()> {
        match self.config.model.network.is_dictionary() {
            true => Err(Error::Usage(format!(
                "{} is a dictionary, which cannot fill in missing values: train another variant for that, such as \
                 `ae train --variant masked`",
                self.config.variant
            ))),
            false => Ok(()),
        }
    }

    /// `values` (scaled rows, `NaN` where missing) with missing values filled in, row by row. A model that reads which
    /// values are observed does this in one pass; any other model starts with the mean and reads its own output a few
    /// times.
    ///
    /// # Errors
    /// A device that fails.
    pub fn fill(&self, values: &[f32]) -> Result<Vec<f32>> {
        let width = self.schema.d_input;
        let shape = [values.len() / width, width];
        let tensor = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, shape), &self.device);
        let visible = tensor(values.iter().map(|value| if value.is_nan() { 0.0 } else { 1.0 }).collect());
        let mut filled = self.model.impute(
            tensor(values.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect()),
            visible.clone(),
        );
        if !self.model.mask_input {
            for _ in 0..ROUNDS {
                let again = self.model.reconstruct(filled.clone());
                filled = filled.mask_where(visible.clone().lower_equal_elem(0.5), again);
            }
        }
        numbers(filled)
    }

    /// The cells of all `rows` with missing ones filled in, in the units of the data, row by row; `NaN` where nothing
    /// is known.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn imputed(&self, rows: &Dataset) -> Result<Vec<f64>> {
        self.filled(rows).try_fold(Vec::new(), |mut all, batch| {
            all.extend(batch?.1);
            Ok(all)
        })
    }

    /// Measures the quality of imputation on observed values of `rows` that are hidden.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn held_out(&self, rows: &Dataset, pca: &Pca) -> Result<HeldOut> {
        let width = self.schema.d_input;
        let values = rows.thin((VALUES / width).clamp(256, MEASURED)).scaled(&self.schema.scaling)?;
        let known = Matrix { values: &values, width };
        let holes = self.hide(known, HELD_OUT);
        let holes = Matrix { values: &holes, width };
        let mse = |filled: &[f32]| imputation_mse(known, holes, filled);
        let beside = pca.beside(self.config.model.code_dim);
        Ok(HeldOut {
            hidden: HELD_OUT,
            mse: mse(&self.fill(holes.values)?),
            pca: mse(&beside.impute(holes)),
            pca_components: beside.components(),
            mean: mse(&pca.first(0).impute(holes)),
        })
    }

    /// The cells of each row with missing ones filled in, in batches, in the units of the data, row by row; `NaN` where
    /// nothing is known: in a column that was empty in training, or a row in which every value is missing.
    pub(super) fn filled<'a>(
        &'a self,
        rows: &'a Dataset,
    ) -> impl Iterator<Item = Result<(std::ops::Range<usize>, Vec<f64>)>> + 'a {
        let encoding = Encoding::new(self.columns());
        let columns = self.columns();
        self.batches(rows, "filling in rows", move |batch| {
            let scaled = rows.select(batch.rows.clone()).scaled(&self.schema.scaling)?;
            let width = self.schema.d_input;
            let mut filled = self.unscale(&self.fill(&scaled)?);
            let mut cells = Vec::with_capacity(batch.rows.len() * columns.len());
            for (index, &row) in batch.rows.iter().enumerate() {
                let features = &mut filled[index * width..(index + 1) * width];
                let known = rows.rows().row(row)?;
                let is_empty = known.iter().all(|value| value.is_nan());
                // A feature that was constant in training needs no network.
                self.schema.scaling.constant.iter().for_each(|&(feature, value)| features[feature] = value);
                // Observed values are copied: scaling and unscaling would change their last bits.
                features
                    .iter_mut()
                    .zip(&known)
                    .filter(|(_, known)| !known.is_nan())
                    .for_each(|(value, known)| *value = *known);
                let decoded = encoding.decode(features);
                cells.extend(
                    decoded
                        .into_iter()
                        .zip(&columns)
                        .map(|(cell, column)| if is_empty || column.blank { f64::NAN } else { cell }),
                );
            }
            Ok(cells)
        })
    }

    /// `rows` with a share `rate` of the values of their columns missing: a category is hidden with all of its levels.
    pub(crate) fn hide(&self, rows: Matrix, rate: f64) -> Vec<f32> {
        let ranges = Encoding::new(self.columns()).ranges();
        let count = rows.values.len() / rows.width;
        let cells = vec![0.0; count * ranges.len()];
        let hidden = hide(Matrix { values: &cells, width: ranges.len() }, rate, self.config.seed);
        let mut values = rows.values.to_vec();
        for (index, _) in hidden.iter().enumerate().filter(|(_, cell)| cell.is_nan()) {
            let (start, end) = ranges[index % ranges.len()];
            let row = index / ranges.len() * rows.width;
            values[row + start..row + end].fill(f32::NAN);
        }
        values
    }

    /// The learned columns, and their positions in the table of `rows`.
    pub(super) fn places(&self, rows: &Dataset) -> Option<Vec<(usize, Column)>> {
        let carried = rows.rows().carried.as_ref().filter(|_| !self.schema.columns.is_empty())?;
        let names = ae_data::table::names(carried.table().as_ref());
        let found: std::collections::HashMap<&String, usize> = names.iter().zip(0..).collect();
        self.schema.columns.iter().map(|column| Some((*found.get(&column.name)?, column.clone()))).collect()
    }
}
