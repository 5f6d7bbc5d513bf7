//! Text tables, such as CSV and TSV, from a file or from standard input.
//!
//! Every column is text, with the cells exactly as they are in the file. The survey decides what they mean.

mod charset;
mod dialect;
mod fill;
mod quotes;
mod scan;

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{ArrayRef, RecordBatch, builder::StringBuilder};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use csv::ByteRecord;

use self::{
    charset::Charset,
    dialect::{Dialect, builder, cells},
    fill::{Original, fill},
    scan::{NOT_UTF8, Scan, buffer, lines, scan},
};
use super::{content::Content, format::Format, section::Section};
use crate::{
    DataError, Options,
    limit::Limit,
    table::{Layout, ReplaceText, Table, unique_names},
};

pub(super) const FORMAT: Format =
    Format { name: "CSV", extensions: &["csv", "tsv", "tab", "txt", "data", "dat", "asc"], read };

/// Number of bytes from which the layout is detected.
const SAMPLE: u64 = 1 << 18;

fn read(path: &Path, options: &Options) -> Result<Content, DataError> {
    Ok(Content::Table(Arc::new(Text::open(path, options)?)))
}

/// Reads the table on standard input. It is copied to a temporary file first, because it is read several times.
pub(super) fn standard_input(options: &Options) -> Result<Content, DataError> {
    let path = Path::new("standard input");
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let mut file = tempfile::tempfile().map_err(failed)?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
    file.flush().map_err(failed)?;
    Ok(Content::Table(Arc::new(Text::of(file, path, options)?)))
}

/// A text table in a file.
#[derive(Debug)]
pub(super) struct Text {
    path: PathBuf,
    /// Its contents in UTF-8.
    file: Arc<File>,
    charset: Charset,
    dialect: Dialect,
    schema: SchemaRef,
    starts: Vec<usize>,
    /// The offset of each part in the file.
    offsets: Vec<u64>,
    notes: Vec<String>,
}

