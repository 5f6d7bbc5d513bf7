//! Tables whose parts are kept in memory.

use std::{collections::HashMap, path::Path, sync::Mutex};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::interface::{CountedIndex, Layout, Table, arrow_problem, rows};
use crate::DataError;

/// A table whose parts are kept in memory after the first read, because decoding a file twice takes twice as long.
#[derive(Debug)]
pub(crate) struct Remembered<'a> {
    table: &'a dyn Table,
    parts: Mutex<HashMap<usize, (Vec<usize>, RecordBatch)>>,
}

impl<'a> Remembered<'a> {
    /// Approximate maximum size in bytes.
    const MOST: usize = 256 << 20;

    /// `None` if the table is too large.
    pub(crate) fn new(table: &'a dyn Table) -> Option<Self> {
        let cells = rows(table).saturating_mul(table.schema().fields().len());
        (cells.saturating_mul(8) <= Self::MOST).then(|| Self { table, parts: Mutex::default() })
    }
}

impl Table for Remembered<'_> {
    fn origin(&self) -> &Path {
        self.table.origin()
    }

    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn starts(&self) -> &[usize] {
        self.table.starts()
    }

    fn part(&self, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError> {
        let mut parts = self.parts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((known, batch)) = parts.get(&part)
            && let Some(places) =
                columns.iter().map(|column| known.binary_search(column).ok()).collect::<Option<Vec<usize>>>()
        {
            return batch.project(&places).map_err(|error| arrow_problem(self.origin(), &error));
        }
        let batch = self.table.part(part, columns)?;
        parts.insert(part, (columns.to_vec(), batch.clone()));
        Ok(batch)
    }

    fn place(&self, row: usize) -> String {
        self.table.place(row)
    }

    fn notes(&self) -> Vec<String> {
        self.table.notes()
    }

    fn index_columns(&self) -> Vec<String> {
        self.table.index_columns()
    }

    fn counted_index(&self) -> Option<CountedIndex> {
        self.table.counted_index()
    }

    fn layout(&self) -> Option<Layout> {
        self.table.layout()
    }
}
