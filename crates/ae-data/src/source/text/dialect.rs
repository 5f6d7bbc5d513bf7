//! The layout of a text table: its delimiter, header and comments. Options decide; the rest is detected from the first
//! lines, and reported if it is not obvious.

use csv::{ByteRecord, ReaderBuilder};

use super::quotes::wrong_in;
use crate::{
    Missing, Options,
    cell::{Shape, trimmed},
    words::{counted, few},
};

/// Number of lines from which the layout is detected.
const LINES: usize = 100;

/// The layout of a text table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    /// The byte that separates cells.
    pub(super) delimiter: u8,
    /// The byte that starts a comment line.
    pub(super) comment: Option<u8>,
    /// Number of bytes before the first record: a `sep=` line and comments.
    pub(super) start: usize,
    /// Whether the first record has the names of the columns.
    pub(super) header: bool,
    /// The names of the columns.
    pub(super) names: Vec<String>,
    /// Whether each row begins with one cell more than the header, its name, as R writes it.
    pub(super) row_names: bool,
    /// What was detected and is not obvious, in sentences.
    pub(super) notes: Vec<String>,
}

/// A CSV reader for this layout.
pub(super) fn builder(delimiter: u8, comment: Option<u8>) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter).comment(comment);
    builder
}

/// The cells of a record. Several spaces are one delimiter.
pub(super) fn cells(record: &ByteRecord, delimiter: u8) -> impl Iterator<Item = &[u8]> {
    record.iter().filter(move |cell| delimiter != b' ' || !cell.is_empty())
}

impl Dialect {
    /// Detects the layout of a text that begins with `start`; `is_whole` if that is all of it. `None` for an empty
    /// text.
    ///
    /// # Errors
    /// A description of what is wrong above the table.
    pub(super) fn of(start: &[u8], is_whole: bool, options: &Options) -> Result<Option<Self>, String> {
        let (mut notes, mut at) = (Vec::new(), 0);
        let mut delimiter = options.delimiter.map(|delimiter| delimiter as u8);
        let first = line(start, 0);
        if let Some(named) = text(first).trim().strip_prefix("sep=").filter(|named| named.len() <= 1) {
            delimiter = delimiter.or(named.bytes().next().or(Some(b'\t'))); // a tab was trimmed from the line
            at = first.len();
        }
        let mut comments = Vec::new();
        while options.comment.is_none() && text(line(start, at)).trim_start().starts_with('#') {
            comments.push((at, line(start, at)));
            at += line(start, at).len();
        }
        let comment = options.comment.map(|comment| comment as u8);
        let sample = |delimiter: u8, from: usize| sample(&start[from..], is_whole, delimiter, comment);
        let delimiter = delimiter.unwrap_or_else(|| find_delimiter(|delimiter| sample(delimiter, at)));
        let mut records = sample(delimiter, at);
        let is_number = |cell: &String| Shape::of(cell).is_some();
        // The header may be the last comment line, if no header follows and the number of cells is the same.
        if let Some(&(place, last)) = comments.last()
            && options.header != Some(false)
            && records.first().is_some_and(|first| first.iter().any(is_number))
        {
            let mark = last.iter().take_while(|&&byte| byte == b'#' || byte == b' ').count();
            let behind = sample(delimiter, place + mark);
            if behind[0].len() == records[0].len() && behind[0].iter().all(|cell| !is_number(cell) && !cell.is_empty())
            {
                (records, at) = (behind, place + mark);
                comments.pop();
                notes.push("the names of the columns were read from the comment line above the table".to_string());
            }
        }
        if !comments.is_empty() {
            notes.push(format!("left out: {} above the table", counted(comments.len(), "comment line")));
        }
        if records.is_empty() {
            return Ok(None);
        }
        let (header, said) = match options.header {
            Some(header) => (header, None),
            None => find_header(&records),
        };
        notes.extend(said);
        let is_detected = header && options.header.is_none();
        let row_names = header && has_row_names(&records);
        if let Some(title) = title_above(&records).filter(|_| is_detected && !row_names) {
            // Wrong quotes have the same effect.
            let lines_before = start[..at].iter().filter(|&&byte| byte == b'\n').count();
            return Err(wrong_in(&start[at..], delimiter, comment, lines_before + 1).unwrap_or(title));
        }
        let mut names = names_of(&records, header);
        if row_names {
            names.insert(0, String::new());
            notes.push(
                "the rows have one cell more than the header: the first cell was read as the name of the row"
                    .to_string(),
            );
        }
        // One column may have no name; further ones are named by their positions.
        let unnamed: Vec<usize> = (0..names.len()).filter(|&index| names[index].is_empty()).collect();
        if is_detected && names.len() > 2 && unnamed.len() + 1 == names.len() {
            let title = names.iter().find(|name| !name.is_empty()).cloned().unwrap_or_default();
            return Err(format!(
                "its first line, `{title}`, does not look like column names: delete everything above them, or use \
                 `--header` if they are the names"
            ));
        }
        for &index in unnamed.iter().skip(1) {
            names[index] = format!("column {}", index + 1);
        }
        Ok(Some(Self { delimiter, comment, start: at, header, names, row_names, notes }))
    }
}

