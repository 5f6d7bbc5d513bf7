//! Writes results as tables. The extension of the file decides the format. A new format is one file in this folder and
//! one line in `FORMATS`.
//!
//! Rows are written as they come to a temporary file in the same folder, which replaces the target when it is complete.
//! If writing is interrupted, an existing file stays as it is.

mod arrays;
mod arrow;
mod format;
mod text;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use arrow_array::RecordBatch;
use tempfile::NamedTempFile;

pub use self::format::Shape;
use self::format::{Format, Sink};
pub use crate::place::{PARTIAL, write_bytes, write_with};
use crate::{DataError, Geometry, picture::Sheet, place::place};

/// All output formats.
const FORMATS: &[Format] =
    &[text::CSV, text::TSV, arrow::PARQUET, arrow::IPC, arrays::NPY, arrays::NPZ, arrays::SAFETENSORS];

/// Writes a table to a file, part by part.
///
/// ```
/// use std::sync::Arc;
///
/// use ae_data::sink::{Shape, Writer};
/// use arrow_array::{ArrayRef, Float32Array, RecordBatch};
///
/// let codes = Arc::new(Float32Array::from(vec![0.5, 1.5])) as ArrayRef;
/// let part = RecordBatch::try_from_iter([("h0", codes)])?;
/// let path = std::env::temp_dir().join("ae-data-writer.parquet");
/// let mut writer = Writer::create(&path, &Shape::of(part.schema(), 4))?;
/// writer.write(&part)?;
/// writer.write(&part)?;
/// assert!(writer.finish()?.is_empty(), "nothing is left out");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer {
    path: PathBuf,
    /// The temporary file that replaces `path` at the end; `None` if `path` is written directly.
    partial: Option<NamedTempFile>,
    sink: Box<dyn Sink>,
}

impl Writer {
    /// Starts a table of this shape, in the format of the extension of `path`.
    ///
    /// # Errors
    /// If the extension is unknown, if strings are to be written in a format for numbers, or if the file cannot be
    /// written.
    pub fn create(path: &Path, shape: &Shape) -> Result<Self, DataError> {
        let format = format(path)?;
        let failed = |reason: String| DataError::Write { path: path.to_owned(), reason };
        let (file, partial) = place(path).map_err(|error| failed(error.to_string()))?;
        let sink = (format.open)(file, shape).map_err(failed)?;
        Ok(Self { path: path.to_owned(), partial, sink })
    }

    /// Starts a table on standard output, as CSV.
    ///
    /// # Errors
    /// If the output cannot be written. A closed pipe (`ae encode RUN | head`) is not an error.
    pub fn standard_output(shape: &Shape) -> Result<Self, DataError> {
        let path = PathBuf::from("standard output");
        let sink = text::boxed(Pipe(std::io::stdout()), shape, b',');
        let sink = sink.map_err(|reason| DataError::Write { path: path.clone(), reason })?;
        Ok(Self { path, partial: None, sink })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// If the disk is full, or the columns are not those of the shape.
    pub fn write(&mut self, part: &RecordBatch) -> Result<(), DataError> {
        self.sink.write(part).map_err(|reason| DataError::Write { path: self.path.clone(), reason })
    }

    /// Completes the file and replaces `path` with it. Returns notes on what the format left out.
    ///
    /// # Errors
    /// If the disk is full, or there were fewer rows than in the shape.
    pub fn finish(self) -> Result<Vec<String>, DataError> {
        let failed = |reason: String| DataError::Write { path: self.path.clone(), reason };
        let left_out = self.sink.finish().map_err(failed)?;
        if let Some(partial) = self.partial {
            partial.persist(&self.path).map_err(|error| failed(error.error.to_string()))?;
        }
        Ok(left_out)
    }
}

/// The format of the extension of a path.
fn format(path: &Path) -> Result<&'static Format, DataError> {
    let extension =
        path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    FORMATS.iter().find(|format| format.extensions.contains(&extension.as_str())).ok_or_else(|| {
        let known: Vec<&str> = FORMATS.iter().map(|format| format.extensions[0]).collect();
        let problem =
            format!("`.{extension}` is not an output format: choose a file name that ends in .{}", known.join(", ."));
        DataError::Malformed { path: path.to_owned(), problem }
    })
}

