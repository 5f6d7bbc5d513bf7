//! Writes tables as Parquet and Arrow files. Every column keeps its type.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, BufWriter, Seek},
    sync::Arc,
};

use arrow_array::{
    Array as _, ArrayRef, Int64Array, RecordBatch, UInt64Array, cast::AsArray, make_array, types::Int64Type,
};
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_ipc::{
    reader::FileReader,
    writer::{DictionaryHandling, FileWriter, IpcWriteOptions},
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::{concat::concat, take::take};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

use super::format::{Format, Shape, Sink};
use crate::table::texts;

pub(super) const PARQUET: Format = Format { extensions: &["parquet", "pq"], open: Parquet::open };
pub(super) const IPC: Format = Format { extensions: &["arrow", "feather", "ipc"], open: Ipc::open };

struct Parquet {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    /// Columns with ordered categories. Parquet does not store the order.
    ordered: Vec<String>,
}

/// The type in Parquet for an Arrow type. Parquet has no unit of seconds.
fn known(kind: &DataType) -> DataType {
    match kind {
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        kind => kind.clone(),
    }
}

impl Parquet {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        // Types that Parquet lacks are converted: dates in days and milliseconds stay dates.
        let properties = WriterProperties::builder().set_coerce_types(true).build();
        let plain = |field: &Field| field.clone().with_data_type(known(field.data_type())).with_dict_is_ordered(false);
        let fields = shape.schema.fields().iter().map(|field| plain(field));
        let ordered = shape.schema.fields().iter().filter(|field| field.dict_is_ordered() == Some(true));
        let ordered: Vec<String> = ordered.map(|field| field.name().clone()).collect();
        let metadata = without_order(shape.schema.metadata().clone().into(), &ordered);
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()).with_metadata(metadata));
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(|error| error.to_string())?;
        Ok(Box::new(Self { writer, schema, ordered }))
    }
}

impl Sink for Parquet {
    fn write(&mut self, part: &RecordBatch) -> Result<(), String> {
        let columns = part.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            match column.data_type() == field.data_type() {
                true => Ok(column.clone()),
                false => cast(column, field.data_type()),
            }
        });
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let part = RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| error.to_string())?;
        self.writer.write(&part).map_err(|error| error.to_string())?;
        // Limits the memory of a row group.
        if self.writer.in_progress_size() > 64 << 20 {
            self.writer.flush().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<String>, String> {
        self.writer.close().map_err(|error| error.to_string())?;
        let ordered: Vec<String> = self.ordered.iter().map(|name| format!("`{name}`")).collect();
        Ok(if ordered.is_empty() {
            Vec::new()
        } else {
            let ordered = ordered.join(", ");
            vec![format!(
                "the Parquet file keeps neither the order of the categories of {ordered} nor unused categories: \
                 .arrow files do"
            )]
        })
    }
}

/// The metadata of a table in which pandas marks these columns as unordered.
fn without_order(mut metadata: HashMap<String, String>, ordered: &[String]) -> HashMap<String, String> {
    let Some(text) = metadata.get_mut("pandas").filter(|_| !ordered.is_empty()) else { return metadata };
    let Ok(mut pandas) = serde_json::from_str::<serde_json::Value>(text) else { return metadata };
    for column in pandas.get_mut("columns").and_then(|columns| columns.as_array_mut()).into_iter().flatten() {
        let is_ordered = column
            .get("name")
            .and_then(|name| name.as_str())
            .is_some_and(|name| ordered.iter().any(|other| other == name));
        if let Some(said) = column.get_mut("metadata").and_then(|said| said.get_mut("ordered")).filter(|_| is_ordered) {
            *said = false.into();
        }
    }
    *text = pandas.to_string();
    metadata
}

struct Ipc {
    writer: FileWriter<BufWriter<File>>,
    schema: SchemaRef,
    /// The final file, to which the table is copied when its dictionaries are complete; `None` for a table without
    /// dictionaries, which is written directly.
    place: Option<File>,
    /// The values of each dictionary column.
    dictionaries: HashMap<usize, Dictionary>,
}

impl Ipc {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        let has_dictionaries =
            shape.schema.fields().iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..)));
        // Not every program can read dictionaries that grow within a file, and they are complete only at the end.
        let (file, place) = match has_dictionaries {
            true => (tempfile::tempfile().map_err(|error| error.to_string())?, Some(file)),
            false => (file, None),
        };
        let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
        let writer = FileWriter::try_new_with_options(BufWriter::new(file), &shape.schema, options);
        let writer = writer.map_err(|error| error.to_string())?;
        Ok(Box::new(Self { writer, schema: shape.schema.clone(), place, dictionaries: HashMap::new() }))
    }

    /// Completes the file, with complete dictionaries.
    fn end(mut self) -> Result<(), ArrowError> {
        self.writer.finish()?;
        let Some(place) = self.place else { return Ok(()) };
        let mut file = self.writer.into_inner()?.into_inner().map_err(|error| ArrowError::from(error.into_error()))?;
        file.rewind()?;
        let mut writer = FileWriter::try_new_buffered(place, &self.schema)?;
        FileReader::try_new(BufReader::new(file), None)?.try_for_each(|part| writer.write(&part?))?;
        writer.finish()
    }
}

impl Sink for Ipc {
    fn write(&mut self, part: &RecordBatch) -> Result<(), String> {
        let mut columns = part.columns().to_vec();
        for (index, column) in columns.iter_mut().enumerate() {
            if column.as_any_dictionary_opt().is_some() {
                let name = self.schema.field(index).name();
                let dictionary = self.dictionaries.entry(index).or_default();
                *column = dictionary.joined(column).map_err(|error| format!("column `{name}`: {error}"))?;
            }
        }
        let part = RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| error.to_string())?;
        self.writer.write(&part).map_err(|error| error.to_string())
    }

    fn finish(self: Box<Self>) -> Result<Vec<String>, String> {
        self.end().map(|()| Vec::new()).map_err(|error| error.to_string())
    }
}

/// The values of a dictionary so far, each once, in order of appearance.
#[derive(Default)]
struct Dictionary {
    values: Option<ArrayRef>,
    places: HashMap<String, i64>,
}

impl Dictionary {
    /// The same column with all values so far; new values are appended.
    fn joined(&mut self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let dictionary = column.as_any_dictionary();
        let texts = texts(dictionary.values(), "the dictionary".as_ref())
            .map_err(|error| ArrowError::ComputeError(error.to_string()))?;
        let mut new = Vec::new();
        let places: Vec<Option<i64>> = texts
            .into_iter()
            .enumerate()
            .map(|(value, text)| {
                let next = self.places.len() as i64;
                Some(*self.places.entry(text?).or_insert_with(|| {
                    new.push(value as u64);
                    next
                }))
            })
            .collect();
        let new = take(dictionary.values(), &UInt64Array::from(new), None)?;
        let values = match &self.values {
            Some(values) if new.is_empty() => values.clone(),
            Some(values) => concat(&[values.as_ref(), new.as_ref()])?,
            None => new,
        };
        self.values = Some(values.clone());
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let keys = cast_with_options(dictionary.keys(), &DataType::Int64, &strict)?;
        let keys: Int64Array = keys.as_primitive::<Int64Type>().iter().map(|key| places[key? as usize]).collect();
        let keys = cast_with_options(&keys, dictionary.keys().data_type(), &strict)?.to_data();
        let data = column
            .to_data()
            .into_builder()
            .nulls(keys.nulls().cloned())
            .buffers(keys.buffers().to_vec())
            .offset(keys.offset());
        Ok(make_array(data.child_data(vec![values.to_data()]).build()?))
    }
}
