//! Writing whole files: an existing file stays as it is until the new one is complete.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
};

use tempfile::NamedTempFile;

use crate::DataError;

/// Prefix of the names of incomplete files. Those that a crash leaves behind can be removed.
pub const PARTIAL: &str = ".partial-";

/// Writes a whole file with `write`. An existing file stays as it is until the new one is complete.
///
/// # Errors
/// If the file cannot be written, or an error of `write`.
pub fn write_with<E: From<DataError>>(path: &Path, write: impl FnOnce(File) -> Result<(), E>) -> Result<(), E> {
    let failed = |reason: String| DataError::Write { path: path.to_owned(), reason };
    let (file, partial) = place(path).map_err(|error| failed(error.to_string()))?;
    write(file)?;
    if let Some(partial) = partial {
        // On the disk before it takes its place, and so is the place itself: what was there before is not lost to a
        // power failure.
        partial.as_file().sync_all().map_err(|error| failed(error.to_string()))?;
        partial.persist(path).map_err(|error| failed(error.error.to_string()))?;
        sync_folder(path);
    }
    Ok(())
}

/// Syncs the folder of a file, so that its name is on disk.
fn sync_folder(path: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder_of(path)) {
        // Some file systems cannot sync a folder; the file itself is on disk already.
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = path;
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a whole file. An existing file stays as it is until the new one is complete.
///
/// # Errors
/// If the file cannot be written.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let failed = |error: std::io::Error| DataError::Write { path: path.to_owned(), reason: error.to_string() };
    write_with(path, |mut file| file.write_all(bytes).map_err(failed))
}

/// A temporary file in the folder of `path`, which replaces `path` later; a symbolic link is replaced, not followed. If
/// `path` is not a regular file, such as `/dev/stdout` or a pipe, it is opened itself.
pub(crate) fn place(path: &Path) -> std::io::Result<(File, Option<NamedTempFile>)> {
    let before = path.metadata();
    if before.as_ref().is_ok_and(|before| !before.is_file() && !before.is_dir()) {
        return Ok((OpenOptions::new().write(true).open(path)?, None));
    }
    let folder = folder_of(path);
    if !folder.exists() {
        let problem = format!("there is no folder {}: make it first", folder.display());
        return Err(std::io::Error::new(std::io::ErrorKind::NotFound, problem));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The usual permissions of a new file; a file that is replaced keeps its own.
        let mode = before.as_ref().map_or(0o666, |before| before.permissions().mode());
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    let partial = builder.tempfile_in(folder)?;
    Ok((partial.reopen()?, Some(partial)))
}
