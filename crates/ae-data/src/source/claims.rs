//! Checks the sizes that compressed parts of Parquet and Arrow files claim, before the libraries allocate memory for
//! them, which they do without a limit.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    sync::Arc,
};

use arrow_array::{Array, RecordBatch, cast::AsArray};
use arrow_ipc::{MessageHeader, root_as_footer, root_as_message};
use arrow_schema::DataType;
use bytes::Bytes;
use parquet::{
    basic::{Encoding, Type},
    column::page::Page,
    errors::ParquetError,
    file::{
        metadata::RowGroupMetaData,
        reader::{ChunkReader, Length},
        serialized_reader::SerializedPageReader,
    },
};

use super::text::Section;
use crate::{DataError, limit::Limit};

/// A file, its length in bytes, and its memory limit.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) file: Arc<File>,
    pub(super) length: u64,
    pub(super) limit: Limit,
}

impl<'a> Source<'a> {
    pub(super) fn open(path: &'a Path, limit: Limit) -> Result<Self, DataError> {
        let failed = |source| DataError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok(Self { path, file: Arc::new(file), length, limit })
    }

    /// Checks that `what` may take `needed` bytes of memory.
    pub(super) fn check(&self, what: impl std::fmt::Display, needed: u64) -> Result<(), DataError> {
        self.limit.check(self.path, what, needed, self.length)
    }

    fn at(&self, at: u64) -> BufReader<Section> {
        BufReader::with_capacity(1 << 10, Section { file: self.file.clone(), at })
    }

    /// Reads `count` bytes at `at`, if the file has that many.
    fn bytes(&self, at: u64, count: u64) -> io::Result<Vec<u8>> {
        if at.checked_add(count).is_none_or(|end| end > self.length) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a part of it is beyond the end of the file"));
        }
        let mut bytes = vec![0; count as usize];
        Section { file: self.file.clone(), at }.read_exact(&mut bytes).map(|()| bytes)
    }

    /// The input for the reader of Parquet, which never reads beyond the end of the file.
    pub(super) fn chunks(&self) -> Chunks {
        Chunks { file: self.file.clone(), length: self.length }
    }
}

