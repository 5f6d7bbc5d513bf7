//! Errors in data. Each message is one line that says what is wrong, where, and what to do.

use std::{io, path::PathBuf};

use crate::words::{counted, few};

/// A problem with data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A name that is neither a built-in data set nor a path.
    #[error(
        "`{name}` is neither a built-in data set ({known}) nor an existing file or folder: check the name or the path"
    )]
    Unknown {
        /// The given name.
        name: String,
        /// The names of the built-in data sets.
        known: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file with invalid contents.
    #[error("{}: {}", path.display(), one_line(problem))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file that cannot be written.
    #[error("cannot write {}: {}", path.display(), one_line(reason))]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Different numbers of images and labels.
    #[error(
        "{} has {}, but {} has {}: the two files do not belong together",
        image_path.display(),
        counted(*images, "image"),
        label_path.display(),
        counted(*labels, "label")
    )]
    Mismatch {
        /// The file of the images.
        image_path: PathBuf,
        /// Number of images.
        images: usize,
        /// The file of the labels.
        label_path: PathBuf,
        /// Number of labels.
        labels: usize,
    },
    /// A folder without readable files.
    #[error(
        "{} holds nothing to read: supported are images (PNG, JPEG, WebP, BMP, TIFF), tables (CSV, Parquet, Arrow), \
         arrays (npy, npz, safetensors), and IDX files such as `train-images-idx3-ubyte` (plain or .gz)",
        path.display()
    )]
    NoData {
        /// The folder.
        path: PathBuf,
    },
    /// A class that no row has.
    #[error("`{name}` has no rows of class `{class}`: {}", known_classes(classes))]
    NoClass {
        /// The name of the data.
        name: String,
        /// The given class.
        class: String,
        /// The existing classes.
        classes: Vec<String>,
    },
    /// A split with an empty part.
    #[error("{}: {advice}", nothing_left(*rows, part))]
    EmptySplit {
        /// Number of rows before the split.
        rows: usize,
        /// `train on`, `validate on`, `test on`.
        part: &'static str,
        /// What to do.
        advice: String,
    },
    /// Rows that are all equal.
    #[error(
        "the {rows} training rows of `{name}` do not differ in any observed value, so nothing can be learned from \
         them: check the data"
    )]
    Constant {
        /// The name of the data.
        name: String,
        /// Number of training rows.
        rows: usize,
    },
    /// A data set that cannot be downloaded.
    #[error(
        "cannot download `{name}` ({reason}): put its four IDX files into a folder and pass the folder instead of the \
         name"
    )]
    Download {
        /// The name of the data set.
        name: String,
        /// The reason.
        reason: String,
    },
}

fn nothing_left(rows: usize, part: &str) -> String {
    let verb = if rows == 1 { "leaves" } else { "leave" };
    format!("{} {verb} nothing to {part}", counted(rows, "row"))
}

fn known_classes(classes: &[String]) -> String {
    match classes {
        [] => {
            "its rows have no labels: name their column with `--label COLUMN`, or, for an array `x`, add an array `y`"
                .to_string()
        }
        classes => format!("its classes are {}; name one with `--normal CLASS`", few(classes, 12)),
    }
}

/// A message as one line of printable characters, whatever a library or a damaged file put into it.
fn one_line(message: &str) -> String {
    let printable = |character: char| if character.is_control() { ' ' } else { character };
    let words: String = message.chars().map(printable).collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(400) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

impl DataError {
    /// Whether the command line is wrong rather than the data.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_printable_line() {
        let error = DataError::Malformed { path: "f".into(), problem: format!("a\n  b\u{7}c {}", "x".repeat(1000)) };
        let message = error.to_string();
        assert!(message.starts_with("f: a b c xxx") && message.ends_with("...") && message.len() < 420, "{message}");
    }
}
