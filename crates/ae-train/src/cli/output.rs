//! Standard output, for results.

use std::{
    borrow::Cow,
    io::{self, ErrorKind, IsTerminal, Write},
};

use crate::{Error, Result};

/// What switches bold letters on and off: the only such sequences that are printed.
const BOLD: [&str; 2] = ["\x1b[1m", "\x1b[0m"];

/// A text that changes nothing of a terminal but what it shows: names from a file may hold sequences that move the
/// cursor, set a title, or turn the order of letters around. They are printed as what they are, `\u{1b}`.
fn printable(text: &str) -> String {
    let turns = |letter: char| matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(bold) = BOLD.iter().find(|bold| rest.starts_with(**bold)) {
            safe += bold;
            rest = &rest[bold.len()..];
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

/// Prints; a reader that has gone away (`ae variants | head`) is no error.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    // A file or another program gets the text as it is.
    let text = if out.is_terminal() { Cow::from(printable(text)) } else { text.into() };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// A line on standard error, for everything that is no result. A reader that has gone away is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(&super::renamed(line)));
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
        assert_eq!(printable(plain), plain);
    }
}
