//! Reads Parquet files, and Arrow IPC files and streams (Feather version 2). Each column keeps its type, and only the
//! columns that are asked for are read.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::{
    claims::{self, Source},
    content::Content,
    format::Format,
};
use crate::{
    DataError, Options,
    caught::caught,
    limit::Limit,
    table::{CountedIndex, InMemory, Table, has_one_order, rows, starts, unique_names, without_order},
    words::counted,
};

pub(super) const PARQUET: Format = Format { name: "Parquet", extensions: &["parquet", "pq"], read: read_parquet };
pub(super) const ARROW: Format =
    Format { name: "Arrow or Feather", extensions: &["arrow", "feather", "ipc", "arrows"], read: read_arrow };

/// Maximum number of rows decoded at a time.
const BATCH: usize = 1 << 16;

fn read_parquet(path: &Path, options: &Options) -> Result<Content, DataError> {
    guarded(path, "Parquet", || {
        let damaged = |error: &dyn std::fmt::Display| damaged(path, "Parquet", error);
        let limit = Limit::of(options);
        let builder = ParquetRecordBatchReaderBuilder::try_new(Source::open(path, limit)?.chunks())
            .map_err(|error| damaged(&error))?;
        let schema = builder.schema().clone();
        unique_names(&schema, path)?;
        let groups = builder.metadata().row_groups().iter().map(|group| group.num_rows().max(0) as usize);
        let starts = starts(groups).ok_or_else(|| damaged(&"it claims more rows than can be counted"))?;
        let mut table = Parquet { path: path.to_owned(), schema, starts, notes: Vec::new(), limit };
        (table.schema, table.notes) = with_true_orders(&table)?;
        Ok(Content::Table(Arc::new(table)))
    })
}

fn read_arrow(path: &Path, options: &Options) -> Result<Content, DataError> {
    guarded(path, "Arrow", || {
        let source = Source::open(path, Limit::of(options))?;
        claims::of_file(&source)?;
        // A file has an index at its end; a stream has the same batches without an index.
        match FileReader::try_new(BufReader::new(open(path)?), None) {
            Ok(reader) => {
                let schema = reader.schema();
                unique_names(&schema, path)?;
                let mut counts = Vec::new();
                // The first column is enough to count the rows.
                let first = if schema.fields().is_empty() { Vec::new() } else { vec![0] };
                let counted = FileReader::try_new(BufReader::new(open(path)?), Some(first))
                    .map_err(|error| damaged(path, "Arrow", &error))?;
                for batch in counted {
                    counts.push(batch.map_err(|error| damaged(path, "Arrow", &error))?.num_rows());
                }
                let starts = starts(counts.into_iter())
                    .ok_or_else(|| damaged(path, "Arrow", &"it claims more rows than can be counted"))?;
                Ok(Content::Table(Arc::new(ArrowFile { path: path.to_owned(), schema, starts, limit: source.limit })))
            }
            Err(first) => {
                let mut magic = [0; 4];
                if open(path)?.read_exact(&mut magic).is_ok() && &magic == b"FEA1" {
                    let problem = "is a Feather file of version 1, which is not supported: in Python, \
                        `pandas.read_feather(path).to_feather(path)` converts it to version 2";
                    return Err(DataError::Malformed { path: path.to_owned(), problem: problem.to_string() });
                }
                claims::of_stream(&source)?;
                let reader = StreamReader::try_new(BufReader::new(open(path)?), None)
                    .map_err(|_| damaged(path, "Arrow", &first))?;
                let schema = reader.schema();
                let index = index_columns(&schema);
                let batches: Result<Vec<RecordBatch>, _> = reader.collect();
                let batches = batches.map_err(|error| damaged(path, "Arrow", &error))?;
                let counted = counted_index(&schema, batches.iter().map(RecordBatch::num_rows).sum());
                Ok(Content::Table(Arc::new(InMemory::new(path, schema, batches)?.with_index(index, counted))))
            }
        }
    })
}

