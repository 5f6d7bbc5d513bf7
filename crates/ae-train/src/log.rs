//! `experiment.log`: what a training warns of, and what goes wrong in it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Mutex,
};

use burn::train::ApplicationLoggerInstaller;
use tracing::Level;

use crate::run_folder::own_file;

/// Writes warnings and errors to a file. Burn's own logger also writes a line at every step: 7 to 8% of an epoch on digits.
pub struct Warnings {
    path: PathBuf,
}

impl Warnings {
    /// Into `path`, behind what is there.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl ApplicationLoggerInstaller for Warnings {
    /// # Errors
    /// A file that cannot be written, or a program that has a logger already: then the warnings go there.
    fn install(&self) -> Result<(), String> {
        own_file(&self.path).map_err(|error| error.to_string())?;
        let file = File::options().create(true).append(true).open(&self.path).map_err(|error| error.to_string())?;
        let log = tracing_subscriber::fmt().with_writer(Mutex::new(file)).with_ansi(false).with_max_level(Level::WARN);
        log.try_init().map_err(|error| error.to_string())
    }
}
