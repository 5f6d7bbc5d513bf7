//! Delimited text: CSV, TSV and their like, from a file or from standard input.
//!
//! The delimiter is the one of `,` `;` tab `|` that the first line has most of; the first line is a header unless one of its cells is a number.
//! A column is of numbers, of truth values, of dates, or of texts, whatever all of its cells can be read as.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use csv::{ByteRecord, Reader, ReaderBuilder, Trim};

use super::{Content, Format, Options};
use crate::{
    DataError,
    frame::{Cells, Frame},
    progress::Progress,
};

pub(super) const FORMAT: Format = Format { name: "CSV", extensions: &["csv", "tsv", "tab", "txt"], read };

/// What stands for a missing cell, beside nothing at all.
const MISSING: [&str; 10] = ["NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "?", "-"];

fn read(path: &Path, options: &Options) -> Result<Content, DataError> {
    let file = File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    table(file, path, options).map(Content::Frame)
}

/// The table on standard input, which is written to a temporary file first: it is read twice.
pub(super) fn standard_input(options: &Options) -> Result<Content, DataError> {
    let path = Path::new("standard input");
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let mut file = tempfile::tempfile().map_err(failed)?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
    file.flush().map_err(failed)?;
    table(file, path, options).map(Content::Frame)
}

/// What the cells of a column have been so far.
#[derive(Default)]
struct Seen {
    observed: usize,
    numbers: usize,
    booleans: usize,
    dates: usize,
    /// The first cell that is no number: its row, and what it says.
    text: Option<(usize, String)>,
}

enum Guess {
    Number,
    Boolean,
    Text,
    Dates(String),
}

fn table(mut file: impl Read + Seek, path: &Path, options: &Options) -> Result<Frame, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
    let rewound = |file: &mut dyn SeekRead| -> Result<(), DataError> {
        file.seek(SeekFrom::Start(0)).map(|_| ()).map_err(|source| DataError::Io { path: path.to_owned(), source })
    };
    rewound(&mut file)?;
    let delimiter = match options.delimiter {
        Some(delimiter) => delimiter as u8,
        None => detect_delimiter(&mut file, path)?,
    };

    // First pass: what is in each column.
    rewound(&mut file)?;
    let mut records = Records::new(&mut file, delimiter, path);
    let Some(first) = records.next()? else { return Err(malformed("is empty".to_string())) };
    let has_header = options.header.unwrap_or_else(|| !first.iter().any(|cell| number(cell).is_some()));
    let names: Vec<String> = match has_header {
        true => first.iter().map(|name| name.to_string()).collect(),
        false => (0..first.len()).map(|index| format!("c{index}")).collect(),
    };
    if let Some((index, name)) = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        return Err(malformed(format!("has two columns called `{name}` (the second is number {}): rename one", index + 1)));
    }
    let mut seen: Vec<Seen> = names.iter().map(|_| Seen::default()).collect();
    let mut note = |row: usize, record: &[String]| {
        for (seen, cell) in seen.iter_mut().zip(record).filter(|(_, cell)| !is_missing(cell)) {
            seen.observed += 1;
            seen.numbers += usize::from(number(cell).is_some());
            seen.booleans += usize::from(boolean(cell).is_some());
            seen.dates += usize::from(is_date(cell));
            if seen.text.is_none() && number(cell).is_none() {
                seen.text = Some((row, cell.clone()));
            }
        }
    };
    let mut count = 0;
    if !has_header {
        count = 1;
        note(1, &first);
    }
    while let Some(record) = records.next()? {
        count += 1;
        note(count, &record);
    }
    if count == 0 {
        return Err(malformed("has a header and no rows".to_string()));
    }
    let used = |name: &String| {
        let named = |other: &Option<String>| other.as_ref() == Some(name);
        !options.drop.contains(name)
            && (options.keep.is_empty() || options.keep.contains(name) || named(&options.label) || named(&options.id))
    };
    let mut guesses = Vec::new();
    for (seen, name) in seen.iter().zip(&names) {
        guesses.push(match (seen, &seen.text) {
            (seen, None) if seen.numbers == seen.observed => Guess::Number,
            (seen, _) if seen.booleans == seen.observed => Guess::Boolean,
            (seen, Some((_, text))) if seen.dates == seen.observed => Guess::Dates(text.clone()),
            // Mostly numbers: the rest are slips rather than names.
            (seen, Some((row, text))) if seen.numbers * 2 > seen.observed && used(name) && options.id.as_ref() != Some(name) => {
                let known = MISSING.join(" ");
                return Err(malformed(format!(
                    "row {row}, column `{name}`: `{text}` is no number, but most of this column are: correct it, or leave it empty if it is missing \
                     (also read as missing: {known})"
                )));
            }
            _ => Guess::Text,
        });
    }

    // Second pass: the cells.
    rewound(&mut file)?;
    let mut cells: Vec<Cells> = guesses
        .into_iter()
        .map(|guess| match guess {
            Guess::Number => Cells::Numbers(Vec::with_capacity(count)),
            Guess::Boolean => Cells::Booleans(Vec::with_capacity(count)),
            Guess::Text => Cells::Texts(Vec::new()),
            Guess::Dates(example) => Cells::Dates(example, count),
        })
        .collect();
    let mut records = Records::new(&mut file, delimiter, path);
    if has_header {
        records.next()?;
    }
    let mut row = 0;
    let mut progress = Progress::new("reading lines", count);
    while let Some(record) = records.next()? {
        row += 1;
        progress.step();
        for ((cells, cell), name) in cells.iter_mut().zip(record).zip(&names) {
            let missing = is_missing(&cell);
            match cells {
                Cells::Numbers(values) => {
                    let value = if missing { f32::NAN } else { number(&cell).unwrap_or(f64::NAN) as f32 };
                    if value.is_infinite() && used(name) {
                        return Err(malformed(format!(
                            "row {row}, column `{name}`: `{cell}` is infinite, or beyond single precision (3.4e38)"
                        )));
                    }
                    values.push(value);
                }
                Cells::Booleans(values) => values.push(if missing { f32::NAN } else { boolean(&cell).map_or(f32::NAN, f32::from) }),
                // A column that is left out need not be kept in memory.
                Cells::Texts(values) => values.push((!missing && used(name)).then_some(cell)),
                Cells::Dates(..) => {}
            }
        }
    }
    Ok(Frame { columns: names.into_iter().zip(cells).collect() })
}