/// A file for the reader of Parquet, which allocates what it asks for before it reads. Requests beyond the end fail.
#[derive(Clone)]
pub(super) struct Chunks {
    file: Arc<File>,
    length: u64,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Section>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(Section { file: self.file.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF("a part of it is beyond the end of the file".to_string()));
        }
        let mut bytes = vec![0; length];
        Section { file: self.file.clone(), at: start }.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// The fields of the header of a Parquet page that claim sizes.
#[derive(Debug, Default)]
struct PageHeader {
    /// Size of the header itself in bytes.
    length: u64,
    unpacked: i64,
    packed: i64,
    values: i64,
    is_dictionary: bool,
    encoding: i64,
}

/// Reads the compact protocol of Thrift, in which page headers are written.
struct Compact<R> {
    input: R,
    read: u64,
}

/// Maximum depth of nested structures.
const DEEPEST: usize = 8;

impl<R: Read> Compact<R> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "a number in a page header is too long"))
    }

    fn signed(&mut self) -> io::Result<i64> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(count), &mut io::sink())?;
        self.read += skipped;
        if skipped == count { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Reads the header of the next field of a structure: sets its id and returns its type; `None` at the end.
    fn field(&mut self, before: &mut i64) -> io::Result<Option<u8>> {
        let head = self.byte()?;
        if head & 0x0f == 0 {
            return Ok(None);
        }
        *before = match head >> 4 {
            0 => self.signed()?,
            more => before.saturating_add(i64::from(more)),
        };
        Ok(Some(head & 0x0f))
    }

    /// Skips a value of this type.
    fn pass(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        let wrong = || Err(io::Error::new(io::ErrorKind::InvalidData, "a page header is invalid"));
        match kind {
            _ if depth > DEEPEST => wrong(),
            1 | 2 => Ok(()),
            3 => self.skip(1),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => {
                let count = self.number()?;
                self.skip(count)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
                // Booleans in a list take one byte.
                let kind = if matches!(head & 0x0f, 1 | 2) { 3 } else { head & 0x0f };
                (0..count).try_for_each(|_| self.pass(kind, depth + 1))
            }
            12 => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.pass(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => wrong(),
        }
    }

    /// Reads a page header.
    fn page(mut self) -> io::Result<PageHeader> {
        let mut header = PageHeader::default();
        let mut field = 0;
        while let Some(kind) = self.field(&mut field)? {
            match (field, kind) {
                (2, 5) => header.unpacked = self.signed()?,
                (3, 5) => header.packed = self.signed()?,
                (5 | 7 | 8, 12) => {
                    header.is_dictionary |= field == 7;
                    let encoding = if field == 8 { 4 } else { 2 };
                    let mut inner = 0;
                    while let Some(kind) = self.field(&mut inner)? {
                        match (inner, kind) {
                            (1, 5) => header.values = self.signed()?,
                            (place, 5) if place == encoding => header.encoding = self.signed()?,
                            _ => self.pass(kind, 1)?,
                        }
                    }
                }
                _ => self.pass(kind, 0)?,
            }
        }
        header.length = self.read;
        Ok(header)
    }
}

/// Encodings that store the lengths of all strings first. The page itself claims their number.
const LENGTHS_FIRST: [Encoding; 2] = [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY];

/// Checks that the pages of a column in a row group may be decompressed. Returns the maximum size in bytes of a string
/// that is stored once but may occur in several rows.
pub(super) fn of_pages(source: &Source, group: &RowGroupMetaData, leaf: usize) -> Result<u64, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: source.path.to_owned(), problem };
    let damaged = |error: &dyn std::fmt::Display| malformed(format!("is not a Parquet file, or damaged: {error}"));
    let chunk = group.column(leaf);
    let (start, length) = chunk.byte_range();
    let end = start
        .checked_add(length)
        .filter(|end| *end <= source.length)
        .ok_or_else(|| damaged(&"a part of it is beyond the end of the file"))?;
    let (mut at, mut values, mut longest, mut lengths_first) = (start, 0, 0u64, false);
    let is_text = matches!(chunk.column_type(), Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY);
    // Pages after the last value are not read.
    while at < end && values < chunk.num_values() {
        let page = Compact { input: source.at(at), read: 0 }.page().map_err(|error| damaged(&error))?;
        let [packed, unpacked] = [page.packed, page.unpacked].map(|size| u64::try_from(size).ok());
        let (Some(packed), Some(unpacked)) = (packed, unpacked) else {
            return Err(damaged(&"one of its pages has a negative size"));
        };
        source.check(format!("a page of its column `{}`", chunk.column_path()), unpacked.saturating_mul(2))?;
        match page.is_dictionary {
            // The reader allocates as many values as claimed; each takes at least one byte.
            true if u64::try_from(page.values).is_ok_and(|values| values <= unpacked) => {}
            true => return Err(damaged(&"one of its dictionaries claims more values than it has bytes")),
            false => values = values.saturating_add(page.values.max(0)),
        }
        lengths_first |= !page.is_dictionary && LENGTHS_FIRST.iter().any(|encoding| *encoding as i64 == page.encoding);
        // With a dictionary, or if a string is stored as the difference to the one before.
        if is_text && (page.is_dictionary || page.encoding == Encoding::DELTA_BYTE_ARRAY as i64) {
            longest = longest.max(unpacked);
        }
        at = at.saturating_add(page.length).saturating_add(packed);
    }
    if lengths_first {
        let rows = group.num_rows().max(0) as usize;
        let reader =
            SerializedPageReader::new(Arc::new(source.chunks()), chunk, rows, None).map_err(|error| damaged(&error))?;
        lengths_of_texts(reader, chunk.column_descr().max_def_level() > 0, chunk.column_descr().max_rep_level() > 0)
            .map_err(|error| damaged(&error))?;
    }
    Ok(longest)
}

