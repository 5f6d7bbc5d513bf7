//! Arrow's columns, from Parquet files and from Arrow IPC files and streams (Feather version 2).

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use arrow_array::{
    Array as _, RecordBatch,
    cast::AsArray,
    types::{Float64Type, Int64Type},
};
use arrow_cast::cast;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Content, Format, Options};
use crate::{
    DataError,
    caught::caught,
    frame::{Cells, Frame},
    stored_table::Parts,
};

pub(super) const PARQUET: Format = Format { name: "Parquet", extensions: &["parquet", "pq"], read: read_parquet };
pub(super) const ARROW: Format = Format { name: "Arrow or Feather", extensions: &["arrow", "feather", "ipc", "arrows"], read: read_arrow };

fn read_parquet(path: &Path, options: &Options) -> Result<Content, DataError> {
    guarded(path, "Parquet", || {
        let damaged = |error: &dyn std::fmt::Display| damaged(path, "Parquet", error);
        let builder = ParquetRecordBatchReaderBuilder::try_new(open(path)?).map_err(|error| damaged(&error))?;
        // Numbers take four bytes in memory; what they take in the file is compressed.
        let fields = builder.schema().fields().len() as u64;
        let rows = builder.metadata().file_metadata().num_rows().max(0) as u64;
        if options.streams(rows.saturating_mul(fields).saturating_mul(4)) {
            let groups = builder.metadata().row_groups().iter().map(|group| group.num_rows().max(0) as usize);
            let starts = starts(groups).ok_or_else(|| damaged(&"its row groups are beyond counting"))?;
            let parts = ParquetGroups { path: path.to_owned(), starts };
            return Ok(Content::Parts(Box::new(parts)));
        }
        let reader = builder.build().map_err(|error| damaged(&error))?;
        frame(reader, path, "Parquet").map(Content::Frame)
    })
}

fn read_arrow(path: &Path, options: &Options) -> Result<Content, DataError> {
    guarded(path, "Arrow", || {
        // A file has an index at its end; a stream is the same batches without it.
        match FileReader::try_new(BufReader::new(open(path)?), None) {
            Ok(reader) => {
                let bytes = open(path)?.metadata().map_err(|source| DataError::Io { path: path.to_owned(), source })?.len();
                if options.streams(bytes) {
                    let mut rows = Vec::new();
                    for batch in reader {
                        rows.push(batch.map_err(|error| damaged(path, "Arrow", &error))?.num_rows());
                    }
                    let starts = starts(rows.into_iter()).ok_or_else(|| damaged(path, "Arrow", &"its batches are beyond counting"))?;
                    let parts = ArrowBatches { path: path.to_owned(), starts };
                    return Ok(Content::Parts(Box::new(parts)));
                }
                frame(reader, path, "Arrow").map(Content::Frame)
            }
            Err(first) => {
                let reader = StreamReader::try_new(BufReader::new(open(path)?), None).map_err(|_| damaged(path, "Arrow", &first))?;
                frame(reader, path, "Arrow").map(Content::Frame)
            }
        }
    })
}

/// The first row of each part, and the number of all rows; none if they cannot be counted. Parts without rows are none.
fn starts(parts: impl Iterator<Item = usize>) -> Option<Vec<usize>> {
    let mut starts = vec![0usize];
    for rows in parts {
        starts.push(starts[starts.len() - 1].checked_add(rows)?);
    }
    Some(starts)
}

/// The row groups of a Parquet file.
#[derive(Debug)]
struct ParquetGroups {
    path: PathBuf,
    starts: Vec<usize>,
}

impl Parts for ParquetGroups {
    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn part(&self, part: usize) -> Result<Frame, DataError> {
        guarded(&self.path, "Parquet", || {
            let damaged = |error: &dyn std::fmt::Display| damaged(&self.path, "Parquet", error);
            let builder = ParquetRecordBatchReaderBuilder::try_new(open(&self.path)?).map_err(|error| damaged(&error))?;
            let reader = builder.with_row_groups(vec![part]).build().map_err(|error| damaged(&error))?;
            frame(reader, &self.path, "Parquet")
        })
    }
}

/// The batches of an Arrow file.
#[derive(Debug)]
struct ArrowBatches {
    path: PathBuf,
    starts: Vec<usize>,
}

impl Parts for ArrowBatches {
    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn part(&self, part: usize) -> Result<Frame, DataError> {
        guarded(&self.path, "Arrow", || {
            let damaged = |error: ArrowError| damaged(&self.path, "Arrow", &error);
            let mut reader = FileReader::try_new(BufReader::new(open(&self.path)?), None).map_err(damaged)?;
            reader.set_index(part).map_err(damaged)?;
            frame(reader.take(1), &self.path, "Arrow")
        })
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

/// All batches as one table.
fn frame(batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>, path: &Path, format: &str) -> Result<Frame, DataError> {
    let mut frame: Option<Frame> = None;
    for batch in batches {
        let batch = batch.map_err(|error| damaged(path, format, &error))?;
        let schema = batch.schema();
        let fields = schema.fields().iter().zip(batch.columns());
        let columns = fields.map(|(field, column)| Ok((field.name().clone(), cells(column, field.name(), path)?)));
        let part = Frame { columns: columns.collect::<Result<_, DataError>>()? };
        match &mut frame {
            None => frame = Some(part),
            Some(frame) => frame.append(part, path)?,
        }
    }
    frame.ok_or_else(|| DataError::Malformed { path: path.to_owned(), problem: "holds no rows".to_string() })
}

fn cells(column: &arrow_array::ArrayRef, name: &str, path: &Path) -> Result<Cells, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let as_type = |target: &DataType| cast(column, target).map_err(|error| malformed(format!("column `{name}`: {error}")));
    let count = column.len();
    Ok(match column.data_type() {
        DataType::Boolean => {
            let values = column.as_boolean();
            Cells::Booleans(
                (0..count).map(|row| if values.is_null(row) { f32::NAN } else { f32::from(u8::from(values.value(row))) }).collect(),
            )
        }
        kind if kind.is_numeric() => {
            let values = as_type(&DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            let mut cells = Vec::with_capacity(count);
            for row in 0..count {
                let value = if values.is_null(row) { f32::NAN } else { values.value(row) as f32 };
                if value.is_infinite() {
                    let problem = format!("row {}, column `{name}`: the value is infinite, or beyond single precision (3.4e38)", row + 1);
                    return Err(malformed(problem));
                }
                cells.push(value);
            }
            Cells::Numbers(cells)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            let values = as_type(&DataType::Utf8)?;
            let values = values.as_string::<i32>();
            Cells::Texts((0..count).map(|row| (!values.is_null(row)).then(|| values.value(row).to_string())).collect())
        }
        DataType::Null => Cells::Numbers(vec![f32::NAN; count]),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => {
            let days = as_type(&DataType::Int64).ok();
            let example =
                days.as_ref().map(|days| days.as_primitive::<Int64Type>()).filter(|days| !days.is_empty()).map(|days| days.value(0));
            Cells::Dates(format!("{} {}", column.data_type(), example.unwrap_or_default()), count)
        }
        other => {
            return Err(malformed(format!(
                "column `{name}` holds {other}: turn it into columns of numbers or texts, or leave it out of the file"
            )));
        }
    })
}
