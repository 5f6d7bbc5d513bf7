//! Imputation of rows as a table.

use std::sync::Arc;

use ae_data::{Column, DataError, Dataset, Kind, Missing, patch, sink::Shape, table::texts};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use burn::data::dataset::Dataset as _;

use super::fill::Filled;
use crate::{Error, Result, results::Table, trained::Trained};

impl Trained {
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
