//! Where results go: a table, in the format that the ending of its file asks for.
//!
//! Rows are written as they come, into a temporary file beside the place, which takes the place once it is whole: a run that breaks off
//! leaves what was there before. A new format is one entry in `FORMATS`.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{ArrayRef, BooleanArray, Float32Array, RecordBatch, StringArray};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema};
use npyz::WriterBuilder;
use parquet::arrow::ArrowWriter;
use safetensors::{Dtype, tensor::TensorView};
use tempfile::NamedTempFile;

use crate::{
    DataError, Geometry,
    frame::{Cells, Frame},
    picture::Sheet,
};

/// What a column will hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// Numbers.
    Number,
    /// Truth values.
    Boolean,
    /// Texts.
    Text,
}

impl CellKind {
    fn of(cells: &Cells) -> Self {
        match cells {
            Cells::Numbers(_) => Self::Number,
            Cells::Booleans(_) => Self::Boolean,
            Cells::Texts(_) | Cells::Dates(..) => Self::Text,
        }
    }
}

/// The columns of a table to be written, and how many rows there will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Name and kind of each column.
    pub columns: Vec<(String, CellKind)>,
    /// Rows.
    pub rows: usize,
}

impl Shape {
    /// The shape of a whole table.
    pub fn of(frame: &Frame) -> Self {
        let columns = frame.columns.iter().map(|(name, cells)| (name.clone(), CellKind::of(cells))).collect();
        Self { columns, rows: frame.len() }
    }
}

/// Writes the parts of a table, in their order.
trait Sink {
    fn write(&mut self, part: &Frame) -> Result<(), String>;
    fn finish(self: Box<Self>) -> Result<(), String>;
}

type Open = fn(File, &Shape) -> Result<Box<dyn Sink>, String>;

/// Endings, and what opens a file of that format.
const FORMATS: &[(&[&str], Open)] = &[
    (&["csv", "txt"], |file, shape| Delimited::boxed(BufWriter::new(file), shape, b',')),
    (&["tsv", "tab"], |file, shape| Delimited::boxed(BufWriter::new(file), shape, b'\t')),
    (&["parquet", "pq"], Parquet::open),
    (&["arrow", "feather", "ipc"], Ipc::open),
    (&["npy"], Npy::open),
    (&["safetensors"], Tensors::open),
];

/// A table on its way into a file.
pub struct Writer {
    path: PathBuf,
    /// What takes the place of `path` at the end; none for standard output.
    partial: Option<NamedTempFile>,
    sink: Box<dyn Sink>,
}

impl Writer {
    /// A table of this shape, in the format that the ending of `path` names.
    ///
    /// # Errors
    /// An ending that names no format, texts for a format of numbers, or a place that cannot be written.
    pub fn create(path: &Path, shape: &Shape) -> Result<Self, DataError> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let Some((_, open)) = FORMATS.iter().find(|(extensions, _)| extensions.contains(&extension.as_str())) else {
            let known: Vec<&str> = FORMATS.iter().map(|(extensions, _)| extensions[0]).collect();
            let problem = format!("`.{extension}` names no format that can be written: end the name in one of .{}", known.join(", ."));
            return Err(DataError::Malformed { path: path.to_owned(), problem });
        };
        let failed = |source| DataError::Write { path: path.to_owned(), reason: format!("{source}") };
        let partial = temporary(path).map_err(failed)?;
        let file = partial.reopen().map_err(failed)?;
        let sink = open(file, shape).map_err(|reason| DataError::Write { path: path.to_owned(), reason })?;
        Ok(Self { path: path.to_owned(), partial: Some(partial), sink })
    }

    /// A table on standard output, as CSV.
    ///
    /// # Errors
    /// An output that cannot be written. A reader that has gone away (`ae encode RUN | head`) is none.
    pub fn standard_output(shape: &Shape) -> Result<Self, DataError> {
        let path = PathBuf::from("standard output");
        let sink = Delimited::boxed(Pipe(std::io::stdout()), shape, b',');
        let sink = sink.map_err(|reason| DataError::Write { path: path.clone(), reason })?;
        Ok(Self { path, partial: None, sink })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// A full disk, or columns that are not those of the shape.
    pub fn write(&mut self, part: &Frame) -> Result<(), DataError> {
        self.sink.write(part).map_err(|reason| DataError::Write { path: self.path.clone(), reason })
    }

    /// Puts the whole file in its place.
    ///
    /// # Errors
    /// A full disk, or fewer rows than the shape said.
    pub fn finish(self) -> Result<(), DataError> {
        let failed = |reason: String| DataError::Write { path: self.path.clone(), reason };
        self.sink.finish().map_err(failed)?;
        let Some(partial) = self.partial else { return Ok(()) };
        partial.persist(&self.path).map_err(|error| failed(error.error.to_string()))?;
        readable(&self.path).map_err(|error| failed(error.to_string()))
    }
}