/// Checks that pages that store lengths first do not claim more lengths than they have values.
fn lengths_of_texts(
    pages: SerializedPageReader<Chunks>,
    has_gaps: bool,
    is_nested: bool,
) -> parquet::errors::Result<()> {
    for page in pages {
        let page = page?;
        let values = u64::from(page.num_values());
        let after = match &page {
            Page::DataPage { encoding, .. } | Page::DataPageV2 { encoding, .. }
                if !LENGTHS_FIRST.contains(encoding) =>
            {
                continue;
            }
            Page::DictionaryPage { .. } => continue,
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len)
            }
            Page::DataPage { buf, .. } => {
                // Repetition and definition levels, each preceded by its length.
                let mut at = 0u64;
                for _ in [has_gaps, is_nested].into_iter().filter(|levels| *levels) {
                    let length = buf.get(at as usize..).and_then(|rest| rest.first_chunk::<4>());
                    at += 4 + length.map_or(0, |length| u64::from(u32::from_le_bytes(*length)));
                }
                at
            }
        };
        let rest = page.buffer().get(after as usize..).unwrap_or_default();
        // The block size, the number of miniblocks, and the number of lengths.
        let mut numbers = Compact { input: rest, read: 0 };
        let [_, _, count] = [numbers.number()?, numbers.number()?, numbers.number()?];
        if count > values {
            return Err(ParquetError::General("one of its pages claims more strings than it has values".to_string()));
        }
    }
    Ok(())
}

/// The size that the compressed buffers of a message claim, and the length of its body, both in bytes. `body` is where
/// the body starts in the file.
fn of_message(source: &Source, metadata: &[u8], body: u64) -> io::Result<(u64, u64)> {
    let wrong = |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let message = root_as_message(metadata).map_err(|error| wrong(&error))?;
    let length = u64::try_from(message.bodyLength()).map_err(|_| wrong(&"a part of it has a negative size"))?;
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()),
        _ => None,
    };
    let mut all = 0u64;
    if let Some(batch) = batch.filter(|batch| batch.compression().is_some()) {
        for buffer in batch.buffers().into_iter().flatten().filter(|buffer| buffer.length() >= 8) {
            let at = u64::try_from(buffer.offset()).ok().and_then(|offset| body.checked_add(offset));
            let claim = source.bytes(at.ok_or_else(|| wrong(&"a part of it is before the start of the file"))?, 8)?;
            let claim = claim.first_chunk().map_or(0, |claim| i64::from_le_bytes(*claim));
            // -1 means that the buffer is not compressed.
            all = all.saturating_add(u64::try_from(claim).unwrap_or(0));
        }
    }
    Ok((all, length))
}

/// Checks that the batches of an Arrow file may be decompressed. A file without the magic number at its end is not
/// checked, because it is not an Arrow file.
pub(super) fn of_file(source: &Source) -> Result<(), DataError> {
    let damaged = |error: io::Error| DataError::Malformed {
        path: source.path.to_owned(),
        problem: format!("is not an Arrow file, or damaged: {error}"),
    };
    let wrong = |error: &dyn std::fmt::Display| damaged(io::Error::new(io::ErrorKind::InvalidData, error.to_string()));
    let mark = |end: u64| source.bytes(end + 4, 6).is_ok_and(|mark| mark == b"ARROW1");
    let Some(end) = source.length.checked_sub(10).filter(|end| mark(*end)) else { return Ok(()) };
    let size = source.bytes(end, 4).map_err(damaged)?;
    let size = size.first_chunk().map_or(0, |size| u64::from(u32::from_le_bytes(*size)));
    let footer = end.checked_sub(size).ok_or_else(|| wrong(&"its index is longer than the file"))?;
    let footer = source.bytes(footer, size).map_err(damaged)?;
    let footer = root_as_footer(&footer).map_err(|error| wrong(&error))?;
    for block in footer.dictionaries().into_iter().flatten().chain(footer.recordBatches().into_iter().flatten()) {
        let sizes = [block.offset(), i64::from(block.metaDataLength()), block.bodyLength()].map(u64::try_from);
        let [Ok(at), Ok(metadata), Ok(body)] = sizes else { return Err(wrong(&"a part of it has a negative size")) };
        let start = at.saturating_add(metadata);
        if start.checked_add(body).is_none_or(|end| end > source.length) {
            return Err(wrong(&"a part of it is beyond the end of the file"));
        }
        let metadata = source.bytes(at, metadata).map_err(damaged)?;
        // The metadata begins with its length; before it there is a marker of four bytes, except in the oldest files.
        let before = if metadata.starts_with(&[0xff; 4]) { 8 } else { 4 };
        let (claim, _) = of_message(source, metadata.get(before..).unwrap_or_default(), start).map_err(damaged)?;
        source.check("a batch of its rows", claim.saturating_mul(2))?;
    }
    Ok(())
}

