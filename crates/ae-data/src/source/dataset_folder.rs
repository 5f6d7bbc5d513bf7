//! Folders that Hugging Face's `datasets` saves, with lists of numbers in a column: activations of a language model, as
//! SAELens caches them. Each innermost list is a row; a column `[contexts][tokens][values]` has a row for each token.
//!
//! The files are Arrow streams. Their batches are found without decoding them, and read block by block.

use std::{
    fs,
    io::{Cursor, Read},
    path::{Path, PathBuf},
};

use arrow_array::{Array, ArrayRef, cast::AsArray, types};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, Field, Schema};
use serde_json::Value;

use super::{
    claims::{Source, Span, of_stream},
    section::Section,
    shards,
};
use crate::{
    DataError, Element, Options, Rows, Values,
    caught::caught,
    limit::Limit,
    store::{Blocks, Store},
    words::few,
};

/// Names of the two files that describe such a folder.
const STATE: &str = "state.json";
const INFO: &str = "dataset_info.json";

/// The files of such a folder, in their order; `None` if it is another folder, or has no column of lists of numbers.
///
/// # Errors
/// A damaged `state.json`, or a file that cannot be read.
pub(super) fn files(folder: &Path, options: &Options) -> Result<Option<Vec<PathBuf>>, DataError> {
    if !folder.join(INFO).is_file() || !folder.join(STATE).is_file() {
        return Ok(None);
    }
    let path = folder.join(STATE);
    let malformed = |problem: &str| DataError::Malformed { path: path.clone(), problem: problem.to_string() };
    let text = fs::read_to_string(&path).map_err(|source| DataError::Io { path: path.clone(), source })?;
    let state: Value = serde_json::from_str(&text).map_err(|error| malformed(&format!("is not JSON: {error}")))?;
    let named = state["_data_files"].as_array().ok_or_else(|| malformed("has no list `_data_files`"))?;
    let names = named.iter().map(|file| file["filename"].as_str());
    let mut files = Vec::new();
    for name in names {
        let name = name.ok_or_else(|| malformed("names a file without a `filename`"))?;
        // A name that leaves the folder is not followed.
        if Path::new(name).file_name().is_none_or(|own| own != name) {
            return Err(malformed("names a file outside its folder"));
        }
        files.push(folder.join(name));
    }
    let Some(first) = files.first() else { return Err(malformed("names no file")) };
    let schema = guarded(first, || Stream::open(first, Limit::of(options))?.schema())?;
    Ok((!columns(&schema).is_empty()).then_some(files))
}

/// Reads such a folder. `--tensor` names its column, if several hold lists of numbers.
///
/// # Errors
/// A damaged file, lists of different lengths, or several columns of which none is named.
pub(super) fn rows(files: &[PathBuf], options: &Options) -> Result<Rows, DataError> {
    let (mut parts, mut left_out) = (Vec::new(), Vec::new());
    for path in files {
        guarded(path, || {
            let stream = Stream::open(path, Limit::of(options))?;
            let schema = stream.schema()?;
            let (column, others) = chosen(&schema, options, path)?;
            left_out = others;
            parts.push(stream.rows(column)?);
            Ok(())
        })?;
    }
    let width = parts[0].width();
    if let Some((index, part)) = parts.iter().enumerate().find(|(_, part)| part.width() != width) {
        let problem = format!("has rows of {} values, but the files before it have {width}", part.width());
        return Err(DataError::Malformed { path: files[index].clone(), problem });
    }
    let mut rows = shards::join(parts, &files[0])?;
    if !left_out.is_empty() {
        rows.notes.push(format!("not read: {}, of which no rows can be made", few(&left_out, 8)));
    }
    Ok(rows)
}

/// The numbers of the columns that hold lists of floating-point numbers.
fn columns(schema: &Schema) -> Vec<usize> {
    let is_list = |field: &Field| leaf(field.data_type()).is_some_and(|(depth, _)| depth > 0);
    (0..schema.fields().len()).filter(|&column| is_list(schema.field(column))).collect()
}

