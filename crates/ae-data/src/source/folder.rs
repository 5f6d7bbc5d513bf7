//! What a folder is: pictures or tables, whichever most of it is; and what of it is left out, which is said.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::{format, images};

/// How many folders down it is looked for what a folder is.
const DEPTH: usize = 4;
/// Endings and folders that are named one by one in a sentence; of more, the first.
const NAMED: usize = 6;

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

/// What a folder with these files is; their paths begin in it. It is what most of it is: one table beside pictures is left out, and so are some
/// pictures beside as many tables. A `.txt` is a table if there is nothing else.
pub(super) fn what(paths: &[PathBuf]) -> What {
    let depth = |path: &PathBuf| path.components().count();
    let part = |name: &str| paths.iter().any(|path| depth(path) > 1 && path.starts_with(name));
    let parts = part("train") && part("test");
    let is_text = |path: &PathBuf| matches!(ending(path).as_str(), "txt");
    let pictures = paths.iter().filter(|path| images::is_picture(path));
    let near = pictures.filter(|path| depth(path) <= if parts && (path.starts_with("train") || path.starts_with("test")) { 3 } else { 2 });
    let mut tables: Vec<PathBuf> = paths.iter().filter(|path| depth(path) == 1 && is_table(path)).cloned().collect();
    let near = near.count();
    if near > tables.iter().filter(|path| !is_text(path)).count() {
        return What::Pictures;
    }
    if tables.iter().any(|path| !is_text(path)) {
        tables.retain(|path| !is_text(path));
    } else if paths.iter().any(|path| images::is_any_picture(path)) {
        return What::Pictures; // which are too far down or of other formats: that is said then
    }
    let formats: BTreeSet<&'static str> = tables.iter().filter_map(|path| format(path)).map(|format| format.name).collect();
    match formats.len() {
        0 => What::Nothing,
        1 => What::Tables(tables),
        _ => What::Mixed(formats.into_iter().collect()),
    }
}

/// Whether the ending is that of a table or an array.
fn is_table(path: &Path) -> bool {
    !images::is_picture(path) && format(path).is_some()
}

/// The files in `folder` and not far below it, in the order of their names, without the hidden ones; their paths begin in it.
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

/// What is in `folder`, in the order of the names.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    Ok(entries)
}

/// Whether a file or folder is hidden, or what a system keeps for itself.
pub(super) fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with('.') || ["__macosx", "thumbs.db", "desktop.ini"].contains(&name.to_ascii_lowercase().as_str())
}

/// The ending of a file's name in lower case, without its dot; empty if there is none.
pub(super) fn ending(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// What of a folder is not read.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Files, by ending.
    files: BTreeMap<String, usize>,
    /// Where pictures lie that are further down than the class folders.
    deeper: Vec<PathBuf>,
    /// Where pictures lie that are in neither `train` nor `test`.
    beside: Vec<PathBuf>,
    /// Where hidden pictures lie.
    hidden: Vec<PathBuf>,
    /// Folders, of which only the number is known.
    folders: usize,
    /// Links that lead nowhere.
    lost: usize,
}

impl LeftOut {
    /// Files that are no tables to be read beside the `chosen` ones; of folders beside them, the number.
    pub fn beside_tables(paths: &[PathBuf], chosen: &[PathBuf]) -> Self {
        let mut left = Self::default();
        let (files, below): (Vec<&PathBuf>, Vec<&PathBuf>) = paths.iter().partition(|path| path.components().count() == 1);
        files.into_iter().filter(|path| !chosen.contains(path)).for_each(|path| left.file(path));
        left.folders = below.iter().filter_map(|path| path.components().next()).collect::<BTreeSet<_>>().len();
        left
    }

    /// Counts a file.
    pub fn file(&mut self, path: &Path) {
        match path.is_symlink() && !path.exists() {
            true => self.lost += 1,
            false => *self.files.entry(ending(path)).or_default() += 1,
        }
    }

    /// Counts what is in a folder that is further down than the class folders.
    pub fn deeper(&mut self, folder: &Path) {
        self.walk(folder, |left| &mut left.deeper);
    }

    /// Counts what is beside `train` and `test`.
    pub fn beside(&mut self, path: &Path) {
        self.walk(path, |left| &mut left.beside);
    }

    /// Counts a hidden file or folder: its pictures.
    pub fn hidden(&mut self, path: &Path) {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        // What macOS writes beside each file (`._a.png`) is no picture.
        if !name.starts_with("._") && !name.eq_ignore_ascii_case("__macosx") {
            let mut all = Self::default();
            all.walk(path, |left| &mut left.hidden);
            self.hidden.append(&mut all.hidden);
        }
    }

    /// Counts what is in a folder and below it, or one file; links to folders are not followed, as they may lead back.
    fn walk(&mut self, path: &Path, places: fn(&mut Self) -> &mut Vec<PathBuf>) {
        if path.is_dir() {
            let inside = if path.is_symlink() { Vec::new() } else { entries(path).unwrap_or_default() };
            inside.iter().filter(|path| !is_hidden(path)).for_each(|path| self.walk(path, places));
        } else if images::is_picture(path) {
            places(self).push(path.parent().unwrap_or(path).to_owned());
        } else {
            self.file(path);
        }
    }

