//! What is printed: results on standard output, everything else on standard error.

use std::{
    borrow::Cow,
    ffi::OsString,
    io::{self, ErrorKind, IsTerminal, Write},
    sync::OnceLock,
    time::Instant,
};

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use clap::builder::styling::{AnsiColor, Style};

use super::{
    args::{OutputArgs, ProgressChoice},
    bar,
    printable::{printable, printable_with_bold},
    table::Table,
};
use crate::{Error, Result};

/// What a person wants to see.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Only results, warnings and errors.
    pub quiet: bool,
    /// What Burn logs, paths and times, too.
    pub verbose: bool,
    /// How progress is shown.
    pub progress: ProgressChoice,
    began: Instant,
}

static MODE: OnceLock<Mode> = OnceLock::new();

/// From now on the output is as the arguments say.
pub fn configure(args: &OutputArgs) {
    let mode = Mode { quiet: args.quiet, verbose: args.verbose, progress: args.progress, began: Instant::now() };
    let _ = MODE.set(mode);
}

/// What a person wants to see.
pub fn mode() -> Mode {
    let default = || Mode { quiet: false, verbose: false, progress: ProgressChoice::Auto, began: Instant::now() };
    *MODE.get_or_init(default)
}

/// The color that is asked for, before clap has read the arguments: its own errors have color, too.
pub fn choose_color(args: impl Iterator<Item = OsString>) {
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let after = |index: usize| args.get(index + 1).cloned();
    let chosen = args.iter().enumerate().filter_map(|(index, arg)| match arg.as_str() {
        "--color" => after(index),
        arg => arg.strip_prefix("--color=").map(str::to_string),
    });
    let choice = match chosen.collect::<Vec<_>>().last().map(String::as_str) {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    };
    choice.write_global();
    if choice == ColorChoice::Never {
        // Burn's dashboard.
        crossterm::style::force_color_output(false);
    }
}

/// Whether what is written there may have colors: `--color`, `NO_COLOR`, `TERM=dumb`, and whether it is a terminal.
pub fn has_color(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Whether the terminal can move its cursor.
pub fn has_cursor() -> bool {
    std::env::var_os("TERM").map_or(cfg!(windows), |term| !term.is_empty() && term != "dumb")
}

/// The places in a line of a terminal; none if it is no terminal.
fn places(stream: &impl IsTerminal) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns));
    said.or_else(asked).filter(|&places| places > 0)
}

/// Prints a result; a reader that has gone away (`ae variants | head`) is no error.
///
/// # Errors
/// A full disk, or whatever else standard output fails with.
pub fn print(text: &str) -> Result<()> {
    // A file or another program gets the text as it is.
    let text = if io::stdout().is_terminal() { Cow::from(printable_with_bold(text)) } else { text.into() };
    print_as_it_is(&text)
}

/// The same of a text of this program, with clap's colors in it.
///
/// # Errors
/// As [`print`].
pub fn print_as_it_is(text: &str) -> Result<()> {
    bar::clear();
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// The work is done: nothing is drawn any more.
pub fn end() {
    bar::clear();
}

/// A table for standard output.
pub fn shown(table: &Table) -> String {
    table.text(places(&io::stdout()), has_color(&io::stdout()))
}

/// A table on standard error.
pub fn say_table(table: &Table) {
    table.text(places(&io::stderr()), has_color(&io::stderr())).lines().for_each(write_line);
}

/// A line on standard error, for errors and warnings. A reader that has gone away is no reason to stop.
pub fn say(line: &str) {
    let line = printable(&super::renamed(line));
    let kinds = [("error:", AnsiColor::Red), ("warning:", AnsiColor::Yellow), ("note:", AnsiColor::Cyan)];
    let kind = kinds.iter().find(|(kind, _)| line.starts_with(kind)).filter(|_| has_color(&io::stderr()));
    match kind {
        Some((kind, color)) => {
            let style = Style::new().bold().fg_color(Some((*color).into()));
            write_line(&format!("{style}{kind}{style:#}{}", &line[kind.len()..]));
        }
        None => write_line(&line),
    }
}

/// A line on standard error as it is.
pub fn write_line(line: &str) {
    bar::aside(|| {
        let _ = writeln!(io::stderr().lock(), "{line}");
    });
}

/// What a person should know, in a sentence.
pub fn warn(text: &str) {
    say(&format!("warning: {text}"));
}

/// What was guessed, left out or chosen, in a sentence; not with `--quiet`.
pub fn note(text: &str) {
    status(&format!("note: {text}"));
}

/// How things go, in a line; not with `--quiet`.
pub fn status(line: &str) {
    if !mode().quiet {
        say(line);
    }
}

/// How far long work is, in a line; not with `--quiet` or `--progress none`.
pub fn progress(line: &str) {
    if mode().progress != ProgressChoice::None {
        status(line);
    }
}

/// What is only worth knowing with `--verbose`, and when it was: seconds since the command began.
pub fn detail(line: &str) {
    let mode = mode();
    if mode.verbose && !mode.quiet {
        say(&format!("[{:8.3} s] {line}", mode.began.elapsed().as_secs_f64()));
    }
}
