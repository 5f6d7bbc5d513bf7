//! Writes results as arrays of numbers: NumPy `.npy` and `.npz`, and safetensors. An array holds only the result. In
//! npz and safetensors files, which can hold several arrays, the labels are a second one.

use std::{
    fs::File,
    io::{BufWriter, Write},
};

use arrow_array::{Array as _, ArrayRef, RecordBatch, cast::AsArray, types::Float64Type};
use arrow_cast::cast;
use arrow_schema::DataType;
use npyz::WriterBuilder;
use safetensors::{Dtype, tensor::TensorView};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::format::{Format, Shape, Sink};
use crate::table::texts;

pub(super) const NPY: Format = Format { extensions: &["npy"], open: Npy::open };
pub(super) const NPZ: Format = Format { extensions: &["npz"], open: Npz::open };
pub(super) const SAFETENSORS: Format = Format { extensions: &["safetensors"], open: Tensors::open };

/// The numbers of a result, row by row.
struct Numbers {
    shape: Shape,
    /// Whether single precision represents all of them exactly.
    is_single: bool,
    /// Number of values still to come.
    left: usize,
    /// The labels so far, -1 for a row without one; `None` if there are none, or not all of them are integers.
    labels: Option<Vec<i64>>,
}

impl Numbers {
    fn of(shape: &Shape) -> Result<Self, String> {
        let fields = || shape.results.clone().map(|index| shape.schema.field(index));
        let is_number = |kind: &DataType| kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null);
        if let Some(field) = fields().find(|field| !is_number(field.data_type())) {
            let name = field.name();
            return Err(format!(
                "column `{name}` holds strings, but an array holds only numbers: choose .csv, .parquet or .arrow"
            ));
        }
        let small = |kind: &DataType| {
            use DataType::{Boolean, Float16, Float32, Int8, Int16, Null, UInt8, UInt16};
            matches!(kind, Float32 | Float16 | Int8 | Int16 | UInt8 | UInt16 | Boolean | Null)
        };
        let is_single = fields().all(|field| small(field.data_type()));
        let left = shape.rows * shape.results.len();
        Ok(Self { shape: shape.clone(), is_single, left, labels: shape.label.map(|_| Vec::new()) })
    }

    fn dims(&self) -> [u64; 2] {
        [self.shape.rows as u64, self.shape.results.len() as u64]
    }

    /// The values of a part as bytes. Collects the labels.
    fn bytes(&mut self, part: &RecordBatch) -> Result<Vec<u8>, String> {
        let columns = self.shape.results.clone().map(|index| {
            let column = part.column(index);
            let column = if column.data_type() == &DataType::Boolean {
                cast(column, &DataType::UInt8)
            } else {
                Ok(column.clone())
            };
            column.and_then(|column| cast(&column, &DataType::Float64)).map_err(|error| error.to_string())
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, String>>()?;
        let numbers: Vec<_> = columns.iter().map(|column| column.as_primitive::<Float64Type>()).collect();
        let count = part.num_rows() * numbers.len();
        self.left = self.left.checked_sub(count).ok_or("more rows than expected")?;
        let mut bytes = Vec::with_capacity(count * if self.is_single { 4 } else { 8 });
        for row in 0..part.num_rows() {
            for column in &numbers {
                let value = if column.is_null(row) { f64::NAN } else { column.value(row) };
                match self.is_single {
                    true => bytes.extend((value as f32).to_le_bytes()),
                    false => bytes.extend(value.to_le_bytes()),
                }
            }
        }
        if let (Some(labels), Some(place)) = (&mut self.labels, self.shape.label) {
            let texts = texts(part.column(place), "the labels".as_ref()).map_err(|error| error.to_string())?;
            let whole: Option<Vec<i64>> = texts.iter().map(|text| text.as_ref()?.parse().ok()).collect();
            match whole {
                Some(whole) => labels.extend(whole),
                None => self.labels = None,
            }
        }
        Ok(bytes)
    }

    /// A note on what the array leaves out; `with_labels` if the labels are written.
    fn left_out(&self, with_labels: bool) -> Result<Vec<String>, String> {
        if self.left > 0 {
            return Err("fewer rows than expected".to_string());
        }
        let label = self
            .shape
            .label
            .filter(|_| with_labels)
            .map(|label| format!("`{}`", self.shape.schema.field(label).name()));
        let beside: Vec<String> = self.shape.beside().into_iter().filter(|name| Some(name) != label.as_ref()).collect();
        Ok(if beside.is_empty() {
            Vec::new()
        } else {
            vec![format!("an array of numbers leaves out {}", beside.join(", "))]
        })
    }

    fn header(&self, output: impl Write) -> Result<impl Write, String> {
        // Only the header: the values follow as they come.
        let dtype = match self.is_single {
            true => <f32 as npyz::AutoSerialize>::default_dtype(),
            false => <f64 as npyz::AutoSerialize>::default_dtype(),
        };
        let header = npyz::WriteOptions::new_header_only().dtype(dtype).shape(&self.dims());
        header.writer(output).write_header_only().map_err(|error| error.to_string())
    }
}

struct Npy {
    file: BufWriter<File>,
    numbers: Numbers,
}

impl Npy {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        let numbers = Numbers::of(shape)?;
        let mut file = BufWriter::new(file);
        numbers.header(&mut file)?;
        Ok(Box::new(Self { file, numbers }))
    }
}