    /// The endings of pictures that cannot be read, with their number.
    fn unreadable(&self) -> (usize, Vec<String>) {
        let unreadable = self.files.iter().filter(|(ending, _)| images::UNREADABLE.contains(&ending.as_str()));
        unreadable.fold((0, Vec::new()), |(count, mut endings), (ending, files)| {
            endings.push(format!(".{ending}"));
            (count + files, endings)
        })
    }

    /// Why a folder without a picture to read has none, if what was left out tells.
    pub fn reason(&self) -> Option<String> {
        let (count, endings) = self.unreadable();
        if count > 0 {
            let verb = if count == 1 { "picture is" } else { "pictures are" };
            return Some(format!("its {count} {verb} {}, which cannot be read: convert to PNG or JPEG", endings.join(", ")));
        }
        let count = self.deeper.len();
        let (noun, verb) = if count == 1 { ("picture", "lies") } else { ("pictures", "lie") };
        (count > 0).then(|| {
            format!(
                "its {count} {noun} {verb} further down than class folders ({}): name the folder above the classes",
                places(&self.deeper)
            )
        })
    }

    /// All of it in a sentence; none if nothing was left out.
    pub fn note(&self) -> Option<String> {
        let mut by_ending: Vec<(&String, usize)> = self.files.iter().map(|(ending, count)| (ending, *count)).collect();
        by_ending.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut items: Vec<String> = Vec::new();
        for (index, (ending, count)) in by_ending.iter().take(NAMED).enumerate() {
            let noun = match (index, count) {
                (0, 1) => "file ",
                (0, _) => "files ",
                _ => "",
            };
            let ending = if ending.is_empty() { "without an ending".to_string() } else { format!(".{ending}") };
            items.push(format!("{count} {noun}{ending}"));
        }
        let more: usize = by_ending.iter().skip(NAMED).map(|(_, count)| count).sum();
        if more > 0 {
            items.push(format!("{more} of other endings"));
        }
        let mut pictures = |kind: &str, folders: &[PathBuf], where_: &str| {
            if !folders.is_empty() {
                let noun = if folders.len() == 1 { "picture" } else { "pictures" };
                items.push(format!("{} {kind}{noun}{where_} ({})", folders.len(), places(folders)));
            }
        };
        pictures("", &self.deeper, " further down than the class folders");
        pictures("", &self.beside, " beside the folders `train` and `test`");
        pictures("hidden ", &self.hidden, "");
        let several = [(self.folders, "folder", "folders"), (self.lost, "link that leads nowhere", "links that lead nowhere")];
        items.extend(several.iter().filter(|(count, ..)| *count > 0).map(|(count, one, more)| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {more}"),
        }));
        let (_, unreadable) = self.unreadable();
        let advice = if unreadable.is_empty() {
            String::new()
        } else {
            format!("; convert {} to PNG or JPEG to have them read", unreadable.join(", "))
        };
        (!items.is_empty()).then(|| format!("left out: {}{advice}", items.join(", ")))
    }
}

/// Folders, each once.
fn places(folders: &[PathBuf]) -> String {
    let different: BTreeSet<&PathBuf> = folders.iter().collect();
    let named: Vec<String> = different.iter().take(NAMED).map(|folder| folder.display().to_string()).collect();
    match different.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (&["README.md", "a.parquet", "b.parquet", "plots/a.png", "plots/b.png"], tables(&["a.parquet", "b.parquet"])),
            (&["a.txt", "b.txt"], tables(&["a.txt", "b.txt"])),
            (&["a.txt", "README.md"], tables(&["a.txt"])),
            (&["test.csv", "train.tsv"], tables(&["test.csv", "train.tsv"])),
            // Pictures that are too far down do not outweigh a table; as training and test set they are not too far down.
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
            assert_eq!(what(&paths(names)), expected, "{names:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_counted_by_ending() {
        let all = paths(&["data.csv", "README.TXT", "a.txt", "plot.png", "LICENSE", "old/a.csv", "old/b.csv", "new/a.csv"]);
        let left = LeftOut::beside_tables(&all, &all[..1]);
        assert_eq!(left.note().unwrap(), "left out: 2 files .txt, 1 without an ending, 1 .png, 2 folders");
        assert_eq!(LeftOut::beside_tables(&all[..1], &all[..1]).note(), None);
        let many = paths(&["a.1", "a.2", "a.3", "a.4", "a.5", "a.6", "a.7", "b.7", "a.8"]);
        let note = LeftOut::beside_tables(&many, &[]).note().unwrap();
        assert_eq!(note, "left out: 2 files .7, 1 .1, 1 .2, 1 .3, 1 .4, 1 .5, 2 of other endings");
        let left = LeftOut::beside_tables(&paths(&["a.heic", "b.heic", "c.gif"]), &[]);
        assert_eq!(left.note().unwrap(), "left out: 2 files .heic, 1 .gif; convert .gif, .heic to PNG or JPEG to have them read");
        assert_eq!(left.reason().unwrap(), "its 3 pictures are .gif, .heic, which cannot be read: convert to PNG or JPEG");
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
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(listing(folder.path()).unwrap(), paths(&["a.csv", "b.csv", "x/1/2/in"]));
    }
}
