//! Image files in a folder: PNG, JPEG, WebP, BMP and TIFF. Subfolders are classes. Gray images have one channel, others
//! three (red, green, blue).
//!
//! Each file is read twice: first its header, because all headers together decide size, channels and depth, and then
//! its pixels. Only one decoded image is in memory beside the rows.

mod container;
mod decode;
mod header;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use self::decode::images;
use super::{
    content::Content,
    endings::is_image,
    left_out::{LeftOut, entries, is_hidden},
    sets::{Sets, short_name},
};
use crate::{DataError, Options, Rows, words::counted};

/// Reads the images of `folder`, sorted by name. With subfolders `train` and `test`, these are the training and the
/// test set.
pub(super) fn folder(folder: &Path, options: &Options) -> Result<Sets, DataError> {
    let name = short_name(folder);
    let mut left = LeftOut::default();
    let parts = match [folder.join("train"), folder.join("test")] {
        parts if parts.iter().all(|part| part.is_dir()) => {
            for path in entries(folder).map_err(|source| DataError::Io { path: folder.to_owned(), source })? {
                match () {
                    _ if parts.contains(&path) => {}
                    _ if is_hidden(&path) => left.hidden(&path),
                    _ => left.beside(&path),
                }
            }
            parts.to_vec()
        }
        _ => vec![folder.to_owned()],
    };
    let mut groups = Vec::new();
    for part in &parts {
        let mut found = Vec::new();
        find(part, 2, &mut found, &mut left)?;
        if found.is_empty() {
            let problem = left
                .reason()
                .unwrap_or_else(|| "holds no readable image: supported are PNG, JPEG, WebP, BMP and TIFF".to_string());
            return Err(DataError::Malformed { path: part.clone(), problem });
        }
        groups.push(found);
    }
    let (mut sets, mut notes) = images(&groups, folder, options)?;
    notes.extend(name_rows(&mut sets, &groups, &parts));
    notes.extend(left.note());
    let mut sets = sets.into_iter();
    let mut train = sets.next().ok_or_else(|| DataError::NoData { path: folder.to_owned() })?;
    train.notes = notes;
    Ok(Sets { name, train, test: sets.next() })
}

/// Reads one image as a row.
pub(super) fn file(path: &Path, options: &Options) -> Result<Content, DataError> {
    several(&[path.to_owned()], options)
}

/// Reads these images, each as a row. Hidden ones are left out unless all are hidden.
pub(super) fn several(paths: &[PathBuf], options: &Options) -> Result<Content, DataError> {
    let mut left = LeftOut::default();
    let mut shown = paths.to_vec();
    if paths.iter().any(|path| !is_hidden(path)) {
        shown.retain(|path| !is_hidden(path));
        paths.iter().filter(|path| is_hidden(path)).for_each(|path| left.hidden(path));
    }
    let origin = shown.first().cloned().unwrap_or_default();
    let names = shown.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let (sets, mut notes) = images(&[shown], &origin, options)?;
    notes.extend(left.note());
    let mut rows = sets.into_iter().next().ok_or(DataError::NoData { path: origin })?;
    rows.identify(Some(names), None, None);
    rows.notes = notes;
    Ok(Content::Rows(Box::new(rows), None))
}

/// Sets the identifiers and the classes of rows. Classes are the folders of the images, with the same indices in all
/// sets. Returns notes.
fn name_rows(sets: &mut [Rows], groups: &[Vec<PathBuf>], parts: &[PathBuf]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut all_classes = Vec::new();
    for ((rows, paths), part) in sets.iter_mut().zip(groups).zip(parts) {
        let inside = |path: &PathBuf| path.strip_prefix(part).unwrap_or(path).to_owned();
        let class = |path: &PathBuf| {
            let parent = inside(path).parent()?.to_string_lossy().into_owned();
            (!parent.is_empty()).then_some(parent)
        };
        let classes: Vec<Option<String>> = paths.iter().map(class).collect();
        let without: Vec<&PathBuf> =
            paths.iter().zip(&classes).filter(|(_, class)| class.is_none()).map(|(path, _)| path).collect();
        if !without.is_empty() && without.len() < paths.len() {
            let verb = if without.len() == 1 { "is" } else { "are" };
            notes.push(format!(
                "no classes: {} {verb} not in a class folder (such as {})",
                counted(without.len(), "image"),
                without[0].display()
            ));
        }
        rows.identify(Some(ids(paths, part)), None, None);
        all_classes.push(classes.into_iter().collect::<Option<Vec<String>>>());
    }
    let names: BTreeSet<String> = all_classes.iter().flatten().flatten().cloned().collect();
    let number: HashMap<&String, u32> = names.iter().zip(0..).collect();
    for (((rows, paths), part), classes) in sets.iter_mut().zip(groups).zip(parts).zip(&all_classes) {
        if let Some(classes) = classes {
            let labels = classes.iter().filter_map(|class| number.get(class).copied()).collect();
            rows.identify(Some(ids(paths, part)), Some(labels), Some(names.iter().cloned().collect()));
        }
    }
    notes
}

/// The paths of images relative to the folder of their part.
fn ids(paths: &[PathBuf], part: &Path) -> Vec<String> {
    paths.iter().map(|path| path.strip_prefix(part).unwrap_or(path).to_string_lossy().into_owned()).collect()
}

/// Finds the images in `folder` and its subfolders, up to `depth` levels, sorted by name, and counts what is left out.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>, left: &mut LeftOut) -> Result<(), DataError> {
    for path in entries(folder).map_err(|source| DataError::Io { path: folder.to_owned(), source })? {
        match () {
            _ if is_hidden(&path) => left.hidden(&path),
            _ if path.is_dir() && depth > 1 => find(&path, depth - 1, found, left)?,
            _ if path.is_dir() => left.deeper(&path),
            _ if path.is_file() && is_image(&path) => found.push(path),
            _ => left.file(&path),
        }
    }
    Ok(())
}
