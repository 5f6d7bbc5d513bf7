//! Tables as Parquet and as Arrow files: every column with its own type.

use std::{fs::File, io::BufWriter, sync::Arc};

use arrow_array::RecordBatch;
use arrow_cast::cast;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Schema, SchemaRef, TimeUnit};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

use super::format::{Format, Shape, Sink};

pub(super) const PARQUET: Format = Format { extensions: &["parquet", "pq"], open: Parquet::open };
pub(super) const IPC: Format = Format { extensions: &["arrow", "feather", "ipc"], open: Ipc::open };

struct Parquet {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    /// Columns whose categories have an order, which this format does not keep.
    ordered: Vec<String>,
}

/// The type that Parquet has for one of Arrow's: it knows no whole seconds.
fn known(kind: &DataType) -> DataType {
    match kind {
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        kind => kind.clone(),
    }
}

impl Parquet {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        // Types that Parquet does not have become those that it has: days and milliseconds stay dates.
        let properties = WriterProperties::builder().set_coerce_types(true).build();
        let fields = shape.schema.fields().iter().map(|field| field.as_ref().clone().with_data_type(known(field.data_type())));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()).with_metadata(shape.schema.metadata().clone()));
        let ordered = shape.schema.fields().iter().filter(|field| field.dict_is_ordered() == Some(true));
        let ordered = ordered.map(|field| format!("`{}`", field.name())).collect();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(|error| error.to_string())?;
        Ok(Box::new(Self { writer, schema, ordered }))
    }
}

impl Sink for Parquet {
    fn write(&mut self, part: &RecordBatch) -> Result<(), String> {
        let columns =
            part.columns().iter().zip(self.schema.fields()).map(|(column, field)| match column.data_type() == field.data_type() {
                true => Ok(column.clone()),
                false => cast(column, field.data_type()),
            });
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let part = RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| error.to_string())?;
        self.writer.write(&part).map_err(|error| error.to_string())?;
        // What waits for its group is written before it is much.
        if self.writer.in_progress_size() > 64 << 20 {
            self.writer.flush().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<String>, String> {
        self.writer.close().map_err(|error| error.to_string())?;
        let ordered = self.ordered.join(", ");
        Ok(if ordered.is_empty() {
            Vec::new()
        } else {
            vec![format!("Parquet does not keep the order of the categories of {ordered}: .arrow does")]
        })
    }
}

struct Ipc(FileWriter<BufWriter<File>>);

impl Ipc {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        let writer = FileWriter::try_new_buffered(file, &shape.schema).map_err(|error| error.to_string())?;
        Ok(Box::new(Self(writer)))
    }
}

impl Sink for Ipc {
    fn write(&mut self, part: &RecordBatch) -> Result<(), String> {
        self.0.write(part).map_err(|error| error.to_string())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, String> {
        self.0.finish().map_err(|error| error.to_string())?;
        Ok(Vec::new())
    }
}
