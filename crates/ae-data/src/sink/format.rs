//! The interface of output formats.

use std::{fs::File, ops::Range};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

/// The columns and the number of rows of a table to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// The name and the type of each column.
    pub schema: SchemaRef,
    /// Number of rows.
    pub rows: usize,
    /// The columns of the result. An array holds only these, and not the carried columns.
    pub results: Range<usize>,
    /// The position of the column of labels, which npz and safetensors store as a second array.
    pub label: Option<usize>,
}

impl Shape {
    /// The shape of a table of which all columns are the result.
    pub fn of(schema: SchemaRef, rows: usize) -> Self {
        let results = 0..schema.fields().len();
        Self { schema, rows, results, label: None }
    }

    /// The names of the columns that are not the result.
    pub(super) fn beside(&self) -> Vec<String> {
        let is_beside = |index: &usize| !self.results.contains(index);
        (0..self.schema.fields().len())
            .filter(is_beside)
            .map(|index| format!("`{}`", self.schema.field(index).name()))
            .collect()
    }
}

/// Writes the parts of a table in order.
pub(super) trait Sink {
    /// Writes a part.
    fn write(&mut self, part: &RecordBatch) -> Result<(), String>;

    /// Completes the file. Returns notes on what was left out.
    fn finish(self: Box<Self>) -> Result<Vec<String>, String>;
}

/// A function that opens a sink.
pub(super) type Open = fn(File, &Shape) -> Result<Box<dyn Sink>, String>;

/// An output format.
pub(super) struct Format {
    pub(super) extensions: &'static [&'static str],
    pub(super) open: Open,
}