/// Whether a table is written to `path` as text.
pub fn is_text(path: &Path) -> bool {
    format(path).is_ok_and(|format| [text::CSV, text::TSV].iter().any(|text| text.extensions == format.extensions))
}

/// Writes a whole table. Returns notes on what the format left out.
///
/// ```
/// use std::sync::Arc;
///
/// use ae_data::{Options, open_with, sink};
/// use arrow_array::{ArrayRef, Float64Array, RecordBatch};
///
/// let weights = Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5])) as ArrayRef;
/// let table = RecordBatch::try_from_iter([("weight", weights)])?;
/// let path = std::env::temp_dir().join("ae-data-table.csv");
/// sink::write(&path, &table)?;
/// let rows = open_with(path.to_str().unwrap(), &Options::default())?.train;
/// assert_eq!(rows.row(1)?, [1.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`Writer::create`] and [`Writer::write`].
pub fn write(path: &Path, table: &RecordBatch) -> Result<Vec<String>, DataError> {
    let mut writer = Writer::create(path, &Shape::of(table.schema(), table.num_rows()))?;
    writer.write(table)?;
    writer.finish()
}

/// Writes images of this shape with values from `low` (black) to `high` (white). A single image is written to `path`;
/// several images get numbers from `first` on, such as `out-0007.png`.
///
/// # Errors
/// If a file cannot be written, or the extension is not `.png`.
pub fn write_images(
    path: &Path,
    geometry: Geometry,
    values: &[f32],
    first: usize,
    [low, high]: [f32; 2],
) -> Result<(), DataError> {
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

/// An output that ignores a closed pipe, because its reader may not need everything.
pub struct Pipe<W>(pub W);

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        gone(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        gone(self.0.flush(), ())
    }
}