/// A temporary file is its owner's alone; a result is as any other file.
fn readable(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    }
    let _ = path;
    Ok(())
}

/// Writes a whole table.
///
/// # Errors
/// As [`Writer::create`] and [`Writer::write`].
pub fn write(path: &Path, frame: &Frame) -> Result<(), DataError> {
    let mut writer = Writer::create(path, &Shape::of(frame))?;
    writer.write(frame)?;
    writer.finish()
}

/// Writes images of this shape, of values from `low` (black) to `high` (white): one into `path`, several beside it with their numbers from
/// `first` on, as in `out-0007.png`.
///
/// # Errors
/// A place that cannot be written, or an ending other than `.png`.
pub fn write_images(path: &Path, geometry: Geometry, values: &[f32], first: usize, [low, high]: [f32; 2]) -> Result<(), DataError> {
    let images: Vec<&[f32]> = values.chunks_exact(geometry.channels * geometry.height * geometry.width).collect();
    let sheet = Sheet { geometry, columns: 1, zoom: 1, low, high };
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned()).unwrap_or_default();
    for (index, image) in images.iter().enumerate() {
        let place = if images.len() == 1 && first == 0 {
            path.to_owned()
        } else {
            path.with_file_name(format!("{stem}-{:04}.{extension}", first + index))
        };
        sheet.save(&[image], &place)?;
    }
    Ok(())
}

/// Writes a whole file: what was there before stays until the new one is complete.
///
/// # Errors
/// A place that cannot be written.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let failed = |reason: String| DataError::Write { path: path.to_owned(), reason };
    let mut partial = temporary(path).map_err(|error| failed(error.to_string()))?;
    partial.write_all(bytes).map_err(|error| failed(error.to_string()))?;
    partial.persist(path).map_err(|error| failed(error.error.to_string()))?;
    readable(path).map_err(|error| failed(error.to_string()))
}

/// A file beside `path`, which takes its place later.
fn temporary(path: &Path) -> std::io::Result<NamedTempFile> {
    NamedTempFile::new_in(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// One cell as text: the shortest digits that read back as the same number; nothing for a missing one.
fn text(cells: &Cells, row: usize) -> String {
    match cells {
        Cells::Numbers(values) if values[row].is_nan() => String::new(),
        Cells::Numbers(values) => values[row].to_string(),
        Cells::Booleans(values) if values[row].is_nan() => String::new(),
        Cells::Booleans(values) => (values[row] >= 0.5).to_string(),
        Cells::Texts(values) => values[row].clone().unwrap_or_default(),
        Cells::Dates(example, _) => example.clone(),
    }
}

/// An output whose reader may go away before the end, having seen enough.
struct Pipe<W>(W);

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        gone(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        gone(self.0.flush(), ())
    }
}

fn gone<T>(result: std::io::Result<T>, fine: T) -> std::io::Result<T> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(fine),
        result => result,
    }
}