impl Text {
    pub(super) fn open(path: &Path, options: &Options) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
        // A pipe or another special file can be read only once.
        match file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            true => Self::of(file, path, options),
            false => {
                let failed = |source| DataError::Io { path: path.to_owned(), source };
                let mut copy = tempfile::tempfile().map_err(failed)?;
                io::copy(&mut BufReader::new(file), &mut copy).map_err(failed)?;
                Self::of(copy, path, options)
            }
        }
    }

    /// Reads the layout, and scans the rows once.
    fn of(file: File, path: &Path, options: &Options) -> Result<Self, DataError> {
        let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
        let failed = |source| DataError::Io { path: path.to_owned(), source };
        let (charset, mut file, mark) = Charset::open(file, path, options.encoding.as_deref(), Limit::of(options))?;
        let length = file.metadata().map_err(failed)?.len();
        let mut start = Vec::new();
        file.seek(SeekFrom::Start(mark)).map_err(failed)?;
        Read::by_ref(&mut file).take(SAMPLE).read_to_end(&mut start).map_err(failed)?;
        let is_whole = start.len() as u64 == length - mark;
        let dialect = Dialect::of(&start, is_whole, options).map_err(malformed)?;
        let dialect = dialect.ok_or_else(|| malformed("is empty".to_string()))?;
        let fields: Vec<Field> = dialect.names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        unique_names(&schema, path)?;
        let mut notes: Vec<String> = charset.note().into_iter().chain(dialect.notes.clone()).collect();
        if dialect.delimiter == b' ' && options.delimiter.is_none() && dialect.names.len() > 1 {
            notes.push("the cells are separated by spaces".to_string());
        }
        let file = Arc::new(file);
        let lines_before = start[..dialect.start].iter().filter(|&&byte| byte == b'\n').count();
        let origin = mark + dialect.start as u64;
        let Scan { starts, offsets, notes: more } =
            scan((&file, length), &dialect, origin, lines_before).map_err(malformed)?;
        notes.extend(more);
        Ok(Self { path: path.to_owned(), file, charset, schema, dialect, starts, offsets, notes })
    }

    /// Calls `visit` with the index and the contents of each record of a part until it returns a value.
    fn each<T>(
        &self,
        part: usize,
        mut visit: impl FnMut(usize, &ByteRecord) -> Result<Option<T>, DataError>,
    ) -> Result<Option<T>, DataError> {
        let malformed = |problem: String| DataError::Malformed { path: self.path.clone(), problem };
        let length = self.file.metadata().map_or(u64::MAX, |metadata| metadata.len());
        let reader =
            BufReader::with_capacity(buffer(length), Section { file: self.file.clone(), at: self.offsets[part] });
        let mut reader = builder(self.dialect.delimiter, self.dialect.comment).from_reader(reader);
        let mut record = ByteRecord::new();
        for row in 0..self.starts[part + 1] - self.starts[part] {
            if !reader.read_byte_record(&mut record).map_err(|error| malformed(error.to_string()))? {
                return Err(malformed(
                    "has fewer rows than before: it was changed while it was read, so read it again".to_string(),
                ));
            }
            if let Some(found) = visit(row, &record)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The line number of a row, from 1.
    fn line(&self, row: usize) -> Option<u64> {
        let part = self.starts.partition_point(|&start| start <= row) - 1;
        let before = self.each(part, |number, record| {
            Ok((number + self.starts[part] == row).then(|| record.position().map(|place| place.line())))
        });
        let before = before.ok().flatten().flatten()?;
        Some(lines(&self.file, self.offsets[part])? as u64 + before)
    }
}

impl Table for Text {
    fn origin(&self) -> &Path {
        &self.path
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn part(&self, part: usize, columns: &[usize]) -> Result<RecordBatch, DataError> {
        let rows = self.starts[part + 1] - self.starts[part];
        let mut builders: Vec<StringBuilder> =
            columns.iter().map(|_| StringBuilder::with_capacity(rows, rows * 8)).collect();
        let read = self.each(part, |row, record| {
            // Checks the whole record at once, because most are valid UTF-8.
            let is_text = std::str::from_utf8(record.as_slice()).is_ok();
            let mut wanted = columns.iter().zip(&mut builders).peekable();
            for (place, cell) in cells(record, self.dialect.delimiter).enumerate() {
                let Some((_, builder)) = wanted.next_if(|(column, _)| **column == place) else { continue };
                let text = if is_text { std::str::from_utf8(cell).ok() } else { None };
                match text.or_else(|| std::str::from_utf8(cell).ok()) {
                    Some("") => builder.append_null(),
                    Some(text) => builder.append_value(text),
                    None => {
                        let name = self.schema.field(place).name();
                        let place = self.place(self.starts[part] + row);
                        let problem = format!("{place}, column `{name}`: the cell is not UTF-8 text: {NOT_UTF8}");
                        return Err(DataError::Malformed { path: self.path.clone(), problem });
                    }
                }
            }
            wanted.for_each(|(_, builder)| builder.append_null());
            Ok(None::<()>)
        });
        read?;
        let arrays = builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
        let schema =
            Arc::new(self.schema.project(columns).map_err(|error| crate::table::arrow_problem(&self.path, &error))?);
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema, arrays, &options)
            .map_err(|error| crate::table::arrow_problem(&self.path, &error))
    }

    fn place(&self, row: usize) -> String {
        let row_number = row + 1;
        self.line(row).map_or(format!("row {row_number}"), |line| format!("row {row_number} (line {line})"))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn layout(&self) -> Option<Layout> {
        Some(Layout { delimiter: self.dialect.delimiter })
    }

    fn rewrite(&self, output: &mut dyn Write, packed: bool, replace: &mut ReplaceText) -> Result<bool, DataError> {
        let original = Original {
            path: &self.path,
            file: &self.file,
            charset: self.charset,
            delimiter: self.dialect.delimiter,
            comment: self.dialect.comment,
            first: self.offsets[0],
            rows: crate::table::rows(self),
        };
        fill(&original, output, packed, replace).map(|()| true)
    }
}
