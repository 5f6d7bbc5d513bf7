//! Columns that are carried along with rows.

use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{Field, Schema};
use arrow_select::{concat::concat_batches, take::take};

use super::{
    interface::{Table, arrow_problem, whole_part},
    types::texts,
};
use crate::DataError;

/// A part that was read: its index, its columns, and their cells.
type Part = (usize, Vec<usize>, RecordBatch);

/// Columns that are carried along with rows unchanged: identifiers, labels, and other columns that are not learned
/// from.
#[derive(Debug, Clone)]
pub struct Carried {
    table: Arc<dyn Table>,
    /// The position of the column that identifies each row.
    pub id: Option<usize>,
    /// The position of the column of labels.
    pub label: Option<usize>,
    /// The positions of the other columns that are not learned from.
    pub rest: Vec<usize>,
    /// The part that was read last.
    last: Arc<Mutex<Option<Part>>>,
}

impl Carried {
    pub(crate) fn new(table: Arc<dyn Table>, id: Option<usize>, label: Option<usize>, rest: Vec<usize>) -> Self {
        Self { table, id, label, rest, last: Arc::default() }
    }

    /// The table that the columns belong to.
    pub fn table(&self) -> &Arc<dyn Table> {
        &self.table
    }

    /// The fields of some columns.
    pub fn fields(&self, columns: &[usize]) -> Vec<Field> {
        columns.iter().map(|&column| self.table.schema().field(column).clone().with_nullable(true)).collect()
    }

    /// The cells of some columns for the rows `rows`, in this order.
    ///
    /// # Errors
    /// If the file can no longer be read.
    pub fn take(&self, rows: &[usize], columns: &[usize]) -> Result<Vec<ArrayRef>, DataError> {
        let mut ascending = columns.to_vec();
        ascending.sort_unstable();
        ascending.dedup();
        if ascending.is_empty() {
            return Ok(Vec::new());
        }
        let starts = self.table.starts();
        let problem = |error: arrow_schema::ArrowError| arrow_problem(self.table.origin(), &error);
        let mut pieces = Vec::new();
        for run in rows.chunk_by(|&a, &b| part_of(starts, a) == part_of(starts, b)) {
            let part = part_of(starts, run[0]);
            let batch = self.part(part, &ascending)?;
            let places = UInt64Array::from_iter_values(run.iter().map(|&row| (row - starts[part]) as u64));
            let taken: Result<Vec<ArrayRef>, _> =
                batch.columns().iter().map(|column| take(column, &places, None)).collect();
            pieces.push(RecordBatch::try_new(batch.schema(), taken.map_err(problem)?).map_err(problem)?);
        }
        let whole = match pieces.as_slice() {
            [] => RecordBatch::new_empty(Arc::new(Schema::new(self.fields(&ascending)))),
            pieces => concat_batches(&pieces[0].schema(), pieces).map_err(problem)?,
        };
        Ok(columns
            .iter()
            .map(|column| whole.column(ascending.partition_point(|other| other < column)).clone())
            .collect())
    }

    fn part(&self, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError> {
        let mut last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((number, places, batch)) = last.as_ref()
            && *number == part
            && places == columns
        {
            return Ok(batch.clone());
        }
        let batch = whole_part(self.table.as_ref(), part, columns)?;
        *last = Some((part, columns.to_vec(), batch.clone()));
        Ok(batch)
    }

    /// The cells of a column as strings for the rows `rows`; `None` for a missing cell.
    ///
    /// # Errors
    /// If the file can no longer be read.
    pub fn texts(&self, rows: &[usize], column: usize) -> Result<Vec<Option<String>>, DataError> {
        let taken = self.take(rows, &[column])?;
        texts(&taken[0], self.table.origin())
    }
}

/// The index of the part with a row.
fn part_of(starts: &[usize], row: usize) -> usize {
    starts.partition_point(|&start| start <= row) - 1
}