struct Delimited<W: Write> {
    writer: csv::Writer<W>,
}

impl<W: Write + 'static> Delimited<W> {
    fn boxed(output: W, shape: &Shape, delimiter: u8) -> Result<Box<dyn Sink>, String> {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(output);
        writer.write_record(shape.columns.iter().map(|(name, _)| name)).map_err(|error| error.to_string())?;
        Ok(Box::new(Self { writer }))
    }
}

impl<W: Write> Sink for Delimited<W> {
    fn write(&mut self, part: &Frame) -> Result<(), String> {
        for row in 0..part.len() {
            self.writer.write_record(part.columns.iter().map(|(_, cells)| text(cells, row))).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), String> {
        self.writer.flush().map_err(|error| error.to_string())
    }
}

fn schema(shape: &Shape) -> Arc<Schema> {
    let field = |(name, kind): &(String, CellKind)| {
        let kind = match kind {
            CellKind::Number => DataType::Float32,
            CellKind::Boolean => DataType::Boolean,
            CellKind::Text => DataType::Utf8,
        };
        Field::new(name, kind, true)
    };
    Arc::new(Schema::new(shape.columns.iter().map(field).collect::<Vec<_>>()))
}

fn batch(part: &Frame, schema: &Arc<Schema>) -> Result<RecordBatch, String> {
    let observed = |value: &f32| (!value.is_nan()).then_some(*value);
    let columns = part.columns.iter().map(|(_, cells)| match cells {
        Cells::Numbers(values) => Arc::new(Float32Array::from(values.iter().map(observed).collect::<Vec<_>>())) as ArrayRef,
        Cells::Booleans(values) => {
            Arc::new(BooleanArray::from(values.iter().map(|value| observed(value).map(|value| value >= 0.5)).collect::<Vec<_>>()))
        }
        Cells::Texts(values) => Arc::new(StringArray::from(values.clone())),
        Cells::Dates(example, count) => Arc::new(StringArray::from(vec![example.as_str(); *count])),
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).map_err(|error| error.to_string())
}

struct Parquet {
    writer: ArrowWriter<File>,
    schema: Arc<Schema>,
}

impl Parquet {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        let schema = schema(shape);
        let writer = ArrowWriter::try_new(file, schema.clone(), None).map_err(|error| error.to_string())?;
        Ok(Box::new(Self { writer, schema }))
    }
}

impl Sink for Parquet {
    fn write(&mut self, part: &Frame) -> Result<(), String> {
        self.writer.write(&batch(part, &self.schema)?).map_err(|error| error.to_string())
    }

    fn finish(self: Box<Self>) -> Result<(), String> {
        self.writer.close().map(|_| ()).map_err(|error| error.to_string())
    }
}

struct Ipc {
    writer: FileWriter<BufWriter<File>>,
    schema: Arc<Schema>,
}

impl Ipc {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        let schema = schema(shape);
        let writer = FileWriter::try_new_buffered(file, &schema).map_err(|error| error.to_string())?;
        Ok(Box::new(Self { writer, schema }))
    }
}

impl Sink for Ipc {
    fn write(&mut self, part: &Frame) -> Result<(), String> {
        self.writer.write(&batch(part, &self.schema)?).map_err(|error| error.to_string())
    }

    fn finish(mut self: Box<Self>) -> Result<(), String> {
        self.writer.finish().map_err(|error| error.to_string())
    }
}

