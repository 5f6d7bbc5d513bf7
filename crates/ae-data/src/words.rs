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

/// Names of a question: at most this many.
const ASKED: usize = 5;

/// The question whether one of `names` was meant by `name`, such as "did you mean `label`?", with the nearest first.
/// `None` if none is near.
///
/// A name is near if it differs from `name` in few letters that are missing, added, changed or swapped (Damerau 1964),
/// whatever their case: in one, and one more for every four letters. A dotted path is near if its last part is. If no
/// name is near in this sense, those are that contain `name`.
pub fn did_you_mean<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near: Vec<String> = near(name, names).into_iter().map(quoted).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(", ")))
}

fn near<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let small = name.to_lowercase();
    let letters = small.chars().count();
    let (mut near, mut longer) = (Vec::new(), Vec::new());
    for known in names.into_iter().filter(|known| *known != name) {
        let lower = known.to_lowercase();
        let last = lower.rsplit('.').next().unwrap_or_default();
        let distance = |known: &str| strsim::damerau_levenshtein(&small, known);
        let distance = distance(&lower).min(distance(last));
        if distance <= 1 + letters / 4 && distance < letters {
            near.push((distance, known));
        } else if letters > 2 && lower.contains(&small) {
            longer.push((distance, known));
        }
    }
    let mut found = if near.is_empty() { longer } else { near };
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, known)| known).take(ASKED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lists_in_words() {
        assert_eq!([counted(1, "row"), counted(0, "row"), counted(2, "cell")], ["1 row", "0 rows", "2 cells"]);
        assert_eq!([few(&["a"], 2), few(&["a", "b", "c"], 2)], ["`a`", "`a`, `b` and 1 more"]);
    }

    #[test]
    fn near_names_are_asked_for() {
        assert_eq!(did_you_mean("lable", ["id", "label", "kind"]).unwrap(), "did you mean `label`?");
        assert_eq!(near("Diagnosis", ["diagnosis"]), ["diagnosis"]);
        assert_eq!(near("auroq", ["fvu", "auroc"]), ["auroc"]);
        assert_eq!(near("epoch", ["pretrain_epochs", "epochs"]), ["epochs"]);
        assert_eq!(near("radius", ["radius_se", "area", "radius"]), ["radius_se"]);
        assert_eq!(near("epohcs", ["training.epochs", "seed"]), ["training.epochs"]);
        assert_eq!(near("decay", ["training.weight_decay", "seed"]), ["training.weight_decay"]);
        assert_eq!([did_you_mean("x", ["y", "z"]), did_you_mean("zzzzzz", ["training.epochs"])], [None, None]);
    }
}
