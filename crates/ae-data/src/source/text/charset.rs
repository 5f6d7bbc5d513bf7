//! Converts the bytes of a file to UTF-8: gzip, byte order marks, UTF-16, and other encodings by name.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use encoding_rs::{CoderResult, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

use crate::{
    DataError,
    limit::{Limit, shown},
};

/// The encoding of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charset {
    encoding: &'static Encoding,
    /// Whether the file begins with a byte order mark.
    has_mark: bool,
}

/// Number of bytes from which the encoding is detected.
const START: usize = 4096;

impl Charset {
    /// The contents of `file` as UTF-8 without a byte order mark: a file and an offset in it. The file is a temporary
    /// copy if it had to be decompressed or decoded.
    pub(super) fn open(
        mut file: File,
        path: &Path,
        named: Option<&str>,
        limit: Limit,
    ) -> Result<(Self, File, u64), DataError> {
        let failed = |source| DataError::Io { path: path.to_owned(), source };
        let malformed = |problem: String| DataError::Malformed { path: path.to_owned(), problem };
        let mut start = beginning(&mut file).map_err(failed)?;
        let is_compressed = start.starts_with(&[0x1f, 0x8b]);
        if is_compressed {
            let packed = file.metadata().map_err(failed)?.len();
            let most = limit.unpacked(packed);
            let mut plain = BufWriter::new(tempfile::tempfile().map_err(failed)?);
            let copied = io::copy(&mut MultiGzDecoder::new(BufReader::new(&mut file)).take(most), &mut plain);
            let copied = copied
                .map_err(|error| malformed(format!("damaged gzip file ({error}): download or write it again")))?;
            if copied >= most {
                let (packed, most) = (shown(packed), shown(most));
                return Err(malformed(format!(
                    "decompresses from {packed} to more than {most}, which suggests a decompression bomb: if that is \
                     correct, decompress \
                     it yourself, or set a larger `--max-memory`"
                )));
            }
            file = plain.into_inner().map_err(|error| failed(error.into_error()))?;
            start = beginning(&mut file).map_err(failed)?;
        }
        let encoding = match (named, Encoding::for_bom(&start), by_zeros(&start)) {
            (Some(name), ..) => Encoding::for_label(name.as_bytes()).ok_or_else(|| {
                malformed(format!(
                    "`{name}` is not a known encoding: use utf-8, utf-16le, latin1, windows-1252, shift_jis, gbk, ..."
                ))
            })?,
            (None, Some((encoding, _)), _) | (None, None, Some(encoding)) => encoding,
            (None, None, None) => UTF_8,
        };
        // In UTF-16 every line end has a zero byte.
        if named.is_some() && (encoding == UTF_16LE || encoding == UTF_16BE) && !start.contains(&0) && !start.is_empty()
        {
            return Err(malformed(format!(
                "has no zero bytes, so it is not {}: leave out `--encoding`, or name another one",
                encoding.name()
            )));
        }
        let mark = Encoding::for_bom(&start).filter(|(found, _)| *found == encoding).map_or(0, |(_, length)| length);
        let charset = Self { encoding, has_mark: mark > 0 };
        if encoding == UTF_8 {
            if start.contains(&0) {
                return Err(malformed(
                    "is not text, because it has zero bytes: give the file the extension of its format".to_string(),
                ));
            }
            return Ok((charset, file, mark as u64));
        }
        file.seek(SeekFrom::Start(mark as u64)).map_err(failed)?;
        let mut plain = BufWriter::new(tempfile::tempfile().map_err(failed)?);
        decode(encoding, &mut BufReader::new(file), &mut plain).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => malformed(format!(
                "{error}, so it is not {}: name the encoding, such as `--encoding latin1`",
                encoding.name()
            )),
            _ => failed(error),
        })?;
        Ok((charset, plain.into_inner().map_err(|error| failed(error.into_error()))?, 0))
    }

    /// A note on the encoding, if it is not UTF-8.
    pub(super) fn note(&self) -> Option<String> {
        (self.encoding != UTF_8).then(|| format!("read as {}", self.encoding.name()))
    }

    /// A writer that takes UTF-8 and writes this encoding, gzipped if `packed`.
    pub(super) fn writer<W: Write>(&self, output: W, packed: bool) -> io::Result<Encoded<W>> {
        let mut output = if packed {
            Output::Packed(Box::new(GzEncoder::new(output, Compression::default())))
        } else {
            Output::Plain(output)
        };
        if self.has_mark {
            let mark: &[u8] = match self.encoding {
                encoding if encoding == UTF_16LE => &[0xff, 0xfe],
                encoding if encoding == UTF_16BE => &[0xfe, 0xff],
                _ => &[0xef, 0xbb, 0xbf],
            };
            output.write_all(mark)?;
        }
        Ok(Encoded { output, encoding: self.encoding, rest: Vec::new() })
    }
}

/// The first bytes. The position of the file is then at its start.
fn beginning(file: &mut File) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.rewind()?;
    Read::by_ref(file).take(START as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start)
}

/// Detects UTF-16 without a byte order mark: in mostly Latin text every other byte is zero.
fn by_zeros(start: &[u8]) -> Option<&'static Encoding> {
    let zeros = |offset: usize| start.iter().skip(offset).step_by(2).filter(|&&byte| byte == 0).count();
    let half = start.len() / 2;
    match (zeros(0), zeros(1)) {
        (even, odd) if half > 1 && odd * 10 > half * 7 && even * 10 < half => Some(UTF_16LE),
        (even, odd) if half > 1 && even * 10 > half * 7 && odd * 10 < half => Some(UTF_16BE),
        _ => None,
    }
}

