//! The errors of the trainer, each with a message of one line and an exit code.

use std::path::{Path, PathBuf};

use ae_data::DataError;
use ae_model::ConfigError;

/// The error that caused another one.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// An error that a person can do something about. Its message is one line and includes the message of its source.
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
        /// The allowed values.
        allowed: String,
    },
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The training was interrupted: what is saved, and how to continue.
    #[error("{0}")]
    Interrupted(String),
    /// The loss became infinite.
    #[error("the loss became infinite in epoch {epoch} (`{term}`): {advice}")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The term of the loss that became infinite, the first one in the order of the loss, or `loss`.
        term: String,
        /// What to do about it.
        advice: String,
    },
    /// The data of a run has changed since the run started.
    #[error("`{source_name}` has changed since the run started{what}: restore the original data, or train again")]
    DataChanged {
        /// Its name in the configuration.
        source_name: String,
        /// The columns that differ, if any.
        what: String,
    },
    /// A file of a run has changed since it was written, or does not match the others.
    #[error("cannot use {}: {reason}; restore the file, or train again", path.display())]
    DamagedRecord {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The result of a run was requested before it has finished.
    #[error("{} has not finished: continue it with `ae train --resume {}`", folder.display(), folder.display())]
    Unfinished {
        /// The run's folder.
        folder: PathBuf,
    },
    /// Another process is changing the run.
    #[error("another process is working in {}: wait until it has finished, or stop it", folder.display())]
    Locked {
        /// The run's folder.
        folder: PathBuf,
    },
    /// The training does not fit into memory or onto the disk.
    #[error("{0}")]
    TooLarge(String),
    /// Another process of the training was lost, or trains something else.
    #[error("{0}")]
    PeersLost(String),
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// The operation, such as `read` or `write`.
        action: String,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Source,
    },
    /// Any other failure.
    #[error("{0}")]
    Failed(String),
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl From<ConfigError> for Error {
    fn from(ConfigError { field, value, allowed }: ConfigError) -> Self {
        Self::OutOfRange { field, value, allowed }
    }
}

impl Error {
    /// A failed operation on `path`, with its reason: an error or a string.
    pub fn at(action: &str, path: &Path, reason: impl Into<Source>) -> Self {
        Self::File { action: action.to_string(), path: path.to_owned(), source: reason.into() }
    }

    /// A file of a run that has changed since it was written.
    pub(crate) fn damaged(path: &Path, reason: impl ToString) -> Self {
        Self::DamagedRecord { path: path.to_owned(), reason: reason.to_string().replace('\n', " ") }
    }

    /// 2 for wrong usage, 130 for an interruption, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::OutOfRange { .. } => 2,
            Self::Data(error) if error.is_usage() => 2,
            Self::Interrupted(_) => 130,
            _ => 1,
        }
    }
}