impl Sink for Npy {
    fn write(&mut self, part: &RecordBatch) -> Result<(), String> {
        let bytes = self.numbers.bytes(part)?;
        self.file.write_all(&bytes).map_err(|error| error.to_string())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, String> {
        self.file.flush().map_err(|error| error.to_string())?;
        self.numbers.left_out(false)
    }
}

/// The result as `x` and the labels as `y`.
struct Npz {
    archive: ZipWriter<BufWriter<File>>,
    numbers: Numbers,
}

impl Npz {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        let numbers = Numbers::of(shape)?;
        let mut archive = ZipWriter::new(BufWriter::new(file));
        archive.start_file("x.npy", entry()).map_err(|error| error.to_string())?;
        numbers.header(&mut archive)?;
        Ok(Box::new(Self { archive, numbers }))
    }
}

fn entry() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated).large_file(true)
}

impl Sink for Npz {
    fn write(&mut self, part: &RecordBatch) -> Result<(), String> {
        let bytes = self.numbers.bytes(part)?;
        self.archive.write_all(&bytes).map_err(|error| error.to_string())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, String> {
        if let Some(labels) = &self.numbers.labels {
            self.archive.start_file("y.npy", entry()).map_err(|error| error.to_string())?;
            let options = npyz::WriteOptions::new().default_dtype().shape(&[labels.len() as u64]);
            let mut writer = options.writer(&mut self.archive).begin_nd().map_err(|error| error.to_string())?;
            writer.extend(labels.iter().copied()).and_then(|()| writer.finish()).map_err(|error| error.to_string())?;
        }
        let left_out = self.numbers.left_out(self.numbers.labels.is_some())?;
        let mut file = self.archive.finish().map_err(|error| error.to_string())?;
        file.flush().map_err(|error| error.to_string())?;
        Ok(left_out)
    }
}

/// The result as `x` and the labels as `y`. The format begins with the sizes, so everything is written at the end.
struct Tensors {
    file: File,
    numbers: Numbers,
    bytes: Vec<u8>,
}

impl Tensors {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        Ok(Box::new(Self { file, numbers: Numbers::of(shape)?, bytes: Vec::new() }))
    }
}

impl Sink for Tensors {
    fn write(&mut self, part: &RecordBatch) -> Result<(), String> {
        let bytes = self.numbers.bytes(part)?;
        self.bytes.extend(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, String> {
        let left_out = self.numbers.left_out(self.numbers.labels.is_some())?;
        let dims = self.numbers.dims().map(|size| size as usize).to_vec();
        let kind = if self.numbers.is_single { Dtype::F32 } else { Dtype::F64 };
        let labels: Option<Vec<u8>> =
            self.numbers.labels.as_ref().map(|labels| labels.iter().flat_map(|label| label.to_le_bytes()).collect());
        let mut tensors =
            vec![("x", TensorView::new(kind, dims.clone(), &self.bytes).map_err(|error| error.to_string())?)];
        if let Some(labels) = &labels {
            tensors.push(("y", TensorView::new(Dtype::I64, vec![dims[0]], labels).map_err(|error| error.to_string())?));
        }
        let bytes = safetensors::serialize(tensors, None).map_err(|error| error.to_string())?;
        self.file.write_all(&bytes).map_err(|error| error.to_string())?;
        Ok(left_out)
    }
}