fn decode(encoding: &'static Encoding, input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let (mut bytes, mut text) = (vec![0; 1 << 16], vec![0; 1 << 18]);
    let mut before = 0usize;
    loop {
        let count = input.read(&mut bytes)?;
        let mut chunk = &bytes[..count];
        loop {
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(chunk, &mut text, count == 0);
            output.write_all(&text[..written])?;
            before += read;
            chunk = &chunk[read..];
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, format!("byte {before} is invalid")));
                }
            }
        }
        if count == 0 {
            return Ok(());
        }
    }
}

enum Output<W: Write> {
    Plain(W),
    Packed(Box<GzEncoder<W>>),
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(bytes),
            Self::Packed(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) => output.flush(),
            Self::Packed(output) => output.flush(),
        }
    }
}

/// Writes UTF-8 in another encoding.
pub(super) struct Encoded<W: Write> {
    output: Output<W>,
    encoding: &'static Encoding,
    /// The bytes of an incomplete character.
    rest: Vec<u8>,
}

impl<W: Write> Encoded<W> {
    /// Writes the rest and the end of the gzip stream.
    pub(super) fn finish(self) -> io::Result<()> {
        match self.output {
            Output::Plain(mut output) => output.flush(),
            Output::Packed(output) => output.finish()?.flush(),
        }
    }
}

impl<W: Write> Write for Encoded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.encoding == UTF_8 {
            return self.output.write(bytes);
        }
        self.rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let left = self.rest.split_off(whole);
        let text = String::from_utf8(std::mem::replace(&mut self.rest, left)).map_err(io::Error::other)?;
        if self.encoding == UTF_16LE || self.encoding == UTF_16BE {
            let unit = |unit: u16| if self.encoding == UTF_16LE { unit.to_le_bytes() } else { unit.to_be_bytes() };
            let encoded: Vec<u8> = text.encode_utf16().flat_map(unit).collect();
            self.output.write_all(&encoded)?;
        } else {
            let mut encoder = self.encoding.new_encoder();
            let mut encoded = Vec::with_capacity(
                encoder.max_buffer_length_from_utf8_if_no_unmappables(text.len()).unwrap_or(text.len()),
            );
            let (result, _, unmappable) = encoder.encode_from_utf8_to_vec(&text, &mut encoded, false);
            if result != CoderResult::InputEmpty || unmappable {
                return Err(io::Error::other(format!(
                    "it has a character that {} cannot represent",
                    self.encoding.name()
                )));
            }
            self.output.write_all(&encoded)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(bytes: &[u8], named: Option<&str>) -> Result<(Charset, String), String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let (charset, mut file, offset) =
            Charset::open(file, Path::new("t"), named, Limit::of(&crate::Options::default()))
                .map_err(|error| error.to_string())?;
        let mut text = String::new();
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.read_to_string(&mut text).unwrap();
        Ok((charset, text))
    }

    #[test]
    fn every_encoding_is_read_and_written_back_unchanged() {
        let text = "größe,a\n1,\"€\"\n";
        let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let packed = |bytes: &[u8]| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::default());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        };
        let western: Vec<u8> = text.chars().map(|letter| if letter == '€' { 0x80 } else { letter as u8 }).collect();
        for (bytes, named) in [
            (text.as_bytes().to_vec(), None),
            ([&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(), None),
            ([&[0xff, 0xfe][..], &wide(u16::to_le_bytes)].concat(), None),
            ([&[0xfe, 0xff][..], &wide(u16::to_be_bytes)].concat(), None),
            (wide(u16::to_le_bytes), None),
            (western, Some("windows-1252")),
            (packed(text.as_bytes()), None),
            (packed(&[&[0xff, 0xfe][..], &wide(u16::to_le_bytes)].concat()), None),
        ] {
            let (charset, found) = opened(&bytes, named).unwrap();
            assert_eq!(found, text, "{charset:?}");
            let mut back = Vec::new();
            let mut writer = charset.writer(&mut back, bytes.starts_with(&[0x1f, 0x8b])).unwrap();
            // In pieces that split characters.
            text.as_bytes().chunks(3).for_each(|piece| writer.write_all(piece).unwrap());
            writer.finish().unwrap();
            assert_eq!(back, bytes, "{charset:?}");
        }
    }

    #[test]
    fn files_that_are_not_text_are_refused() {
        assert!(opened(b"PK\x03\x04\0\0\0", None).unwrap_err().contains("zero bytes"));
        assert!(opened(b"a", Some("klingon")).unwrap_err().contains("`klingon` is not a known encoding"));
        assert!(opened(b"a,b\n1,2\n", Some("utf-16")).unwrap_err().contains("is not UTF-16LE: leave out `--encoding`"));
        assert!(opened(b"\x1f\x8b\x08garbage", None).unwrap_err().contains("damaged gzip"));
        let bomb = {
            let mut packer = GzEncoder::new(Vec::new(), Compression::best());
            packer.write_all(&vec![b' '; 4 << 20]).unwrap();
            packer.finish().unwrap()
        };
        assert!(opened(&bomb, None).is_ok(), "a file of spaces below the limit is not a bomb");
    }
}
