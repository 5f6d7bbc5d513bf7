//! Filling in what is missing: the blanks of rows by what the model makes of the rest; and how good that is, on values that were there.

use std::{fs, path::Path};

use ae_data::{
    Dataset, Encoding, Kind, Options,
    frame::{Cells, Frame},
    source,
};
use burn::{
    data::dataset::Dataset as _,
    tensor::{Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    baseline::{Matrix, Pca},
    evaluation::{hide, imputation_mse, numbers},
    trained::{Table, Trained},
};

/// Share of the values that are hidden to measure how well hidden values are filled in.
pub const HELD_OUT: f64 = 0.1;
/// Rows that this is measured on, at most.
const MEASURED: usize = 10_000;
/// Times that a row is looked at again with what was filled in.
const ROUNDS: usize = 5;

/// How well values that were there and were hidden are filled in: mean squared error at the hidden values, in units of the scaled data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Share of the values that were hidden, completely at random.
    pub hidden: f64,
    /// By the model.
    pub mse: f64,
    /// By PCA of the code's width, from what was observed (probabilistic PCA, Tipping and Bishop 1999).
    pub pca: f64,
    /// By the mean of each column.
    pub mean: f64,
}

impl Trained {
    /// `values` (scaled rows, `NaN` where missing) with what is missing filled in, row by row. A model that reads which values are there does it
    /// at once; any other begins with the mean and reads its own answer a few times over.
    ///
    /// # Errors
    /// A device that fails.
    pub fn fill(&self, values: &[f32]) -> Result<Vec<f32>> {
        let width = self.schema.d_input;
        let shape = [values.len() / width, width];
        let tensor = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, shape), &self.device);
        let visible = tensor(values.iter().map(|value| if value.is_nan() { 0.0 } else { 1.0 }).collect());
        let mut filled =
            self.model.impute(tensor(values.iter().map(|value| if value.is_nan() { 0.0 } else { *value }).collect()), visible.clone());
        if !self.model.mask_input {
            for _ in 0..ROUNDS {
                let again = self.model.reconstruct(filled.clone());
                filled = filled.mask_where(visible.clone().lower_equal_elem(0.5), again);
            }
        }
        numbers(filled)
    }

    /// Each row with its blanks filled in, in the units of the data, behind the rows' identifiers and labels.
    pub fn impute<'a>(&'a self, rows: &'a Dataset) -> Table<'a> {
        self.data_table(rows, self.filled(rows))
    }

    /// The rows with their blanks filled in, in batches, in the units of the data.
    fn filled<'a>(&'a self, rows: &'a Dataset) -> impl Iterator<Item = Result<(std::ops::Range<usize>, Vec<f32>)>> + 'a {
        self.batches(rows, "filling in rows", |batch| {
            let indices = rows.select(batch.rows.clone());
            let scaled = indices.scaled(&self.schema.scaling)?;
            let mut filled = self.unscale(self.fill(&scaled)?);
            // What was there stays to the last bit, which scaling and back would not give.
            let mut start = 0;
            for &index in &batch.rows {
                for (place, value) in rows.rows().row(index)?.into_iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                    filled[start + place] = value;
                }
                start += self.schema.d_input;
            }
            Ok(filled)
        })
    }

    /// How well values of `rows` that are there are filled in once they are hidden.
    ///
    /// # Errors
    /// A device that fails, or a file that can no longer be read.
    pub fn held_out(&self, rows: &Dataset, pca: &Pca) -> Result<HeldOut> {
        let step = rows.len().div_ceil(MEASURED).max(1);
        let values = rows.select(rows.indices().iter().copied().step_by(step).collect()).scaled(&self.schema.scaling)?;
        let width = self.schema.d_input;
        let known = Matrix { values: &values, width };
        let holes = self.hide(known, HELD_OUT);
        let holes = Matrix { values: &holes, width };
        let mse = |filled: &[f32]| imputation_mse(known, holes, filled);
        Ok(HeldOut {
            hidden: HELD_OUT,
            mse: mse(&self.fill(holes.values)?),
            pca: mse(&pca.first(self.config.model.code_dim).impute(holes)),
            mean: mse(&pca.first(0).impute(holes)),
        })
    }

    /// `rows` with the share `rate` of their columns' values missing: a category is hidden with all of its levels.
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

    /// Writes the text table at `from` to `to` with its blanks filled in, and every other byte as it was. Gives the number of blanks.
    ///
    /// # Errors
    /// A file that is no text table or not like the run's data, or a place that cannot be written.
    pub fn impute_text(&self, from: &Path, read: &Options, rows: &Dataset, to: &Path) -> Result<usize> {
        let encoding = Encoding::new(self.columns());
        let names: Vec<&str> = encoding.columns().iter().map(|column| column.name.as_str()).collect();
        let mut cells: Vec<Vec<f32>> = Vec::with_capacity(rows.len());
        for batch in self.filled(rows) {
            cells.extend(batch?.1.chunks_exact(encoding.width()).map(|row| encoding.decode(row)));
        }
        let text = fs::read(from).map_err(|error| Error::at("read", from, error))?;
        let mut blanks = 0;
        let filled = source::fill_text(&text, read, from, |row, name| {
            let column = names.iter().position(|other| *other == name)?;
            let value = *cells.get(row)?.get(column)?;
            blanks += 1;
            let column = &encoding.columns()[column];
            Some(match column.kind {
                Kind::Number => value.to_string(),
                Kind::Boolean => (value >= 0.5).to_string(),
                Kind::Category => column.levels[value as usize].clone(),
            })
        })?;
        ae_data::sink::write_bytes(to, &filled)?;
        Ok(blanks)
    }

    /// The table `whole`, every column of it, with the blanks of the data's columns filled in. Gives the number of blanks beside.
    ///
    /// # Errors
    /// A device that fails.
    pub fn impute_frame(&self, mut whole: Frame, rows: &Dataset) -> Result<(Frame, usize)> {
        let mut blanks = 0;
        let mut filled: Option<Frame> = None;
        for part in self.filled(rows) {
            let part = self.table_of(&part?.1);
            match &mut filled {
                None => filled = Some(part),
                Some(filled) => filled.append(part, Path::new("the filled rows"))?,
            }
        }
        let Some(filled) = filled else { return Ok((whole, 0)) };
        for (name, cells) in &mut whole.columns {
            let Some((_, made)) = filled.columns.iter().find(|(other, _)| other == name) else { continue };
            match (cells, made) {
                (Cells::Numbers(cells), Cells::Numbers(made)) | (Cells::Booleans(cells), Cells::Booleans(made)) => {
                    for (cell, made) in cells.iter_mut().zip(made).filter(|(cell, _)| cell.is_nan()) {
                        *cell = *made;
                        blanks += 1;
                    }
                }
                (Cells::Texts(cells), Cells::Texts(made)) => {
                    for (cell, made) in cells.iter_mut().zip(made).filter(|(cell, _)| cell.is_none()) {
                        cell.clone_from(made);
                        blanks += 1;
                    }
                }
                _ => {}
            }
        }
        Ok((whole, blanks))
    }
}
