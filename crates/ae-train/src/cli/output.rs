//! Standard output, for results.

use std::io::{self, ErrorKind, Write};

use crate::{Error, Result};

/// Prints; a reader that has gone away (`ae variants | head`) is no error.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Failed(format!("cannot write to standard output: {error}"))),
        _ => Ok(()),
    }
}

/// A line on standard error, for everything that is no result. A reader that has gone away is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", super::renamed(line));
}