/// The index in the metadata of pandas: names of columns, or a range.
fn index(schema: &Schema) -> Vec<serde_json::Value> {
    let pandas = schema.metadata().get("pandas").and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let columns =
        pandas.as_ref().and_then(|pandas| pandas.get("index_columns")).and_then(|columns| columns.as_array().cloned());
    columns.unwrap_or_default()
}

/// The columns in which pandas stored its index.
fn index_columns(schema: &Schema) -> Vec<String> {
    index(schema).iter().filter_map(|name| name.as_str().map(str::to_string)).collect()
}

/// The index that pandas stored as a range, if it fits the number of rows.
fn counted_index(schema: &Schema, rows: usize) -> Option<CountedIndex> {
    let index = index(schema);
    let range = index
        .first()
        .filter(|range| index.len() == 1 && range.get("kind").and_then(|kind| kind.as_str()) == Some("range"))?;
    let [start, stop, step] = ["start", "stop", "step"].map(|name| range.get(name).and_then(serde_json::Value::as_i64));
    let (start, stop, step) = (start?, stop?, step?);
    // A program may have changed the rows without updating the metadata.
    let is_true = i128::from(step) * rows as i128 == i128::from(stop) - i128::from(start);
    let name = range.get("name").and_then(|name| name.as_str()).unwrap_or("__index_level_0__");
    is_true.then(|| CountedIndex { name: name.to_string(), stretches: vec![(0, start, step)] })
}

/// The schema of a table in which a column is ordered only if its categories have the same order in all parts; and
/// notes on the other columns.
fn with_true_orders(table: &dyn Table) -> Result<(SchemaRef, Vec<String>), DataError> {
    let schema = table.schema();
    let (mut fields, mut notes) = (schema.fields().to_vec(), Vec::new());
    for (column, field) in fields.iter_mut().enumerate() {
        if field.dict_is_ordered() == Some(true) && !has_one_order(table, column)? {
            notes.push(without_order(field.name()));
            *field = Arc::new(field.as_ref().clone().with_dict_is_ordered(false));
        }
    }
    Ok((Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())), notes))
}

/// A Parquet file, with a part for each row group.
#[derive(Debug)]
struct Parquet {
    path: PathBuf,
    schema: SchemaRef,
    starts: Vec<usize>,
    notes: Vec<String>,
    limit: Limit,
}

