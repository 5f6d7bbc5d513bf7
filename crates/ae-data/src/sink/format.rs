//! What a format of results is: what it is given, and what it makes of that.

use std::{fs::File, ops::Range};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

/// The columns of a table to be written, and how many rows there will be.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Name and type of each column.
    pub schema: SchemaRef,
    /// Rows.
    pub rows: usize,
    /// Which columns are the result: an array holds these, and nothing that goes along with them.
    pub results: Range<usize>,
    /// The column of labels, which an archive of arrays holds in a second one.
    pub label: Option<usize>,
}

impl Shape {
    /// The shape of a table that is a result as a whole.
    pub fn of(schema: SchemaRef, rows: usize) -> Self {
        let results = 0..schema.fields().len();
        Self { schema, rows, results, label: None }
    }

    /// The columns beside the result, by name.
    pub(super) fn beside(&self) -> Vec<String> {
        let is_beside = |index: &usize| !self.results.contains(index);
        (0..self.schema.fields().len())
            .filter(is_beside)
            .map(|index| format!("`{}`", self.schema.field(index).name()))
            .collect()
    }
}

/// Writes the parts of a table, in their order.
pub(super) trait Sink {
    fn write(&mut self, part: &RecordBatch) -> Result<(), String>;

    /// Gives what was left out, in sentences.
    fn finish(self: Box<Self>) -> Result<Vec<String>, String>;
}

/// What opens a file of a format.
pub(super) type Open = fn(File, &Shape) -> Result<Box<dyn Sink>, String>;

/// A format of files.
pub(super) struct Format {
    pub(super) extensions: &'static [&'static str],
    pub(super) open: Open,
}
