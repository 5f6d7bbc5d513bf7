//! What the pages of Parquet files claim.

use std::sync::Arc;

use parquet::{
    basic::{Encoding, Type},
    column::page::Page,
    errors::ParquetError,
    file::{metadata::RowGroupMetaData, serialized_reader::SerializedPageReader},
};

use super::{
    input::{Chunks, Source},
    page_header::Compact,
};
use crate::DataError;

/// Encodings that store the lengths of all strings first. The page itself claims their number.
const LENGTHS_FIRST: [Encoding; 2] = [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY];

/// Checks that the pages of a column in a row group may be decompressed. Returns the maximum size in bytes of a string
/// that is stored once but may occur in several rows.
pub(in crate::source) fn of_pages(source: &Source, group: &RowGroupMetaData, leaf: usize) -> Result<u64, DataError> {
    let malformed = |problem: String| DataError::Malformed { path: source.path.to_owned(), problem };
    let damaged = |error: &dyn std::fmt::Display| malformed(format!("is not a Parquet file, or damaged: {error}"));
    let chunk = group.column(leaf);
    let (start, length) = chunk.byte_range();
    let end = start
        .checked_add(length)
        .filter(|end| *end <= source.length)
        .ok_or_else(|| damaged(&"a part of it is beyond the end of the file"))?;
    let (mut at, mut values, mut longest, mut lengths_first) = (start, 0, 0u64, false);
    let is_text = matches!(chunk.column_type(), Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY);
    // Pages after the last value are not read.
    while at < end && values < chunk.num_values() {
        let page = Compact { input: source.at(at), read: 0 }.page().map_err(|error| damaged(&error))?;
        let [packed, unpacked] = [page.packed, page.unpacked].map(|size| u64::try_from(size).ok());
        let (Some(packed), Some(unpacked)) = (packed, unpacked) else {
            return Err(damaged(&"one of its pages has a negative size"));
        };
        source.check(format!("a page of its column `{}`", chunk.column_path()), unpacked.saturating_mul(2))?;
        match page.is_dictionary {
            // The reader allocates as many values as claimed; each takes at least one byte.
            true if u64::try_from(page.values).is_ok_and(|values| values <= unpacked) => {}
            true => return Err(damaged(&"one of its dictionaries claims more values than it has bytes")),
            false => values = values.saturating_add(page.values.max(0)),
        }
        lengths_first |= !page.is_dictionary && LENGTHS_FIRST.iter().any(|encoding| *encoding as i64 == page.encoding);
        // With a dictionary, or if a string is stored as the difference to the one before.
        if is_text && (page.is_dictionary || page.encoding == Encoding::DELTA_BYTE_ARRAY as i64) {
            longest = longest.max(unpacked);
        }
        at = at.saturating_add(page.length).saturating_add(packed);
    }
    if lengths_first {
        let rows = group.num_rows().max(0) as usize;
        let reader =
            SerializedPageReader::new(Arc::new(source.chunks()), chunk, rows, None).map_err(|error| damaged(&error))?;
        lengths_of_texts(reader, chunk.column_descr().max_def_level() > 0, chunk.column_descr().max_rep_level() > 0)
            .map_err(|error| damaged(&error))?;
    }
    Ok(longest)
}

/// Checks that pages that store lengths first do not claim more lengths than they have values.
fn lengths_of_texts(
    pages: SerializedPageReader<Chunks>,
    has_gaps: bool,
    is_nested: bool,
) -> parquet::errors::Result<()> {
    for page in pages {
        let page = page?;
        let values = u64::from(page.num_values());
        let after = match &page {
            Page::DataPage { encoding, .. } | Page::DataPageV2 { encoding, .. }
                if !LENGTHS_FIRST.contains(encoding) =>
            {
                continue;
            }
            Page::DictionaryPage { .. } => continue,
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len)
            }
            Page::DataPage { buf, .. } => {
                // Repetition and definition levels, each preceded by its length.
                let mut at = 0u64;
                for _ in [has_gaps, is_nested].into_iter().filter(|levels| *levels) {
                    let length = buf.get(at as usize..).and_then(|rest| rest.first_chunk::<4>());
                    at += 4 + length.map_or(0, |length| u64::from(u32::from_le_bytes(*length)));
                }
                at
            }
        };
        let rest = page.buffer().get(after as usize..).unwrap_or_default();
        // The block size, the number of miniblocks, and the number of lengths.
        let mut numbers = Compact { input: rest, read: 0 };
        let [_, _, count] = [numbers.number()?, numbers.number()?, numbers.number()?];
        if count > values {
            return Err(ParquetError::General("one of its pages claims more strings than it has values".to_string()));
        }
    }
    Ok(())
}
