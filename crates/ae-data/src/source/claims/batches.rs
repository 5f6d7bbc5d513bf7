//! What the batches of Arrow files and streams claim.

use std::io;

use arrow_array::{Array, RecordBatch, cast::AsArray};
use arrow_ipc::{MessageHeader, root_as_footer, root_as_message};
use arrow_schema::DataType;

use super::input::Source;
use crate::DataError;

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
pub(in crate::source) fn of_file(source: &Source) -> Result<(), DataError> {
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

/// A message of an Arrow stream.
#[derive(Debug, Clone)]
pub(in crate::source) struct Span {
    /// Where it starts in the file.
    pub(in crate::source) start: u64,
    /// Where it ends.
    pub(in crate::source) end: u64,
    /// The number of rows that it claims, if it is a batch of rows.
    pub(in crate::source) rows: Option<u64>,
}

/// The rows that a message claims, if it is a batch of rows.
fn rows_of_message(metadata: &[u8]) -> Option<u64> {
    let batch = root_as_message(metadata).ok()?.header_as_record_batch()?;
    u64::try_from(batch.length()).ok()
}

/// Checks that the batches of an Arrow stream may be decompressed. Returns its messages.
pub(in crate::source) fn of_stream(source: &Source) -> Result<Vec<Span>, DataError> {
    let (mut at, mut all, mut spans) = (0u64, 0u64, Vec::new());
    // A file that is not a stream is reported by the reader.
    while let Ok(head) = source.bytes(at, 8) {
        let [first, second] =
            [&head[..4], &head[4..]].map(|bytes| bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)));
        let (length, start) = if first == u32::MAX { (second, at + 8) } else { (first, at + 4) };
        if length == 0 {
            break;
        }
        let body = start.saturating_add(u64::from(length));
        let mut rows = None;
        let message = source.bytes(start, u64::from(length)).and_then(|metadata| {
            rows = rows_of_message(&metadata);
            of_message(source, &metadata, body)
        });
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
        let end = body.saturating_add(size);
        spans.push(Span { start: at, end, rows });
        at = end;
    }
    Ok(spans)
}

/// The size of a batch in bytes, with each string counted as often as cells refer to it.
pub(in crate::source) fn of_cells(batch: &RecordBatch) -> u64 {
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
