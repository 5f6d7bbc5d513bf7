//! Arrow's columns, from Parquet files and from Arrow IPC files and streams (Feather version 2): each with its own type, and read alone where it
//! alone is asked for.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::format::{Content, Format};
use crate::{
    DataError, Options,
    caught::caught,
    table::{InMemory, Table, starts, unique_names},
};

pub(super) const PARQUET: Format = Format { name: "Parquet", extensions: &["parquet", "pq"], read: read_parquet };
pub(super) const ARROW: Format = Format { name: "Arrow or Feather", extensions: &["arrow", "feather", "ipc", "arrows"], read: read_arrow };

/// Rows that are decoded at a time.
const BATCH: usize = 1 << 16;

fn read_parquet(path: &Path, _: &Options) -> Result<Content, DataError> {
    guarded(path, "Parquet", || {
        let damaged = |error: &dyn std::fmt::Display| damaged(path, "Parquet", error);
        let builder = ParquetRecordBatchReaderBuilder::try_new(open(path)?).map_err(|error| damaged(&error))?;
        let schema = builder.schema().clone();
        unique_names(&schema, path)?;
        let groups = builder.metadata().row_groups().iter().map(|group| group.num_rows().max(0) as usize);
        let starts = starts(groups).ok_or_else(|| damaged(&"it says that it has more rows than can be counted"))?;
        Ok(Content::Table(Arc::new(Parquet { path: path.to_owned(), schema, starts })))
    })
}

fn read_arrow(path: &Path, _: &Options) -> Result<Content, DataError> {
    guarded(path, "Arrow", || {
        // A file has an index at its end; a stream is the same batches without it.
        match FileReader::try_new(BufReader::new(open(path)?), None) {
            Ok(reader) => {
                let schema = reader.schema();
                unique_names(&schema, path)?;
                let mut rows = Vec::new();
                // The first column alone tells how many rows there are.
                let first = if schema.fields().is_empty() { Vec::new() } else { vec![0] };
                let counted =
                    FileReader::try_new(BufReader::new(open(path)?), Some(first)).map_err(|error| damaged(path, "Arrow", &error))?;
                for batch in counted {
                    rows.push(batch.map_err(|error| damaged(path, "Arrow", &error))?.num_rows());
                }
                let starts = starts(rows.into_iter()).ok_or_else(|| damaged(path, "Arrow", &"it has more rows than can be counted"))?;
                Ok(Content::Table(Arc::new(ArrowFile { path: path.to_owned(), schema, starts })))
            }
            Err(first) => {
                let reader = StreamReader::try_new(BufReader::new(open(path)?), None).map_err(|_| damaged(path, "Arrow", &first))?;
                let schema = reader.schema();
                let index = index_columns(&schema);
                let batches: Result<Vec<RecordBatch>, _> = reader.collect();
                let batches = batches.map_err(|error| damaged(path, "Arrow", &error))?;
                Ok(Content::Table(Arc::new(InMemory::new(path, schema, batches)?.with_index_columns(index))))
            }
        }
    })
}

/// Columns that pandas wrote its index into.
fn index_columns(schema: &Schema) -> Vec<String> {
    let pandas = schema.metadata().get("pandas").and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let columns = pandas.as_ref().and_then(|pandas| pandas.get("index_columns")).and_then(|columns| columns.as_array().cloned());
    columns.unwrap_or_default().iter().filter_map(|name| name.as_str().map(str::to_string)).collect()
}

/// A Parquet file, by row groups.
#[derive(Debug)]
struct Parquet {
    path: PathBuf,
    schema: SchemaRef,
    starts: Vec<usize>,
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
            let builder = ParquetRecordBatchReaderBuilder::try_new(open(&self.path)?).map_err(|error| damaged(&error))?;
            let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
            let builder = builder.with_row_groups(vec![part]).with_projection(mask).with_batch_size(BATCH);
            let reader = builder.build().map_err(|error| damaged(&error))?;
            whole(reader, &self.schema, columns, &self.path, "Parquet")
        })
    }

    fn index_columns(&self) -> Vec<String> {
        index_columns(&self.schema)
    }
}

/// An Arrow file, by its batches.
#[derive(Debug)]
struct ArrowFile {
    path: PathBuf,
    schema: SchemaRef,
    starts: Vec<usize>,
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
            let mut reader = FileReader::try_new(BufReader::new(open(&self.path)?), Some(columns.to_vec())).map_err(damaged)?;
            reader.set_index(part).map_err(damaged)?;
            whole(reader.take(1), &self.schema, columns, &self.path, "Arrow")
        })
    }

    fn index_columns(&self) -> Vec<String> {
        index_columns(&self.schema)
    }
}

/// The batches as one.
fn whole(
    batches: impl Iterator<Item = Result<RecordBatch, arrow_schema::ArrowError>>,
    schema: &SchemaRef,
    columns: &[usize],
    path: &Path,
    format: &str,
) -> Result<RecordBatch, DataError> {
    let damaged = |error: &dyn std::fmt::Display| damaged(path, format, error);
    let batches: Result<Vec<RecordBatch>, _> = batches.collect();
    let mut batches = batches.map_err(|error| damaged(&error))?;
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
    let problem = format!("is no {format} file, or damaged: {}", error.to_string().replace('\n', " "));
    DataError::Malformed { path: path.to_owned(), problem }
}

/// What `read` gives; a library that panics on a damaged file is a damaged file to the person.
fn guarded<T>(path: &Path, format: &str, read: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    caught(read).unwrap_or_else(|| Err(damaged(path, format, &"its contents make no sense")))
}
