//! Arrays in several files, one after the other, which stay in their files.

use std::path::Path;

use crate::{
    DataError, Element, Rows, Values,
    store::{Blocks, Store},
};

/// The blocks of several stores, one after the other.
#[derive(Debug)]
struct Shards {
    /// The rows of each file; all are in a store.
    parts: Vec<Rows>,
    /// For each block the file it is in, and its number there.
    places: Vec<(usize, usize)>,
    starts: Vec<usize>,
    element: Element,
}

/// The rows of several files as one, if each of them stays in its file; `first` names the first file.
///
/// # Errors
/// The files have labels, which are read with their rows.
pub(super) fn join(parts: Vec<Rows>, first: &Path) -> Result<Rows, DataError> {
    if parts.iter().any(|part| part.labels.is_some()) {
        let problem = "has labels and is too large to be joined with other files in memory: merge the files into one";
        return Err(DataError::Malformed { path: first.to_owned(), problem: problem.to_string() });
    }
    let (mut places, mut starts, mut before) = (Vec::new(), Vec::new(), 0);
    for (file, part) in parts.iter().enumerate() {
        let store = part.store().expect("rows that stay in their file");
        for (block, start) in store.starts()[..store.starts().len() - 1].iter().enumerate() {
            places.push((file, block));
            starts.push(before + start);
        }
        before += store.len();
    }
    starts.push(before);
    // One type for all blocks, so that the size of the cache is known.
    let elements: Vec<Element> = parts.iter().map(Rows::element).collect();
    let element = match elements.iter().all(|element| *element == elements[0]) {
        true => elements[0],
        false if elements.iter().all(|element| element.is_single()) => Element::F32,
        false => Element::F64,
    };
    let (cells, geometry) = (parts[0].width(), parts[0].geometry);
    let has_missing = parts.iter().any(Rows::has_missing);
    let notes = parts.iter().flat_map(|part| part.notes.clone()).collect();
    let store = Store::new(Box::new(Shards { parts, places, starts, element }), cells);
    let mut rows = Rows::stored(store, cells, has_missing);
    (rows.geometry, rows.notes) = (geometry, notes);
    Ok(rows)
}

impl Blocks for Shards {
    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn element(&self) -> Element {
        self.element
    }

    fn read(&self, block: usize) -> Result<Values, DataError> {
        let (file, block) = self.places[block];
        self.parts[file].store().expect("rows that stay in their file").read(block)
    }

    fn load(&self, block: usize) {
        let (file, block) = self.places[block];
        self.parts[file].store().expect("rows that stay in their file").load(block);
    }
}
