//! Imputation of files: every byte that is not missing is copied.

use std::{io::Write, path::Path};

use ae_data::{DataError, Dataset, Missing, Options, patch, source};

use super::fill::Filled;
use crate::{Error, Result, trained::Trained};

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
}
