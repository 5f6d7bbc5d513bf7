//! Tables as Arrow record batches, read part by part. Each part can be read several times.
//!
//! Every column keeps the type of its source; in a text file every column is text. What a column means is decided by
//! the survey and not here, so that a column that is not learned from comes out unchanged.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use arrow_array::{Array as _, ArrayRef, RecordBatch, UInt64Array, cast::AsArray, new_null_array};
use arrow_cast::{
    CastOptions, cast_with_options,
    display::{ArrayFormatter, FormatOptions},
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::{concat::concat_batches, take::take};

use crate::{
    DataError,
    words::{counted, few},
};

/// A table that is read in parts. Each part can be read several times.
///
/// ```
/// use std::sync::Arc;
///
/// use ae_data::table::{InMemory, Table, names, rows, texts};
/// use arrow_array::{ArrayRef, Int64Array, RecordBatch};
///
/// let keys = Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 7])) as ArrayRef;
/// let batch = RecordBatch::try_from_iter([("key", keys)])?;
/// let table = InMemory::new("memory".as_ref(), batch.schema(), vec![batch])?;
/// assert_eq!((names(&table), rows(&table)), (vec!["key".to_string()], 2));
/// let part = table.part(0, &[0])?;
/// assert_eq!(texts(part.column(0), table.origin())?[0].as_deref(), Some("9007199254740993"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Table: fmt::Debug + Send + Sync {
    /// The name of the table in messages, usually its path.
    fn origin(&self) -> &Path;

    /// The name and the type of each column.
    fn schema(&self) -> SchemaRef;

    /// The first row of each part, followed by the total number of rows.
    fn starts(&self) -> &[usize];

    /// The columns at the positions `columns` (ascending) of a part.
    ///
    /// # Errors
    /// If the file can no longer be read, or is damaged.
    fn part(&self, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError>;

    /// Where a row is in its file, for messages.
    fn place(&self, row: usize) -> String {
        format!("row {}", row + 1)
    }

    /// What was inferred or left out while the table was opened, in sentences.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Columns that the file marks as its row index.
    fn index_columns(&self) -> Vec<String> {
        Vec::new()
    }

    /// The row index, if the file stores it as a range instead of a column.
    fn counted_index(&self) -> Option<CountedIndex> {
        None
    }

    /// The layout of a text file; `None` for other tables.
    fn layout(&self) -> Option<Layout> {
        None
    }

    /// Copies a text file byte for byte, except for replaced cells; gzipped if `packed`. Returns false, and writes
    /// nothing, if the table is not a text file.
    ///
    /// # Errors
    /// If the file can no longer be read or the output not be written, or an error of `replace`.
    fn rewrite(&self, output: &mut dyn Write, packed: bool, replace: &mut ReplaceText) -> Result<bool, DataError> {
        let _ = (output, packed, replace);
        Ok(false)
    }
}

/// A row index stored as a range, such as the `RangeIndex` of pandas. It is needed to join results with the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedIndex {
    /// Its name.
    pub name: String,
    /// For each section: its first row, the index of that row, and the step per row.
    pub stretches: Vec<(usize, i64, i64)>,
}

impl CountedIndex {
    /// The index of a row.
    pub fn of(&self, row: usize) -> i64 {
        let (first, start, step) = self.stretches[self.stretches.partition_point(|(first, ..)| *first <= row) - 1];
        (row - first) as i64 * step + start
    }

    /// Whether it is the position of a row in its file (0, 1, 2, ...).
    pub fn is_plain(&self) -> bool {
        self.stretches.iter().all(|(_, start, step)| (*start, *step) == (0, 1))
    }

    /// A note that it is carried along, if it is not plain.
    pub(crate) fn note(&self) -> Option<String> {
        (!self.is_plain()).then(|| {
            format!(
                "the row index, which pandas stores as a range, is carried along: codes, scores and reconstructions \
                 have it as column `{}`",
                self.name
            )
        })
    }
}

