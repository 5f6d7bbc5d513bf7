//! Checks the quotes of a text table: a cell that begins with a quote must end with one, and a quote inside it must be
//! doubled. With a wrong quote a parser silently reads many lines as one cell.
//!
//! The bytes are checked on their way to the parser. Blocks without quotes are skipped.

use std::{
    io::{self, Read},
    ops::Range,
};

/// A cell with wrong quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The offsets of its opening quote and of the error, in bytes from the first byte read.
    pub(super) place: Range<u64>,
    pub(super) kind: FaultKind,
}

/// What is wrong with a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// There is text after the closing quote.
    TextBehind,
    /// There is text after a quote that is escaped with a backslash.
    Backslash,
    /// The quote is never closed.
    NeverClosed,
    /// There is a space before the opening quote of a cell with delimiters.
    BlankBefore,
}

impl Fault {
    /// What is wrong and what to do, from the line numbers of both offsets.
    pub(super) fn said(&self, opened: usize, wrong: usize) -> String {
        let line = if opened == wrong { format!("line {opened}") } else { format!("lines {opened} to {wrong}") };
        match self.kind {
            FaultKind::TextBehind if opened == wrong => format!(
                "{line}: there is text after the closing quote of a cell: quote the cell and double the quotes inside \
                 it (`\"\"`)"
            ),
            FaultKind::TextBehind => format!(
                "{line}: a quote is opened in line {opened}, and the next quote, in line {wrong}, does not end a \
                 cell: close it, or quote \
                 the cell and double the quotes inside it (`\"\"`)"
            ),
            FaultKind::Backslash => {
                format!(
                    "{line}: a quote inside a quoted cell is escaped as `\\\"`: double such quotes (`\"\"`) in the \
                     whole file"
                )
            }
            FaultKind::NeverClosed => {
                format!(
                    "line {opened}: a quote is opened and never closed: close it, or quote the cell and double the \
                     quotes inside it (`\"\"`)"
                )
            }
            FaultKind::BlankBefore => format!(
                "{line}: there is a space before the opening quote of a cell with delimiters: delete the spaces after \
                 the delimiters of the file"
            ),
        }
    }
}

/// The position of a byte in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    CellStart,
    /// After spaces at the start of a cell.
    Blank,
    Plain,
    Comment,
    Quoted,
    /// In a quoted cell after a backslash, which only matters for the message.
    Escape,
    /// After a quote in a quoted cell: it closes the cell, or is the first of two.
    Closed {
        escaped: bool,
    },
    /// After a closing quote and spaces.
    Behind,
    /// In a cell that begins with spaces and a quote, which the parser does not treat as quoted.
    BlankQuoted {
        has_delimiter: bool,
    },
    /// After the next quote of such a cell.
    BlankClosed {
        has_delimiter: bool,
    },
}

/// A reader that passes bytes on and records the first fault of their quotes.
pub(super) struct Quotes<R> {
    inner: R,
    delimiter: u8,
    comment: Option<u8>,
    state: State,
    /// Number of bytes read before.
    before: u64,
    opened: u64,
    fault: Option<Fault>,
}

impl<R> Quotes<R> {
    pub(super) fn new(inner: R, delimiter: u8, comment: Option<u8>) -> Self {
        Self { inner, delimiter, comment, state: State::LineStart, before: 0, opened: 0, fault: None }
    }

