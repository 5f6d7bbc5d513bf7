//! What Burn and this library log: warnings into `experiment.log` of a training, and with `--verbose` more of it on
//! standard error.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::Mutex,
};

use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::{
    output::{mode, warn, write_line},
    printable::printable,
};
use crate::{Error, Result, run_folder::own_file};

/// From now on warnings and errors are written to `path`, behind what is there. The first call in a process decides.
pub fn write_to(path: &Path) {
    let open = || -> Result<File> {
        own_file(path)?;
        File::options().create(true).append(true).open(path).map_err(|error| Error::at("write", path, error))
    };
    let installed = open().map_err(|error| error.to_string()).and_then(|file| {
        let of_file = fmt::layer().with_writer(Mutex::new(file)).with_ansi(false).with_filter(LevelFilter::WARN);
        tracing_subscriber::registry().with(of_file).with(verbose()).try_init().map_err(|error| error.to_string())
    });
    if let Err(reason) = installed {
        warn(&format!("cannot write {}: {reason}", path.display()));
    }
}

/// What `--verbose` shows of a command that trains nothing, and so has no `experiment.log`.
pub fn show() {
    if mode().verbose {
        // Something else of the process may listen already; then it has the log.
        let _ = tracing_subscriber::registry().with(verbose()).try_init();
    }
}

/// The part of the log that `--verbose` shows.
fn verbose<S>() -> Option<impl Layer<S>>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    // Burn has a line for each step of each epoch.
    let is_shown = |event: &Metadata| *event.level() <= Level::INFO && !event.target().contains("::strategies::");
    let layer = || fmt::layer().with_writer(Lines::default).with_ansi(false).with_filter(filter_fn(is_shown));
    mode().verbose.then(layer)
}

/// Standard error, above whatever bar is shown.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        String::from_utf8_lossy(&self.0).lines().for_each(|line| write_line(&printable(line)));
    }
}