/// The depth of lists, and the type of their numbers; `None` for other types.
fn leaf(data_type: &DataType) -> Option<(usize, Element)> {
    match data_type {
        DataType::Float16 => Some((0, Element::F16)),
        DataType::Float32 => Some((0, Element::F32)),
        DataType::Float64 => Some((0, Element::F64)),
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
            leaf(of.data_type()).map(|(depth, element)| (depth + 1, element))
        }
        _ => None,
    }
}

/// The column to read, and the names of the others.
fn chosen(schema: &Schema, options: &Options, path: &Path) -> Result<(usize, Vec<String>), DataError> {
    let name = |column: usize| schema.field(column).name().clone();
    let found = columns(schema);
    let names: Vec<String> = found.iter().map(|&column| name(column)).collect();
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let column = match (&options.tensor, found.as_slice()) {
        (Some(tensor), _) => found.iter().copied().find(|&column| name(column) == *tensor).ok_or_else(|| {
            malformed(format!("has no lists of numbers `{tensor}`, only {}: name one with `--tensor`", few(&names, 8)))
        })?,
        (None, [only]) => *only,
        (None, []) => return Err(malformed("has no column of lists of numbers".to_string())),
        (None, _) => {
            let problem = format!("has several columns of lists, {}: name one with `--tensor`", few(&names, 8));
            return Err(malformed(problem));
        }
    };
    Ok((column, (0..schema.fields().len()).filter(|&other| other != column).map(name).collect()))
}

/// An Arrow stream whose batches can be read one by one.
#[derive(Debug)]
struct Stream {
    path: PathBuf,
    /// Everything before the first batch: the schema and dictionaries.
    head: Vec<u8>,
    batches: Vec<Span>,
    limit: Limit,
}

impl Stream {
    fn open(path: &Path, limit: Limit) -> Result<Self, DataError> {
        let source = Source::open(path, limit)?;
        let spans = of_stream(&source)?;
        let first = spans.iter().position(|span| span.rows.is_some()).unwrap_or(spans.len());
        let end = first.checked_sub(1).map_or(0, |last| spans[last].end);
        let mut head = Vec::new();
        let mut reader = Section { file: source.file.clone(), at: 0 }.take(end);
        reader.read_to_end(&mut head).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
        let batches = spans[first..].iter().filter(|span| span.rows.is_some_and(|rows| rows > 0)).cloned().collect();
        Ok(Self { path: path.to_owned(), head, batches, limit })
    }

    fn malformed(&self, problem: impl std::fmt::Display) -> DataError {
        DataError::Malformed { path: self.path.clone(), problem: problem.to_string() }
    }

    fn schema(&self) -> Result<Schema, DataError> {
        let reader = StreamReader::try_new(Cursor::new(&self.head), None);
        let reader = reader.map_err(|error| self.malformed(format!("is not an Arrow stream, or damaged: {error}")))?;
        Ok(reader.schema().as_ref().clone())
    }

    /// A column of a batch.
    fn column(&self, batch: usize, column: usize) -> Result<ArrayRef, DataError> {
        let damaged = |error: &dyn std::fmt::Display| self.malformed(format!("is damaged: {error}"));
        let Span { start, end, .. } = self.batches[batch];
        let source = Source::open(&self.path, self.limit)?;
        let section = Section { file: source.file.clone(), at: start }.take(end - start);
        let reader = StreamReader::try_new(Cursor::new(&self.head).chain(section), Some(vec![column]));
        let mut reader = reader.map_err(|error| damaged(&error))?;
        let batch = reader.next().ok_or_else(|| damaged(&"a batch of its rows is missing"))?;
        Ok(batch.map_err(|error| damaged(&error))?.column(0).clone())
    }

    /// The rows of a column, which stay in the file.
    fn rows(self, column: usize) -> Result<Rows, DataError> {
        if self.batches.is_empty() {
            return Err(self.malformed("holds no rows"));
        }
        let first = Lists::of(&self.column(0, column)?).map_err(|problem| self.malformed(problem))?;
        let (entries, width) = (self.batches[0].rows.unwrap_or(0) as usize, first.width);
        let per_entry = first.rows() / entries.max(1);
        let mut starts = vec![0];
        for batch in &self.batches {
            let rows = (batch.rows.unwrap_or(0) as usize).checked_mul(per_entry);
            let end = rows.and_then(|rows| rows.checked_add(*starts.last().expect("it has a first")));
            starts.push(end.ok_or_else(|| self.malformed("claims more rows than can be counted"))?);
        }
        let element = first.values.element();
        let blocks = Batches { stream: self, column, starts, width, element };
        Ok(Rows::stored(Store::new(Box::new(blocks), width), width, true))
    }
}

