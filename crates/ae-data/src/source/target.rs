//! Rows to predict from other rows: the target of a transcoder.

use std::{path::Path, sync::Arc};

use super::{Sets, open_as};
use crate::{DataError, Options, Rows, tabular::Known};

/// The option that names an array of the data, and the one that names an array of the target.
const TENSOR: [&str; 2] = ["`--tensor", "`--target-tensor"];

/// The sets `name` with the target that the options name, if they name one. If either of the two is too large for the
/// memory, both stay in their files.
///
/// # Errors
/// A target that cannot be read; another number of rows; data that is a table or images, or has an official test set;
/// a model that is known to predict rows of another width, or none.
pub(super) fn attached(
    name: &str,
    options: &Options,
    mut sets: Sets,
    known: Option<&Known>,
) -> Result<Sets, DataError> {
    let Some(source) = &options.target else { return Ok(sets) };
    let wrong = |path: &str, problem: String| Err(DataError::Malformed { path: path.into(), problem });
    if let Some(Known { target: None, .. }) = known {
        return wrong(source, "this run reconstructs its rows and has no target: leave out `--target`".to_string());
    }
    if sets.test.is_some() {
        let problem = "has a test set of its own, for which there would be no target: give the rows as one array";
        return wrong(name, problem.to_string());
    }
    is_array(&sets.train, name, "data with a target")?;
    let target = opened(source, options, options.stream)?;
    if target.store().is_some() && sets.train.store().is_none() {
        // A random order of rows would read the whole file of the target for each of them.
        sets = open_as(name, &Options { stream: Some(true), ..options.clone() }, known)?;
        if sets.train.store().is_none() {
            let problem =
                "can only be read as a whole, but its target is too large for that: save both with `numpy.save`";
            return wrong(name, problem.to_string());
        }
    }
    if target.len() != sets.train.len() {
        let problem = format!(
            "has {} rows, but `{name}` has {}: the two belong together row by row",
            target.len(),
            sets.train.len()
        );
        return wrong(source, problem);
    }
    if let Some(width) = known.and_then(|known| known.target)
        && width != target.width()
    {
        let problem = format!("has rows of {} values, but the model was trained to predict {width}", target.width());
        return wrong(source, problem);
    }
    let notes = target.notes.iter().map(|note| format!("target: {}", note.replace(TENSOR[0], TENSOR[1])));
    sets.train.notes.extend(notes);
    sets.train.target = Some(Arc::new(target));
    Ok(sets)
}

/// Opens the rows of a target.
fn opened(source: &str, options: &Options, stream: Option<bool>) -> Result<Rows, DataError> {
    let reading =
        Options { tensor: options.target_tensor.clone(), stream, max_memory: options.max_memory, ..Options::default() };
    let sets = open_as(source, &reading, None).map_err(|error| match error {
        DataError::Malformed { path, problem } => {
            DataError::Malformed { path, problem: problem.replace(TENSOR[0], TENSOR[1]) }
        }
        other => other,
    })?;
    is_array(&sets.train, source, "a target")?;
    match sets.test {
        Some(_) => {
            let problem = "has a test set of its own: a target is one array".to_string();
            Err(DataError::Malformed { path: source.into(), problem })
        }
        None => Ok(sets.train),
    }
}

/// Refuses tables, whose columns need not be numbers, and images.
fn is_array(rows: &Rows, name: &str, what: &str) -> Result<(), DataError> {
    let found = match (rows.encoding(), rows.geometry) {
        (Some(_), _) => "a table",
        (None, Some(_)) => "images",
        (None, None) => return Ok(()),
    };
    let problem = format!("is {found}, but {what} must be an array: rows of numbers, such as a .npy file");
    Err(DataError::Malformed { path: Path::new(name).to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batcher, Dataset, Loader, Order, Scaling, open_with};
    use burn::data::dataloader::DataLoader;

    fn npy(path: &Path, rows: usize, width: usize, of: impl Fn(usize, usize) -> f32) {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
        let padded = format!("{header:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((padded.len() as u16).to_le_bytes());
        bytes.extend(padded.as_bytes());
        let values = (0..rows).flat_map(|row| (0..width).map(move |column| (row, column)));
        values.for_each(|(row, column)| bytes.extend(of(row, column).to_le_bytes()));
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_target_goes_with_its_rows_in_memory_and_in_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        npy(Path::new(&path("x.npy")), 50, 2, |row, column| (row * 2 + column) as f32);
        npy(Path::new(&path("y.npy")), 50, 3, |row, column| (row * 10 + column) as f32);
        npy(Path::new(&path("short.npy")), 49, 3, |_, _| 0.0);
        npy(Path::new(&path("holes.npy")), 50, 3, |row, column| if (row, column) == (7, 1) { f32::NAN } else { 0.0 });
        std::fs::write(path("table.csv"), "a,b\n1,2\n3,4\n").unwrap();
        let options = |target: &str, stream| Options { target: Some(path(target)), stream, ..Options::default() };
        for stream in [None, Some(true)] {
            let rows = open_with(&path("x.npy"), &options("y.npy", stream)).unwrap().train;
            assert_eq!(rows.target.as_ref().unwrap().store().is_some(), stream.is_some());
            let batcher = Batcher::new(Scaling::identity()).with_target(Scaling::identity());
            let loader = Loader::new(Dataset::new(rows), batcher, 8, Order::Shuffled { seed: 3 }, Default::default());
            for batch in loader.iter() {
                let batch = batch.unwrap();
                let values = |tensor: burn::tensor::Tensor<2>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
                let (x, y) = (values(batch.x), values(batch.target.unwrap()));
                for (place, row) in batch.rows.iter().enumerate() {
                    assert_eq!((x[place * 2], y[place * 3 + 2]), ((row * 2) as f32, (row * 10 + 2) as f32));
                }
            }
        }
        let with = |target: &str| open_with(&path("x.npy"), &options(target, None)).unwrap().train;
        let plain = open_with(&path("x.npy"), &Options::default()).unwrap().train;
        assert_ne!(with("y.npy").fingerprint().unwrap(), plain.fingerprint().unwrap());
        let holes = Batcher::new(Scaling::identity()).with_target(Scaling::identity());
        let said = holes.gather(&with("holes.npy"), &[6, 7], &Default::default()).unwrap_err().to_string();
        assert!(said.contains("row 7, column 1 (both from 0) is missing"), "{said}");
        let said = open_with(&path("x.npy"), &options("short.npy", None)).unwrap_err().to_string();
        assert!(said.contains("has 49 rows, but") && said.contains("has 50"), "{said}");
        let said = open_with(&path("x.npy"), &options("table.csv", None)).unwrap_err().to_string();
        assert!(said.contains("is a table, but a target must be an array"), "{said}");
        let said = open_with(&path("table.csv"), &options("y.npy", None)).unwrap_err().to_string();
        assert!(said.contains("is a table, but data with a target must be an array"), "{said}");
    }
}
