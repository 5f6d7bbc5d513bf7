//! IDX files: a single file, or a folder with the file names of the MNIST family.

use std::path::{Path, PathBuf};

use super::sets::{Sets, short_name};
use crate::{DataError, Rows, idx, limit::Limit};

/// One file of images, without labels and without a test set.
pub(super) fn file(path: &Path, limit: Limit) -> Result<Rows, DataError> {
    idx::rows(idx::read(path, limit)?, path, None)
}

/// Whether the folder `path` has files with the names of MNIST.
pub(super) fn is_folder(path: &Path) -> bool {
    find(path, "train", "images", "idx3").is_some()
}

/// Reads `train-images-idx3-ubyte` and, if they exist, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
/// `t10k-labels-idx1-ubyte`; each plain or `.gz`, with a dash or a dot before `idx`.
pub(super) fn folder(path: &Path, limit: Limit) -> Result<Sets, DataError> {
    let train = part(path, "train", limit)?.ok_or_else(|| DataError::NoData { path: path.to_owned() })?;
    let test = part(path, "t10k", limit)?;
    if let Some(test) = &test
        && test.width() != train.width()
    {
        let problem = format!(
            "its training images have {} pixels, but its test images have {}: the files do not belong together",
            train.width(),
            test.width()
        );
        return Err(DataError::Malformed { path: path.to_owned(), problem });
    }
    Ok(Sets { name: short_name(path), train, test })
}

fn part(folder: &Path, part: &str, limit: Limit) -> Result<Option<Rows>, DataError> {
    let Some(images) = find(folder, part, "images", "idx3") else { return Ok(None) };
    let labels = find(folder, part, "labels", "idx1");
    let labels = match &labels {
        Some(path) => Some((idx::read(path, limit)?, path.as_path())),
        None => None,
    };
    idx::rows(idx::read(&images, limit)?, &images, labels).map(Some)
}

fn find(folder: &Path, part: &str, what: &str, kind: &str) -> Option<PathBuf> {
    ["-", "."]
        .iter()
        .flat_map(|mark| ["", ".gz"].map(|end| folder.join(format!("{part}-{what}{mark}{kind}-ubyte{end}"))))
        .find(|path| path.is_file())
}
