//! Data sets: their rows and names.

use std::path::Path;

use crate::Rows;

/// A built-in data set.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// A description in one line.
    pub about: &'static str,
    /// Its license and source.
    pub license: &'static str,
    /// Whether it is compiled into the library rather than downloaded on first use.
    pub embedded: bool,
}

/// The rows of a source: training rows and, if there is one, the official test set.
#[derive(Debug, Clone)]
pub struct Sets {
    /// A short name, used for run folders and tables.
    pub name: String,
    /// Rows for training and validation.
    pub train: Rows,
    /// The official test set, if the source has one.
    pub test: Option<Rows>,
}

/// The last component of a path without its extensions.
pub(super) fn short_name(path: &Path) -> String {
    let name =
        path.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "data".to_string());
    name.split('.').find(|part| !part.is_empty()).unwrap_or("data").to_string()
}
