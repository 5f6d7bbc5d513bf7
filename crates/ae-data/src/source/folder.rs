//! Decides whether a folder holds images or tables, by the majority of its files.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use super::{
    endings::{ending, is_any_image, is_image},
    left_out::{entries, is_hidden},
};
use crate::{options::typed, words::plural};

/// Maximum depth of the files that are considered.
const DEPTH: usize = 4;

/// What a folder holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Images, directly or in folders of classes.
    Images,
    /// Tables or arrays of one format, in these files.
    Tables(Vec<PathBuf>),
    /// Tables or arrays of several formats, with these names.
    Mixed(Vec<&'static str>),
    /// Nothing that can be read.
    Nothing,
}

/// Decides what a folder with these files holds; their paths are relative to it. The majority decides: images win only
/// if there are more of them than tables. A `.txt` file is a table only if there is nothing else. `format` gives the
/// name of the format of a file.
pub(super) fn what(paths: &[PathBuf], format: &dyn Fn(&Path) -> Option<&'static str>) -> What {
    let depth = |path: &PathBuf| path.components().count();
    let part = |name: &str| paths.iter().any(|path| depth(path) > 1 && path.starts_with(name));
    let parts = part("train") && part("test");
    let is_text = |path: &PathBuf| matches!(ending(path).as_str(), "txt");
    let images = paths.iter().filter(|path| is_image(path));
    let near = images.filter(|path| {
        depth(path) <= if parts && (path.starts_with("train") || path.starts_with("test")) { 3 } else { 2 }
    });
    let mut tables: Vec<PathBuf> =
        paths.iter().filter(|path| depth(path) == 1 && !is_image(path) && format(path).is_some()).cloned().collect();
    let near = near.count();
    if near > tables.iter().filter(|path| !is_text(path)).count() {
        return What::Images;
    }
    if tables.iter().any(|path| !is_text(path)) {
        tables.retain(|path| !is_text(path));
    } else if paths.iter().any(|path| is_any_image(path)) {
        return What::Images; // too deep or of unsupported formats, which is reported later
    }
    let formats: BTreeSet<&'static str> = tables.iter().filter_map(|path| format(path)).collect();
    match formats.len() {
        0 => What::Nothing,
        1 => What::Tables(tables),
        _ => What::Mixed(formats.into_iter().collect()),
    }
}

/// The keys of folders such as `year=2019` in the path of a file.
fn keys(path: &Path) -> BTreeSet<String> {
    let folders = path.parent().into_iter().flat_map(|parent| parent.components());
    let key = |name: String| name.split_once('=').filter(|(key, _)| !key.is_empty()).map(|(key, _)| format!("`{key}`"));
    folders.filter_map(|folder| key(folder.as_os_str().to_string_lossy().into_owned())).collect()
}

/// A note on the keys in the folder names of these files, which are not read.
pub(super) fn partitions(paths: &[PathBuf]) -> Option<String> {
    let keys: Vec<String> = paths.iter().flat_map(|path| keys(path)).collect::<BTreeSet<_>>().into_iter().collect();
    let keys = (!keys.is_empty()).then(|| keys.join(", "))?;
    Some(format!("not read: {keys}, which is only in the folder names; add it to the files as a column to use it"))
}

/// A message on the files in the subfolders of a folder that has no readable files itself, and how to read them; `None`
/// if there are none.
pub(super) fn below(
    folder: &Path,
    paths: &[PathBuf],
    format: &dyn Fn(&Path) -> Option<&'static str>,
) -> Option<String> {
    let mut kinds: BTreeMap<(usize, String), Vec<&PathBuf>> = BTreeMap::new();
    for path in paths.iter().filter(|path| format(path).is_some() && ending(path) != "txt") {
        kinds.entry((path.components().count(), ending(path))).or_default().push(path);
    }
    let ((depth, ending), files) = kinds.into_iter().max_by_key(|(_, files)| files.len())?;
    let pattern = typed(&format!("{}/{}*.{ending}", folder.display(), "*/".repeat(depth - 1)));
    let keys: Vec<String> = files.iter().flat_map(|path| keys(path)).collect::<BTreeSet<_>>().into_iter().collect();
    let said =
        if keys.is_empty() { String::new() } else { format!(" ({} in the folder names is not read)", keys.join(", ")) };
    let count = format!("{} .{ending} file{}", files.len(), plural(files.len()));
    Some(format!("has {count} in its subfolders: name a pattern such as `--data {pattern}` to read them{said}"))
}

/// The files in `folder` and its subfolders, up to a fixed depth, in the order of their names and without hidden files.
/// The paths are relative to `folder`.
pub(super) fn listing(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    list(folder, folder, DEPTH, &mut found)?;
    Ok(found)
}