/// Turns a broken pipe into success.
fn gone<T>(result: std::io::Result<T>, fine: T) -> std::io::Result<T> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(fine),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, BooleanArray, Float32Array, Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;
    use crate::{Options, open_with};

    fn table() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("a, b", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(-3e30)])) as ArrayRef),
            ("ok", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
            ("text", Arc::new(StringArray::from(vec![Some("x \"y\""), None, Some("z")]))),
        ])
        .unwrap()
    }

    fn numbers(values: [[Option<f32>; 2]; 2]) -> RecordBatch {
        let column = |index: usize| Arc::new(Float32Array::from(values.map(|row| row[index]).to_vec())) as ArrayRef;
        RecordBatch::try_from_iter([("h0", column(0)), ("h1", column(1))]).unwrap()
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let cells = |name: &str| {
            let rows = open_with(folder.path().join(name).to_str().unwrap(), &Options::default()).unwrap().train;
            let encoding = rows.encoding().unwrap().clone();
            let names: Vec<String> = encoding.columns().iter().map(|column| column.name.clone()).collect();
            (
                names,
                (0..3)
                    .map(|row| format!("{:?}", encoding.decode(&rows.row(row).unwrap()).map_single()))
                    .collect::<Vec<_>>(),
            )
        };
        for name in ["t.csv", "t.tsv", "t.parquet", "t.arrow", "t.feather"] {
            write(&folder.path().join(name), &table()).unwrap();
            assert_eq!(cells(name), cells("t.csv"), "{name}");
        }
        assert_eq!(cells("t.csv").1, ["[0.1, 1.0, 0.0]", "[NaN, 0.0, NaN]", "[-3e30, NaN, 1.0]"]);
    }

    /// Numbers rounded to single precision, as a text table stores them.
    trait Single {
        fn map_single(self) -> Vec<f32>;
    }

    impl Single for Vec<f64> {
        fn map_single(self) -> Vec<f32> {
            self.into_iter().map(|value| value as f32).collect()
        }
    }

    #[test]
    fn parts_are_joined_and_arrays_hold_only_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let part = |first: f32| numbers([[Some(first), Some(3.0)], [Some(2.0), None]]);
        let shape = Shape::of(part(0.0).schema(), 4);
        for name in ["n.npy", "n.npz", "n.safetensors", "n.csv", "n.parquet"] {
            let path = folder.path().join(name);
            let mut writer = Writer::create(&path, &shape).unwrap();
            writer.write(&part(1.0)).unwrap();
            assert!(!path.exists(), "{name}: the file is incomplete");
            writer.write(&part(5.0)).unwrap();
            writer.finish().unwrap();
            let rows = open_with(path.to_str().unwrap(), &Options::default()).unwrap().train;
            let values: Vec<String> = (0..4).map(|row| format!("{:?}", rows.row(row).unwrap())).collect();
            assert_eq!(values, ["[1.0, 3.0]", "[2.0, NaN]", "[5.0, 3.0]", "[2.0, NaN]"], "{name}");
        }
        let error = write(&folder.path().join("t.npy"), &table()).unwrap_err().to_string();
        assert!(error.contains("`text` holds strings") && error.contains(".csv"), "{error}");
        let error = write(&folder.path().join("t.xls"), &table()).unwrap_err().to_string();
        assert!(error.contains("`.xls`") && error.contains(".parquet"), "{error}");
        assert!(!folder.path().join("t.npy").exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5, "no incomplete file is left");
    }

    #[test]
    fn an_array_holds_only_the_result_and_labels_are_a_second_array() {
        let folder = tempfile::tempdir().unwrap();
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(StringArray::from(vec!["p", "q"])) as ArrayRef),
            ("label", Arc::new(Int64Array::from(vec![7, -1]))),
            ("h0", Arc::new(Float32Array::from(vec![0.5, 1.5]))),
            ("day", Arc::new(StringArray::from(vec!["x", "y"]))),
        ])
        .unwrap();
        let shape = Shape { schema: batch.schema(), rows: 2, results: 2..3, label: Some(1) };
        for name in ["c.npy", "c.npz", "c.safetensors"] {
            let path = folder.path().join(name);
            let mut writer = Writer::create(&path, &shape).unwrap();
            writer.write(&batch).unwrap();
            let said = writer.finish().unwrap();
            let rows = open_with(path.to_str().unwrap(), &Options::default()).unwrap().train;
            assert_eq!((rows.width(), rows.row(1).unwrap()), (1, vec![1.5]), "{name}");
            let has_labels = name != "c.npy";
            assert_eq!(rows.labels.as_ref().map(|labels| labels.len()), has_labels.then_some(2), "{name}");
            assert_eq!(rows.classes(), if has_labels { vec!["-1".to_string(), "7".to_string()] } else { Vec::new() });
            assert!(
                said[0].contains("`id`") && said[0].contains("`day`") && said[0].contains("`label`") != has_labels,
                "{name}: {said:?}"
            );
        }
    }

    #[test]
    fn images_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        for channels in [1, 3] {
            let geometry = Geometry { channels, height: 2, width: 3 };
            let values: Vec<f32> = (0..2 * channels * 6).map(|value| value as f32 * 7.0).collect();
            let place = folder.path().join(format!("c{channels}"));
            std::fs::create_dir(&place).unwrap();
            write_images(&place.join("r.png"), geometry, &values, 0, [0.0, 255.0]).unwrap();
            let rows = open_with(place.to_str().unwrap(), &Options::default()).unwrap().train;
            assert_eq!((rows.len(), rows.geometry), (2, Some(geometry)));
            assert_eq!([rows.row(0).unwrap(), rows.row(1).unwrap()].concat().map_single(), values);
        }
        let error =
            write_images(Path::new("x.bmp"), Geometry { channels: 1, height: 1, width: 1 }, &[0.0], 0, [0.0, 1.0])
                .unwrap_err();
        assert!(error.to_string().contains(".png"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn special_files_are_written_directly() {
        assert!(place(Path::new("/dev/null")).unwrap().1.is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn damaged_files_do_not_panic(
            place in 0usize..10_000,
            byte in any::<u8>(),
            cut in 0usize..10_000,
            streamed in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            for name in ["t.csv", "t.parquet", "t.arrow"] {
                write(&path(name), &table()).unwrap();
            }
            let numbers = numbers([[Some(1.0), Some(2.0)], [Some(3.0), None]]);
            for name in ["t.npy", "t.npz", "t.safetensors"] {
                write(&path(name), &numbers).unwrap();
            }
            let geometry = Geometry { channels: 1, height: 3, width: 2 };
            write_images(&path("t.png"), geometry, &[0.5; 6], 0, [0.0, 1.0]).unwrap();
            for name in ["t.csv", "t.parquet", "t.arrow", "t.npy", "t.npz", "t.safetensors", "t.png"] {
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