/// The text table `bytes` with blank cells filled in by `fill` (row from 0, column name), and every other byte as it was.
pub fn fill_text(
    bytes: &[u8],
    options: &Options,
    path: &Path,
    mut fill: impl FnMut(usize, &str) -> Option<String>,
) -> Result<Vec<u8>, DataError> {
    let delimiter = match options.delimiter {
        Some(delimiter) => delimiter as u8,
        None => detect_delimiter(&mut &bytes[..], path)?,
    };
    let (mut out, mut names, mut row) = (Vec::with_capacity(bytes.len()), None::<Vec<String>>, 0);
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    out.extend(&bytes[..bytes.len() - rest.len()]);
    while !rest.is_empty() {
        let (cells, end) = raw_record(rest, delimiter);
        let said = |cell: &std::ops::Range<usize>| {
            let text = String::from_utf8_lossy(&rest[cell.clone()]).trim().to_string();
            match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
                Some(quoted) => quoted.replace("\"\"", "\"").trim().to_string(),
                None => text,
            }
        };
        let is_empty_line = cells.len() == 1 && rest[cells[0].clone()].is_empty();
        let mut is_data = !is_empty_line;
        if names.is_none() && !is_empty_line {
            let texts: Vec<String> = cells.iter().map(said).collect();
            is_data = !options.header.unwrap_or_else(|| !texts.iter().any(|cell| number(cell).is_some()));
            names = Some(if is_data { (0..texts.len()).map(|index| format!("c{index}")).collect() } else { texts });
        }
        let mut from = 0;
        if is_data {
            for (cell, name) in cells.iter().zip(names.iter().flatten()).filter(|(cell, _)| is_missing(&said(cell))) {
                let Some(text) = fill(row, name) else { continue };
                out.extend(&rest[from..cell.start]);
                let needs_quotes = text.bytes().any(|byte| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r'));
                out.extend(if needs_quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }.as_bytes());
                from = cell.end;
            }
            row += 1;
        }
        out.extend(&rest[from..end]);
        rest = &rest[end..];
    }
    Ok(out)
}

