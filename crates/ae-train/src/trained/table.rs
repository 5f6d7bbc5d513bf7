//! Codes and reconstructions as tables, in the units of the data.

use std::sync::Arc;

use ae_data::{Column, Dataset, Encoding, Kind, patch};
use ae_model::Corruption;
use arrow_array::{ArrayRef, BooleanArray, Float32Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use burn::data::dataset::Dataset as _;

use super::model::Trained;
use crate::{
    Error, Result,
    results::{Table, results},
    tensors::{BATCH, numbers},
};

impl Trained {
    /// The code of each row: columns `h0`, `h1`, ... after the rows' identifiers and labels.
    pub fn encode<'a>(&'a self, rows: &'a Dataset) -> Table<'a> {
        let names = (0..self.config.model.code_dim).map(|unit| format!("h{unit}")).collect();
        let codes =
            self.batches(rows, "encoding rows", |batch| numbers(self.model.encode_visible(batch.x, batch.observed)));
        self.numbers_table(rows, names, codes)
    }

    /// The reconstruction of each row as a table in the units of the data, after the rows' identifiers and labels.
    /// Columns whose numbers are written with marks such as `%`, or with decimal commas, are written the same way
    /// unless `typed` is set.
    pub fn reconstruct<'a>(&'a self, rows: &'a Dataset, corruption: Option<&'a Corruption>, typed: bool) -> Table<'a> {
        let batches = self.reconstructions(rows, corruption);
        self.data_table(rows, typed, batches.map(|batch| batch.map(|batch| (batch.range, batch.values))))
    }

    /// Decodes `codes` to a table in the units of the data, after the columns that identify the codes; for `typed` see
    /// [`reconstruct`](Self::reconstruct).
    pub fn decoded<'a>(&'a self, codes: &'a Dataset, typed: bool) -> Table<'a> {
        let made = (0..codes.len()).step_by(BATCH).map(move |start| {
            let range = start..codes.len().min(start + BATCH);
            let values = codes.select(codes.indices()[range.clone()].to_vec()).scaled(&ae_data::Scaling::identity())?;
            Ok((range, self.decode(&values)?))
        });
        self.data_table(codes, typed, made)
    }

    /// A table with columns of numbers for `rows`, produced batch by batch, after the columns that identify the rows.
    pub(crate) fn numbers_table<'a>(
        &'a self,
        rows: &'a Dataset,
        names: Vec<String>,
        batches: impl Iterator<Item = Result<(std::ops::Range<usize>, Vec<f32>)>> + 'a,
    ) -> Table<'a> {
        let fields = names.iter().map(|name| Field::new(name, DataType::Float32, true)).collect();
        let width = names.len();
        let parts = batches.map(move |batch| {
            let (range, values) = batch?;
            let column = |index: usize| {
                Arc::new(Float32Array::from_iter(values.iter().skip(index).step_by(width).copied())) as ArrayRef
            };
            Ok((range, (0..width).map(column).collect()))
        });
        results(rows, fields, parts)
    }

    /// A table of rows with the columns of the data, produced batch by batch in its units, after the columns that
    /// identify the rows.
    pub(crate) fn data_table<'a>(
        &'a self,
        rows: &'a Dataset,
        typed: bool,
        batches: impl Iterator<Item = Result<(std::ops::Range<usize>, Vec<f64>)>> + 'a,
    ) -> Table<'a> {
        let encoding = Encoding::new(self.columns());
        let parts = batches.map(move |batch| {
            let (range, values) = batch?;
            Ok((range, self.arrays(&encoding, &values, typed)))
        });
        results(rows, self.fields(typed), parts)
    }

    /// Name and type of each reconstructed column of the data; a number is a string in the style of its column unless
    /// `typed` is set.
    fn fields(&self, typed: bool) -> Vec<Field> {
        let columns = self.columns();
        let ranges = Encoding::new(columns.clone()).ranges();
        let kind = |column: &Column, feature: usize| match column.kind {
            Kind::Number if !typed && !column.style.is_plain() => DataType::Utf8,
            Kind::Number if self.is_far(feature) => DataType::Float64,
            Kind::Number => DataType::Float32,
            Kind::Boolean if column.levels.is_empty() => DataType::Boolean,
            Kind::Boolean | Kind::Category => DataType::Utf8,
        };
        columns
            .iter()
            .zip(ranges)
            .map(|(column, (first, _))| Field::new(&column.name, kind(column, first), true))
            .collect()
    }

    /// Whether a feature is far from zero compared with its spread, so that it needs double precision.
    fn is_far(&self, feature: usize) -> bool {
        let (offset, scale) = self.schema.scaling.of(feature);
        offset.abs() > scale * 1e4
    }

    /// Converts rows in the units of the data (`[rows, d_input]`, row by row) to columns.
    fn arrays(&self, encoding: &Encoding, values: &[f64], typed: bool) -> Vec<ArrayRef> {
        let (width, ranges) = (encoding.columns().len(), encoding.ranges());
        let cells: Vec<f64> = values.chunks_exact(encoding.width()).flat_map(|row| encoding.decode(row)).collect();
        let array = |(index, field): (usize, Field)| {
            let column = &encoding.columns()[index];
            let cells = cells.iter().skip(index).step_by(width).copied();
            let some = |cell: f64| (!cell.is_nan()).then_some(cell);
            match field.data_type() {
                DataType::Float64 => Arc::new(cells.map(some).collect::<Float64Array>()) as ArrayRef,
                DataType::Boolean => {
                    Arc::new(cells.map(|cell| some(cell).map(|cell| cell >= 0.5)).collect::<BooleanArray>())
                }
                DataType::Utf8 if column.kind == Kind::Number => {
                    let digits = |cell: f64| {
                        if self.is_far(ranges[index].0) { cell.to_string() } else { (cell as f32).to_string() }
                    };
                    Arc::new(
                        cells
                            .map(|cell| some(cell).map(|cell| column.style.write(&digits(cell))))
                            .collect::<StringArray>(),
                    )
                }
                DataType::Utf8 => Arc::new(cells.map(|cell| patch::written(column, cell)).collect::<StringArray>()),
                _ => Arc::new(cells.map(|cell| some(cell).map(|cell| cell as f32)).collect::<Float32Array>()),
            }
        };
        self.fields(typed).into_iter().enumerate().map(array).collect()
    }

    /// Converts rows in the units of the data (`[rows, d_input]`, row by row) to a record batch.
    ///
    /// # Errors
    /// Columns of the same name.
    pub fn table_of(&self, values: &[f64]) -> Result<RecordBatch> {
        self.batch_of(values, true)
    }

    /// As [`table_of`](Self::table_of), as written to a text file: see [`reconstruct`](Self::reconstruct).
    ///
    /// # Errors
    /// Columns of the same name.
    pub fn text_of(&self, values: &[f64]) -> Result<RecordBatch> {
        self.batch_of(values, false)
    }

    fn batch_of(&self, values: &[f64], typed: bool) -> Result<RecordBatch> {
        let schema = ArrowSchema::new(self.fields(typed));
        let arrays = self.arrays(&Encoding::new(self.columns()), values, typed);
        RecordBatch::try_new(Arc::new(schema), arrays).map_err(|error| Error::Failed(error.to_string()))
    }
}
