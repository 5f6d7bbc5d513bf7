//! Text that is safe to print: whatever it says, it changes nothing of a terminal.

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

/// The same of a text with parts in [`bold`].
pub fn printable_with_bold(text: &str) -> String {
    printable_but(text, &BOLD)
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
