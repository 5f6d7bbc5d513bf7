//! Sparse dictionaries in the formats of other projects.
//!
//! Every format is read into one description, [`Sae`], of which a run is made; that of SAELens is also written. A new
//! format is one file in this folder and one line in [`FORMATS`].

mod checkpoint;
mod config;
mod dictionary_learning;
mod format;
mod gemma_scope;
mod sae;
mod saelens;
mod sparsify;
mod tensors;

use std::path::Path;

pub use self::{format::Format, sae::Sae, saelens::FILES};
use crate::{Error, Result};

/// The formats that are read.
pub const FORMATS: [Format; 4] = [saelens::FORMAT, dictionary_learning::FORMAT, sparsify::FORMAT, gemma_scope::FORMAT];

/// Reads the dictionary in a folder, or in the file of its weights. `None` if `path` is another file, such as weights
/// of an `nn.Sequential`.
///
/// # Errors
/// A folder without a file of [`FORMATS`], or with those of several; a file that is damaged; a dictionary that cannot
/// be represented, with the reason; tensors that are missing, not known or of another shape, by their names.
pub fn read(path: &Path) -> Result<Option<Sae>> {
    if path.is_dir() {
        let found: Vec<&Format> = FORMATS.iter().filter(|format| path.join(format.file).is_file()).collect();
        let list = |formats: &[&Format]| {
            let items: Vec<String> =
                formats.iter().map(|format| format!("{} ({})", format.file, format.name)).collect();
            items.join(", ")
        };
        return match found.as_slice() {
            [format] => (format.read)(&path.join(format.file)).map(Some),
            [] => Err(Error::Failed(format!(
                "{} has no dictionary, that is, none of the files {}: name the folder of one",
                path.display(),
                list(&FORMATS.iter().collect::<Vec<_>>())
            ))),
            several => Err(Error::Failed(format!(
                "{} has several dictionaries: name one of its files {}",
                path.display(),
                list(several)
            ))),
        };
    }
    if path.exists() && !path.is_file() {
        return Err(Error::Failed(format!("{} is neither a file nor a folder", path.display())));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_of = |format: &&Format| format.file == name || format.extensions.contains(&extension.as_str());
    FORMATS.iter().find(is_of).map(|format| (format.read)(path)).transpose()
}
