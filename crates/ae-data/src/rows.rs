//! Rows of values as they came from their source: bytes stay bytes until a batch is gathered.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Column, DataError, Element, Encoding, Scaling, Values, store::Store};

/// The shape of an image that a row holds, in row-major order `channels, height, width`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Colour channels; 1 for grey.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// Where the cells are.
#[derive(Debug, Clone)]
enum Cells {
    /// In memory, row by row.
    Memory(Values),
    /// In their file.
    File(Arc<Store>),
}

/// A table of rows, with what is known about it.
#[derive(Debug, Clone)]
pub struct Rows {
    values: Cells,
    /// Cells of a row.
    cells: usize,
    /// How cells become features; none if each cell is a feature of its own.
    encoding: Option<Encoding>,
    /// Class of each row, if there are labels.
    pub labels: Option<Vec<u32>>,
    /// Names of the classes, if they have names.
    pub label_names: Option<Vec<String>>,
    /// What identifies each row, if anything does.
    pub ids: Option<Vec<String>>,
    /// Shape of the images that the rows hold, if they do.
    pub geometry: Option<Geometry>,
    has_missing: bool,
}

impl Rows {
    /// Rows of `width` numbers; `NaN` counts as missing.
    ///
    /// # Panics
    /// If the values do not fill whole rows: a reader checks that first.
    pub fn new(values: Values, width: usize) -> Self {
        assert!(width > 0 && values.len().is_multiple_of(width), "{} values do not fill rows of {width}", values.len());
        let has_missing = values.has_missing();
        let values = Cells::Memory(values);
        Self { values, cells: width, encoding: None, labels: None, label_names: None, ids: None, geometry: None, has_missing }
    }

    /// Rows of `width` numbers that stay in their file; `has_missing` says whether any can be missing.
    pub fn stored(store: Store, width: usize, has_missing: bool) -> Self {
        let values = Cells::File(Arc::new(store));
        Self { values, cells: width, encoding: None, labels: None, label_names: None, ids: None, geometry: None, has_missing }
    }

    /// The same rows, of which these are the columns.
    ///
    /// # Panics
    /// Another number of columns than of cells in a row.
    pub fn with_columns(mut self, columns: Vec<Column>) -> Self {
        assert_eq!(columns.len(), self.cells, "a column for each cell");
        self.encoding = Some(Encoding::new(columns));
        self
    }

    /// Rows of a table with these columns; a category's cell is the number of its level.
    ///
    /// # Panics
    /// If the values do not fill whole rows.
    pub fn table(values: Values, columns: Vec<Column>) -> Self {
        Self::new(values, columns.len()).with_columns(columns)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.values {
            Cells::Memory(values) => values.len() / self.cells,
            Cells::File(store) => store.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Features of a row, `d_input`.
    pub fn width(&self) -> usize {
        self.encoding.as_ref().map_or(self.cells, Encoding::width)
    }

    /// The columns, if they are known.
    pub fn encoding(&self) -> Option<&Encoding> {
        self.encoding.as_ref()
    }

    /// Features that are scaled: those that are numbers. They come first.
    pub fn numbers(&self) -> usize {
        self.encoding.as_ref().map_or(self.cells, |encoding| encoding.layout().numbers)
    }

    /// The type of the numbers as they came.
    pub fn element(&self) -> Element {
        match &self.values {
            Cells::Memory(values) => values.element(),
            Cells::File(store) => store.element(),
        }
    }

    /// The names of the classes, in the order of their numbers: the numbers themselves if they have no names; none without labels.
    pub fn classes(&self) -> Vec<String> {
        match (&self.label_names, &self.labels) {
            (Some(names), _) => names.clone(),
            (None, Some(labels)) => (0..=labels.iter().copied().max().unwrap_or(0)).map(|class| class.to_string()).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Where the rows are, if they stay in their file.
    pub fn store(&self) -> Option<&Store> {
        match &self.values {
            Cells::Memory(_) => None,
            Cells::File(store) => Some(store),
        }
    }

    /// Calls `sink` with each cell of row `index`, as it came.
    ///
    /// # Errors
    /// A file that can no longer be read.
    pub fn each_cell(&self, index: usize, sink: impl FnMut(f32)) -> Result<(), DataError> {
        match &self.values {
            Cells::Memory(values) => values.each(index * self.cells..(index + 1) * self.cells, sink),
            Cells::File(store) => {
                let (block, place) = store.at(index)?;
                block.each(place * self.cells..(place + 1) * self.cells, sink);
            }
        }
        Ok(())
    }

    /// Whether any value is missing.
    pub fn has_missing(&self) -> bool {
        self.has_missing
    }

    /// Appends rows of the same columns.
    ///
    /// # Panics
    /// Rows of other columns, or rows that stay in their file.
    pub fn append(&mut self, other: Self) {
        assert_eq!((self.cells, &self.encoding), (other.cells, &other.encoding), "rows of the same columns");
        match (&mut self.values, other.values) {
            (Cells::Memory(values), Cells::Memory(more)) => values.append(more),
            _ => panic!("rows in files are not joined"),
        }
        self.has_missing |= other.has_missing;
        self.labels = self.labels.take().zip(other.labels).map(|(labels, more)| [labels, more].concat());
        self.ids = self.ids.take().zip(other.ids).map(|(ids, more)| [ids, more].concat());
    }

    /// The features of row `index`, in their own units.
    ///
    /// # Errors
    /// A file that can no longer be read.
    pub fn row(&self, index: usize) -> Result<Vec<f32>, DataError> {
        let mut features = Vec::with_capacity(self.width());
        self.append_row(index, &mut features)?;
        Ok(features)
    }

    fn append_row(&self, index: usize, features: &mut Vec<f32>) -> Result<(), DataError> {
        match &self.encoding {
            None => match &self.values {
                // The whole row at once, which vectorises.
                Cells::Memory(values) => {
                    values.extend(index * self.cells..(index + 1) * self.cells, features);
                    Ok(())
                }
                Cells::File(_) => self.each_cell(index, |value| features.push(value)),
            },
            Some(encoding) => {
                let mut cells = Vec::with_capacity(self.cells);
                self.each_cell(index, |value| cells.push(value))?;
                encoding.encode(|column| cells[column], features);
                Ok(())
            }
        }
    }

    /// Appends row `index`, scaled, to `buffer`. Missing values stay `NaN`.
    ///
    /// # Errors
    /// A file that can no longer be read.
    pub fn gather(&self, index: usize, scaling: &Scaling, buffer: &mut Vec<f32>) -> Result<(), DataError> {
        let start = buffer.len();
        self.append_row(index, buffer)?;
        scaling.apply(&mut buffer[start..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_units_and_know_what_is_missing() {
        let bytes = Rows::new(Values::U8(vec![1, 2, 3, 4]), 2);
        assert_eq!((bytes.len(), bytes.row(1).unwrap(), bytes.has_missing()), (2, vec![3.0, 4.0], false));
        let reals = Rows::new(Values::F32(vec![0.5, f32::NAN]), 2);
        assert!(reals.has_missing());
    }
}
