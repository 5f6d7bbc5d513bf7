//! Results as a table: what identifies each row, then the result, then whatever else goes along with the row. Made and
//! written part by part, so that data of any size passes.

use std::{collections::HashSet, fmt, ops::Range, path::Path, sync::Arc};

use ae_data::{
    Dataset,
    sink::{Shape, Writer},
    table::CountedIndex,
};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use burn::data::dataset::Dataset as _;

use crate::{Error, Result};

/// Columns that are named, at most.
const NAMED: usize = 8;

/// A table that is made part by part.
pub struct Table<'a> {
    /// Its columns, and how many rows there will be.
    pub shape: Shape,
    /// What is to be said about it, in sentences.
    notes: Vec<String>,
    parts: Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>,
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Iterator for Table<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.parts.next()
    }
}

impl<'a> Table<'a> {
    /// A table of this shape, of these parts.
    pub(crate) fn new(shape: Shape, parts: impl Iterator<Item = Result<RecordBatch>> + 'a) -> Self {
        Self { shape, notes: Vec::new(), parts: Box::new(parts) }
    }

    /// Writes the table in the format that the ending of `path` names; as CSV to standard output if there is none.
    /// Gives what the format left out and what else is to be said, in sentences.
    ///
    /// # Errors
    /// Whatever making a part fails with, or a place that cannot be written: what was there before stays.
    pub fn save(self, path: Option<&Path>) -> Result<Vec<String>> {
        let mut writer = match path {
            Some(path) => Writer::create(path, &self.shape)?,
            None => Writer::standard_output(&self.shape)?,
        };
        self.parts.into_iter().try_for_each(|part| Ok::<_, Error>(writer.write(&part?)?))?;
        Ok([self.notes, writer.finish()?].concat())
    }
}

/// A table of results for `rows`: `fields`, made batch by batch for positions of the rows. A result that is called like
/// something that goes along has another name.
pub(crate) fn results<'a>(
    rows: &'a Dataset,
    fields: Vec<Field>,
    made: impl Iterator<Item = Result<(Range<usize>, Vec<ArrayRef>)>> + 'a,
) -> Table<'a> {
    let carried = rows.rows().carried.as_ref();
    let front: Vec<usize> = carried.map_or(Vec::new(), |carried| carried.id.into_iter().chain(carried.label).collect());
    let rest: Vec<usize> = carried.map_or(Vec::new(), |carried| carried.rest.clone());
    let of = |places: &[usize]| carried.map_or(Vec::new(), |carried| carried.fields(places));
    // An index that is counted is in no column, and would be lost.
    let index = carried.and_then(|carried| carried.table().counted_index()).filter(|index| !index.is_plain());
    let counted = index.as_ref().map(|index| Field::new(&index.name, DataType::Int64, true));
    let (before, behind) = (counted.into_iter().chain(of(&front)).collect::<Vec<_>>(), of(&rest));
    let mut taken: HashSet<String> = before.iter().chain(&behind).map(|field| field.name().clone()).collect();
    let results = before.len()..before.len() + fields.len();
    let mut renamed = Vec::new();
    let fields: Vec<Field> = fields
        .into_iter()
        .map(|field| {
            let mut name = field.name().clone();
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            if name != *field.name() {
                renamed.push(format!("`{name}`"));
            }
            field.with_name(name)
        })
        .collect();
    let label = carried.and_then(|carried| carried.label).map(|_| before.len() - 1);
    let schema = Arc::new(Schema::new([before, fields, behind].concat()));
    let shape = Shape { schema: schema.clone(), rows: rows.len(), results, label };
    let parts = made.map(move |batch| {
        let (range, arrays) = batch?;
        let taken = match carried {
            Some(carried) => carried.take(&rows.indices()[range.clone()], &[front.as_slice(), &rest].concat())?,
            None => Vec::new(),
        };
        let (before, behind) = taken.split_at(front.len());
        let counted = |index: &CountedIndex| -> ArrayRef {
            Arc::new(rows.indices()[range.clone()].iter().map(|&row| Some(index.of(row))).collect::<Int64Array>())
        };
        let counted: Vec<ArrayRef> = index.iter().map(counted).collect();
        let columns = [&counted, before, &arrays, behind].concat();
        RecordBatch::try_new(schema.clone(), columns)
            .map_err(|error| Error::Failed(format!("the results do not fit together: {error}")))
    });
    let mut table = Table::new(shape, parts);
    if !renamed.is_empty() {
        let (shown, more) = (renamed[..renamed.len().min(NAMED)].join(", "), renamed.len().saturating_sub(NAMED));
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (new, old) = match renamed.len() {
            1 => ("column is", "the one without `_` is the data's own, as it came"),
            _ => ("columns are", "those without `_` are the data's own, as they came"),
        };
        table.notes.push(format!("the new {new} {shown}{more}: {old}"));
    }
    table
}
