//! Imputation: missing values are filled in by the model from the observed ones. Its quality is measured on values that
//! were observed and then hidden.

use std::{io::Write, path::Path, sync::Arc};

use ae_data::{Column, DataError, Dataset, Encoding, Kind, Missing, Options, patch, sink::Shape, source, table::texts};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use burn::{
    data::dataset::Dataset as _,
    tensor::{Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    baseline::{Matrix, Pca},
    evaluation::{hide, imputation_mse, numbers},
    results::Table,
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
    /// Error of probabilistic PCA of the code's width (Tipping and Bishop 1999), given the observed values.
    pub pca: f64,
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

/// The imputed cells, by row.
struct Cells<I> {
    batches: I,
    /// The cells of the current batch, row by row, and its first row.
    cells: Vec<f64>,
    first: usize,
    columns: usize,
}

impl<I: Iterator<Item = Result<Vec<f64>>>> Cells<I> {
    /// The cell of a row; rows must be requested in order.
    fn cell(&mut self, row: usize, column: usize) -> Result<f64> {
        while (row - self.first) * self.columns >= self.cells.len() {
            self.first += self.cells.len() / self.columns;
            self.cells = self
                .batches
                .next()
                .ok_or_else(|| Error::Failed("the file has more rows than before".to_string()))??;
        }
        Ok(self.cells[(row - self.first) * self.columns + column])
    }
}

impl Trained {
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

    /// The cells of each row with missing ones filled in, in batches, in the units of the data, row by row; `NaN` where
    /// nothing is known: in a column that was empty in training, or a row in which every value is missing.
    fn filled<'a>(
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
        Ok(HeldOut {
            hidden: HELD_OUT,
            mse: mse(&self.fill(holes.values)?),
            pca: mse(&pca.first(self.config.model.code_dim).impute(holes)),
            mean: mse(&pca.first(0).impute(holes)),
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
    fn places(&self, rows: &Dataset) -> Option<Vec<(usize, Column)>> {
        let carried = rows.rows().carried.as_ref().filter(|_| !self.schema.columns.is_empty())?;
        let names = ae_data::table::names(carried.table().as_ref());
        let found: std::collections::HashMap<&String, usize> = names.iter().zip(0..).collect();
        self.schema.columns.iter().map(|column| Some((*found.get(&column.name)?, column.clone()))).collect()
    }

    /// Writes the text table of `rows`, which must be all of its rows, to `to`: with its blank cells filled in and
    /// every other byte unchanged, gzipped if it is `packed`.
    ///
    /// # Errors
    /// Rows that do not belong to a text table, a device that fails, or a file that cannot be written.
    pub fn impute_text(&self, rows: &Dataset, to: &mut dyn Write, packed: bool) -> Result<Filled> {
        let none = || Error::Failed("these rows do not belong to a text table".to_string());
        let places = self.places(rows).ok_or_else(none)?;
        let table = rows.rows().carried.as_ref().map(|carried| carried.table().clone()).ok_or_else(none)?;
        let missing = rows.rows().missing();
        let missing: Vec<Missing> = places.iter().map(|(_, column)| missing.but_for(&column.levels)).collect();
        let mut columns = vec![None; places.iter().map(|(place, _)| place + 1).max().unwrap_or(0)];
        places.iter().enumerate().for_each(|(index, (place, _))| columns[*place] = Some(index));
        let (mut filled, mut empty, mut failure) = (Filled::default(), usize::MAX, None);
        let batches = self.filled(rows).map(|batch| batch.map(|(_, cells)| cells));
        let mut cells = Cells { batches, cells: Vec::new(), first: 0, columns: places.len() };
        let written = table.rewrite(to, packed, &mut |row, place, said| {
            let is_blank = |index: &usize| places[*index].1.is_blank(said, &missing[*index]);
            let Some(index) = columns.get(place).copied().flatten().filter(is_blank) else { return Ok(None) };
            let column = &places[index].1;
            let cell = cells.cell(row, index).map_err(|error| {
                let reason = error.to_string();
                failure = Some(error);
                DataError::Write { path: table.origin().to_owned(), reason }
            })?;
            let text = patch::written(column, cell);
            match &text {
                Some(_) => filled.cells += 1,
                None => {
                    filled.left += 1;
                    if !column.blank && empty != row {
                        empty = row;
                        filled.empty_rows += 1;
                    }
                }
            }
            Ok(text)
        });
        match (failure, written) {
            (Some(error), _) => Err(error),
            (None, Ok(true)) => Ok(filled),
            (None, Ok(false)) => Err(none()),
            (None, Err(error)) => Err(error.into()),
        }
    }

    /// Writes the array at `from`, of which `rows` must be all rows, to `to`: with its missing numbers filled in and
    /// every other byte unchanged.
    ///
    /// # Errors
    /// A file that is not an array, or a file that cannot be written.
    pub fn impute_array(&self, from: &Path, read: &Options, rows: &Dataset, mut to: impl Write) -> Result<Filled> {
        let width = self.columns().len();
        let batches = self.filled(rows).map(|batch| batch.map(|(_, cells)| cells));
        let mut cells = Cells { batches, cells: Vec::new(), first: 0, columns: width };
        let (mut filled, mut empty, mut failure) = (Filled::default(), usize::MAX, None);
        let copied = source::fill_array(from, read, &mut to, &mut |row, feature| {
            let cell = cells.cell(row, feature).map_err(|error| {
                let reason = error.to_string();
                failure = Some(error);
                DataError::Write { path: from.to_owned(), reason }
            })?;
            if cell.is_nan() {
                filled.left += 1;
                filled.empty_rows += usize::from(empty != row);
                empty = row;
                return Ok(None);
            }
            filled.cells += 1;
            Ok(Some(cell))
        });
        match failure {
            Some(error) => Err(error),
            None => {
                copied?;
                to.flush().map_err(|error| Error::at("write", from, error))?;
                Ok(filled)
            }
        }
    }

    /// `rows` as a table with all of their columns unchanged, but with the blank cells of the learned columns filled
    /// in. If `typed` is set, text columns of plain numbers become numbers. Cells are counted in `count` as the table
    /// is read.
    pub fn impute<'a>(&'a self, rows: &'a Dataset, typed: bool, count: &'a std::cell::RefCell<Filled>) -> Table<'a> {
        let Some(places) = self.places(rows) else { return self.impute_numbers(rows, count) };
        let Some(carried) = rows.rows().carried.as_ref() else { return self.impute_numbers(rows, count) };
        let all: Vec<usize> = (0..carried.table().schema().fields().len()).collect();
        let is_text = typed && carried.table().layout().is_some();
        let mut fields = carried.fields(&all);
        for (place, column) in places.iter().filter(|(_, column)| is_text && is_plain(column)) {
            let kind = if column.integer { DataType::Int64 } else { DataType::Float64 };
            fields[*place] = Field::new(&column.name, kind, true);
        }
        let missing = rows.rows().missing();
        // The metadata that a program wrote into the table, such as that of pandas about its index, is kept.
        let schema = Arc::new(Schema::new(fields).with_metadata(carried.table().schema().metadata().clone()));
        let shape = Shape { results: 0..all.len(), ..Shape::of(schema.clone(), rows.len()) };
        let width = places.len();
        let parts = self.filled(rows).map(move |batch| {
            let (range, cells) = batch?;
            let mut arrays = carried.take(&rows.indices()[range], &all)?;
            let empty = cells
                .chunks_exact(width)
                .filter(|row| row.iter().zip(&places).all(|(cell, (_, column))| cell.is_nan() || column.blank));
            count.borrow_mut().empty_rows += empty.count();
            for (index, (place, column)) in places.iter().enumerate() {
                let wanted: Vec<f64> = cells.iter().skip(index).step_by(width).copied().collect();
                let failed =
                    |error: arrow_schema::ArrowError| Error::Failed(format!("column `{}`: {error}", column.name));
                let missing = missing.but_for(&column.levels);
                let (made, cells, left) = patch::patch(&arrays[*place], column, &wanted, &missing).map_err(failed)?;
                arrays[*place] = if is_text && is_plain(column) { as_numbers(&made, column, &missing)? } else { made };
                count.borrow_mut().cells += cells;
                count.borrow_mut().left += left;
            }
            RecordBatch::try_new(schema.clone(), arrays).map_err(|error| Error::Failed(error.to_string()))
        });
        Table::new(shape, parts)
    }

    /// The same for rows of an array of numbers.
    fn impute_numbers<'a>(&'a self, rows: &'a Dataset, count: &'a std::cell::RefCell<Filled>) -> Table<'a> {
        let columns = self.columns();
        let kind = if rows.rows().element() == ae_data::Element::F64 { DataType::Float64 } else { DataType::Float32 };
        let fields: Vec<Field> = columns.iter().map(|column| Field::new(&column.name, kind.clone(), true)).collect();
        let width = columns.len();
        let parts = self.filled(rows).map(move |batch| {
            let (range, cells) = batch?;
            for &row in &rows.indices()[range.clone()] {
                let blanks = rows.rows().row(row)?.iter().filter(|value| value.is_nan()).count();
                let mut count = count.borrow_mut();
                match blanks == width {
                    true => (count.left, count.empty_rows) = (count.left + blanks, count.empty_rows + 1),
                    false => count.cells += blanks,
                }
            }
            let array = |index: usize| -> ArrayRef {
                let cells: Float64Array =
                    cells.iter().skip(index).step_by(width).map(|cell| (!cell.is_nan()).then_some(*cell)).collect();
                match kind {
                    DataType::Float64 => Arc::new(cells),
                    _ => Arc::new(
                        cells.iter().map(|cell| cell.map(|cell| cell as f32)).collect::<arrow_array::Float32Array>(),
                    ),
                }
            };
            Ok((range, (0..width).map(array).collect()))
        });
        crate::results::results(rows, fields, parts)
    }
}

/// Whether a text column contains numbers in the usual notation.
fn is_plain(column: &Column) -> bool {
    column.kind == Kind::Number && column.style.is_plain() && !column.blank
}

/// Converts a text column of plain numbers to numbers.
fn as_numbers(array: &ArrayRef, column: &Column, missing: &Missing) -> Result<ArrayRef> {
    let texts = texts(array, "the table".as_ref()).map_err(|error: DataError| Error::from(error))?;
    let cell =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !missing.has(text)).map(str::to_string);
    Ok(match column.integer {
        true => {
            Arc::new(texts.iter().map(|text| cell(text).and_then(|text| text.parse().ok())).collect::<Int64Array>())
        }
        false => {
            Arc::new(texts.iter().map(|text| cell(text).and_then(|text| text.parse().ok())).collect::<Float64Array>())
        }
    })
}
