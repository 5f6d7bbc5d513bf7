//! Standard output, for results.

use std::{
    borrow::Cow,
    io::{self, ErrorKind, Write},
};

use crate::{Error, Result};

/// Prints; a reader that has gone away (`ae variants | head`) is no error.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Failed(format!("cannot write to standard output: {error}"))),
        _ => Ok(()),
    }
}

/// A line on standard error, for everything that is no result. A reader that has gone away is no reason to stop. Commands that it advises are those of
/// `ae`; a program of another name has them too, under its own.
pub fn say(line: &str) {
    let program = super::program();
    let line = if program == "ae" { Cow::from(line) } else { line.replace("`ae ", &format!("`{program} ")).into() };
    let _ = writeln!(io::stderr().lock(), "{line}");
}
