//! Files with several named arrays: which of them are rows, and which are labels.

use std::path::Path;

use super::content::Content;
use crate::{
    DataError, Options, Rows,
    array::Labels,
    words::{counted, few},
};

/// The named arrays of one file.
pub(super) struct Named<'a> {
    pub(super) names: Vec<String>,
    pub(super) path: &'a Path,
    pub(super) options: &'a Options,
}

/// Names of arrays of rows, without the part of the data.
const ROWS: [&str; 6] = ["x", "X", "images", "data", "features", "arr_0"];
/// Names of arrays of labels, without the part.
const LABELS: [&str; 5] = ["y", "Y", "labels", "label", "target"];
/// Parts of the data, which names of arrays have as suffix (`x_test`) or prefix (`test_images`).
const PARTS: [&str; 6] = ["train", "test", "val", "valid", "validation", "dev"];

/// Names with the part as suffix and as prefix.
fn with_part<'a>(names: &'a [&str], part: &'a str) -> impl Iterator<Item = String> + 'a {
    names.iter().flat_map(move |name| [format!("{name}_{part}"), format!("{part}_{name}")])
}

/// The possible names of the labels for an array of rows; empty if the name of the array is unknown.
fn labels_of(rows: &str) -> Vec<String> {
    let plain = || LABELS.iter().map(|name| name.to_string());
    match PARTS.into_iter().find(|part| with_part(&ROWS, part).any(|name| name == rows)) {
        Some("train") => with_part(&LABELS, "train").chain(plain()).collect(),
        Some(part) => with_part(&LABELS, part).collect(),
        None if ROWS.contains(&rows) => plain().chain(with_part(&LABELS, "train")).collect(),
        None => Vec::new(),
    }
}

/// Whether an array has a name of labels, of any part.
fn is_labels(name: &str) -> bool {
    LABELS.contains(&name) || PARTS.into_iter().any(|part| with_part(&LABELS, part).any(|other| other == name))
}

/// Maximum ratio between the values of the test set and the training set, in either direction, without a note.
const ALIKE: f64 = 10.0;

/// The mean absolute value of rows in memory.
fn mean_size(rows: &Rows) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for row in 0..if rows.store().is_some() { 0 } else { rows.len() } {
        let mut add = |value: f64| {
            if !value.is_nan() {
                (sum, count) = (sum + value.abs(), count + 1.0);
            }
        };
        rows.each_cell(row, &mut add).ok()?;
    }
    (sum > 0.0).then(|| sum / count)
}