fn list(root: &Path, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for path in entries(folder)? {
        if is_hidden(&path) {
        } else if path.is_file() {
            found.extend(path.strip_prefix(root).ok().map(Path::to_owned));
        } else if path.is_dir() && depth > 1 {
            let below = list(root, &path, depth - 1, found);
            // A subfolder that cannot be opened is reported if it is read.
            below.or_else(|error| if error.kind() == io::ErrorKind::PermissionDenied { Ok(()) } else { Err(error) })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::left_out::LeftOut, *};

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn the_majority_of_the_files_decides() {
        let tables = |names: &[&str]| What::Tables(paths(names));
        for (names, expected) in [
            (&["a.png", "b.JPG", "notes.txt"][..], What::Images),
            (&["a.png", "b.png", "labels.csv"], What::Images),
            (&["cat/a.png", "dog/b.webp", "labels.csv"], What::Images),
            (&["a.png", "notes.txt"], What::Images),
            (&["data.csv", "README.txt", "plot.png"], tables(&["data.csv"])),
            (
                &["README.md", "a.parquet", "b.parquet", "plots/a.png", "plots/b.png"],
                tables(&["a.parquet", "b.parquet"]),
            ),
            (&["a.txt", "b.txt"], tables(&["a.txt", "b.txt"])),
            (&["a.txt", "README.md"], tables(&["a.txt"])),
            (&["test.csv", "train.tsv"], tables(&["test.csv", "train.tsv"])),
            // Images that are too deep do not count against a table, unless they are a training and a test set.
            (&["data.csv", "plots/first/a.png", "plots/first/b.png"], tables(&["data.csv"])),
            (&["labels.csv", "train/cat/a.png", "test/cat/a.png"], What::Images),
            (&["labels.csv", "train/a.png", "test/b.png"], What::Images),
            // Images in unsupported formats do not count against a table, but do against a `.txt` file.
            (&["data.csv", "a.svg", "b.svg"], tables(&["data.csv"])),
            (&["notes.txt", "a.heic"], What::Images),
            (&["a.gif"], What::Images),
            (&["train/cat/a.png", "val/cat/a.png"], What::Images),
            (&["a.csv", "b.parquet"], What::Mixed(vec!["CSV", "Parquet"])),
            (&["README.md", "run.py"], What::Nothing),
            (&["2024/a.csv"], What::Nothing),
            (&[], What::Nothing),
        ] {
            let format = |path: &Path| super::super::file::format_of(path).map(|format| format.name);
            assert_eq!(what(&paths(names), &format), expected, "{names:?}");
        }
    }

    #[test]
    fn subfolders_are_read_by_a_pattern_and_keys_in_their_names_are_reported() {
        let format = |path: &Path| super::super::file::format_of(path).map(|format| format.name);
        let said = below(
            Path::new("hive"),
            &paths(&["year=2019/a.parquet", "year=2020/a.parquet", "year=2020/x/b.csv"]),
            &format,
        );
        assert_eq!(
            said.unwrap(),
            "has 2 .parquet files in its subfolders: name a pattern such as `--data 'hive/*/*.parquet'` to read them \
             (`year` in the folder names is not read)"
        );
        assert_eq!(below(Path::new("x"), &paths(&["a/run.py", "a/notes.txt"]), &format), None);
        let note = partitions(&paths(&["h/year=2019/a.parquet", "h/year=2020/a=b.parquet"])).unwrap();
        assert_eq!(
            note,
            "not read: `year`, which is only in the folder names; add it to the files as a column to use it"
        );
        assert_eq!(partitions(&paths(&["h/a.parquet"])), None);
    }

    #[test]
    fn files_left_out_are_counted_by_extension() {
        let all =
            paths(&["data.csv", "README.TXT", "a.txt", "plot.png", "LICENSE", "old/a.csv", "old/b.csv", "new/a.csv"]);
        let left = LeftOut::beside_tables(&all, &all[..1]);
        assert_eq!(left.note().unwrap(), "left out: 2 .txt files, 1 file without extension, 1 .png file, 2 folders");
        assert_eq!(LeftOut::beside_tables(&all[..1], &all[..1]).note(), None);
        let many = paths(&["a.1", "a.2", "a.3", "a.4", "a.5", "a.6", "a.7", "b.7", "a.8"]);
        let note = LeftOut::beside_tables(&many, &[]).note().unwrap();
        let files = "2 .7 files, 1 .1 file, 1 .2 file, 1 .3 file, 1 .4 file, 1 .5 file, 2 other files";
        assert_eq!(note, format!("left out: {files}"));
        let left = LeftOut::beside_tables(&paths(&["a.heic", "b.heic", "c.gif"]), &[]);
        assert_eq!(
            left.note().unwrap(),
            "left out: 2 .heic files, 1 .gif file; convert .gif, .heic to PNG or JPEG to read them"
        );
        assert_eq!(
            left.reason().unwrap(),
            "its 3 images are .gif, .heic, which cannot be read: convert them to PNG or JPEG"
        );
    }

    #[test]
    fn hidden_and_system_files_are_recognized_by_name() {
        for name in [".git", ".DS_Store", "._a.png", "__MACOSX", "Thumbs.db", "desktop.ini", "Desktop.ini", "x/.a"] {
            assert!(is_hidden(Path::new(name)), "{name}");
        }
        assert!(!is_hidden(Path::new(".x/a.png")) && !is_hidden(Path::new("a.b")) && !is_hidden(Path::new("_a")));
    }

    #[test]
    fn a_listing_has_no_hidden_and_no_deep_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", ".c.csv", "._a.csv", "x/1/2/in", "x/1/2/3/out", ".y/z", "__MACOSX/a.csv"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(listing(folder.path()).unwrap(), paths(&["a.csv", "b.csv", "x/1/2/in"]));
    }
}
