//! `experiment.log`: what Burn and this library warn of in a training, and what goes wrong in it.

use std::{fs::File, path::Path, sync::Mutex};

use tracing::Level;

use super::output::say;
use crate::{Error, Result, run_folder::own_file};

/// From now on warnings and errors are written to `path`, behind what is there. The first call in a process decides.
pub fn write_to(path: &Path) {
    let open = || -> Result<File> {
        own_file(path)?;
        File::options().create(true).append(true).open(path).map_err(|error| Error::at("write", path, error))
    };
    let installed = open().map_err(|error| error.to_string()).and_then(|file| {
        let log = tracing_subscriber::fmt().with_writer(Mutex::new(file)).with_ansi(false).with_max_level(Level::WARN);
        log.try_init().map_err(|error| error.to_string())
    });
    if let Err(reason) = installed {
        say(&format!("warning: cannot write {}: {reason}", path.display()));
    }
}
