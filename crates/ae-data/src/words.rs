//! Plurals and short lists for messages.

use std::fmt::Display;

/// The plural ending of a regular noun: nothing for 1, otherwise `s`.
pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A number with its regular noun, such as `1 row` or `2 rows`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", plural(count))
}

/// A name in backquotes.
pub(crate) fn quoted(name: impl Display) -> String {
    format!("`{name}`")
}

/// The first `most` names, each in backquotes, and the number of further ones.
pub(crate) fn few<T: Display>(names: &[T], most: usize) -> String {
    first_few(&names.iter().map(quoted).collect::<Vec<_>>(), most)
}

/// The first `most` items, and the number of further ones.
pub(crate) fn first_few(items: &[String], most: usize) -> String {
    let shown = items[..items.len().min(most)].join(", ");
    match items.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The one of `names` that was probably meant by `name`: at most one in three letters is missing, added, changed or
/// swapped, whatever their case. `None` if there is none.
pub fn similar<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let small = name.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&small, &other.to_lowercase());
    let most = name.chars().count().max(3) / 3;
    names
        .into_iter()
        .map(|other| (distance(other), other))
        .filter(|(distance, other)| *distance <= most && *other != name)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lists_in_words() {
        assert_eq!([counted(1, "row"), counted(0, "row"), counted(2, "cell")], ["1 row", "0 rows", "2 cells"]);
        assert_eq!(similar("lable", ["id", "label", "kind"]), Some("label"));
        assert_eq!(similar("Diagnosis", ["diagnosis"]), Some("diagnosis"));
        assert_eq!([similar("x", ["label", "y y"]), similar("epochs", ["seed", "data"])], [None, None]);
        assert_eq!([few(&["a"], 2), few(&["a", "b", "c"], 2)], ["`a`", "`a`, `b` and 1 more"]);
    }
}
