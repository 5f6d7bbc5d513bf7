//! What can be wrong with a person's data, said in one line: what, where, and what to do.

use std::{io, path::PathBuf};

/// A problem with data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Neither a built-in set nor a path.
    #[error(
        "`{name}` is neither a built-in data set ({known}) nor an existing file or folder: check the name or the path"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// The built-in names.
        known: String,
    },
    /// The file system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{}: {}", path.display(), one_line(problem))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A result that cannot be written.
    #[error("cannot write {}: {}", path.display(), one_line(reason))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Images and labels of different number.
    #[error("{} holds {images} images, but {} holds {labels} labels: the two files do not belong together", image_path.display(), label_path.display())]
    Mismatch {
        /// The images.
        image_path: PathBuf,
        /// How many.
        images: usize,
        /// The labels.
        label_path: PathBuf,
        /// How many.
        labels: usize,
    },
    /// A folder without anything to read.
    #[error(
        "{} holds nothing to read: it needs images (PNG, JPEG, WebP, BMP, TIFF), tables (CSV, Parquet, Arrow), arrays (npy, npz, safetensors), or \
         `train-images-idx3-ubyte` (plain or .gz)",
        path.display()
    )]
    NoData {
        /// The folder.
        path: PathBuf,
    },
    /// A class that rows do not have.
    #[error("`{name}` has no rows of class `{class}`: {}", known_classes(classes))]
    NoClass {
        /// The data.
        name: String,
        /// What was asked for.
        class: String,
        /// What is there.
        classes: Vec<String>,
    },
    /// A split that leaves nothing.
    #[error("{}: {advice}", nothing_left(*rows, part))]
    EmptySplit {
        /// Rows before the split.
        rows: usize,
        /// `train on`, `validate on`, `test on`.
        part: &'static str,
        /// What to change.
        advice: String,
    },
    /// Rows that are all alike.
    #[error(
        "the {rows} training rows of `{name}` do not differ in any observed value: there is nothing to learn from them"
    )]
    Constant {
        /// The data.
        name: String,
        /// Training rows.
        rows: usize,
    },
    /// A named set that could not be fetched.
    #[error(
        "cannot fetch `{name}` ({reason}): put its four IDX files into a folder and pass the folder instead of the name"
    )]
    Download {
        /// The set.
        name: String,
        /// Why.
        reason: String,
    },
}

fn nothing_left(rows: usize, part: &str) -> String {
    if rows == 1 { format!("1 row leaves nothing to {part}") } else { format!("{rows} rows leave nothing to {part}") }
}

fn known_classes(classes: &[String]) -> String {
    match classes {
        [] => "its rows have no labels: name the column of a table that holds them with `--label COLUMN`; beside an array `x` they are the array `y`"
            .to_string(),
        classes => {
            let shown: Vec<String> = classes.iter().take(12).map(|class| format!("`{class}`")).collect();
            format!("its classes are {}{}; name one with `--normal CLASS`", shown.join(", "), if classes.len() > 12 { ", ..." } else { "" })
        }
    }
}

/// A message in one line of printable characters, whatever a library or a damaged file put into it.
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
    /// Whether the command line was wrong, rather than the data.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        let error = DataError::Malformed { path: "f".into(), problem: format!("a\n  b\u{7}c {}", "x".repeat(1000)) };
        let message = error.to_string();
        assert!(message.starts_with("f: a b c xxx") && message.ends_with("...") && message.len() < 420, "{message}");
    }
}
