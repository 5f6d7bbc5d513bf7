//! What becomes of a whole file: a function of the number of the attempt alone.

use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers at which something begins or ends to fit.
const EDGES: [u64; 20] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x10000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0xff_ffff_ffff,
    0x1fff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_fff8,
    u64::MAX,
];

/// Words that stand for numbers or end them in files of text.
const WORDS: [&str; 24] = [
    "0",
    "-1",
    "1",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "1e999",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "18446744073709551615",
    "9223372036854775808",
    "0.5",
    "-0",
    ",",
    "\n",
    "[",
    "{",
    "\"",
    "=",
    "99999999999999999999999999",
];

/// `wholes` are files of one format, or one alone.
pub fn damaged(wholes: &[Vec<u8>], name: &str, index: u64) -> Vec<u8> {
    let mut generator = ChaCha8Rng::seed_from_u64(index);
    let mut bytes = wholes[generator.random_range(0..wholes.len())].clone();
    // Of a packed file half of the damage is done to what is packed, so that what reads it is reached.
    let packed = name.ends_with(".gz") && generator.random();
    if packed {
        bytes = unpacked(&bytes);
    }
    let longest = bytes.len().max(1 << 16);
    let is_text = std::str::from_utf8(&bytes).is_ok();
    for _ in 0..generator.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        let at = generator.random_range(0..bytes.len());
        let end = bytes.len().min(at + generator.random_range(1..=16));
        match generator.random_range(0..if is_text { 13 } else { 10 }) {
            0 => bytes.truncate(at),
            1 => bytes[at] = generator.random(),
            2 => bytes[at] ^= 1 << generator.random_range(0..8),
            3 => {
                let byte = [0, 1, 0x7f, 0x80, 0xff][generator.random_range(0..5)];
                bytes[at..end].fill(byte);
            }
            4 => drop(bytes.drain(at..end)),
            5 => {
                let more: Vec<u8> = (0..generator.random_range(1..16)).map(|_| generator.random()).collect();
                drop(bytes.splice(at..at, more));
            }
            6 => {
                let edge = EDGES[generator.random_range(0..EDGES.len())];
                let size = [1, 2, 4, 8][generator.random_range(0..4)];
                let number = if generator.random() {
                    edge.to_le_bytes()[..size].to_vec()
                } else {
                    edge.to_be_bytes()[8 - size..].to_vec()
                };
                let until = bytes.len().min(at + size);
                bytes[at..until].copy_from_slice(&number[..until - at]);
            }
            7 => {
                // The beginning of this one, the end of another.
                let other = &wholes[generator.random_range(0..wholes.len())];
                let other = if packed { unpacked(other) } else { other.clone() };
                let from = generator.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            8 => {
                let chunk = bytes[at..end].repeat(generator.random_range(1..64));
                drop(bytes.splice(at..at, chunk));
            }
            9 => {
                let to = generator.random_range(0..bytes.len());
                let chunk = bytes[at..end].to_vec();
                let until = bytes.len().min(to + chunk.len());
                bytes[to..until].copy_from_slice(&chunk[..until - to]);
            }
            10 => {
                // A number by another.
                let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let start = at + bytes[at..].iter().position(|byte| byte.is_ascii_digit()).unwrap_or(0);
                let until =
                    start + bytes[start..].iter().position(|byte| !is_number(byte)).unwrap_or(bytes.len() - start);
                drop(bytes.splice(start..until, WORDS[generator.random_range(0..WORDS.len())].bytes()));
            }
            11 => drop(bytes.splice(at..at, WORDS[generator.random_range(0..WORDS.len())].bytes())),
            _ => {
                // A line twice, or not at all.
                let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
                let until =
                    at + bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len() - at, |place| place + 1);
                let line = bytes[start..until].to_vec();
                if generator.random() {
                    drop(bytes.drain(start..until))
                } else {
                    drop(bytes.splice(start..start, line))
                }
            }
        }
        bytes.truncate(longest);
    }
    if packed {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(&bytes).expect("writing to memory does not fail");
        bytes = packer.finish().expect("writing to memory does not fail");
    }
    bytes
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).expect("a whole file is packed");
    plain
}