impl Named<'_> {
    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|other| other == name)
    }

    /// The name of the array of rows: the one that the options name, the only one, or the one with a known name such as
    /// `x`.
    fn chosen(&self) -> Result<String, DataError> {
        let malformed = |problem: String| self.malformed(problem);
        let mut names = self.names.clone();
        names.sort();
        let listed = few(&names, usize::MAX);
        let known = || {
            let candidates = ["x", "X", "x_train", "X_train", "train_images", "data", "images", "features", "arr_0"];
            candidates.iter().find(|name| self.has(name)).map(|name| name.to_string())
        };
        match (&self.options.tensor, self.names.as_slice()) {
            (Some(name), names) if names.contains(name) => Ok(name.clone()),
            (Some(name), _) => {
                Err(malformed(format!("has no array `{name}`, only {listed}: name one with `--tensor`")))
            }
            (None, []) => Err(malformed("holds no array".to_string())),
            (None, [only]) => Ok(only.clone()),
            (None, _) => {
                known().ok_or_else(|| malformed(format!("holds several arrays, {listed}: name one with `--tensor`")))
            }
        }
    }

    /// The names of the arrays of rows: the chosen one and, unless the options name an array, the official test set.
    pub(super) fn rows(&self) -> Result<Vec<String>, DataError> {
        let name = self.chosen()?;
        let own = format!("{}_test", name.strip_suffix("_train").unwrap_or(&name));
        let test =
            [own.as_str(), "x_test", "X_test", "test_images"].into_iter().find(|test| *test != name && self.has(test));
        let test = test.filter(|_| self.options.tensor.is_none()).map(str::to_string);
        Ok(std::iter::once(name).chain(test).collect())
    }

    /// The name of the labels for an array of rows: by its name, or the only labels if there is only one array of rows.
    fn labels(&self, rows: &str) -> Option<String> {
        let mut candidates = labels_of(rows);
        if candidates.is_empty() && self.names.iter().all(|name| name == rows || is_labels(name)) {
            candidates = labels_of("x");
        }
        candidates.into_iter().find(|name| name != rows && self.has(name))
    }

    /// The rows of the chosen array and of the official test set, with their labels. Labels have a known name such as
    /// `y`; those of `x_test` are `y_test`.
    pub(super) fn content(
        mut self,
        load_rows: impl Fn(&str) -> Result<Rows, DataError>,
        load_labels: impl Fn(&str) -> Result<Labels, DataError>,
    ) -> Result<Content, DataError> {
        self.names.sort();
        if self.options.tensor.is_none() && ["format", "shape", "data"].iter().all(|part| self.has(part)) {
            return Err(self.malformed(
                "is a sparse SciPy matrix, which is not supported: save it as dense with `numpy.save(\"x.npy\", \
                 m.toarray())`"
                    .to_string(),
            ));
        }
        let names = self.rows()?;
        let labels: Vec<Option<String>> = names.iter().map(|name| self.labels(name)).collect();
        let load = |index: usize| {
            let rows = load_rows(&names[index])?;
            match &labels[index] {
                None => Ok(rows),
                Some(label_name) => self.with_labels(rows, &names[index], label_name, load_labels(label_name)),
            }
        };
        let mut rows = load(0)?;
        let test = if names.len() > 1 { Some(load(1)?) } else { None };
        if let Some(test) = &test {
            rows.notes.extend(self.compare(&names, &rows, test)?);
        }
        rows.notes.extend(self.note_on_unused(&names, &labels));
        Ok(Content::Rows(Box::new(rows), test.map(Box::new)))
    }

    fn malformed(&self, problem: String) -> DataError {
        DataError::Malformed { path: self.path.to_owned(), problem }
    }

    /// Rows with their labels. Labels that cannot be read as classes are left out, with a note.
    fn with_labels(
        &self,
        mut rows: Rows,
        name: &str,
        label_name: &str,
        labels: Result<Labels, DataError>,
    ) -> Result<Rows, DataError> {
        let labels = match labels {
            Ok(labels) => labels,
            Err(error) => {
                rows.notes
                    .push(format!("`{label_name}` is left out, because it cannot be read as class labels ({error})"));
                return Ok(rows);
            }
        };
        match labels.into_classes() {
            Err(why) => rows.notes.push(format!("`{label_name}` is left out, because it {why}")),
            Ok((labels, _)) if labels.len() != rows.len() => {
                return Err(self.malformed(format!(
                    "`{name}` has {}, but `{label_name}` has {}: save one label per row",
                    counted(rows.len(), "row"),
                    counted(labels.len(), "label")
                )));
            }
            Ok((labels, names)) => rows.identify(None, Some(labels), Some(names)),
        }
        Ok(rows)
    }

    /// Checks that the test rows have the shape of the training rows. Returns a note if their scales differ.
    fn compare(&self, names: &[String], rows: &Rows, test: &Rows) -> Result<Option<String>, DataError> {
        let (name, test_name) = (&names[0], &names[1]);
        if (test.width(), test.geometry) != (rows.width(), rows.geometry) {
            let (found, expected) = (test.width(), rows.width());
            return Err(self.malformed(format!(
                "`{test_name}` has rows of {found} values, but `{name}` has rows of {expected}, or images of another \
                 shape: the two must match"
            )));
        }
        let (types, sizes) = ([test.element(), rows.element()], [mean_size(test), mean_size(rows)]);
        let ratio = sizes[0].zip(sizes[1]).map(|(test, train)| test / train);
        let is_other =
            ratio.map_or(types[0].is_float() != types[1].is_float(), |ratio| !(1.0 / ALIKE..ALIKE).contains(&ratio));
        let [test_size, train_size] =
            sizes.map(|size| size.map_or(String::new(), |size| format!(" with mean absolute value {size:.3}")));
        Ok(is_other.then(|| {
            format!(
                "`{test_name}` has {} values{test_size}, `{name}` {} values{train_size}: scale both the same way, or \
                 the test results are meaningless",
                types[0].name(),
                types[1].name()
            )
        }))
    }

    /// A note on the arrays that are not read, or on labels that may be expected to belong to the chosen array.
    fn note_on_unused(&self, names: &[String], labels: &[Option<String>]) -> Option<String> {
        let name = &names[0];
        let is_used = |other: &String| names.contains(other) || labels.iter().flatten().any(|label| label == other);
        let unused: Vec<&String> = self.names.iter().filter(|other| !is_used(other)).collect();
        if self.options.tensor.is_none() {
            let listed = few(&unused, usize::MAX);
            return (!unused.is_empty())
                .then(|| format!("`{name}` is read; left out: {listed} (`--tensor` selects another)"));
        }
        // A user who names an array may expect the labels of the others to belong to it.
        if labels[0].is_some() || is_labels(name) {
            return None;
        }
        let others: Vec<&String> = unused.into_iter().filter(|name| is_labels(name)).collect();
        let own = labels_of(name).into_iter().next();
        let advice = own.map_or(String::new(), |own| format!("; its own labels would be named `{own}`"));
        let verb = if others.len() == 1 { "belongs" } else { "belong" };
        let listed = few(&others, usize::MAX);
        (!others.is_empty()).then(|| format!("`{name}` has no labels: {listed} {verb} to other rows{advice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Array, Values};

    /// Rows and test rows, or the error.
    type Read = Result<(Rows, Option<Rows>), String>;

    fn content(arrays: &[(&str, usize)], tensor: Option<&str>) -> (Read, Vec<String>) {
        let options = Options { tensor: tensor.map(str::to_string), ..Options::default() };
        let names = arrays.iter().map(|(name, _)| name.to_string()).collect();
        let named = Named { names, path: Path::new("a.npz"), options: &options };
        let count = |name: &str| arrays.iter().find(|(other, _)| *other == name).unwrap().1;
        let load = |name: &str| Ok(Rows::new(Values::U8(vec![1; count(name)]), 1));
        // All labels of an array are its position among the arrays.
        let labels = |name: &str| {
            let place = arrays.iter().position(|(other, _)| *other == name).unwrap() as u8;
            Ok(Labels::Numbers(Array { dims: vec![count(name)], values: Values::U8(vec![place; count(name)]) }))
        };
        match named.content(load, labels) {
            Ok(Content::Rows(rows, test)) => {
                let notes = rows.notes.clone();
                (Ok((*rows, test.map(|test| *test))), notes)
            }
            Ok(Content::Table(_)) => panic!("arrays are not a table"),
            Err(error) => (Err(error.to_string()), Vec::new()),
        }
    }

    #[test]
    fn labels_are_matched_by_name() {
        let arrays = [("x", 4), ("y", 4), ("x_test", 4), ("y_test", 4), ("x_val", 4), ("val_labels", 4), ("latent", 4)];
        for (tensor, classes) in [(None, "1"), (Some("x"), "1"), (Some("x_test"), "3"), (Some("x_val"), "5")] {
            let (read, _) = content(&arrays, tensor);
            let (rows, test) = read.unwrap();
            assert_eq!(rows.classes(), [classes], "{tensor:?}");
            assert_eq!(test.map(|test| test.classes()), tensor.is_none().then(|| vec!["3".to_string()]), "{tensor:?}");
        }
        let (read, notes) = content(&arrays, Some("latent"));
        assert!(
            read.unwrap().0.labels.is_none()
                && notes == ["`latent` has no labels: `val_labels`, `y`, `y_test` belong to other rows"]
        );
        let (read, notes) = content(&[("x", 4), ("y", 4), ("x_test", 4)], Some("x_test"));
        let said = "`x_test` has no labels: `y` belongs to other rows; its own labels would be named `y_test`";
        assert!(read.unwrap().0.labels.is_none() && notes == [said], "{notes:?}");
        // If there is one array of rows and one of labels, they belong together, whatever the name of the rows.
        assert_eq!(content(&[("latent", 4), ("y", 4)], Some("latent")).0.unwrap().0.classes(), ["1"]);
        assert_eq!(content(&[("x", 4), ("y", 4), ("z", 8)], Some("z")).0.unwrap().0.len(), 8);
        assert!(content(&[("x", 4), ("y", 3)], None).0.unwrap_err().contains("`x` has 4 rows, but `y` has 3 labels"));
    }

    #[test]
    fn arrays_that_are_left_out_are_reported() {
        assert_eq!(
            content(&[("x", 4), ("y", 4), ("y_test", 2), ("ids", 4)], None).1,
            ["`x` is read; left out: `ids`, `y_test` (`--tensor` selects another)"]
        );
        assert_eq!(
            content(&[("x_train", 4), ("y_train", 4), ("x_test", 2), ("y_test", 2)], None).1,
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_test_set_with_another_scale_is_reported() {
        let test = |values: Values| {
            let options = Options::default();
            let named = Named { names: vec!["x".into(), "x_test".into()], path: Path::new("a.npz"), options: &options };
            let load =
                |name: &str| Ok(Rows::new(if name == "x" { Values::F32(vec![0.25, 0.75]) } else { values.clone() }, 1));
            let Ok(Content::Rows(rows, _)) = named.content(load, |_| unreachable!()) else { panic!("rows") };
            rows.notes
        };
        let said = "`x_test` has uint8 values with mean absolute value 125.000, `x` float32 values with mean absolute \
                    value 0.500: scale both the same way, or the test results are meaningless";
        assert_eq!(test(Values::U8(vec![0, 250])), [said]);
        assert_eq!(test(Values::F64(vec![0.2, 0.9])), Vec::<String>::new());
    }
}