/// Whether a dictionary column has the same categories, in the same order, in all parts of a table.
///
/// # Errors
/// If the file can no longer be read.
pub(crate) fn has_one_order(table: &dyn Table, column: usize) -> Result<bool, DataError> {
    let mut known = None;
    for part in 0..parts(table) {
        let found = categories(table, part, column)?;
        if known.get_or_insert_with(|| found.clone()) != &found {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The categories of a dictionary column in a part of a table, each once.
fn categories(table: &dyn Table, part: usize, column: usize) -> Result<Vec<String>, DataError> {
    let batch = table.part(part, &[column])?;
    let Some(dictionary) = batch.column(0).as_any_dictionary_opt() else { return Ok(Vec::new()) };
    let mut seen = HashSet::new();
    Ok(texts(dictionary.values(), table.origin())?
        .into_iter()
        .flatten()
        .filter(|text| seen.insert(text.clone()))
        .collect())
}

/// The note for a column whose categories have different orders in the data.
pub(crate) fn without_order(column: &str) -> String {
    format!("column `{column}`: the order of its categories differs within the data and is not kept")
}

/// Gives the new contents of a cell, or `None` to keep it, from its row, the position of its column, and its contents.
/// Called in the order of the file.
pub type ReplaceText<'a> = dyn FnMut(usize, usize, &str) -> Result<Option<String>, DataError> + 'a;

/// The layout of a text file.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The byte that separates cells.
    pub delimiter: u8,
}

/// The number of rows of a table.
pub fn rows(table: &dyn Table) -> usize {
    table.starts().last().copied().unwrap_or(0)
}

/// The number of parts of a table.
pub fn parts(table: &dyn Table) -> usize {
    table.starts().len().saturating_sub(1)
}

/// The names of the columns of a table.
pub fn names(table: &dyn Table) -> Vec<String> {
    table.schema().fields().iter().map(|field| field.name().clone()).collect()
}

/// Reads a part and checks its number of rows.
pub(crate) fn whole_part(table: &dyn Table, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError> {
    let batch = table.part(part, columns)?;
    let expected = table.starts()[part + 1] - table.starts()[part];
    match batch.num_rows() == expected {
        true => Ok(batch),
        false => {
            let problem = format!(
                "is damaged: part {} has {}, but should have {expected}",
                part + 1,
                counted(batch.num_rows(), "row")
            );
            Err(DataError::Malformed { path: table.origin().to_owned(), problem })
        }
    }
}

/// The first row of each part, followed by the total, from the number of rows of each part; `None` if it overflows.
pub(crate) fn starts(parts: impl Iterator<Item = usize>) -> Option<Vec<usize>> {
    let mut starts = vec![0usize];
    for rows in parts {
        starts.push(starts[starts.len() - 1].checked_add(rows)?);
    }
    Some(starts)
}

/// Checks that no two columns have the same name.
///
/// # Errors
/// The duplicate name, and the position of the second column.
pub(crate) fn unique_names(schema: &Schema, origin: &Path) -> Result<(), DataError> {
    let mut seen = HashSet::new();
    for (index, field) in schema.fields().iter().enumerate() {
        if !seen.insert(field.name()) {
            let problem =
                format!("has two columns named `{}` (the second is column {}): rename one", field.name(), index + 1);
            return Err(DataError::Malformed { path: origin.to_owned(), problem });
        }
    }
    Ok(())
}

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
        let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let arrays =
            columns.into_iter().map(|(_, texts)| Arc::new(arrow_array::StringArray::from(texts)) as ArrayRef).collect();
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

/// Several tables with the same columns, one after the other. The order of the columns is that of the first table; a
/// type holds the values of all tables.
#[derive(Debug)]
pub(crate) struct Joined {
    tables: Vec<Arc<dyn Table>>,
    schema: SchemaRef,
    starts: Vec<usize>,
    /// The table, and the part of it, for each part.
    parts: Vec<(usize, usize)>,
    /// The positions of the columns in each table.
    places: Vec<Vec<usize>>,
    notes: Vec<String>,
}

impl Joined {
    pub(crate) fn new(tables: Vec<Arc<dyn Table>>) -> Result<Self, DataError> {
        let known = names(tables[0].as_ref());
        let known_names: HashSet<&String> = known.iter().collect();
        let index = tables[0].index_columns();
        let (mut counts, mut parts_of, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (number, table) in tables.iter().enumerate() {
            let found: HashMap<String, usize> = names(table.as_ref()).into_iter().zip(0..).collect();
            let missing: Vec<&String> = known.iter().filter(|name| !found.contains_key(*name)).collect();
            let is_extra = |name: &&String| !known_names.contains(name) && !index.contains(name);
            let mut extra: Vec<&String> = found.keys().filter(is_extra).collect();
            extra.sort();
            if !missing.is_empty() || !extra.is_empty() {
                let problem = differences(&missing, &extra, "the files before it");
                return Err(DataError::Malformed { path: table.origin().to_owned(), problem });
            }
            places.push(known.iter().map(|name| found[name]).collect::<Vec<usize>>());
            for part in 0..parts(table.as_ref()) {
                counts.push(table.starts()[part + 1] - table.starts()[part]);
                parts_of.push((number, part));
            }
        }
        let (mut fields, mut notes) = (Vec::new(), Vec::new());
        for (column, field) in tables[0].schema().fields().iter().enumerate() {
            let mut kind = field.data_type().clone();
            for (table, places) in tables.iter().zip(&places).skip(1) {
                let other = table.schema().field(places[column]).data_type().clone();
                kind = common(&kind, &other).ok_or_else(|| DataError::Malformed {
                    path: table.origin().to_owned(),
                    problem: format!(
                        "column `{}` has the type {other} here, but {kind} in the files before it: convert it to one \
                         type",
                        field.name()
                    ),
                })?;
            }
            let is_ordered = |(table, places): (&Arc<dyn Table>, &Vec<usize>)| {
                table.schema().field(places[column]).dict_is_ordered() == Some(true)
            };
            let mut made = Field::new(field.name(), kind, true);
            if tables.iter().zip(&places).any(is_ordered) {
                let all = tables.iter().zip(&places).filter(|(table, _)| parts(table.as_ref()) > 0);
                let orders = all
                    .map(|(table, places)| categories(table.as_ref(), 0, places[column]))
                    .collect::<Result<HashSet<_>, _>>()?;
                let agree = orders.len() < 2
                    && tables.iter().zip(&places).all(is_ordered)
                    && matches!(made.data_type(), DataType::Dictionary(..));
                made = made.with_dict_is_ordered(agree);
                notes.extend((!agree).then(|| without_order(field.name())));
            }
            fields.push(made);
        }
        let problem = || DataError::Malformed {
            path: tables[0].origin().to_owned(),
            problem: "has too many rows to be counted".to_string(),
        };
        let starts = starts(counts.into_iter()).ok_or_else(problem)?;
        Ok(Self { schema: Arc::new(Schema::new(fields)), tables, starts, parts: parts_of, places, notes })
    }
}

impl Table for Joined {
    fn origin(&self) -> &Path {
        self.tables[0].origin()
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn part(&self, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError> {
        let (number, part) = self.parts[part];
        let (table, places) = (&self.tables[number], &self.places[number]);
        let wanted: Vec<usize> = columns.iter().map(|&column| places[column]).collect();
        let mut ascending = wanted.clone();
        ascending.sort_unstable();
        let batch = table.part(part, &ascending)?;
        let fields: Vec<_> = columns.iter().map(|&column| self.schema.field(column).clone()).collect();
        let mut arrays = Vec::with_capacity(columns.len());
        for (place, field) in wanted.iter().zip(&fields) {
            let array = batch.column(ascending.partition_point(|other| other < place));
            arrays.push(match array.data_type() == field.data_type() {
                true => array.clone(),
                false => exactly(array, field.data_type()).ok_or_else(|| {
                    let (found, expected) = (array.data_type(), field.data_type());
                    let problem = format!(
                        "column `{}` has {found} values that the type {expected} of the other files cannot represent: \
                         convert it to one type",
                        field.name()
                    );
                    DataError::Malformed { path: table.origin().to_owned(), problem }
                })?,
            });
        }
        let fields: Vec<Field> = fields.into_iter().map(|field| field.with_nullable(true)).collect();
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| arrow_problem(table.origin(), &error))
    }

    fn place(&self, row: usize) -> String {
        let part = self.starts.partition_point(|&start| start <= row) - 1;
        let (number, first) = self.parts[part];
        let table = &self.tables[number];
        format!("{} of {}", table.place(table.starts()[first] + row - self.starts[part]), table.origin().display())
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.tables.iter().flat_map(|table| table.notes()).collect();
        notes.dedup();
        notes.extend(self.notes.iter().cloned());
        notes
    }

    fn index_columns(&self) -> Vec<String> {
        self.tables[0].index_columns()
    }

    fn counted_index(&self) -> Option<CountedIndex> {
        let (mut stretches, mut before) = (Vec::new(), 0);
        for table in &self.tables {
            stretches.extend(
                table.counted_index()?.stretches.into_iter().map(|(first, start, step)| (before + first, start, step)),
            );
            before += rows(table.as_ref());
        }
        Some(CountedIndex { name: self.tables[0].counted_index()?.name, stretches })
    }

    fn layout(&self) -> Option<Layout> {
        self.tables[0].layout()
    }
}

/// A type that can hold the values of both.
fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_word = |kind: &DataType| matches!(kind, DataType::Dictionary(_, value) if is_text(value)) || is_text(kind);
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (a, b) if a.is_integer() && b.is_integer() => Some(DataType::Int64),
        (a, b) if (a.is_integer() || a.is_floating()) && (b.is_integer() || b.is_floating()) => Some(DataType::Float64),
        (a, b) if is_word(a) && is_word(b) => Some(DataType::Utf8),
        _ => None,
    }
}

/// The column as another type, if no value changes.
fn exactly(array: &ArrayRef, kind: &DataType) -> Option<ArrayRef> {
    if array.data_type() == &DataType::Null {
        return Some(new_null_array(kind, array.len()));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let made = cast_with_options(array, kind, &strict).ok()?;
    let back = cast_with_options(&made, array.data_type(), &strict).ok()?;
    (&back == array).then_some(made)
}

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

/// A sentence on which columns are missing and which are extra.
pub fn differences<T: fmt::Display>(missing: &[T], extra: &[T], where_known: &str) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("lacks {} of them ({})", missing.len(), few(missing, 8)));
    }
    if !extra.is_empty() {
        parts.push(format!("has {} more ({})", extra.len(), few(extra, 8)));
    }
    format!("its columns differ from those of {where_known}: it {}", parts.join(" and "))
}

/// An error of Arrow in a table.
pub(crate) fn arrow_problem(origin: &Path, error: &dyn fmt::Display) -> DataError {
    DataError::Malformed { path: origin.to_owned(), problem: error.to_string() }
}

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

/// The cells of a column as strings, as identifiers and classes are written: nothing is rounded, and integers have no
/// decimals. `None` for a missing cell.
///
/// # Errors
/// If the type cannot be written as a string.
pub fn texts(array: &ArrayRef, origin: &Path) -> Result<Vec<Option<String>>, DataError> {
    let problem = |error: arrow_schema::ArrowError| arrow_problem(origin, &error);
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            Ok(texts.iter().map(|text| text.map(str::to_string)).collect())
        }
        kind => {
            let is_float = kind.is_floating() || matches!(kind, DataType::Dictionary(_, value) if value.is_floating());
            let format = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(array.as_ref(), &format).map_err(problem)?;
            let text = |row: usize| -> Result<Option<String>, DataError> {
                if array.is_null(row) {
                    return Ok(None);
                }
                let text = formatter.value(row).try_to_string().map_err(problem)?;
                // An integer column with missing values is often stored as floats: 1.0 is written as 1.
                Ok(Some(match text.strip_suffix(".0").filter(|_| is_float) {
                    Some(whole) => whole.to_string(),
                    None => text,
                }))
            };
            (0..array.len()).map(text).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Float64Array, Int64Array};

    use super::*;

    fn table(name: &str, keys: Vec<i64>) -> Arc<dyn Table> {
        let values =
            Float64Array::from(keys.iter().map(|&key| Some(key as f64).filter(|_| key % 3 != 0)).collect::<Vec<_>>());
        let batch = RecordBatch::try_from_iter([
            ("key", Arc::new(Int64Array::from(keys)) as ArrayRef),
            ("value", Arc::new(values) as ArrayRef),
        ]);
        let batch = batch.unwrap();
        Arc::new(InMemory::new(Path::new(name), batch.schema(), vec![batch]).unwrap())
    }

    #[test]
    fn carried_columns_are_taken_by_row_and_keep_every_digit() {
        let big = 9_007_199_254_740_993;
        let joined = Joined::new(vec![table("a", vec![big, 2]), table("b", vec![3, 4])]).unwrap();
        assert_eq!(joined.starts(), [0, 2, 4]);
        assert_eq!(joined.place(3), "row 2 of b");
        let carried = Carried::new(Arc::new(joined), Some(0), None, vec![1]);
        let texts = carried.texts(&[0, 3, 1], 0).unwrap();
        assert_eq!(texts, ["9007199254740993", "4", "2"].map(|text| Some(text.to_string())));
        assert_eq!(carried.texts(&[1, 2], 1).unwrap(), [Some("2".to_string()), None]);
    }

    #[test]
    fn only_tables_with_the_same_columns_are_joined() {
        let other =
            InMemory::texts(Path::new("c.csv"), vec![("key", vec![Some("x".into())]), ("more", vec![None])]).unwrap();
        let error = Joined::new(vec![table("a", vec![1]), Arc::new(other)]).unwrap_err().to_string();
        assert!(
            error.contains("c.csv")
                && error.contains("lacks 1 of them (`value`)")
                && error.contains("has 1 more (`more`)"),
            "{error}"
        );
        let text =
            InMemory::texts(Path::new("d"), vec![("value", vec![Some("x".into())]), ("key", vec![Some("7".into())])])
                .unwrap();
        let error = Joined::new(vec![table("a", vec![1]), Arc::new(text)]).unwrap_err().to_string();
        assert!(error.contains("`key` has the type Utf8 here, but Int64"), "{error}");
        // Numbers of different types are joined if none of them is rounded.
        let reals = |key: f64| {
            let columns = [("key", key), ("value", 1.5)]
                .map(|(name, value)| (name, Arc::new(Float64Array::from(vec![value])) as ArrayRef));
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            Arc::new(InMemory::new(Path::new("r"), batch.schema(), vec![batch]).unwrap()) as Arc<dyn Table>
        };
        let joined = Joined::new(vec![table("a", vec![1]), reals(7.5)]).unwrap();
        assert_eq!(texts(joined.part(0, &[0]).unwrap().column(0), Path::new("a")).unwrap(), [Some("1".to_string())]);
        let joined = Joined::new(vec![table("a", vec![9_007_199_254_740_993]), reals(7.5)]).unwrap();
        assert!(joined.part(0, &[0]).unwrap_err().to_string().contains("cannot represent"));
    }
}
