//! What of a folder is not read, which is said.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::endings::{UNREADABLE, ending, is_picture};

/// Endings and folders that are named one by one in a sentence; of more, the first.
const NAMED: usize = 6;

/// What is in `folder`, in the order of the names.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    Ok(entries)
}

/// Whether a file or folder is hidden, or what a system keeps for itself.
pub(super) fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with('.') || ["__macosx", "thumbs.db", "desktop.ini"].contains(&name.to_ascii_lowercase().as_str())
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
        let (files, below): (Vec<&PathBuf>, Vec<&PathBuf>) =
            paths.iter().partition(|path| path.components().count() == 1);
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
        } else if is_picture(path) {
            places(self).push(path.parent().unwrap_or(path).to_owned());
        } else {
            self.file(path);
        }
    }

    /// The endings of pictures that cannot be read, with their number.
    fn unreadable(&self) -> (usize, Vec<String>) {
        let unreadable = self.files.iter().filter(|(ending, _)| UNREADABLE.contains(&ending.as_str()));
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
            return Some(format!(
                "its {count} {verb} {}, which cannot be read: convert to PNG or JPEG",
                endings.join(", ")
            ));
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
        let several =
            [(self.folders, "folder", "folders"), (self.lost, "link that leads nowhere", "links that lead nowhere")];
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