/// Whether the last cell of each record below the first is empty, because lines end with a delimiter.
fn is_trailing(records: &[Vec<String>]) -> bool {
    records[1..].iter().all(|record| record.last().is_some_and(|cell| cell.is_empty()))
}

/// Whether each record below the first has one cell more, in front.
fn has_row_names(records: &[Vec<String>]) -> bool {
    let width = records[0].len() + 1;
    records.len() > 1 && records[1..].iter().all(|record| record.len() == width) && !is_trailing(records)
}

/// The error for a title above the table: its line has fewer cells than all lines below it.
fn title_above(records: &[Vec<String>]) -> Option<String> {
    let (first, widths) = (&records[0], records[1..].iter().map(Vec::len).collect::<Vec<usize>>());
    let is_even = widths.len() > 2 && widths[1..].iter().all(|width| *width == widths[1]);
    let is_title = !is_trailing(records) && is_even && first.len() < widths[1] && first.len() < 3;
    is_title.then(|| {
        let title = first.iter().find(|cell| !cell.is_empty()).cloned().unwrap_or_default();
        format!(
            "its first line, `{title}`, has {}, but the lines below it have {}: delete everything above the names of \
             the columns",
            counted(first.len(), "cell"),
            widths[1]
        )
    })
}

/// The names of the columns: those of the header, or `c0`, `c1`, ...
fn names_of(records: &[Vec<String>], header: bool) -> Vec<String> {
    match header {
        true => records[0].iter().map(|name| name.trim().to_string()).collect(),
        false => {
            let width = records.iter().map(Vec::len).max().unwrap_or(0);
            (0..width).map(|index| format!("c{index}")).collect()
        }
    }
}

