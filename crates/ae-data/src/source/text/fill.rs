//! Copies a text table and replaces some cells. Every other byte stays the same.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    ops::Range,
    path::Path,
    sync::Arc,
};

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

use super::{super::section::Section, charset::Charset};
use crate::{DataError, cell::trimmed, store::read_at, table::ReplaceText};

/// A text table as it is in its file.
pub(super) struct Original<'a> {
    pub(super) path: &'a Path,
    /// Its contents in UTF-8.
    pub(super) file: &'a Arc<File>,
    pub(super) charset: Charset,
    pub(super) delimiter: u8,
    pub(super) comment: Option<u8>,
    /// The offset of the first row.
    pub(super) first: u64,
    pub(super) rows: usize,
}

/// Copies `text` to `output` and replaces some cells. Delimiters, quotes, line ends, the byte order mark, the encoding
/// and all other cells stay the same.
pub(super) fn fill(
    text: &Original,
    output: &mut dyn Write,
    packed: bool,
    replace: &mut ReplaceText,
) -> Result<(), DataError> {
    let path = text.path;
    let failed = |source: io::Error| DataError::Write { path: path.to_owned(), reason: source.to_string() };
    let unread = |source: io::Error| DataError::Io { path: path.to_owned(), source };
    let mut output = BufWriter::new(text.charset.writer(output, packed).map_err(failed)?);
    // Everything before the first row, except for the byte order mark, which the writer has already written.
    let first = text.first;
    let mut before = vec![0; first as usize];
    let mut at = 0;
    while at < before.len() {
        match read_at(text.file, &mut before[at..], at as u64).map_err(unread)? {
            0 => break,
            count => at += count,
        }
    }
    let before = before.strip_prefix(&[0xef, 0xbb, 0xbf][..]).unwrap_or(&before);
    output.write_all(before).map_err(failed)?;
    let section = Section { file: text.file.clone(), at: first };
    let mut records = Raw::new(BufReader::with_capacity(1 << 20, section), text.delimiter, text.comment);
    let all = text.rows;
    for row in 0..all {
        if !records.next().map_err(unread)? {
            return Err(DataError::Malformed {
                path: path.to_owned(),
                problem: "was changed while it was read: read it again".to_string(),
            });
        }
        let mut from = 0;
        for (place, (range, said)) in records.fields.iter().enumerate() {
            let said = String::from_utf8_lossy(said);
            let Some(new) = replace(row, place, trimmed(&said))? else { continue };
            output.write_all(&records.bytes[from..range.start]).map_err(failed)?;
            let needs_quotes = new.bytes().any(|byte| byte == text.delimiter || matches!(byte, b'"' | b'\n' | b'\r'));
            let written = if needs_quotes { format!("\"{}\"", new.replace('"', "\"\"")) } else { new };
            output.write_all(written.as_bytes()).map_err(failed)?;
            from = range.end;
        }
        output.write_all(&records.bytes[from..]).map_err(failed)?;
    }
    // Line ends and comments after the last row.
    let mut rest = Vec::new();
    records.input.read_to_end(&mut rest).map_err(unread)?;
    output.write_all(&rest).map_err(failed)?;
    let encoded = output.into_inner().map_err(|error| failed(error.into_error()))?;
    encoded.finish().map_err(failed)?;
    Ok(())
}

/// Reads records together with their raw bytes.
struct Raw<R> {
    core: Reader,
    input: R,
    delimiter: u8,
    comment: Option<u8>,
    /// The raw bytes of the record. They may begin with the rest of the previous line end, blank lines and comments.
    bytes: Vec<u8>,
    /// The range of each cell in `bytes`, and its unquoted contents.
    fields: Vec<(Range<usize>, Vec<u8>)>,
}

impl<R: BufRead> Raw<R> {
    fn new(input: R, delimiter: u8, comment: Option<u8>) -> Self {
        let core = ReaderBuilder::new().delimiter(delimiter).comment(comment).build();
        Self { core, input, delimiter, comment, bytes: Vec::new(), fields: Vec::new() }
    }

    /// Reads the next record, if there is one.
    fn next(&mut self) -> io::Result<bool> {
        self.bytes.clear();
        self.fields.clear();
        let (mut from, mut said, mut count) = (0, vec![0; 64], 0);
        loop {
            let chunk = self.input.fill_buf()?;
            let (result, read, written) = self.core.read_field(chunk, &mut said[count..]);
            self.bytes.extend_from_slice(&chunk[..read]);
            self.input.consume(read);
            count += written;
            match result {
                ReadFieldResult::InputEmpty => {}
                ReadFieldResult::OutputFull => said.resize(said.len() * 2, 0),
                ReadFieldResult::Field { record_end } => {
                    if self.fields.is_empty() {
                        from = self.skipped();
                    }
                    // The cell ends with a delimiter or the first byte of a line end, or with nothing at the end of the
                    // file.
                    let ended = self.bytes[from..]
                        .last()
                        .is_some_and(|&last| last == self.delimiter || matches!(last, b'\n' | b'\r'));
                    let is_last = record_end
                        && self.input.fill_buf()?.is_empty()
                        && !self.bytes.ends_with(b"\n")
                        && !self.bytes.ends_with(b"\r");
                    let end = self.bytes.len() - usize::from(ended && !is_last);
                    // Several spaces are one delimiter.
                    if self.delimiter != b' ' || count > 0 {
                        self.fields.push((from..end, said[..count].to_vec()));
                    }
                    from = self.bytes.len();
                    count = 0;
                    if record_end {
                        return Ok(true);
                    }
                }
                ReadFieldResult::End => return Ok(false),
            }
        }
    }

    /// The number of bytes before the record that do not belong to it: line ends and comments.
    fn skipped(&self) -> usize {
        let mut at = 0;
        loop {
            match self.bytes.get(at) {
                Some(b'\n' | b'\r') => at += 1,
                Some(&byte) if Some(byte) == self.comment => {
                    at += self.bytes[at..].iter().position(|&byte| byte == b'\n').unwrap_or(self.bytes.len() - at);
                }
                _ => return at,
            }
        }
    }
}
