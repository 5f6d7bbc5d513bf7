//! Counts what is not read of a folder, for notes and errors.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::endings::{UNREADABLE, ending, is_image};
use crate::words::{counted, first_few};

/// Maximum number of extensions or folders named in a sentence.
const NAMED: usize = 6;

/// The entries of `folder`, sorted by name.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    Ok(entries)
}

/// Whether a file or folder is hidden, or belongs to the operating system.
pub(super) fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with('.') || ["__macosx", "thumbs.db", "desktop.ini"].contains(&name.to_ascii_lowercase().as_str())
}

/// What is not read of a folder.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Number of files by extension.
    files: BTreeMap<String, usize>,
    /// Folders of images that are deeper than the class folders, one entry per image.
    deeper: Vec<PathBuf>,
    /// Folders of images that are outside `train` and `test`.
    beside: Vec<PathBuf>,
    /// Folders of hidden images.
    hidden: Vec<PathBuf>,
    /// Number of other folders.
    folders: usize,
    /// Number of broken links.
    broken: usize,
}

impl LeftOut {
    /// All files but the `chosen` tables, and the number of subfolders.
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
            true => self.broken += 1,
            false => *self.files.entry(ending(path)).or_default() += 1,
        }
    }

    /// Counts the contents of a folder that is deeper than the class folders.
    pub fn deeper(&mut self, folder: &Path) {
        self.walk(folder, |left| &mut left.deeper);
    }

    /// Counts a file or folder outside `train` and `test`.
    pub fn beside(&mut self, path: &Path) {
        self.walk(path, |left| &mut left.beside);
    }

    /// Counts the images of a hidden file or folder.
    pub fn hidden(&mut self, path: &Path) {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        // The files that macOS writes beside others (`._a.png`) are not images.
        if !name.starts_with("._") && !name.eq_ignore_ascii_case("__macosx") {
            let mut all = Self::default();
            all.walk(path, |left| &mut left.hidden);
            self.hidden.append(&mut all.hidden);
        }
    }

    /// Counts a file, or everything in a folder and its subfolders. Links to folders are not followed, because of
    /// loops.
    fn walk(&mut self, path: &Path, places: fn(&mut Self) -> &mut Vec<PathBuf>) {
        if path.is_dir() {
            let inside = if path.is_symlink() { Vec::new() } else { entries(path).unwrap_or_default() };
            inside.iter().filter(|path| !is_hidden(path)).for_each(|path| self.walk(path, places));
        } else if is_image(path) {
            places(self).push(path.parent().unwrap_or(path).to_owned());
        } else {
            self.file(path);
        }
    }

    /// The number of images in unsupported formats, and their extensions.
    fn unreadable(&self) -> (usize, Vec<String>) {
        let unreadable = self.files.iter().filter(|(ending, _)| UNREADABLE.contains(&ending.as_str()));
        unreadable.fold((0, Vec::new()), |(count, mut endings), (ending, files)| {
            endings.push(format!(".{ending}"));
            (count + files, endings)
        })
    }

    /// Why a folder has no readable image, if what was left out explains it.
    pub fn reason(&self) -> Option<String> {
        let (count, endings) = self.unreadable();
        if count > 0 {
            let verb = if count == 1 { "image is" } else { "images are" };
            return Some(format!(
                "its {count} {verb} {}, which cannot be read: convert them to PNG or JPEG",
                endings.join(", ")
            ));
        }
        let count = self.deeper.len();
        let (noun, verb) = if count == 1 { ("image", "is") } else { ("images", "are") };
        (count > 0).then(|| {
            format!(
                "its {count} {noun} {verb} deeper than class folders ({}): name the folder above the classes",
                places(&self.deeper)
            )
        })
    }

    /// A note on everything left out; `None` if there is nothing.
    pub fn note(&self) -> Option<String> {
        let mut by_ending: Vec<(&String, usize)> = self.files.iter().map(|(ending, count)| (ending, *count)).collect();
        by_ending.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut items: Vec<String> = Vec::new();
        for (ending, count) in by_ending.iter().take(NAMED) {
            items.push(match ending.as_str() {
                "" => format!("{} without extension", counted(*count, "file")),
                ending => counted(*count, &format!(".{ending} file")),
            });
        }
        let more: usize = by_ending.iter().skip(NAMED).map(|(_, count)| count).sum();
        if more > 0 {
            items.push(counted(more, "other file"));
        }
        let mut images = |kind: &str, folders: &[PathBuf], where_: &str| {
            if !folders.is_empty() {
                let count = counted(folders.len(), &format!("{kind}image"));
                items.push(format!("{count}{where_} ({})", places(folders)));
            }
        };
        images("", &self.deeper, " deeper than the class folders");
        images("", &self.beside, " outside `train` and `test`");
        images("hidden ", &self.hidden, "");
        let several = [(self.folders, "folder"), (self.broken, "broken link")];
        items.extend(several.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| counted(*count, noun)));
        let (_, unreadable) = self.unreadable();
        let advice = if unreadable.is_empty() {
            String::new()
        } else {
            format!("; convert {} to PNG or JPEG to read them", unreadable.join(", "))
        };
        (!items.is_empty()).then(|| format!("left out: {}{advice}", items.join(", ")))
    }
}

/// A list of folders, each once.
fn places(folders: &[PathBuf]) -> String {
    let different: BTreeSet<&PathBuf> = folders.iter().collect();
    let different: Vec<String> = different.iter().map(|folder| folder.display().to_string()).collect();
    first_few(&different, NAMED)
}
