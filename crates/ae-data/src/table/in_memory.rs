//! Tables in memory.

use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::interface::{CountedIndex, Table, arrow_problem, starts, unique_names};
use crate::DataError;

/// A table in memory, made of Arrow record batches.
#[derive(Debug)]
pub struct InMemory {
    origin: PathBuf,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    starts: Vec<usize>,
    index_columns: Vec<String>,
    counted_index: Option<CountedIndex>,
}

impl InMemory {
    /// A table of these batches; `origin` names it in messages.
    ///
    /// # Errors
    /// If two columns have the same name, or the batches have different columns.
    pub fn new(origin: &Path, schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Self, DataError> {
        let malformed = |problem: String| DataError::Malformed { path: origin.to_owned(), problem };
        unique_names(&schema, origin)?;
        if batches.iter().any(|batch| batch.schema().fields() != schema.fields()) {
            return Err(malformed("its parts have different columns".to_string()));
        }
        let starts = starts(batches.iter().map(RecordBatch::num_rows))
            .ok_or_else(|| malformed("has too many rows to be counted".to_string()))?;
        Ok(Self { origin: origin.to_owned(), schema, batches, starts, index_columns: Vec::new(), counted_index: None })
    }

    /// The same table with these index columns, or with an index stored as a range.
    pub(crate) fn with_index(mut self, names: Vec<String>, counted: Option<CountedIndex>) -> Self {
        (self.index_columns, self.counted_index) = (names, counted);
        self
    }

    /// A table of strings, by column.
    #[cfg(test)]
    pub(crate) fn texts(origin: &Path, columns: Vec<(&str, Vec<Option<String>>)>) -> Result<Self, DataError> {
        let field = |name: &str| arrow_schema::Field::new(name, arrow_schema::DataType::Utf8, true);
        let fields: Vec<_> = columns.iter().map(|(name, _)| field(name)).collect();
        let schema = Arc::new(arrow_schema::Schema::new(fields));
        let arrays = columns
            .into_iter()
            .map(|(_, texts)| Arc::new(arrow_array::StringArray::from(texts)) as arrow_array::ArrayRef)
            .collect();
        let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(|error| arrow_problem(origin, &error))?;
        Self::new(origin, schema, vec![batch])
    }
}

impl Table for InMemory {
    fn origin(&self) -> &Path {
        &self.origin
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn part(&self, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError> {
        self.batches[part].project(columns).map_err(|error| arrow_problem(&self.origin, &error))
    }

    fn notes(&self) -> Vec<String> {
        self.counted_index.iter().filter_map(CountedIndex::note).collect()
    }

    fn index_columns(&self) -> Vec<String> {
        self.index_columns.clone()
    }

    fn counted_index(&self) -> Option<CountedIndex> {
        self.counted_index.clone()
    }
}