/// Where the cells of the first record lie, and where the next begins.
fn raw_record(bytes: &[u8], delimiter: u8) -> (Vec<std::ops::Range<usize>>, usize) {
    let (mut cells, mut start, mut quoted) = (Vec::new(), 0, false);
    for (index, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if quoted => quoted = false,
            // A quote opens where a cell begins; one inside a cell is a character. A doubled one closes and opens again.
            b'"' if bytes[start..index].iter().all(|byte| *byte == b' ') || bytes[index - 1] == b'"' => quoted = true,
            _ if quoted => {}
            b'\n' => {
                let end = if index > start && bytes[index - 1] == b'\r' { index - 1 } else { index };
                cells.push(start..end);
                return (cells, index + 1);
            }
            byte if byte == delimiter => {
                cells.push(start..index);
                start = index + 1;
            }
            _ => {}
        }
    }
    cells.push(start..bytes.len());
    (cells, bytes.len())
}

trait SeekRead: Read + Seek {}
impl<T: Read + Seek> SeekRead for T {}

/// The records of a file, each as texts.
struct Records<'a, R: Read> {
    reader: Reader<&'a mut R>,
    path: &'a Path,
    record: ByteRecord,
    count: usize,
}

impl<'a, R: Read> Records<'a, R> {
    fn new(file: &'a mut R, delimiter: u8, path: &'a Path) -> Self {
        let reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).trim(Trim::All).from_reader(file);
        Self { reader, path, record: ByteRecord::new(), count: 0 }
    }

    fn next(&mut self) -> Result<Option<Vec<String>>, DataError> {
        let malformed = |problem: String| DataError::Malformed { path: self.path.to_owned(), problem };
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| match error.kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.as_ref().map_or(0, |pos| pos.line());
                malformed(format!("line {line} has {len} cells, but the lines before it have {expected_len}: every line needs as many"))
            }
            _ => malformed(error.to_string().replace('\n', " ")),
        })?;
        if !more {
            return Ok(None);
        }
        self.count += 1;
        let first = self.count == 1;
        let line = self.record.position().map_or(0, |pos| pos.line());
        let texts = self.record.iter().enumerate().map(|(column, cell)| {
            // A byte-order mark, as spreadsheets write it, is no part of the first name.
            let cell = if first && column == 0 { cell.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cell) } else { cell };
            let text = std::str::from_utf8(cell);
            // Quotes after a blank are not seen as such by the parser.
            let unquoted = |text: &str| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).to_string();
            text.map(unquoted).map_err(|_| malformed(format!("line {line}, cell {} is not UTF-8 text: save the file as UTF-8", column + 1)))
        });
        texts.collect::<Result<Vec<_>, _>>().map(Some)
    }
}

/// Reads the first lines and chooses.
fn detect_delimiter(file: &mut impl Read, path: &Path) -> Result<u8, DataError> {
    let mut start = Vec::new();
    file.by_ref().take(1 << 16).read_to_end(&mut start).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    if start.contains(&0) {
        let problem =
            "is not text: it holds zero bytes. Give the file the ending of its format (npy, npz, parquet, arrow, safetensors, png, idx)";
        return Err(DataError::Malformed { path: path.to_owned(), problem: problem.to_string() });
    }
    let line: &[u8] = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    // Inside quotes a delimiter is text.
    let mut quoted = false;
    let plain: Vec<u8> = line
        .iter()
        .copied()
        .filter(|&byte| {
            quoted ^= byte == b'"';
            !quoted
        })
        .collect();
    let count = |delimiter: u8| plain.iter().filter(|&&byte| byte == delimiter).count();
    Ok([b',', b'\t', b';', b'|']
        .into_iter()
        .rev()
        .max_by_key(|&delimiter| count(delimiter))
        .filter(|&best| count(best) > 0)
        .unwrap_or(b','))
}

fn is_missing(cell: &str) -> bool {
    cell.is_empty() || MISSING.contains(&cell)
}

