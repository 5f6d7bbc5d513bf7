//! The lock of a run folder.

use std::{
    fs::{self, File, TryLockError},
    io,
};

use ae_data::sink::PARTIAL;

use super::folder::{LOCK, RunFolder, not_empty};
use crate::{
    Error, Result,
    files::{names, own_file, own_folder},
};

/// Lock on a run folder: while it is held, no other process changes the folder.
#[derive(Debug)]
pub struct Lock {
    /// The operating system's lock belongs to the open file.
    _file: File,
}

impl RunFolder {
    /// [Locks](Self::lock) a folder that is about to become a run's.
    ///
    /// # Errors
    /// A folder in which another process has created a run in the meantime.
    pub(crate) fn claim(&self) -> Result<Lock> {
        let lock = self.lock()?;
        if self.config_file().exists() {
            return Err(not_empty(&self.path));
        }
        for name in names(&self.path)?.into_iter().filter(|name| name.starts_with(PARTIAL)) {
            let path = self.path.join(name);
            fs::remove_file(&path).map_err(|error| Error::at("remove", &path, error))?;
        }
        Ok(lock)
    }

    /// Prevents every other process from changing this folder until the lock is dropped or this process ends.
    ///
    /// # Errors
    /// A folder that another process is changing, or that cannot be written.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.path.join(LOCK);
        own_file(&path)?;
        own_folder(&self.checkpoints())?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| Error::at("write", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { folder: self.path.clone() }),
            // A file system without locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Lock { _file: file }),
            Err(TryLockError::Error(error)) => Err(Error::at("lock", &path, error)),
        }
    }
}