/// The numbers of a part, row by row.
fn numbers(part: &Frame) -> Result<Vec<f32>, String> {
    let mut columns = Vec::new();
    for (name, cells) in &part.columns {
        match cells {
            Cells::Numbers(values) | Cells::Booleans(values) => columns.push(values),
            _ => return Err(no_number(name)),
        }
    }
    Ok((0..part.len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect())
}

fn no_number(column: &str) -> String {
    format!("column `{column}` holds texts, which an array of numbers cannot: choose .csv, .parquet or .arrow")
}

fn only_numbers(shape: &Shape) -> Result<(), String> {
    match shape.columns.iter().find(|(_, kind)| *kind == CellKind::Text) {
        Some((name, _)) => Err(no_number(name)),
        None => Ok(()),
    }
}

struct Npy {
    file: BufWriter<File>,
    left: usize,
}

impl Npy {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        only_numbers(shape)?;
        let dims = [shape.rows as u64, shape.columns.len() as u64];
        // The header alone: the numbers follow as they come.
        let header = npyz::WriteOptions::new_header_only().dtype(<f32 as npyz::AutoSerialize>::default_dtype()).shape(&dims);
        let file = header.writer(BufWriter::new(file)).write_header_only().map_err(|error| error.to_string())?;
        Ok(Box::new(Self { file, left: shape.rows * shape.columns.len() }))
    }
}

impl Sink for Npy {
    fn write(&mut self, part: &Frame) -> Result<(), String> {
        let values = numbers(part)?;
        self.left = self.left.checked_sub(values.len()).ok_or("more rows than were announced")?;
        values.iter().try_for_each(|value| self.file.write_all(&value.to_le_bytes())).map_err(|error| error.to_string())
    }

    fn finish(mut self: Box<Self>) -> Result<(), String> {
        match self.left {
            0 => self.file.flush().map_err(|error| error.to_string()),
            _ => Err("fewer rows than were announced".to_string()),
        }
    }
}

/// One tensor, `data`. The format has its sizes in front of everything, so that it is written at the end.
struct Tensors {
    file: File,
    width: usize,
    values: Vec<u8>,
}

impl Tensors {
    fn open(file: File, shape: &Shape) -> Result<Box<dyn Sink>, String> {
        only_numbers(shape)?;
        Ok(Box::new(Self { file, width: shape.columns.len(), values: Vec::new() }))
    }
}

impl Sink for Tensors {
    fn write(&mut self, part: &Frame) -> Result<(), String> {
        self.values.extend(numbers(part)?.iter().flat_map(|value| value.to_le_bytes()));
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), String> {
        let rows = self.values.len() / 4 / self.width.max(1);
        let tensor = TensorView::new(Dtype::F32, vec![rows, self.width], &self.values).map_err(|error| error.to_string())?;
        let bytes = safetensors::serialize([("data", tensor)], None).map_err(|error| error.to_string())?;
        self.file.write_all(&bytes).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Options, open_with};

    fn table() -> Frame {
        Frame {
            columns: vec![
                ("a, b".into(), Cells::Numbers(vec![0.1, f32::NAN, -3e30])),
                ("ok".into(), Cells::Booleans(vec![1.0, 0.0, f32::NAN])),
                ("text".into(), Cells::Texts(vec![Some("x \"y\"".into()), None, Some("z".into())])),
            ],
        }
    }

