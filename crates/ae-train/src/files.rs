//! Careful access to the files of a run folder, which may come from someone else.

use std::{fs, io, path::Path};

use crate::{Error, Result};

/// Reads a file. In a folder from someone else, the path could be anything, such as a pipe that never ends.
pub(crate) fn bytes(path: &Path) -> std::result::Result<Vec<u8>, String> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err("it is not a file".to_string()),
        _ => fs::read(path).map_err(|error| error.to_string()),
    }
}

/// Ensures that a file written to `path` lands in the run's folder: a link to another place, which a folder from
/// someone else may contain, is removed instead of followed.
///
/// # Errors
/// A link that cannot be removed, or something that is neither a file nor a link.
pub(crate) fn own_file(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => {
            fs::remove_file(path).map_err(|error| Error::at("replace the link", path, error))
        }
        Ok(metadata) if !metadata.is_file() => Err(Error::at("write", path, "it is not a file")),
        _ => Ok(()),
    }
}

/// Checks that a folder in the run's folder is not a link to another place.
///
/// # Errors
/// A link.
pub(crate) fn own_folder(path: &Path) -> Result<()> {
    match path.is_symlink() {
        true => Err(Error::at("write into", path, "it is a link to another place: remove the link first")),
        false => Ok(()),
    }
}

/// The names of the files in a folder; empty if there is no folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |error: io::Error| Error::at("read", folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
}
