//! Plain numbers, booleans and dates in text.

/// The cell without surrounding spaces, and without quotes that come after a space, which the CSV parser does not
/// remove.
pub(crate) fn trimmed(cell: &str) -> &str {
    let cell = cell.trim();
    if cell.len() > 1 { cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell) } else { cell }
}

/// Parses a number with a decimal point, or an infinite one.
pub(crate) fn plain(cell: &str) -> Option<f64> {
    // Rust also parses `nan`, which is not a number here.
    let first = cell.trim_start_matches(['+', '-']).bytes().next()?;
    let infinite = || matches!(cell.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str(), "inf" | "infinity");
    if first.is_ascii_digit() || first == b'.' || infinite() { cell.parse().ok() } else { None }
}

/// Parses `true` or `yes`, `false` or `no`, in any case.
pub(crate) fn boolean(cell: &str) -> Option<bool> {
    if cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("yes") {
        Some(true)
    } else if cell.eq_ignore_ascii_case("false") || cell.eq_ignore_ascii_case("no") {
        Some(false)
    } else {
        None
    }
}

/// Parses such a word, or 0 or 1.
pub(crate) fn truth(cell: &str) -> Option<bool> {
    boolean(cell).or_else(|| match plain(cell)? {
        0.0 => Some(false),
        1.0 => Some(true),
        _ => None,
    })
}

/// The opposite of `word`, in the same case.
pub(crate) fn other_word(word: &str) -> String {
    let other = match word.to_ascii_lowercase().as_str() {
        "true" => "false",
        "false" => "true",
        "yes" => "no",
        _ => "yes",
    };
    let mut letters = word.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_uppercase() => other.to_uppercase(),
        (Some(first), _) if first.is_uppercase() => other[..1].to_uppercase() + &other[1..],
        _ => other.to_string(),
    }
}

/// Whether a cell is a date such as `2024-01-31`, `31.01.2024` or `1/31/2024`, with or without a time.
pub(crate) fn is_date(cell: &str) -> bool {
    let day = cell.split([' ', 'T']).next().unwrap_or_default();
    ['-', '/', '.'].iter().any(|&mark| {
        let parts: Vec<&str> = day.split(mark).collect();
        parts.len() == 3
            && parts
                .iter()
                .all(|part| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit()))
            && (parts[0].len() == 4 || parts[2].len() == 4)
    })
}