/// Checks that the batches of an Arrow stream may be decompressed.
pub(super) fn of_stream(source: &Source) -> Result<(), DataError> {
    let (mut at, mut all) = (0u64, 0u64);
    // A file that is not a stream is reported by the reader.
    while let Ok(head) = source.bytes(at, 8) {
        let [first, second] =
            [&head[..4], &head[4..]].map(|bytes| bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)));
        let (length, start) = if first == u32::MAX { (second, at + 8) } else { (first, at + 4) };
        if length == 0 {
            break;
        }
        let body = start.saturating_add(u64::from(length));
        let message = source.bytes(start, u64::from(length)).and_then(|metadata| of_message(source, &metadata, body));
        let (claim, size) = match message {
            Ok((_, size)) if size > source.length.saturating_sub(body) => {
                let problem =
                    "is not an Arrow stream, or damaged: a part of it is beyond the end of the file".to_string();
                return Err(DataError::Malformed { path: source.path.to_owned(), problem });
            }
            Ok(found) => found,
            Err(_) if at == 0 => break,
            Err(error) => {
                let problem = format!("is not an Arrow stream, or damaged: {error}");
                return Err(DataError::Malformed { path: source.path.to_owned(), problem });
            }
        };
        all = all.saturating_add(claim);
        source.check("its rows", all.saturating_mul(2))?;
        at = body.saturating_add(size);
    }
    Ok(())
}

/// The size of a batch in bytes, with each string counted as often as cells refer to it.
pub(super) fn of_cells(batch: &RecordBatch) -> u64 {
    let lengths = |array: &dyn Array| -> Vec<u64> {
        match array.data_type() {
            DataType::Utf8 => {
                array.as_string::<i32>().iter().map(|text| text.map_or(0, |text| text.len() as u64)).collect()
            }
            DataType::LargeUtf8 => {
                array.as_string::<i64>().iter().map(|text| text.map_or(0, |text| text.len() as u64)).collect()
            }
            DataType::Utf8View => {
                array.as_string_view().iter().map(|text| text.map_or(0, |text| text.len() as u64)).collect()
            }
            _ => Vec::new(),
        }
    };
    let column = |array: &dyn Array| -> u64 {
        match (array.data_type(), array.as_any_dictionary_opt()) {
            (_, Some(dictionary)) if !dictionary.values().is_empty() => {
                let lengths = lengths(dictionary.values().as_ref());
                let length = |key: usize| lengths.get(key).copied().unwrap_or(0);
                dictionary.normalized_keys().into_iter().map(length).fold(0, u64::saturating_add)
            }
            (DataType::Utf8View, _) => lengths(array).into_iter().fold(0, u64::saturating_add),
            _ => 0,
        }
    };
    let own = |array: &dyn Array| array.to_data().get_slice_memory_size().map_or(0, |bytes| bytes as u64);
    batch
        .columns()
        .iter()
        .map(|array| column(array.as_ref()).saturating_add(own(array.as_ref())))
        .fold(0, u64::saturating_add)
}
