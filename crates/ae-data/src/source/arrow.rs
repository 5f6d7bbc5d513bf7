//! Arrow's columns, from Parquet files and from Arrow IPC files and streams (Feather version 2).

use std::{
    fs::File,
    io::{BufReader, Seek},
    panic::{self, AssertUnwindSafe},
    path::Path,
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
    frame::{Cells, Frame},
};

pub(super) const PARQUET: Format = Format { name: "Parquet", extensions: &["parquet", "pq"], read: read_parquet };
pub(super) const ARROW: Format = Format { name: "Arrow or Feather", extensions: &["arrow", "feather", "ipc", "arrows"], read: read_arrow };

fn read_parquet(path: &Path, _: &Options) -> Result<Content, DataError> {
    guarded(path, "Parquet", || {
        let damaged = |error: &dyn std::fmt::Display| damaged(path, "Parquet", error);
        let builder = ParquetRecordBatchReaderBuilder::try_new(open(path)?).map_err(|error| damaged(&error))?;
        let reader = builder.build().map_err(|error| damaged(&error))?;
        frame(reader, path, "Parquet")
    })
}

fn read_arrow(path: &Path, _: &Options) -> Result<Content, DataError> {
    guarded(path, "Arrow", || {
        // A file has an index at its end; a stream is the same batches without it.
        match FileReader::try_new(BufReader::new(open(path)?), None) {
            Ok(reader) => frame(reader, path, "Arrow"),
            Err(first) => {
                let mut file = open(path)?;
                file.rewind().map_err(|source| DataError::Io { path: path.to_owned(), source })?;
                let reader = StreamReader::try_new(BufReader::new(file), None).map_err(|_| damaged(path, "Arrow", &first))?;
                frame(reader, path, "Arrow")
            }
        }
    })
}

fn open(path: &Path) -> Result<File, DataError> {
    File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })
}

fn damaged(path: &Path, format: &str, error: &dyn std::fmt::Display) -> DataError {
    let problem = format!("is no {format} file, or damaged: {}", error.to_string().replace('\n', " "));
    DataError::Malformed { path: path.to_owned(), problem }
}

/// What `read` gives; a library that panics on a damaged file is a damaged file to the person.
fn guarded(path: &Path, format: &str, read: impl FnOnce() -> Result<Frame, DataError>) -> Result<Content, DataError> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let frame = panic::catch_unwind(AssertUnwindSafe(read));
    panic::set_hook(hook);
    frame.unwrap_or_else(|_| Err(damaged(path, format, &"its contents make no sense"))).map(Content::Frame)
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
