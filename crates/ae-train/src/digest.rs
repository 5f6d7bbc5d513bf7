//! Digest of a file: its size and a hash of its bytes. It detects damage, not forgery.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

/// Size and XXH3 (128 bits) of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    bytes: u64,
    xxh3: String,
}

impl Digest {
    /// Computes the digest of a file, reading it in pieces.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(io::Error::other("it is not a file"));
        }
        let (mut file, mut hash, mut bytes) = (File::open(path)?, XxHash3_128::new(), 0);
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(Self { bytes, xxh3: format!("{:032x}", hash.finish_128()) }),
                count => {
                    hash.write(&buffer[..count]);
                    bytes += count as u64;
                }
            }
        }
    }
}