/// The numbers of a column of lists.
struct Lists {
    values: Values,
    width: usize,
}

impl Lists {
    fn of(array: &ArrayRef) -> Result<Self, String> {
        let (mut array, mut width) = (array.clone(), 1);
        loop {
            if array.null_count() > 0 && leaf(array.data_type()).is_some_and(|(depth, _)| depth > 0) {
                return Err("has a list that is missing".to_string());
            }
            let (lengths, inner) = match array.data_type() {
                DataType::List(_) => {
                    let list = array.as_list::<i32>();
                    let (from, to) = (list.value_offsets()[0] as usize, list.value_offsets()[list.len()] as usize);
                    (list.offsets().lengths().collect::<Vec<_>>(), list.values().slice(from, to - from))
                }
                DataType::LargeList(_) => {
                    let list = array.as_list::<i64>();
                    let (from, to) = (list.value_offsets()[0] as usize, list.value_offsets()[list.len()] as usize);
                    (list.offsets().lengths().collect::<Vec<_>>(), list.values().slice(from, to - from))
                }
                DataType::FixedSizeList(_, size) => {
                    let list = array.as_fixed_size_list();
                    (vec![*size as usize; list.len()], list.values().clone())
                }
                _ => break,
            };
            width = lengths.first().copied().unwrap_or(0);
            if let Some(other) = lengths.iter().find(|length| **length != width) {
                return Err(format!("has lists of {width} and of {other} values, and rows must be of one length"));
            }
            if width == 0 {
                return Err("has empty lists".to_string());
            }
            array = inner;
        }
        let missing = array.null_count() > 0;
        macro_rules! numbers {
            ($type:ty, $variant:ident, $none:expr) => {{
                let numbers = array.as_primitive::<$type>();
                Values::$variant(match missing {
                    true => numbers.iter().map(|value| value.unwrap_or($none)).collect(),
                    false => numbers.values().to_vec(),
                })
            }};
        }
        let values = match array.data_type() {
            DataType::Float16 => numbers!(types::Float16Type, F16, half::f16::NAN),
            DataType::Float32 => numbers!(types::Float32Type, F32, f32::NAN),
            DataType::Float64 => numbers!(types::Float64Type, F64, f64::NAN),
            other => return Err(format!("has values of type {other}, which are not floating-point numbers")),
        };
        if let Some(index) = values.first_infinite() {
            let (row, column) = (index / width, index % width);
            return Err(format!("holds an infinite value in row {row} of a batch, column {column} (both from 0)"));
        }
        Ok(Self { values, width })
    }

    fn rows(&self) -> usize {
        self.values.len() / self.width
    }
}

/// The rows of a column, a block for each batch.
#[derive(Debug)]
struct Batches {
    stream: Stream,
    column: usize,
    starts: Vec<usize>,
    width: usize,
    element: Element,
}

impl Blocks for Batches {
    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn element(&self) -> Element {
        self.element
    }

    fn read(&self, block: usize) -> Result<Values, DataError> {
        guarded(&self.stream.path, || {
            let lists = Lists::of(&self.stream.column(block, self.column)?);
            let lists = lists.map_err(|problem| self.stream.malformed(problem))?;
            let expected = self.starts[block + 1] - self.starts[block];
            if lists.width != self.width || lists.rows() != expected {
                return Err(self.stream.malformed(format!(
                    "has {} rows of {} values in one batch, where {expected} of {} were expected: every list must \
                     have the same length",
                    lists.rows(),
                    lists.width,
                    self.width
                )));
            }
            Ok(lists.values)
        })
    }
}

