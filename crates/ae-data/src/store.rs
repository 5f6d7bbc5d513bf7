//! Rows that stay in their file and are read block by block, with a cache of recently read blocks.
//!
//! A block is a number of consecutive rows. Blocks are read with positioned reads instead of a memory map: the memory
//! is bounded by the cache, whatever the system caches, and a file that is truncated while it is read gives an error
//! instead of ending the program.

use std::{
    collections::VecDeque,
    fmt,
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use crate::{DataError, Element, Values};

/// Files with more bytes are read block by block.
pub const LARGE: u64 = 256 << 20;
/// Approximate size of a block in bytes.
const BLOCK: usize = 8 << 20;
/// Bytes that are read at once where only the system is to have them.
const PIECE: usize = 256 << 10;
/// Approximate size of the cache in bytes.
pub const KEPT: usize = 128 << 20;

/// A source of blocks.
pub trait Blocks: fmt::Debug + Send + Sync {
    /// The first row of each block, followed by the total number of rows.
    fn starts(&self) -> &[usize];

    /// The type of the numbers.
    fn element(&self) -> Element;

    /// The cells of a block's rows, row by row.
    ///
    /// # Errors
    /// If the file can no longer be read, or holds an invalid value.
    fn read(&self, block: usize) -> Result<Values, DataError>;

    /// Makes the system load a block's bytes into its memory, for a disk that is slower than the training. Default:
    /// nothing happens. An error is ignored: [`read`](Self::read) reports it.
    fn load(&self, block: usize) {
        let _ = block;
    }
}

/// Blocks with a cache of those that were read last.
#[derive(Debug)]
pub struct Store {
    blocks: Box<dyn Blocks>,
    kept: Mutex<VecDeque<(usize, Arc<Values>)>>,
    capacity: usize,
}

impl Store {
    /// A store of rows with `cells` cells each.
    pub fn new(blocks: Box<dyn Blocks>, cells: usize) -> Self {
        let largest = blocks.starts().windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(1);
        let bytes = (largest * cells * blocks.element().bytes()).max(1);
        Self { blocks, kept: Mutex::default(), capacity: (KEPT / bytes).max(1) }
    }

    /// The first row of each block, followed by the total number of rows.
    pub(crate) fn starts(&self) -> &[usize] {
        self.blocks.starts()
    }

    /// The cells of a block, read without the cache.
    pub(crate) fn read(&self, block: usize) -> Result<Values, DataError> {
        self.blocks.read(block)
    }

    /// As [`Blocks::load`].
    pub(crate) fn load(&self, block: usize) {
        self.blocks.load(block);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.blocks.starts().last().copied().unwrap_or(0)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the numbers.
    pub fn element(&self) -> Element {
        self.blocks.element()
    }

    /// The index of the block with `row`.
    pub fn block_of(&self, row: usize) -> usize {
        self.blocks.starts().partition_point(|&start| start <= row) - 1
    }

    /// Maximum number of cached blocks. The rows of so many blocks can be read in any order.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The block with `row`, and the position of the row in it.
    ///
    /// # Errors
    /// As [`Blocks::read`].
    pub fn at(&self, row: usize) -> Result<(Arc<Values>, usize), DataError> {
        let block = self.block_of(row);
        let place = row - self.blocks.starts()[block];
        let mut kept = self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, values)) = kept.iter().find(|(other, _)| *other == block) {
            return Ok((values.clone(), place));
        }
        if kept.len() >= self.capacity {
            kept.pop_front(); // before reading, so that both are never in memory
        }
        let values = Arc::new(self.blocks.read(block)?);
        kept.push_back((block, values.clone()));
        Ok((values, place))
    }
}

/// Blocks in which some numbers stand for a missing value.
#[derive(Debug)]
pub(crate) struct Gaps {
    store: Arc<Store>,
    missing: Vec<f64>,
}

impl Gaps {
    pub(crate) fn new(store: Arc<Store>, missing: Vec<f64>) -> Self {
        Self { store, missing }
    }
}

impl Blocks for Gaps {
    fn starts(&self) -> &[usize] {
        self.store.blocks.starts()
    }

    fn element(&self) -> Element {
        if self.store.element().is_single() { Element::F32 } else { Element::F64 }
    }

    fn read(&self, block: usize) -> Result<Values, DataError> {
        Ok(self.store.blocks.read(block)?.without(&self.missing).0)
    }

    fn load(&self, block: usize) {
        self.store.load(block);
    }
}

/// Rows stored consecutively in a file, as in `.npy` and safetensors.
#[derive(Debug)]
pub struct RawFile {
    path: PathBuf,
    file: File,
    element: Element,
    big_endian: bool,
    offset: u64,
    cells: usize,
    starts: Vec<usize>,
}

impl RawFile {
    /// `rows` rows of `cells` numbers each, starting at byte `offset`.
    ///
    /// # Errors
    /// If the file is too short.
    pub fn new(
        path: PathBuf,
        file: File,
        (element, big_endian): (Element, bool),
        offset: u64,
        rows: usize,
        cells: usize,
    ) -> Result<Self, DataError> {
        let length = file.metadata().map_err(|source| DataError::Io { path: path.clone(), source })?.len();
        let expected = (rows * cells * element.bytes()) as u64;
        if length < offset + expected {
            let problem = format!(
                "truncated: {rows} rows of {cells} {} need {expected} bytes, found {}",
                element.name(),
                length.saturating_sub(offset)
            );
            return Err(DataError::Malformed { path, problem });
        }
        let block = (BLOCK / (cells * element.bytes())).max(1);
        let starts = (0..rows).step_by(block).chain(std::iter::once(rows)).collect();
        Ok(Self { path, file, element, big_endian, offset, cells, starts })
    }
}

impl Blocks for RawFile {
    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn element(&self) -> Element {
        self.element
    }

    fn read(&self, block: usize) -> Result<Values, DataError> {
        let (first, last) = (self.starts[block], self.starts[block + 1]);
        let row = self.cells * self.element.bytes();
        let mut bytes = vec![0; (last - first) * row];
        let failed = |source| DataError::Io { path: self.path.clone(), source };
        read_exact_at(&self.file, &mut bytes, self.offset + (first * row) as u64).map_err(failed)?;
        let values = self.element.decode(&bytes, self.big_endian);
        match values.first_infinite() {
            Some(index) => Err(DataError::Malformed {
                path: self.path.clone(),
                problem: format!(
                    "holds an infinite value in row {}, column {} (both from 0)",
                    first + index / self.cells,
                    index % self.cells
                ),
            }),
            None => Ok(values),
        }
    }

    fn load(&self, block: usize) {
        let row = self.cells * self.element.bytes();
        let (mut at, end) = ((self.starts[block] * row) as u64, (self.starts[block + 1] * row) as u64);
        let mut piece = vec![0; PIECE];
        while at < end {
            let wanted = PIECE.min((end - at) as usize);
            match read_at(&self.file, &mut piece[..wanted], self.offset + at) {
                Ok(read) if read > 0 => at += read as u64,
                _ => return,
            }
        }
    }
}

/// Fills `bytes`, starting at `offset`.
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match read_at(file, bytes, offset)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Reads bytes, starting at `offset`, without moving the position of the file. May read fewer than asked for.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<usize> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_at(file, bytes, offset);
    #[cfg(windows)]
    return std::os::windows::fs::FileExt::seek_read(file, bytes, offset);
}
