//! The interface of input formats.

use std::path::Path;

use super::content::Content;
use crate::{DataError, Options};

/// A file format.
#[derive(Clone, Copy)]
pub struct Format {
    /// Its name.
    pub name: &'static str,
    /// File extensions in lower case, without the dot.
    pub extensions: &'static [&'static str],
    pub(super) read: fn(&Path, &Options) -> Result<Content, DataError>,
}
