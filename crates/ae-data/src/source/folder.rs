//! What a folder is: pictures or tables, whichever most of it is; and what of it is left out, which is said.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use super::{
    endings::{ending, is_any_picture, is_picture},
    left_out::{entries, is_hidden},
};
use crate::options::typed;

/// How many folders down it is looked for what a folder is.
const DEPTH: usize = 4;

/// What a folder is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Pictures, at most in folders of classes.
    Pictures,
    /// Tables or arrays of one format: these files.
    Tables(Vec<PathBuf>),
    /// Tables or arrays of the formats of these names: too many to choose.
    Mixed(Vec<&'static str>),
    /// Nothing that can be read.
    Nothing,
}

/// What a folder with these files is; their paths begin in it. It is what most of it is: one table beside pictures is
/// left out, and so are some pictures beside as many tables. A `.txt` is a table if there is nothing else. `format` is
/// the name of the format of a file.
pub(super) fn what(paths: &[PathBuf], format: &dyn Fn(&Path) -> Option<&'static str>) -> What {
    let depth = |path: &PathBuf| path.components().count();
    let part = |name: &str| paths.iter().any(|path| depth(path) > 1 && path.starts_with(name));
    let parts = part("train") && part("test");
    let is_text = |path: &PathBuf| matches!(ending(path).as_str(), "txt");
    let pictures = paths.iter().filter(|path| is_picture(path));
    let near = pictures.filter(|path| {
        depth(path) <= if parts && (path.starts_with("train") || path.starts_with("test")) { 3 } else { 2 }
    });
    let mut tables: Vec<PathBuf> =
        paths.iter().filter(|path| depth(path) == 1 && !is_picture(path) && format(path).is_some()).cloned().collect();
    let near = near.count();
    if near > tables.iter().filter(|path| !is_text(path)).count() {
        return What::Pictures;
    }
    if tables.iter().any(|path| !is_text(path)) {
        tables.retain(|path| !is_text(path));
    } else if paths.iter().any(|path| is_any_picture(path)) {
        return What::Pictures; // which are too far down or of other formats: that is said then
    }
    let formats: BTreeSet<&'static str> = tables.iter().filter_map(|path| format(path)).collect();
    match formats.len() {
        0 => What::Nothing,
        1 => What::Tables(tables),
        _ => What::Mixed(formats.into_iter().collect()),
    }
}

/// The keys of folders such as `year=2019` on the way to a file.
fn keys(path: &Path) -> BTreeSet<String> {
    let folders = path.parent().into_iter().flat_map(|parent| parent.components());
    let key = |name: String| name.split_once('=').filter(|(key, _)| !key.is_empty()).map(|(key, _)| format!("`{key}`"));
    folders.filter_map(|folder| key(folder.as_os_str().to_string_lossy().into_owned())).collect()
}

/// What the names of the folders of these files say and the files do not, in a sentence.
pub(super) fn partitions(paths: &[PathBuf]) -> Option<String> {
    let keys: Vec<String> = paths.iter().flat_map(|path| keys(path)).collect::<BTreeSet<_>>().into_iter().collect();
    let keys = (!keys.is_empty()).then(|| keys.join(", "))?;
    Some(format!(
        "not read: {keys}, which the names of the folders alone say; write it into the files as a column to have it"
    ))
}

/// What a folder without files of its own to read has in the folders below it, and how that is read; none if there is
/// nothing either.
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
    let said = if keys.is_empty() {
        String::new()
    } else {
        format!(" ({} in the names of the folders is not read)", keys.join(", "))
    };
    let count = if files.len() == 1 { format!("1 file .{ending}") } else { format!("{} files .{ending}", files.len()) };
    Some(format!("holds {count} in folders below it, which are read by a pattern: `--data {pattern}`{said}"))
}

