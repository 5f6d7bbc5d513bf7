//! One pass over a text table, which finds the parts, counts the rows, and checks the number of cells in each row.

use std::{fs::File, io::BufReader, sync::Arc};

use csv::{ByteRecord, Reader};

use super::{
    super::section::Section,
    dialect::{Dialect, builder, cells},
    quotes::{Fault, Quotes},
};
use crate::{progress::Progress, store::read_at, words::counted};

/// Approximate size of a part in bytes.
const PART: u64 = 4 << 20;
/// Advice for bytes that are not UTF-8.
pub(super) const NOT_UTF8: &str = "name the encoding, such as `--encoding latin1`, or save the file as UTF-8";

/// Where the rows of a table are.
pub(super) struct Scan {
    /// The first row of each part, followed by the total number of rows.
    pub(super) starts: Vec<usize>,
    /// The offset of each part in the file.
    pub(super) offsets: Vec<u64>,
    /// What was ignored, in sentences.
    pub(super) notes: Vec<String>,
}

/// Scans the records of a file of this length in bytes from the offset `origin` on; `lines_before` is the number of
/// lines above them.
///
/// # Errors
/// A description of what is wrong, with its line.
pub(super) fn scan(
    (file, length): (&Arc<File>, u64),
    dialect: &Dialect,
    origin: u64,
    lines_before: usize,
) -> Result<Scan, String> {
    let quotes = Quotes::new(Section { file: file.clone(), at: origin }, dialect.delimiter, dialect.comment);
    let mut reader =
        builder(dialect.delimiter, dialect.comment).from_reader(BufReader::with_capacity(buffer(length), quotes));
    let width = dialect.names.len();
    let mut record = ByteRecord::new();
    let has_header = dialect.header && reader.read_byte_record(&mut record).map_err(|error| error.to_string())?;
    if has_header && std::str::from_utf8(record.as_slice()).is_err() {
        return Err(format!("the names of its columns are not UTF-8 text: {NOT_UTF8}"));
    }
    let (mut rows, mut starts, mut offsets, mut done) = (0usize, vec![0usize], Vec::new(), 0u64);
    let (mut trailing, mut blank) = (0usize, BlankLines::default());
    let mut progress = Progress::new("reading bytes", length as usize);
    while reader.read_byte_record(&mut record).map_err(|error| error.to_string())? {
        let place = record.position().map_or(0, |position| position.byte()) + origin;
        if width == 1 {
            blank.count(&record);
        }
        if offsets.last().is_none_or(|&last: &u64| place - last >= PART) {
            if !offsets.is_empty() {
                starts.push(rows);
            }
            offsets.push(place);
            progress.steps((place - done) as usize);
            done = place;
        }
        rows += 1;
        let found = cells(&record, dialect.delimiter).count();
        if found > width && cells(&record, dialect.delimiter).skip(width).all(|cell| cell.is_empty()) {
            trailing += 1;
        } else if found != width {
            // A wrong quote before the end of the line is the likely cause.
            let fault = fault(&reader).filter(|fault| fault.place.start < reader.position().byte());
            return Err(match fault {
                Some(fault) => wrong_quotes(fault, file, origin),
                None => wrong_width(&record, found, dialect, lines_before),
            });
        }
    }
    starts.push(rows);
    if let Some(fault) = fault(&reader) {
        return Err(wrong_quotes(fault, file, origin));
    }
    if rows == 0 {
        return Err("has a header but no rows".to_string());
    }
    let mut notes = Vec::new();
    if blank.lines > 0 {
        let count = counted(blank.lines, "blank line");
        notes.push(format!("ignored: {count}; in a table of one column, write `\"\"` for a missing cell"));
    }
    if trailing > 0 {
        notes.push(format!("ignored: a delimiter at the end of {}", counted(trailing, "line")));
    }
    Ok(Scan { starts, offsets, notes })
}

/// Blank lines in a table of one column, which may be meant as rows with a missing cell.
#[derive(Default)]
struct BlankLines {
    lines: usize,
    next: Option<u64>,
}

impl BlankLines {
    /// Counts the blank lines before a record.
    fn count(&mut self, record: &ByteRecord) {
        let line = record.position().map_or(0, |position| position.line());
        self.lines += self.next.map_or(0, |next| line.saturating_sub(next) as usize);
        self.next = Some(line + 1 + record.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64);
    }
}

/// The first wrong quote so far.
fn fault(reader: &Reader<BufReader<Quotes<Section>>>) -> Option<&Fault> {
    reader.get_ref().get_ref().fault()
}

fn wrong_quotes(fault: &Fault, file: &File, origin: u64) -> String {
    let [opened, wrong] =
        [fault.place.start, fault.place.end].map(|place| lines(file, origin + place).unwrap_or(0) + 1);
    fault.said(opened, wrong)
}

/// The error for a record with the wrong number of cells.
fn wrong_width(record: &ByteRecord, found: usize, dialect: &Dialect, lines_before: usize) -> String {
    let line = record.position().map_or(0, |position| position.line()) as usize + lines_before;
    let mark = record.get(0).and_then(|cell| cell.first()).copied().filter(|mark| b"#%!/".contains(mark));
    let advice = match mark {
        Some(mark) if dialect.comment.is_none() => format!(
            "every line must have the same number; if lines that begin with `{0}` are comments, use `--comment '{0}'`",
            char::from(mark)
        ),
        _ if dialect.names.len() == 1 => "name the delimiter, such as `--delimiter ';'`".to_string(),
        _ => "every line must have the same number".to_string(),
    };
    let width = dialect.names.len();
    format!("line {line} has {}, but the lines before it have {width}: {advice}", counted(found, "cell"))
}

/// The size of a read buffer in bytes; small files need only a small one.
pub(super) fn buffer(length: u64) -> usize {
    length.clamp(1 << 12, 1 << 20) as usize
}

/// The number of line ends before an offset.
pub(super) fn lines(file: &File, place: u64) -> Option<usize> {
    let mut bytes = vec![0; 1 << 16];
    let (mut at, mut lines) = (0u64, 0usize);
    while at < place {
        let wanted = bytes.len().min((place - at) as usize);
        let count = read_at(file, &mut bytes[..wanted], at).ok().filter(|&count| count > 0)?;
        lines += bytes[..count].iter().filter(|&&byte| byte == b'\n').count();
        at += count as u64;
    }
    Some(lines)
}
