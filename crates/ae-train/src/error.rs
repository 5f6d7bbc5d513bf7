//! What the trainer can fail with, one line each, and the exit code that goes with it.

use std::{fmt, path::Path};

use ae_data::DataError;
use ae_model::ConfigError;

/// A failure that a person can do something about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// A setting is outside its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Somebody stopped it: what is saved, and how to go on.
    #[error("{0}")]
    Interrupted(String),
    /// The loss became infinite before there was any epoch to keep.
    #[error("the loss became infinite in epoch {epoch}: {advice}")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
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
    /// Something failed on the way.
    #[error("{0}")]
    Failed(String),
}

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure at `path`: what could not be done, and why.
    pub fn at(action: &str, path: &Path, reason: impl fmt::Display) -> Self {
        Self::Failed(format!("cannot {action} {}: {reason}", path.display()))
    }

    /// 2 for wrong usage, 130 for what was interrupted, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) => 2,
            Self::Data(error) if error.is_usage() => 2,
            Self::Interrupted(_) => 130,
            Self::Data(_) | Self::Diverged { .. } | Self::DataChanged { .. } | Self::Failed(_) => 1,
        }
    }
}
