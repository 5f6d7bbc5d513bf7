//! IDX files: one alone, or a folder with the names of the MNIST family.

use std::path::{Path, PathBuf};

use super::Sets;
use crate::{DataError, Rows, idx};

/// One file of images, without labels and without a test set.
pub(super) fn file(path: &Path) -> Result<Sets, DataError> {
    let train = idx::rows(idx::read(path)?, path, None)?;
    Ok(Sets { name: short_name(path), train, test: None })
}

/// `train-images-idx3-ubyte` and, where they are there, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`; each
/// plain or `.gz`, with a dash or a dot before `idx`.
pub(super) fn folder(path: &Path) -> Result<Sets, DataError> {
    let train = part(path, "train")?.ok_or_else(|| DataError::NoImages { path: path.to_owned() })?;
    let test = part(path, "t10k")?;
    if let Some(test) = &test
        && test.width() != train.width()
    {
        let problem =
            format!("its training images have {} pixels, its test images {}: they do not belong together", train.width(), test.width());
        return Err(DataError::Malformed { path: path.to_owned(), problem });
    }
    Ok(Sets { name: short_name(path), train, test })
}

fn part(folder: &Path, part: &str) -> Result<Option<Rows>, DataError> {
    let Some(images) = find(folder, part, "images", "idx3") else { return Ok(None) };
    let labels = find(folder, part, "labels", "idx1");
    let labels = match &labels {
        Some(path) => Some((idx::read(path)?, path.as_path())),
        None => None,
    };
    idx::rows(idx::read(&images)?, &images, labels).map(Some)
}

fn find(folder: &Path, part: &str, what: &str, kind: &str) -> Option<PathBuf> {
    ["-", "."]
        .iter()
        .flat_map(|mark| ["", ".gz"].map(|end| folder.join(format!("{part}-{what}{mark}{kind}-ubyte{end}"))))
        .find(|path| path.is_file())
}

/// The last part of a path without its extensions.
fn short_name(path: &Path) -> String {
    let name = path.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "data".to_string());
    name.split('.').find(|part| !part.is_empty()).unwrap_or("data").to_string()
}
