//! Writes tables as delimited text.

use std::io::{BufWriter, Write};

use arrow_array::{Array as _, RecordBatch};

use super::format::{Format, Shape, Sink};
use crate::table::texts;

pub(super) const CSV: Format =
    Format { extensions: &["csv", "txt"], open: |file, shape| boxed(BufWriter::new(file), shape, b',') };
pub(super) const TSV: Format =
    Format { extensions: &["tsv", "tab"], open: |file, shape| boxed(BufWriter::new(file), shape, b'\t') };

struct Delimited<W: Write> {
    writer: csv::Writer<W>,
}

/// A sink that writes a table to `output` with cells separated by `delimiter`.
pub(super) fn boxed<W: Write + 'static>(output: W, shape: &Shape, delimiter: u8) -> Result<Box<dyn Sink>, String> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(output);
    writer.write_record(shape.schema.fields().iter().map(|field| field.name())).map_err(|error| error.to_string())?;
    Ok(Box::new(Delimited { writer }))
}

impl<W: Write> Sink for Delimited<W> {
    fn write(&mut self, part: &RecordBatch) -> Result<(), String> {
        let columns = part.columns().iter().map(|column| texts(column, "the table".as_ref()));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        // `NaN` is written as an empty cell.
        let is_float: Vec<bool> = part.columns().iter().map(|column| column.data_type().is_floating()).collect();
        for row in 0..part.num_rows() {
            let cells = columns.iter().zip(&is_float).map(|(column, is_float)| match column[row].as_deref() {
                Some("NaN") if *is_float => "",
                Some(text) => text,
                None => "",
            });
            self.writer.write_record(cells).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, String> {
        self.writer.flush().map_err(|error| error.to_string())?;
        Ok(Vec::new())
    }
}