impl Table for Parquet {
    fn origin(&self) -> &Path {
        &self.path
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn part(&self, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError> {
        guarded(&self.path, "Parquet", || {
            let damaged = |error: &dyn std::fmt::Display| damaged(&self.path, "Parquet", error);
            let source = Source::open(&self.path, self.limit)?;
            let builder = ParquetRecordBatchReaderBuilder::try_new(source.chunks()).map_err(|error| damaged(&error))?;
            let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
            let group = builder
                .metadata()
                .row_groups()
                .get(part)
                .ok_or_else(|| damaged(&"it was changed while it was read"))?;
            let rows = room(&source, group.num_rows().max(0) as u64, columns.len())?;
            // The longest string of a dictionary may be in every row.
            let longest = (0..group.num_columns()).filter(|leaf| mask.leaf_included(*leaf));
            let longest = longest
                .map(|leaf| claims::of_pages(&source, group, leaf))
                .try_fold(1, |most, size| Ok::<_, DataError>(size?.max(most)))?;
            let batch =
                (source.limit.allowed(source.length) / 4 / longest).clamp(1, BATCH as u64).min(rows.max(1)) as usize;
            let builder = builder.with_row_groups(vec![part]).with_projection(mask).with_batch_size(batch);
            let reader = builder.build().map_err(|error| damaged(&error))?;
            whole(reader, &self.schema, columns, &source, "Parquet")
        })
    }

    fn notes(&self) -> Vec<String> {
        self.notes.iter().cloned().chain(self.counted_index().and_then(|index| index.note())).collect()
    }

    fn index_columns(&self) -> Vec<String> {
        index_columns(&self.schema)
    }

    fn counted_index(&self) -> Option<CountedIndex> {
        counted_index(&self.schema, rows(self))
    }
}

/// An Arrow file, with a part for each batch.
#[derive(Debug)]
struct ArrowFile {
    path: PathBuf,
    schema: SchemaRef,
    starts: Vec<usize>,
    limit: Limit,
}

impl Table for ArrowFile {
    fn origin(&self) -> &Path {
        &self.path
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn part(&self, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError> {
        guarded(&self.path, "Arrow", || {
            let damaged = |error: arrow_schema::ArrowError| damaged(&self.path, "Arrow", &error);
            let source = Source::open(&self.path, self.limit)?;
            room(&source, (self.starts[part + 1] - self.starts[part]) as u64, columns.len())?;
            let mut reader =
                FileReader::try_new(BufReader::new(open(&self.path)?), Some(columns.to_vec())).map_err(damaged)?;
            reader.set_index(part).map_err(damaged)?;
            whole(reader.take(1), &self.schema, columns, &source, "Arrow")
        })
    }

    fn notes(&self) -> Vec<String> {
        self.counted_index().and_then(|index| index.note()).into_iter().collect()
    }

    fn index_columns(&self) -> Vec<String> {
        index_columns(&self.schema)
    }

    fn counted_index(&self) -> Option<CountedIndex> {
        counted_index(&self.schema, rows(self))
    }
}

/// Checks that so many rows and columns may be read at once, both as they are stored and as numbers.
fn room(source: &Source, rows: u64, columns: usize) -> Result<u64, DataError> {
    let needed = rows.saturating_mul(columns as u64).saturating_mul(16);
    source
        .check(format!("a part of {} and {}", counted(rows as usize, "row"), counted(columns, "column")), needed)
        .map(|()| rows)
}

/// Joins the batches into one.
fn whole(
    batches: impl Iterator<Item = Result<RecordBatch, arrow_schema::ArrowError>>,
    schema: &SchemaRef,
    columns: &[usize],
    source: &Source,
    format: &str,
) -> Result<RecordBatch, DataError> {
    let damaged = |error: &dyn std::fmt::Display| damaged(source.path, format, error);
    let (mut all, mut bytes) = (Vec::new(), 0u64);
    for batch in batches {
        let batch = batch.map_err(|error| damaged(&error))?;
        bytes = bytes.saturating_add(claims::of_cells(&batch));
        source.check("a part of its rows", bytes.saturating_mul(2))?;
        all.push(batch);
    }
    let mut batches = all;
    match batches.len() {
        1 => Ok(batches.remove(0)),
        0 => Ok(RecordBatch::new_empty(Arc::new(schema.project(columns).map_err(|error| damaged(&error))?))),
        _ => concat_batches(&batches[0].schema(), &batches).map_err(|error| damaged(&error)),
    }
}

fn open(path: &Path) -> Result<File, DataError> {
    File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })
}

fn damaged(path: &Path, format: &str, error: &dyn std::fmt::Display) -> DataError {
    let error = error.to_string().replace('\n', " ");
    // The words of the libraries for unsupported features.
    let is_unknown = ["not supported", "not yet", "NYI", "not implemented", "Disabled feature"]
        .iter()
        .any(|words| error.contains(words));
    let problem = if error.contains("bit width of 128") {
        "holds 128-bit integers, which are not supported: save them as 64-bit integers or as float64".to_string()
    } else if is_unknown {
        format!(
            "is a {format} file with an unsupported feature ({error}): save it with plain types and another compression"
        )
    } else {
        format!("is not a valid {format} file, or damaged: {error}")
    };
    DataError::Malformed { path: path.to_owned(), problem }
}

/// The result of `read`; if a library panics, the file is reported as damaged.
fn guarded<T>(path: &Path, format: &str, read: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    caught(read).unwrap_or_else(|| Err(damaged(path, format, &"its contents are inconsistent")))
}