    /// The first fault so far.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    fn look(&mut self, bytes: &[u8]) {
        let is_outside =
            matches!(self.state, State::LineStart | State::CellStart | State::Blank | State::Plain | State::Comment);
        // Without quotes, the state at the end depends only on the last line.
        let from = match is_outside && !bytes.contains(&b'"') {
            true => bytes.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(0),
            false => 0,
        };
        let mut at = from;
        while let Some(&byte) = bytes.get(at) {
            if let Err(kind) = self.step(self.before + at as u64, byte) {
                self.fault = Some(Fault { place: self.opened..self.before + at as u64, kind });
                return;
            }
            at += 1;
            // Skips bytes that do not change the state.
            let rest = &bytes[at..];
            let delimiter = self.delimiter;
            at += match self.state {
                State::Plain => {
                    rest.iter().take_while(|&&byte| byte != delimiter && byte != b'\n' && byte != b'\r').count()
                }
                State::Quoted => rest.iter().take_while(|&&byte| byte != b'"' && byte != b'\\').count(),
                _ => 0,
            };
        }
        self.before += bytes.len() as u64;
    }

    fn step(&mut self, at: u64, byte: u8) -> Result<(), FaultKind> {
        let (is_end, is_delimiter) = (matches!(byte, b'\n' | b'\r'), byte == self.delimiter);
        // The next state outside of quotes.
        let outside = if is_end {
            State::LineStart
        } else if is_delimiter {
            State::CellStart
        } else {
            State::Plain
        };
        self.state = match self.state {
            State::Comment if !is_end => State::Comment,
            State::LineStart if Some(byte) == self.comment => State::Comment,
            State::LineStart | State::CellStart if byte == b'"' => {
                self.opened = at;
                State::Quoted
            }
            State::LineStart | State::CellStart | State::Blank if byte == b' ' && !is_delimiter => State::Blank,
            State::Blank if byte == b'"' => {
                self.opened = at;
                State::BlankQuoted { has_delimiter: false }
            }
            State::LineStart | State::CellStart | State::Blank | State::Plain | State::Comment => outside,
            State::Quoted | State::Escape if byte == b'"' => State::Closed { escaped: self.state == State::Escape },
            State::Quoted if byte == b'\\' => State::Escape,
            State::Quoted | State::Escape => State::Quoted,
            State::Closed { .. } if byte == b'"' => State::Quoted,
            State::Closed { .. } | State::Behind if is_end || is_delimiter => outside,
            State::Closed { .. } | State::Behind if byte == b' ' => State::Behind,
            State::Closed { escaped: true } => return Err(FaultKind::Backslash),
            State::Closed { .. } | State::Behind => return Err(FaultKind::TextBehind),
            State::BlankQuoted { has_delimiter } if byte == b'"' => State::BlankClosed { has_delimiter },
            State::BlankQuoted { .. } | State::BlankClosed { .. }
                if is_end && !matches!(self.state, State::BlankClosed { has_delimiter: true }) =>
            {
                State::LineStart
            }
            State::BlankQuoted { has_delimiter } => State::BlankQuoted { has_delimiter: has_delimiter || is_delimiter },
            State::BlankClosed { has_delimiter: true } if is_end || is_delimiter => return Err(FaultKind::BlankBefore),
            State::BlankClosed { has_delimiter } if byte == b'"' => State::BlankQuoted { has_delimiter },
            State::BlankClosed { has_delimiter } if byte == b' ' => State::BlankClosed { has_delimiter },
            State::BlankClosed { .. } => outside,
        };
        Ok(())
    }

    fn finish(&mut self) {
        let kind = match self.state {
            State::Quoted | State::Escape => FaultKind::NeverClosed,
            State::BlankClosed { has_delimiter: true } => FaultKind::BlankBefore,
            _ => return,
        };
        self.fault = Some(Fault { place: self.opened..self.before, kind });
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        match (count, &self.fault) {
            (_, Some(_)) => {}
            (0, None) if !bytes.is_empty() => self.finish(),
            (_, None) => self.look(&bytes[..count]),
        }
        Ok(count)
    }
}

/// What is wrong with the quotes of a text, which may be truncated. `first_line` is the line number of its first byte.
pub(super) fn wrong_in(text: &[u8], delimiter: u8, comment: Option<u8>, first_line: usize) -> Option<String> {
    let mut quotes = Quotes::new(text, delimiter, comment);
    quotes.look(text);
    let fault = quotes.fault?;
    let line = |place: u64| first_line + text[..place as usize].iter().filter(|&&byte| byte == b'\n').count();
    Some(fault.said(line(fault.place.start), line(fault.place.end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str, size: usize) -> Option<(FaultKind, Range<u64>)> {
        let mut quotes = Quotes::new(text.as_bytes(), b',', Some(b'#'));
        let mut bytes = vec![0; size];
        while quotes.read(&mut bytes).unwrap() > 0 {}
        quotes.fault().map(|fault| (fault.kind, fault.place.clone()))
    }

    #[test]
    fn wrong_quotes_are_found_at_every_block_size() {
        for (text, expected) in [
            ("a,b\n1,2\n", None),
            ("\"a\",\"b \"\"c\"\", d\n\"\n1,2\n", None),
            ("\"a\" ,\"\"\r\n\"b\"", None),
            ("5\" pipe,3\" pipe\n", None),
            ("x, \"y\", z\n", None),
            ("x, \"y, \"z\n", None),
            ("\"C:\\dir\\\",1\n", None),
            ("# say \"no\", \"x\" y\n1,#\"\n", None),
            ("1,\"3.5 in\n2,\"3.5 in\n", Some((FaultKind::TextBehind, 2..13))),
            ("\"a\"b,1\n", Some((FaultKind::TextBehind, 0..3))),
            ("\"say \\\"hi\\\", x\",1\n", Some((FaultKind::Backslash, 0..7))),
            ("1,\"a\n2,b\n", Some((FaultKind::NeverClosed, 2..9))),
            ("x, \"city, country\", y\n", Some((FaultKind::BlankBefore, 3..18))),
            ("x, \"city, country\"", Some((FaultKind::BlankBefore, 3..18))),
        ] {
            for size in [1, 2, 3, 5, 100] {
                assert_eq!(fault(text, size), expected, "{text:?} by {size}");
            }
        }
    }
}
