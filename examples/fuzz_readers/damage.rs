//! The damage of a file, which depends only on the number of the attempt.

use std::{
    io::{Read, Write},
    ops::Range,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Integers at the limits of their types.
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

/// Strings that replace numbers in text files, or end them.
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

/// A damaged copy of one of `wholes`, intact files of the same format. `name` is its file name.
pub fn damaged(wholes: &[Vec<u8>], name: &str, index: u64) -> Vec<u8> {
    let mut generator = ChaCha8Rng::seed_from_u64(index);
    let mut bytes = wholes[generator.random_range(0..wholes.len())].clone();
    // Half of the time the content of a compressed file is damaged, so that damage reaches the reader of the content.
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
            7 => {
                // The beginning of this file, and the end of another.
                let other = &wholes[generator.random_range(0..wholes.len())];
                let other = if packed { unpacked(other) } else { other.clone() };
                let from = generator.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            kind @ 10.. => change_text(kind, &mut bytes, at, &mut generator),
            kind => change_bytes(kind, &mut bytes, at..end, &mut generator),
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

/// Changes the bytes in `range`, or around its start.
fn change_bytes(kind: u32, bytes: &mut Vec<u8>, range: Range<usize>, generator: &mut ChaCha8Rng) {
    let at = range.start;
    match kind {
        0 => bytes.truncate(at),
        1 => bytes[at] = generator.random(),
        2 => bytes[at] ^= 1 << generator.random_range(0..8),
        3 => {
            let byte = [0, 1, 0x7f, 0x80, 0xff][generator.random_range(0..5)];
            bytes[range].fill(byte);
        }
        4 => drop(bytes.drain(range)),
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
        8 => {
            let chunk = bytes[range].repeat(generator.random_range(1..64));
            drop(bytes.splice(at..at, chunk));
        }
        _ => {
            let to = generator.random_range(0..bytes.len());
            let chunk = bytes[range].to_vec();
            let until = bytes.len().min(to + chunk.len());
            bytes[to..until].copy_from_slice(&chunk[..until - to]);
        }
    }
}

/// Changes a number or a line at or after the position, or inserts a word there.
fn change_text(kind: u32, bytes: &mut Vec<u8>, at: usize, generator: &mut ChaCha8Rng) {
    match kind {
        10 => {
            let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
            let start = at + bytes[at..].iter().position(|byte| byte.is_ascii_digit()).unwrap_or(0);
            let until = start + bytes[start..].iter().position(|byte| !is_number(byte)).unwrap_or(bytes.len() - start);
            drop(bytes.splice(start..until, WORDS[generator.random_range(0..WORDS.len())].bytes()));
        }
        11 => drop(bytes.splice(at..at, WORDS[generator.random_range(0..WORDS.len())].bytes())),
        _ => {
            // Repeats or removes a line.
            let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
            let until =
                at + bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len() - at, |place| place + 1);
            let line = bytes[start..until].to_vec();
            if generator.random() { drop(bytes.drain(start..until)) } else { drop(bytes.splice(start..start, line)) }
        }
    }
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).expect("an intact file can be decompressed");
    plain
}
