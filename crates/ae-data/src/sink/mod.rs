//! Where results go: a table, in the format that the ending of its file asks for. A new format is one file here and one
//! line in `FORMATS`.
//!
//! Rows are written as they come, into a temporary file beside the place, which takes the place once it is whole: a run
//! that breaks off leaves what was there before.

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

/// Every format that can be written.
const FORMATS: &[Format] =
    &[text::CSV, text::TSV, arrow::PARQUET, arrow::IPC, arrays::NPY, arrays::NPZ, arrays::SAFETENSORS];

/// A table on its way into a file.
pub struct Writer {
    path: PathBuf,
    /// What takes the place of `path` at the end; none where it is written in place.
    partial: Option<NamedTempFile>,
    sink: Box<dyn Sink>,
}

impl Writer {
    /// A table of this shape, in the format that the ending of `path` names.
    ///
    /// # Errors
    /// An ending that names no format, texts for a format of numbers, or a place that cannot be written.
    pub fn create(path: &Path, shape: &Shape) -> Result<Self, DataError> {
        let format = format(path)?;
        let failed = |reason: String| DataError::Write { path: path.to_owned(), reason };
        let (file, partial) = place(path).map_err(|error| failed(error.to_string()))?;
        let sink = (format.open)(file, shape).map_err(failed)?;
        Ok(Self { path: path.to_owned(), partial, sink })
    }

    /// A table on standard output, as CSV.
    ///
    /// # Errors
    /// An output that cannot be written. A reader that has gone away (`ae encode RUN | head`) is none.
    pub fn standard_output(shape: &Shape) -> Result<Self, DataError> {
        let path = PathBuf::from("standard output");
        let sink = text::boxed(Pipe(std::io::stdout()), shape, b',');
        let sink = sink.map_err(|reason| DataError::Write { path: path.clone(), reason })?;
        Ok(Self { path, partial: None, sink })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// A full disk, or columns that are not those of the shape.
    pub fn write(&mut self, part: &RecordBatch) -> Result<(), DataError> {
        self.sink.write(part).map_err(|reason| DataError::Write { path: self.path.clone(), reason })
    }

    /// Puts the whole file in its place. Gives what the format left out, in sentences.
    ///
    /// # Errors
    /// A full disk, or fewer rows than the shape said.
    pub fn finish(self) -> Result<Vec<String>, DataError> {
        let failed = |reason: String| DataError::Write { path: self.path.clone(), reason };
        let left_out = self.sink.finish().map_err(failed)?;
        if let Some(partial) = self.partial {
            partial.persist(&self.path).map_err(|error| failed(error.error.to_string()))?;
        }
        Ok(left_out)
    }
}

/// The format that the ending of a path names.
fn format(path: &Path) -> Result<&'static Format, DataError> {
    let extension =
        path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    FORMATS.iter().find(|format| format.extensions.contains(&extension.as_str())).ok_or_else(|| {
        let known: Vec<&str> = FORMATS.iter().map(|format| format.extensions[0]).collect();
        let problem = format!(
            "`.{extension}` names no format that can be written: end the name in one of .{}",
            known.join(", .")
        );
        DataError::Malformed { path: path.to_owned(), problem }
    })
}

/// Whether a table at `path` is written as text.
pub fn is_text(path: &Path) -> bool {
    format(path).is_ok_and(|format| [text::CSV, text::TSV].iter().any(|text| text.extensions == format.extensions))
}

/// Writes a whole table. Gives what the format left out, in sentences.
///
/// # Errors
/// As [`Writer::create`] and [`Writer::write`].
pub fn write(path: &Path, table: &RecordBatch) -> Result<Vec<String>, DataError> {
    let mut writer = Writer::create(path, &Shape::of(table.schema(), table.num_rows()))?;
    writer.write(table)?;
    writer.finish()
}

/// Writes images of this shape, of values from `low` (black) to `high` (white): one into `path`, several beside it with
/// their numbers from `first` on, as in `out-0007.png`.
///
/// # Errors
/// A place that cannot be written, or an ending other than `.png`.
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

/// An output whose reader may go away before the end, having seen enough.
pub struct Pipe<W>(pub W);

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
    fn a_table_comes_back_as_it_was_written() {
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

    /// Numbers as single precision has them: what a table of text keeps of them.
    trait Single {
        fn map_single(self) -> Vec<f32>;
    }

    impl Single for Vec<f64> {
        fn map_single(self) -> Vec<f32> {
            self.into_iter().map(|value| value as f32).collect()
        }
    }

    #[test]
    fn parts_make_a_whole_and_arrays_hold_numbers_alone() {
        let folder = tempfile::tempdir().unwrap();
        let part = |first: f32| numbers([[Some(first), Some(3.0)], [Some(2.0), None]]);
        let shape = Shape::of(part(0.0).schema(), 4);
        for name in ["n.npy", "n.npz", "n.safetensors", "n.csv", "n.parquet"] {
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
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5, "nothing half-written is left");
    }

    #[test]
    fn an_array_holds_the_result_alone_and_a_label_is_a_second_one() {
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
            assert_eq!([rows.row(0).unwrap(), rows.row(1).unwrap()].concat().map_single(), values);
        }
        let error =
            write_images(Path::new("x.bmp"), Geometry { channels: 1, height: 1, width: 1 }, &[0.0], 0, [0.0, 1.0])
                .unwrap_err();
        assert!(error.to_string().contains(".png"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_written_in_place() {
        assert!(place(Path::new("/dev/null")).unwrap().1.is_none());
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
            let numbers = numbers([[Some(1.0), Some(2.0)], [Some(3.0), None]]);
            for name in ["t.npy", "t.npz", "t.safetensors"] {
                write(&path(name), &numbers).unwrap();
            }
            write_images(&path("t.png"), Geometry { channels: 1, height: 3, width: 2 }, &[0.5; 6], 0, [0.0, 1.0]).unwrap();
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
