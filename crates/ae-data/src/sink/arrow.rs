//! Tables as Parquet and as Arrow files: every column with its own type.

use std::{fs::File, io::BufWriter};

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

use super::format::{Format, Shape, Sink};

pub(super) const PARQUET: Format = Format { extensions: &["parquet", "pq"], open: Parquet::open };
pub(super) const IPC: Format = Format { extensions: &["arrow", "feather", "ipc"], open: Ipc::open };

struct Parquet(ArrowWriter<File>);

impl Parquet {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        // Types that Parquet does not have become those that it has: days and milliseconds stay dates.
        let properties = WriterProperties::builder().set_coerce_types(true).build();
        let writer = ArrowWriter::try_new(file, shape.schema.clone(), Some(properties)).map_err(|error| error.to_string())?;
        Ok(Box::new(Self(writer)))
    }
}

impl Sink for Parquet {
    fn write(&mut self, part: &RecordBatch) -> Result<(), String> {
        self.0.write(part).map_err(|error| error.to_string())?;
        // What waits for its group is written before it is much.
        if self.0.in_progress_size() > 64 << 20 {
            self.0.flush().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<String>, String> {
        self.0.close().map_err(|error| error.to_string())?;
        Ok(Vec::new())
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
