//! Reads a file from an offset, independently of other readers.

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};

use crate::store::read_at;

/// A file from an offset on. Several can read the same file at once.
pub(super) struct Section {
    pub(super) file: Arc<File>,
    pub(super) at: u64,
}

impl Read for Section {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = read_at(&self.file, bytes, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
