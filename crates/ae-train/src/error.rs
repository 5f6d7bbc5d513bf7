//! What the trainer can fail with, one line each, and the exit code that goes with it.

use std::path::{Path, PathBuf};

use ae_data::DataError;
use ae_model::ConfigError;

/// What caused an error, if it is an error itself.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failure that a person can do something about. A message holds that of its source, too: it is one line, and all of
/// it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// A setting is outside its range.
    #[error("`{field}` is {value}, but must be {allowed}")]
    OutOfRange {
        /// Dotted path of the field in the configuration, such as `training.epochs`.
        field: String,
        /// Its value, as it was written.
        value: String,
        /// What is allowed instead.
        allowed: String,
    },
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Somebody stopped it: what is saved, and how to go on.
    #[error("{0}")]
    Interrupted(String),
    /// The loss became infinite.
    #[error("the loss became infinite in epoch {epoch} (`{term}`): {advice}")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The term of the loss that became infinite first in the order of the loss, or `loss`.
        term: String,
        /// What to do about it.
        advice: String,
    },
    /// The data of a run is not what it was when the run began.
    #[error("`{source_name}` has changed since the run began{what}: bring the old data back, or train anew")]
    DataChanged {
        /// What the configuration calls it.
        source_name: String,
        /// The columns that differ, if some do.
        what: String,
    },
    /// A file of a run is not what was written, or does not fit the others.
    #[error("cannot use {}: {reason}; bring the file back, or train anew", path.display())]
    DamagedRecord {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A run that has not ended yet, and was asked for its result.
    #[error("{} has not ended: continue it with `ae train --resume {}`", folder.display(), folder.display())]
    Unfinished {
        /// The run's folder.
        folder: PathBuf,
    },
    /// Another process is changing the run.
    #[error("another process is working in {}: wait until it has ended, or stop it", folder.display())]
    Locked {
        /// The run's folder.
        folder: PathBuf,
    },
    /// It does not fit into memory or onto the disk.
    #[error("{0}")]
    TooLarge(String),
    /// Something could not be done with a file.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What: `read`, `write`.
        action: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: Source,
    },
    /// Something failed on the way.
    #[error("{0}")]
    Failed(String),
}

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

impl From<ConfigError> for Error {
    fn from(ConfigError { field, value, allowed }: ConfigError) -> Self {
        Self::OutOfRange { field, value, allowed }
    }
}

impl Error {
    /// A failure at `path`: what could not be done, and why, an error or a text.
    pub fn at(action: &str, path: &Path, reason: impl Into<Source>) -> Self {
        Self::File { action: action.to_string(), path: path.to_owned(), source: reason.into() }
    }

    /// A file of a run that is not what was written.
    pub(crate) fn damaged(path: &Path, reason: impl ToString) -> Self {
        Self::DamagedRecord { path: path.to_owned(), reason: reason.to_string().replace('\n', " ") }
    }

    /// 2 for wrong usage, 130 for what was interrupted, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::OutOfRange { .. } => 2,
            Self::Data(error) if error.is_usage() => 2,
            Self::Interrupted(_) => 130,
            _ => 1,
        }
    }
}