    #[test]
    fn a_table_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let cells = |name: &str| {
            let rows = open_with(folder.path().join(name).to_str().unwrap(), &Options::default()).unwrap().train;
            let encoding = rows.encoding().unwrap().clone();
            (encoding.columns().to_vec(), (0..3).map(|row| format!("{:?}", encoding.decode(&rows.row(row).unwrap()))).collect::<Vec<_>>())
        };
        for name in ["t.csv", "t.tsv", "t.parquet", "t.arrow", "t.feather"] {
            write(&folder.path().join(name), &table()).unwrap();
            assert_eq!(cells(name), cells("t.csv"), "{name}");
        }
        assert_eq!(cells("t.csv").1, ["[0.1, 1.0, 0.0]", "[NaN, 0.0, NaN]", "[-3e30, NaN, 1.0]"]);
    }

    #[test]
    fn parts_make_a_whole_and_arrays_hold_numbers_alone() {
        let folder = tempfile::tempdir().unwrap();
        let part = |first: f32| Frame {
            columns: vec![("h0".into(), Cells::Numbers(vec![first, 2.0])), ("h1".into(), Cells::Numbers(vec![3.0, f32::NAN]))],
        };
        let shape = Shape { rows: 4, ..Shape::of(&part(0.0)) };
        for name in ["n.npy", "n.safetensors", "n.csv", "n.parquet"] {
            let path = folder.path().join(name);
            let mut writer = Writer::create(&path, &shape).unwrap();
            writer.write(&part(1.0)).unwrap();
            assert!(!path.exists(), "{name}: a part is no result");
            writer.write(&part(5.0)).unwrap();
            writer.finish().unwrap();
            let rows = open_with(path.to_str().unwrap(), &Options::default()).unwrap().train;
            let values: Vec<String> = (0..4).map(|row| format!("{:?}", rows.row(row).unwrap())).collect();
            assert_eq!(values, ["[1.0, 3.0]", "[2.0, NaN]", "[5.0, 3.0]", "[2.0, NaN]"], "{name}");
        }
        let error = write(&folder.path().join("t.npy"), &table()).unwrap_err().to_string();
        assert!(error.contains("`text` holds texts") && error.contains(".csv"), "{error}");
        let error = write(&folder.path().join("t.xls"), &table()).unwrap_err().to_string();
        assert!(error.contains("`.xls`") && error.contains(".parquet"), "{error}");
        assert!(!folder.path().join("t.npy").exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "nothing half-written is left");
    }

    #[test]
    fn pictures_come_back_to_the_last_shade() {
        let folder = tempfile::tempdir().unwrap();
        for channels in [1, 3] {
            let geometry = Geometry { channels, height: 2, width: 3 };
            let values: Vec<f32> = (0..2 * channels * 6).map(|value| value as f32 * 7.0).collect();
            let place = folder.path().join(format!("c{channels}"));
            std::fs::create_dir(&place).unwrap();
            write_images(&place.join("r.png"), geometry, &values, 0, [0.0, 255.0]).unwrap();
            let rows = open_with(place.to_str().unwrap(), &Options::default()).unwrap().train;
            assert_eq!((rows.len(), rows.geometry), (2, Some(geometry)));
            assert_eq!([rows.row(0).unwrap(), rows.row(1).unwrap()].concat(), values);
        }
        let error = write_images(Path::new("x.bmp"), Geometry { channels: 1, height: 1, width: 1 }, &[0.0], 0, [0.0, 1.0]).unwrap_err();
        assert!(error.to_string().contains(".png"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn no_damaged_file_panics(place in 0usize..10_000, byte in any::<u8>(), cut in 0usize..10_000, streamed in any::<bool>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            for name in ["t.csv", "t.parquet", "t.arrow"] {
                write(&path(name), &table()).unwrap();
            }
            let numbers = Frame { columns: vec![("a".into(), Cells::Numbers(vec![1.0, 2.0, 3.0]))] };
            write(&path("t.npy"), &numbers).unwrap();
            write(&path("t.safetensors"), &numbers).unwrap();
            write_images(&path("t.png"), Geometry { channels: 1, height: 3, width: 2 }, &[0.5; 6], 0, [0.0, 1.0]).unwrap();
            for name in ["t.csv", "t.parquet", "t.arrow", "t.npy", "t.safetensors", "t.png"] {
                let mut bytes = std::fs::read(path(name)).unwrap();
                let place = place % bytes.len();
                bytes[place] = byte;
                for end in [bytes.len(), cut % bytes.len()] {
                    std::fs::write(path(name), &bytes[..end]).unwrap();
                    let options = Options { stream: Some(streamed), ..Options::default() };
                    if let Ok(sets) = open_with(path(name).to_str().unwrap(), &options) {
                        let _ = (0..sets.train.len()).try_for_each(|row| sets.train.row(row).map(drop));
                    }
                }
            }
        }
    }
}
