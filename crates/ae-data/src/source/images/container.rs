//! The structure of JPEG, PNG and TIFF files, as far as the decoders do not tell it.

use std::collections::HashMap;

/// TIFF tag that is 3 if the samples are floating-point numbers.
pub(super) const SAMPLE_FORMAT: u16 = 339;
/// TIFF tag that is 1 if the colors are premultiplied by the opacity.
pub(super) const EXTRA_SAMPLES: u16 = 338;

/// Whether a JPEG file ends before its end marker. The decoder would fill the rest with gray.
pub(super) fn is_cut_off(bytes: &[u8]) -> bool {
    let mut at = 2;
    // From marker to marker: 0xff followed by 0 or by 0xd0 to 0xd7 is part of the pixel data.
    while let Some(rest) = bytes.get(at..) {
        let is_mark = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 1 | 0xd0..=0xd7 | 0xff);
        match rest.windows(2).position(is_mark) {
            Some(place) if rest[place + 1] == 0xd9 => return false,
            Some(place) => match rest.get(place + 2..place + 4) {
                Some(length) => at += place + 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return true,
            },
            None => return true,
        }
    }
    true
}

/// The types and the contents of the chunks of a PNG file.
pub(super) fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, chunk) = rest.split_first_chunk::<4>()?;
        let (kind, chunk) = chunk.split_at_checked(4)?;
        let (data, after) = chunk.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after.get(4..).unwrap_or_default();
        Some((kind, data))
    })
}

/// The tags of the first page of a TIFF file, each with its first value read as an inline 16-bit number; and whether
/// another page follows.
pub(super) fn tiff_tags(bytes: &[u8]) -> Option<(HashMap<u16, u16>, bool)> {
    let little = bytes.starts_with(b"II");
    let number = |at: usize| -> Option<u16> {
        let pair = bytes.get(at..)?.first_chunk().copied()?;
        Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    let place = |at: usize| -> Option<usize> {
        let four = bytes.get(at..)?.first_chunk().copied()?;
        Some(if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) } as usize)
    };
    let first = place(4)?;
    let after = first + 2 + 12 * usize::from(number(first)?);
    let tags =
        (first + 2..after).step_by(12).map(|tag| Some((number(tag)?, number(tag + 8)?))).collect::<Option<_>>()?;
    Some((tags, place(after)? != 0))
}

/// Whether no tag of the first page of a TIFF file claims more values than the file has bytes. The decoder would
/// allocate memory for all of them.
pub(super) fn fits(bytes: &[u8]) -> bool {
    let little = bytes.starts_with(b"II");
    let number = |at: u64, size: usize| -> Option<u64> {
        let part = bytes.get(usize::try_from(at).ok()?..)?.get(..size)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if little { part.iter().rev().fold(0, add) } else { part.iter().fold(0, add) })
    };
    // BigTIFF has 8-byte instead of 4-byte fields, and an 8-byte number of tags.
    let (wide, counted, place) = if number(2, 2) == Some(43) { (8, 8, 8) } else { (4, 2, 4) };
    let Some(first) = number(place, wide) else { return true };
    let Some(count) = number(first, counted) else { return true };
    let start = first.saturating_add(counted as u64);
    // Tags beyond the end of the file are reported by the decoder.
    let tags = (0..count)
        .map_while(|tag| number(start.checked_add(tag.checked_mul(4 + 2 * wide as u64)?)?.checked_add(4)?, wide));
    count <= bytes.len() as u64 && tags.into_iter().all(|values| values <= bytes.len() as u64)
}