/// The line that begins at `at`, including its end, which may be a single carriage return.
fn line(text: &[u8], at: usize) -> &[u8] {
    let rest = &text[at.min(text.len())..];
    match rest.iter().position(|&byte| byte == b'\n' || byte == b'\r') {
        Some(end) if rest[end] == b'\r' && rest.get(end + 1) == Some(&b'\n') => &rest[..end + 2],
        Some(end) => &rest[..=end],
        None => rest,
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The first records. Of a truncated text the last record is left out.
fn sample(text: &[u8], is_whole: bool, delimiter: u8, comment: Option<u8>) -> Vec<Vec<String>> {
    let mut reader = builder(delimiter, comment).from_reader(text);
    let mut records: Vec<Vec<String>> = Vec::new();
    let mut record = ByteRecord::new();
    while records.len() <= LINES && reader.read_byte_record(&mut record).unwrap_or(false) {
        records
            .push(cells(&record, delimiter).map(|cell| trimmed(&String::from_utf8_lossy(cell)).to_string()).collect());
    }
    if records.len() > LINES || !is_whole && records.len() > 1 {
        records.pop();
    }
    records
}

/// The delimiter that gives the same number of cells in most lines. If there are several, the one that is least common
/// in words and numbers.
fn find_delimiter(sample: impl Fn(u8) -> Vec<Vec<String>>) -> u8 {
    let mut best = (0, b',');
    for delimiter in [b'\t', b';', b'|', b',', b' '] {
        let records = sample(delimiter);
        let widths: Vec<usize> =
            records.iter().filter(|record| record.iter().any(|cell| !cell.is_empty())).map(Vec::len).collect();
        let Some(usual) =
            widths.iter().copied().max_by_key(|width| widths.iter().filter(|other| *other == width).count())
        else {
            continue;
        };
        let is_number = |cell: &&String| Shape::of(cell).is_some() || Missing::Usual.has(cell);
        let numbers = records.iter().skip(1).flatten().filter(is_number).count();
        let cells = records.iter().skip(1).map(Vec::len).sum::<usize>();
        // Spaces also occur between words.
        if usual < 2 || delimiter == b' ' && numbers * 2 < cells.max(1) {
            continue;
        }
        let same = widths.iter().filter(|&&width| width == usual).count();
        // In steps of 1/20, so that a single odd line does not decide.
        let share = same * 20 / widths.len();
        if share > best.0 {
            best = (share, delimiter);
        }
    }
    best.1
}

/// Whether the first record has the names of the columns, and a note if it is not obvious.
fn find_header(records: &[Vec<String>]) -> (bool, Option<String>) {
    let first = &records[0];
    let is_number = |cell: &String| Shape::of(cell).is_some();
    let numbers: Vec<f64> =
        first.iter().filter(|cell| is_number(cell)).map(|cell| cell.parse().unwrap_or(f64::NAN)).collect();
    if numbers.is_empty() {
        let is_row = is_one_of_many(records);
        let said = || {
            format!(
                "the first line ({}) was read as a row, because its cells also occur below it: use `--header` if it \
                 has the column names",
                few(first, 4)
            )
        };
        return (!is_row, is_row.then(said));
    }
    let taken =
        || Some(format!("the first line ({}) was read as the header: use `--no-header` if it is a row", few(first, 4)));
    let consecutive = |cells: &[f64]| {
        cells.windows(2).all(|pair| pair[1] == pair[0] + 1.0) && cells.iter().all(|cell| cell.fract() == 0.0)
    };
    let rises = numbers.len() > 1 && consecutive(&numbers);
    let years = numbers.iter().all(|&year| year.fract() == 0.0 && (1500.0..2200.0).contains(&year));
    let below = |column: usize| {
        records[1..].iter().filter_map(move |record| record.get(column)).filter(|cell| !Missing::Usual.has(cell))
    };
    if numbers.len() == first.len() {
        // Only numbers: a header if they are 0, 1, 2, ... or years, and the next row does not continue like that.
        let next: Vec<f64> = records
            .get(1)
            .map_or(Vec::new(), |record| record.iter().map(|cell| cell.parse().unwrap_or(f64::NAN)).collect());
        let is_header =
            rises && first.len() > 2 && (numbers[0] == 0.0 || years) && records.len() > 2 && !consecutive(&next);
        return (is_header, if is_header { taken() } else { None });
    }
    // A name above numbers, or column numbers as programs write them above an array.
    let over_numbers = first.iter().enumerate().any(|(column, cell)| {
        !is_number(cell) && !Missing::Usual.has(cell) && below(column).next().is_some() && below(column).all(is_number)
    });
    let texts: Vec<usize> = (0..first.len()).filter(|&column| !is_number(&first[column])).collect();
    let over_index = texts.iter().all(|&column| first[column].is_empty()) && rises;
    let over_texts = rises && years && texts.iter().all(|&column| below(column).all(|cell| *cell != first[column]));
    match over_numbers || over_index || over_texts {
        true => (true, taken()),
        false => {
            let number = first.iter().find(|cell| is_number(cell)).cloned().unwrap_or_default();
            (
                false,
                Some(format!(
                    "the first line was read as a row, because it has the number `{number}`: use `--header` if it has \
                     the column names"
                )),
            )
        }
    }
}

/// Whether every cell of the first record occurs several times in its column, which names of columns do not. A header
/// may be repeated between the rows: copies of the record do not count, except for a frequent word in a single column.
fn is_one_of_many(records: &[Vec<String>]) -> bool {
    let first = &records[0];
    let copies = records[1..].iter().filter(|record| *record == first).count();
    let is_frequent = first.len() == 1 && copies > 1 && copies * 20 >= records.len();
    let occurs = |(column, cell): (usize, &String)| {
        let others = records[1..].iter().filter(|record| *record != first && record.get(column) == Some(cell));
        Missing::Usual.has(cell) || others.count() > 1
    };
    is_frequent || first.iter().any(|cell| !Missing::Usual.has(cell)) && first.iter().enumerate().all(occurs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Dialect {
        Dialect::of(text.as_bytes(), true, &Options::default()).unwrap().unwrap()
    }

    #[test]
    fn delimiters_are_detected() {
        for (text, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2,5\n", b';'),
            ("1,5;2,5\n2,5;3,5\n", b';'),
            ("a\tb c\n1\t2\n", b'\t'),
            ("a|b\nx, y|2\n", b'|'),
            ("  x   y\n 1.0  2.5\n 10.0 3.5\n", b' '),
            ("title\none two\nthree\n", b','),
            ("\"a;b\",c\n\"1;2\",3\n", b','),
            ("a;b,c\n1,2\n", b','),
        ] {
            assert_eq!(of(text).delimiter, delimiter, "{text}");
        }
    }

    #[test]
    fn headers_are_detected() {
        for (text, header) in [
            ("a,b\n1,2\n", true),
            ("1,2\n3,4\n", false),
            (",0,1,2\n0,0.5,0.1,0.2\n1,.3,.4,.5\n", true),
            ("region,2019,2020,2021\nEMEA,.5,0,100\nAPAC,1.5,2,99\n", true),
            ("2019,2020,2021\n1.5,2,3\n4,5,6\n", true),
            ("0,1,2\n1,2,3\n2,3,4\n", false),
            ("name,2019\nx,1\ny,2\n", false),
            ("price,2019\n10,1\n11,2\n", true),
            ("cat,5\ndog,7\n", false),
        ] {
            let found = of(text);
            assert_eq!(found.header, header, "{text}: {:?}", found.notes);
        }
        // Rows of categories without a header, and a repeated header.
        let rows = "p,x,s\ne,x,y\np,b,s\ne,x,s\np,x,w\ne,b,y\n";
        let found = of(rows);
        assert!(
            !found.header && found.notes[0].contains("(`p`, `x`, `s`)") && found.notes[0].contains("`--header`"),
            "{found:?}"
        );
        assert!(of("p,x,s\ne,b,y\np,x,s\ne,b,y\np,x,s\n").header);
        assert!(!of(&"yes\nno\n".repeat(20)).header && of("kind\nno\nyes\nno\n").header);
        let quotes = "text,n\n".to_string() + &"\"say \\\"hi\\\", x, y\",1\n".repeat(5);
        let error = Dialect::of(quotes.as_bytes(), true, &Options::default()).unwrap_err();
        assert!(error.starts_with("line 2: a quote inside a quoted cell is escaped"), "{error}");
        let said = of("cat,5\ndog,7\n").notes;
        assert!(said[0].contains("`5`") && said[0].contains("`--header`"), "{said:?}");
    }

    #[test]
    fn lines_above_the_table_are_left_out() {
        let found = of("sep=;\na;b\n1;2\n");
        assert_eq!((found.delimiter, found.start, found.names), (b';', 6, vec!["a".to_string(), "b".to_string()]));
        let found = of("# about, this, file\n# and more\nyear,mean\n1960,316\n");
        assert_eq!((found.names.as_slice(), found.start), (&["year".to_string(), "mean".to_string()][..], 31));
        assert!(found.notes[0].contains("2 comment lines"), "{:?}", found.notes);
        let found = of("# about\n# x y\n1 2\n3 4\n");
        assert_eq!((found.names.as_slice(), found.delimiter), (&["x".to_string(), "y".to_string()][..], b' '));
    }

    #[test]
    fn columns_without_a_name_are_numbered() {
        assert_eq!(of(",a,,b\n1,2,3,4\n").names, ["", "a", "column 3", "b"]);
        let found = of("a,b\nx,1,2\ny,3,4\n");
        assert!(found.row_names && found.names == ["", "a", "b"], "{found:?}");
        assert!(!of("a,b\n1,2,\n3,4,\n").row_names);
    }
}