fn number(cell: &str) -> Option<f64> {
    // Rust also reads `infinity` and `nan`; a number here begins like one.
    let first = cell.trim_start_matches(['+', '-']).bytes().next()?;
    let infinite = || matches!(cell.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str(), "inf" | "infinity");
    if first.is_ascii_digit() || first == b'.' || infinite() { cell.parse().ok() } else { None }
}

fn boolean(cell: &str) -> Option<u8> {
    match cell.to_ascii_lowercase().as_str() {
        "true" | "yes" => Some(1),
        "false" | "no" => Some(0),
        _ => None,
    }
}

/// `2024-01-31`, `31.01.2024`, `1/31/2024`, with or without a time.
fn is_date(cell: &str) -> bool {
    let day = cell.split([' ', 'T']).next().unwrap_or_default();
    ['-', '/', '.'].iter().any(|&mark| {
        let parts: Vec<&str> = day.split(mark).collect();
        parts.len() == 3
            && parts.iter().all(|part| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit()))
            && (parts[0].len() == 4 || parts[2].len() == 4)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Result<Frame, String> {
        table(Cursor::new(text), Path::new("some.csv"), &Options::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn kinds_delimiters_and_headers_are_found() {
        let frame = read("\u{feff}a;b;c\n1;true;\"x; y\"\n?;no;NA\n2.5e3;yes;z\n".as_bytes()).unwrap();
        let names: Vec<_> = frame.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let Cells::Numbers(a) = &frame.columns[0].1 else { panic!("numbers") };
        assert!(a[0] == 1.0 && a[1].is_nan() && a[2] == 2500.0);
        assert_eq!(frame.columns[1].1, Cells::Booleans(vec![1.0, 0.0, 1.0]));
        assert_eq!(frame.columns[2].1, Cells::Texts(vec![Some("x; y".into()), None, Some("z".into())]));
        let bare = read(b"1\t2\n3\t4\n").unwrap();
        assert_eq!(bare.columns[1], ("c1".to_string(), Cells::Numbers(vec![2.0, 4.0])));
        assert!(matches!(read(b"when\n2024-01-02\n2024-01-03 10:00\n").unwrap().columns[0].1, Cells::Dates(..)));
    }

    #[test]
    fn blanks_are_filled_and_every_other_byte_stays() {
        let text = "\u{feff}a; b ;c\r\n1;;\"x; \"\"y\"\"\"\r\n NA ;2.50;  \r\n\r\n3;?;z".as_bytes();
        let filled = fill_text(text, &Options::default(), Path::new("t"), |row, name| match name {
            "c" => Some("u;v".to_string()),
            "d" => None,
            _ => Some(format!("{name}{row}")),
        });
        let expected = "\u{feff}a; b ;c\r\n1;b0;\"x; \"\"y\"\"\"\r\na1;2.50;\"u;v\"\r\n\r\n3;b2;z";
        assert_eq!(String::from_utf8(filled.unwrap()).unwrap(), expected);
        let bare = fill_text(b"1,2\n,4\n", &Options::default(), Path::new("t"), |row, name| Some(format!("{name}{row}")));
        assert_eq!(bare.unwrap(), b"1,2\nc01,4\n");
    }

    #[test]
    fn each_mistake_is_said_with_its_place() {
        for (text, parts) in [
            (&b""[..], vec!["is empty"]),
            (b"a,b\n", vec!["no rows"]),
            (b"a,b\n1,2\n3\n", vec!["line 3", "1 cells", "2"]),
            (b"a,b\n1,2\n3,x\n4,5\n", vec!["row 2", "`b`", "`x`"]),
            (b"a\n1\ninf\n", vec!["row 2", "`a`", "infinite"]),
            (b"a\n1e39\n", vec!["row 1", "1e39"]),
            (b"a,a\n1,2\n", vec!["two columns called `a`"]),
            (b"a\n\xff\xfe\n", vec!["line 2", "UTF-8"]),
            (b"PK\x03\x04\0\0\0", vec!["not text"]),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.starts_with("some.csv: ") && parts.iter().all(|part| message.contains(part)), "{parts:?}: {message}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_text_panics(picks in proptest::collection::vec(0usize..16, 0..80)) {
            let text: Vec<u8> = picks.iter().map(|&pick| b"ab01.,;\"\n\r\t -e+|"[pick]).collect();
            let _ = read(&text);
        }
    }
}
