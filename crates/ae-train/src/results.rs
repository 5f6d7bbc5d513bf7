//! Results as a table: the columns that identify each row, then the result, then all other columns of the row. The
//! table is produced and written part by part, so that data of any size can be processed.

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

/// Maximum number of columns listed by name.
const NAMED: usize = 8;

/// A table that is produced part by part.
pub struct Table<'a> {
    /// Its columns, and its number of rows.
    pub shape: Shape,
    /// Notes about it, one sentence each.
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
    /// A table of this shape, made of these parts.
    pub(crate) fn new(shape: Shape, parts: impl Iterator<Item = Result<RecordBatch>> + 'a) -> Self {
        Self { shape, notes: Vec::new(), parts: Box::new(parts) }
    }

    /// Writes the table in the format given by the extension of `path`, or as CSV to standard output. Returns notes:
    /// what the format left out, and others.
    ///
    /// # Errors
    /// Any error while a part is produced, or a path that cannot be written: an existing file is then left unchanged.
    pub fn save(self, path: Option<&Path>) -> Result<Vec<String>> {
        let mut writer = match path {
            Some(path) => Writer::create(path, &self.shape)?,
            None => Writer::standard_output(&self.shape)?,
        };
        self.parts.into_iter().try_for_each(|part| Ok::<_, Error>(writer.write(&part?)?))?;
        Ok([self.notes, writer.finish()?].concat())
    }
}

/// A table of results for `rows`: `fields`, produced batch by batch for positions of the rows. A result with the name
/// of another column of the rows is renamed.
pub(crate) fn results<'a>(
    rows: &'a Dataset,
    fields: Vec<Field>,
    made: impl Iterator<Item = Result<(Range<usize>, Vec<ArrayRef>)>> + 'a,
) -> Table<'a> {
    let carried = rows.rows().carried.as_ref();
    let front: Vec<usize> = carried.map_or(Vec::new(), |carried| carried.id.into_iter().chain(carried.label).collect());
    let rest: Vec<usize> = carried.map_or(Vec::new(), |carried| carried.rest.clone());
    let of = |places: &[usize]| carried.map_or(Vec::new(), |carried| carried.fields(places));
    // A counted index is not a column, and would be lost.
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
            .map_err(|error| Error::Failed(format!("the results are not consistent: {error}")))
    });
    let mut table = Table::new(shape, parts);
    if !renamed.is_empty() {
        let (shown, more) = (renamed[..renamed.len().min(NAMED)].join(", "), renamed.len().saturating_sub(NAMED));
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (new, old) = match renamed.len() {
            1 => ("column is", "the one without `_` is the unchanged column of the data"),
            _ => ("columns are", "those without `_` are the unchanged columns of the data"),
        };
        table.notes.push(format!("the new {new} {shown}{more}: {old}"));
    }
    table
}

/// The name of each row: its identifier, or its number in the data, counted from 0.
#[cfg(feature = "report")]
pub(crate) fn row_names(rows: &Dataset) -> Result<Vec<String>> {
    let number = |row: &usize| format!("row {row}");
    let carried = rows.rows().carried.as_ref();
    let Some((carried, id)) = carried.and_then(|carried| Some((carried, carried.id?))) else {
        return Ok(rows.indices().iter().map(number).collect());
    };
    let texts = carried.texts(rows.indices(), id)?;
    Ok(texts.into_iter().zip(rows.indices()).map(|(text, row)| text.unwrap_or_else(|| number(row))).collect())
}

/// The class of each row; none where it has no label.
#[cfg(feature = "report")]
pub(crate) fn row_labels(rows: &Dataset) -> Vec<Option<String>> {
    let classes = rows.rows().classes();
    let label = |row: &usize| rows.rows().label(*row).and_then(|label| classes.get(label as usize).cloned());
    rows.indices().iter().map(label).collect()
}