/// The result of `read`; if a library panics, the file is reported as damaged.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    caught(read).unwrap_or_else(|| {
        let problem = "is not an Arrow stream, or damaged: its contents are inconsistent".to_string();
        Err(DataError::Malformed { path: path.to_owned(), problem })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Int32Array, RecordBatch,
        builder::{FixedSizeListBuilder, Float32Builder, ListBuilder},
    };
    use arrow_ipc::writer::StreamWriter;

    use super::*;
    use crate::open_with;

    /// Two files with 3 and 2 entries in batches of 2; an entry is 2 rows of 3 values, which count up from 0.
    fn save(folder: &Path, second: usize) {
        let entries = |from: usize, count: usize, width: usize| {
            let mut lists = ListBuilder::new(FixedSizeListBuilder::new(Float32Builder::new(), width as i32));
            let mut numbers = (from * 6..).map(|value| value as f32);
            for _ in 0..count {
                for _ in 0..6 / width {
                    numbers.by_ref().take(width).for_each(|value| lists.values().values().append_value(value));
                    lists.values().append(true);
                }
                lists.append(true);
            }
            let outer = lists.finish();
            let ids = Int32Array::from((from..from + count).map(|entry| entry as i32).collect::<Vec<_>>());
            let columns = [("hook", Arc::new(outer) as ArrayRef), ("ids", Arc::new(ids) as ArrayRef)];
            RecordBatch::try_from_iter(columns).unwrap()
        };
        let write = |name: &str, batches: &[RecordBatch]| {
            let mut writer = StreamWriter::try_new(fs::File::create(folder.join(name)).unwrap(), &batches[0].schema());
            batches.iter().for_each(|batch| writer.as_mut().unwrap().write(batch).unwrap());
            writer.unwrap().finish().unwrap();
        };
        write("data-0.arrow", &[entries(0, 2, 3), entries(2, 1, 3)]);
        write("data-1.arrow", &[entries(3, 2, second)]);
        fs::write(folder.join(INFO), "{}").unwrap();
        let state = r#"{"_data_files": [{"filename": "data-0.arrow"}, {"filename": "data-1.arrow"}]}"#;
        fs::write(folder.join(STATE), state).unwrap();
    }

    #[test]
    fn each_innermost_list_is_a_row() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), 3);
        let name = folder.path().to_str().unwrap();
        let rows = open_with(name, &Options::default()).unwrap().train;
        assert_eq!((rows.len(), rows.width(), rows.element()), (10, 3, Element::F32));
        for row in 0..10 {
            assert_eq!(rows.row(row).unwrap(), [0, 1, 2].map(|value| (row * 3 + value) as f64), "{row}");
        }
        assert_eq!(rows.notes, ["not read: `ids`, of which no rows can be made"]);
        let named = |tensor: &str| open_with(name, &Options { tensor: Some(tensor.into()), ..Options::default() });
        assert_eq!(named("hook").unwrap().train.len(), 10);
        assert!(named("ids").unwrap_err().to_string().contains("has no lists of numbers `ids`, only `hook`"));
    }

    #[test]
    fn a_folder_that_does_not_fit_together_is_refused_and_damage_never_panics() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), 2);
        let name = folder.path().to_str().unwrap();
        let said = open_with(name, &Options::default()).unwrap_err().to_string();
        assert!(said.contains("rows of 2 values, but the files before it have 3"), "{said}");
        fs::write(folder.path().join(STATE), r#"{"_data_files": [{"filename": "../data-0.arrow"}]}"#).unwrap();
        assert!(open_with(name, &Options::default()).unwrap_err().to_string().contains("outside its folder"));
        save(folder.path(), 3);
        let path = folder.path().join("data-0.arrow");
        let whole = fs::read(&path).unwrap();
        let (mut random, mut refused) = (1u64, 0);
        for _ in 0..400 {
            let mut bytes = whole.clone();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 33) as usize % bytes.len();
            match random % 3 {
                0 => bytes.truncate(at),
                _ => bytes[at] ^= 1 << (random >> 20 & 7),
            }
            fs::write(&path, &bytes).unwrap();
            let read = open_with(name, &Options::default())
                .and_then(|sets| (0..sets.train.len()).try_for_each(|row| sets.train.row(row).map(drop)));
            refused += usize::from(read.is_err_and(|error| error.to_string().lines().count() == 1));
        }
        assert!(refused > 100, "{refused}");
    }
}