/// The files in `folder` and not far below it, in the order of their names, without the hidden ones; their paths begin
/// in it.
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
            // A closed folder below is the matter of whoever reads it.
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
    fn a_folder_is_what_most_of_it_is() {
        let tables = |names: &[&str]| What::Tables(paths(names));
        for (names, expected) in [
            (&["a.png", "b.JPG", "notes.txt"][..], What::Pictures),
            (&["a.png", "b.png", "labels.csv"], What::Pictures),
            (&["cat/a.png", "dog/b.webp", "labels.csv"], What::Pictures),
            (&["a.png", "notes.txt"], What::Pictures),
            (&["data.csv", "README.txt", "plot.png"], tables(&["data.csv"])),
            (
                &["README.md", "a.parquet", "b.parquet", "plots/a.png", "plots/b.png"],
                tables(&["a.parquet", "b.parquet"]),
            ),
            (&["a.txt", "b.txt"], tables(&["a.txt", "b.txt"])),
            (&["a.txt", "README.md"], tables(&["a.txt"])),
            (&["test.csv", "train.tsv"], tables(&["test.csv", "train.tsv"])),
            // Pictures that are too far down do not outweigh a table; as training and test set they are not too far
            // down.
            (&["data.csv", "plots/first/a.png", "plots/first/b.png"], tables(&["data.csv"])),
            (&["labels.csv", "train/cat/a.png", "test/cat/a.png"], What::Pictures),
            (&["labels.csv", "train/a.png", "test/b.png"], What::Pictures),
            // What cannot be read is no reason to pass by a table, but none to read a note as a table either.
            (&["data.csv", "a.svg", "b.svg"], tables(&["data.csv"])),
            (&["notes.txt", "a.heic"], What::Pictures),
            (&["a.gif"], What::Pictures),
            (&["train/cat/a.png", "val/cat/a.png"], What::Pictures),
            (&["a.csv", "b.parquet"], What::Mixed(vec!["CSV", "Parquet"])),
            (&["README.md", "run.py"], What::Nothing),
            (&["2024/a.csv"], What::Nothing),
            (&[], What::Nothing),
        ] {
            let format = |path: &Path| super::super::format_of(path).map(|format| format.name);
            assert_eq!(what(&paths(names), &format), expected, "{names:?}");
        }
    }

    #[test]
    fn folders_of_folders_are_read_by_a_pattern_and_what_their_names_say_is_named() {
        let format = |path: &Path| super::super::format_of(path).map(|format| format.name);
        let said = below(
            Path::new("hive"),
            &paths(&["year=2019/a.parquet", "year=2020/a.parquet", "year=2020/x/b.csv"]),
            &format,
        );
        assert_eq!(
            said.unwrap(),
            "holds 2 files .parquet in folders below it, which are read by a pattern: `--data 'hive/*/*.parquet'` (`year` in the names of the \
             folders is not read)"
        );
        assert_eq!(below(Path::new("x"), &paths(&["a/run.py", "a/notes.txt"]), &format), None);
        let note = partitions(&paths(&["h/year=2019/a.parquet", "h/year=2020/a=b.parquet"])).unwrap();
        assert_eq!(
            note,
            "not read: `year`, which the names of the folders alone say; write it into the files as a column to have it"
        );
        assert_eq!(partitions(&paths(&["h/a.parquet"])), None);
    }

    #[test]
    fn what_is_left_out_is_counted_by_ending() {
        let all =
            paths(&["data.csv", "README.TXT", "a.txt", "plot.png", "LICENSE", "old/a.csv", "old/b.csv", "new/a.csv"]);
        let left = LeftOut::beside_tables(&all, &all[..1]);
        assert_eq!(left.note().unwrap(), "left out: 2 files .txt, 1 without an ending, 1 .png, 2 folders");
        assert_eq!(LeftOut::beside_tables(&all[..1], &all[..1]).note(), None);
        let many = paths(&["a.1", "a.2", "a.3", "a.4", "a.5", "a.6", "a.7", "b.7", "a.8"]);
        let note = LeftOut::beside_tables(&many, &[]).note().unwrap();
        assert_eq!(note, "left out: 2 files .7, 1 .1, 1 .2, 1 .3, 1 .4, 1 .5, 2 of other endings");
        let left = LeftOut::beside_tables(&paths(&["a.heic", "b.heic", "c.gif"]), &[]);
        assert_eq!(
            left.note().unwrap(),
            "left out: 2 files .heic, 1 .gif; convert .gif, .heic to PNG or JPEG to have them read"
        );
        assert_eq!(
            left.reason().unwrap(),
            "its 3 pictures are .gif, .heic, which cannot be read: convert to PNG or JPEG"
        );
    }

    #[test]
    fn hidden_and_system_files_are_known_by_their_names() {
        for name in [".git", ".DS_Store", "._a.png", "__MACOSX", "Thumbs.db", "desktop.ini", "Desktop.ini", "x/.a"] {
            assert!(is_hidden(Path::new(name)), "{name}");
        }
        assert!(!is_hidden(Path::new(".x/a.png")) && !is_hidden(Path::new("a.b")) && !is_hidden(Path::new("_a")));
    }

    #[test]
    fn a_listing_has_no_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", ".c.csv", "._a.csv", "x/1/2/in", "x/1/2/3/out", ".y/z", "__MACOSX/a.csv"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(listing(folder.path()).unwrap(), paths(&["a.csv", "b.csv", "x/1/2/in"]));
    }
}
