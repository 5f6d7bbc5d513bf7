//! What is printed: results on standard output, everything else on standard error.

use std::{
    borrow::Cow,
    ffi::OsString,
    io::{self, ErrorKind, IsTerminal, Write},
    sync::OnceLock,
    time::Instant,
};

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use clap::{
    ValueEnum,
    builder::styling::{AnsiColor, Style},
};

use super::{args::OutputArgs, bar, table::Table};
use crate::{Error, Result};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ProgressChoice {
    /// The dashboard for a training on a terminal that can show it, else a bar on a terminal, else lines.
    #[default]
    Auto,
    /// Burn's dashboard for a training, a bar for everything else.
    Dashboard,
    /// A bar with the time that is left.
    Bar,
    /// A line for each epoch, and one every two seconds of other work.
    Lines,
    /// Nothing.
    None,
}

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

/// What switches bold letters on and off: the only such sequences that a text to print may hold.
const BOLD: [&str; 2] = ["\x1b[1m", "\x1b[0m"];

/// A text in bold letters.
pub fn bold(text: &str) -> String {
    format!("{}{text}{}", BOLD[0], BOLD[1])
}

/// A text that changes nothing of a terminal but what it shows: names from a file may hold sequences that move the
/// cursor, set a title, or turn the order of letters around. They are printed as what they are, `\u{1b}`.
pub fn printable(text: &str) -> String {
    printable_but(text, &[])
}

fn printable_but(text: &str, allowed: &[&str]) -> String {
    let turns = |letter: char| {
        let ranges = ['\u{61c}'..='\u{61c}', '\u{200e}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
        ranges.iter().any(|range| range.contains(&letter))
    };
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(sequence) = allowed.iter().find(|sequence| rest.starts_with(**sequence)) {
            safe += sequence;
            rest = &rest[sequence.len()..];
            continue;
        }
        let is_plain = matches!(letter, '\n' | '\t') || !(letter.is_control() || turns(letter));
        if is_plain {
            safe.push(letter)
        } else {
            safe.extend(letter.escape_unicode())
        }
        rest = &rest[letter.len_utf8()..];
    }
    safe
}

/// Prints a result; a reader that has gone away (`ae variants | head`) is no error.
///
/// # Errors
/// A full disk, or whatever else standard output fails with.
pub fn print(text: &str) -> Result<()> {
    // A file or another program gets the text as it is.
    let text = if io::stdout().is_terminal() { Cow::from(printable_but(text, &BOLD)) } else { text.into() };
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

/// What is only worth knowing with `--verbose`, and when it was: seconds since the command began.
pub fn detail(line: &str) {
    let mode = mode();
    if mode.verbose && !mode.quiet {
        say(&format!("[{:8.3} s] {line}", mode.began.elapsed().as_secs_f64()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_file_reaches_the_terminal_as_a_command() {
        assert_eq!(
            printable("\x1b]0;title\x07 \r\u{202e}cba\u{9b}2J"),
            "\\u{1b}]0;title\\u{7} \\u{d}\\u{202e}cba\\u{9b}2J"
        );
        let plain = "a\tb\nÄ 漢 é\u{301} \x1b[1mbold\x1b[0m";
        assert_eq!(printable_but(plain, &BOLD), plain);
        assert_eq!(printable("\x1b[1mbold"), "\\u{1b}[1mbold");
    }
}
