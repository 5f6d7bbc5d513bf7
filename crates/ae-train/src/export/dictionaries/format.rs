//! The interface of the formats.

use std::path::Path;

use super::sae::Sae;
use crate::Result;

/// A format in which another project stores its dictionaries.
#[derive(Clone, Copy)]
pub struct Format {
    /// The project.
    pub name: &'static str,
    /// The name of the file of weights, by which a folder is recognized.
    pub file: &'static str,
    /// Extensions in lower case, without the dot, by which a file of another name is recognized.
    pub extensions: &'static [&'static str],
    /// Reads the dictionary, from the path of the file of weights.
    pub(super) read: fn(&Path) -> Result<Sae>,
}
