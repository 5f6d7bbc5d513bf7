//! Where rows come from: a name or a path.
//!
//! A new kind of source is one file here and one line in [`open`].

mod builtin;
mod idx_files;

use std::path::Path;

pub use builtin::BUILTIN;

use crate::{DataError, Rows};

/// A built-in set.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Where it comes from and under which licence.
    pub licence: &'static str,
    /// Whether it is compiled in, rather than fetched on first use.
    pub embedded: bool,
}

/// What a source holds: rows to train on and, if it has one, its official test set.
#[derive(Debug, Clone)]
pub struct Sets {
    /// A short name, for run folders and tables.
    pub name: String,
    /// Rows to train and validate on.
    pub train: Rows,
    /// The official test set.
    pub test: Option<Rows>,
}

/// Opens the built-in set or the path `name`.
///
/// # Errors
/// An unknown name, or a file that is not what it should be.
pub fn open(name: &str) -> Result<Sets, DataError> {
    if let Some(sets) = builtin::open(name) {
        return sets;
    }
    let path = Path::new(name);
    if path.is_dir() {
        idx_files::folder(path)
    } else if path.exists() {
        idx_files::file(path)
    } else {
        let known: Vec<_> = BUILTIN.iter().map(|set| set.name).collect();
        Err(DataError::Unknown { name: name.to_string(), known: known.join(", ") })
    }
}
