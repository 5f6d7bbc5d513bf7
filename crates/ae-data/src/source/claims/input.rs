//! A file with a memory limit.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};

use super::super::section::Section;
use crate::{DataError, limit::Limit};

/// A file, its length in bytes, and its memory limit.
pub(in crate::source) struct Source<'a> {
    pub(in crate::source) path: &'a Path,
    pub(in crate::source) file: Arc<File>,
    pub(in crate::source) length: u64,
    pub(in crate::source) limit: Limit,
}

impl<'a> Source<'a> {
    pub(in crate::source) fn open(path: &'a Path, limit: Limit) -> Result<Self, DataError> {
        let failed = |source| DataError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok(Self { path, file: Arc::new(file), length, limit })
    }

    /// Checks that `what` may take `needed` bytes of memory.
    pub(in crate::source) fn check(&self, what: impl std::fmt::Display, needed: u64) -> Result<(), DataError> {
        self.limit.check(self.path, what, needed, self.length)
    }

    /// A reader from an offset on.
    pub(super) fn at(&self, at: u64) -> BufReader<Section> {
        BufReader::with_capacity(1 << 10, Section { file: self.file.clone(), at })
    }

    /// Reads `count` bytes at `at`, if the file has that many.
    pub(super) fn bytes(&self, at: u64, count: u64) -> io::Result<Vec<u8>> {
        if at.checked_add(count).is_none_or(|end| end > self.length) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a part of it is beyond the end of the file"));
        }
        let mut bytes = vec![0; count as usize];
        Section { file: self.file.clone(), at }.read_exact(&mut bytes).map(|()| bytes)
    }

    /// The input for the reader of Parquet, which never reads beyond the end of the file.
    pub(in crate::source) fn chunks(&self) -> Chunks {
        Chunks { file: self.file.clone(), length: self.length }
    }
}

/// A file for the reader of Parquet, which allocates what it asks for before it reads. Requests beyond the end fail.
#[derive(Clone)]
pub(in crate::source) struct Chunks {
    file: Arc<File>,
    length: u64,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Section>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(Section { file: self.file.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF("a part of it is beyond the end of the file".to_string()));
        }
        let mut bytes = vec![0; length];
        Section { file: self.file.clone(), at: start }.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}
