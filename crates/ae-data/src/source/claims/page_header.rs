//! The headers of Parquet pages.

use std::io::{self, Read};

/// The fields of the header of a Parquet page that claim sizes.
#[derive(Debug, Default)]
pub(super) struct PageHeader {
    /// Size of the header itself in bytes.
    pub(super) length: u64,
    pub(super) unpacked: i64,
    pub(super) packed: i64,
    pub(super) values: i64,
    pub(super) is_dictionary: bool,
    pub(super) encoding: i64,
}

/// Reads the compact protocol of Thrift, in which page headers are written.
pub(super) struct Compact<R> {
    pub(super) input: R,
    pub(super) read: u64,
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

    /// Reads an unsigned integer of variable length.
    pub(super) fn number(&mut self) -> io::Result<u64> {
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
    pub(super) fn page(mut self) -> io::Result<PageHeader> {
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
