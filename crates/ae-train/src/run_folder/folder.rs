//! The folder and its text files.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use ae_data::sink::{PARTIAL, write_bytes};
use ae_model::Registry;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Error, Result,
    config::Config,
    digest::Digest,
    files::{bytes, names, own_file},
    schema::{FORMAT, Schema},
    summary::Summary,
};

/// Name of the file with the digests of the other files.
pub(super) const FILES: &str = "files.json";

/// Names of the model card and of the architecture as data.
pub(crate) const CARD: [&str; 2] = ["README.md", "config.json"];

/// Name of the lock file.
pub(super) const LOCK: &str = ".lock";

/// A run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    pub(super) path: PathBuf,
    /// The parts its configuration can name.
    pub(super) registry: Registry,
}

impl RunFolder {
    /// Creates a new folder: `out`, or the next free number under `runs/`.
    ///
    /// # Errors
    /// A folder that is not empty or cannot be created.
    pub fn create(out: Option<&Path>, name: &str, registry: &Registry) -> Result<Self> {
        let made = |path: PathBuf| Self { path, registry: registry.clone() };
        if let Some(path) = out {
            if path.is_dir() && !is_free(path)? {
                return Err(not_empty(path));
            }
            fs::create_dir_all(path).map_err(|error| {
                Error::at("create the run folder", path, format!("{error}; choose another `--out`"))
            })?;
            return Ok(made(path.to_owned()));
        }
        let runs = Path::new("runs");
        fs::create_dir_all(runs)
            .map_err(|error| Error::at("create", runs, format!("{error}; choose a place with `--out`")))?;
        for number in 1.. {
            let path = runs.join(format!("{name}-{number:03}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(made(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Error::at(
                        "create the run folder",
                        &path,
                        format!("{error}; choose a place with `--out`"),
                    ));
                }
            }
        }
        unreachable!("some number is free")
    }

    /// Opens the folder of an existing run.
    ///
    /// # Errors
    /// A folder that is not a run folder.
    pub fn open(path: &Path, registry: &Registry) -> Result<Self> {
        let folder = Self { path: path.to_owned(), registry: registry.clone() };
        match folder.config_file().is_file() {
            true => Ok(folder),
            false if !path.exists() => {
                Err(Error::Failed(format!("{} is not a run folder: it does not exist", path.display())))
            }
            false => Err(Error::Failed(format!("{} is not a run folder: it has no config.toml", path.display()))),
        }
    }

    /// Copies the files of the run to a new folder, without its report.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    #[cfg(feature = "remote")]
    pub(crate) fn copy_to(&self, place: &Path) -> Result<()> {
        for (from, to) in [(self.path.clone(), place.to_owned()), (self.checkpoints(), place.join("checkpoint"))] {
            if !from.is_dir() {
                continue;
            }
            fs::create_dir_all(&to).map_err(|error| Error::at("create", &to, error))?;
            for name in names(&from)? {
                let (from, to) = (from.join(&name), to.join(&name));
                if from.is_file() && name != LOCK && name != "report.html" {
                    fs::copy(&from, &to).map_err(|error| Error::at("copy", &from, error))?;
                }
            }
        }
        Ok(())
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// File with the metrics of each epoch.
    pub fn metrics_file(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    /// Writes the report.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_report(&self, page: &str) -> Result<()> {
        self.write("report.html", page)
    }

    /// Path of the report.
    pub fn report_file(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Folder with the records of the best epoch and the last three.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// File with the weights of the best epoch.
    pub fn weights_file(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// Writes the configuration. A path in it becomes absolute, so that the run can be resumed from any folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        let config = Config { data: config.data.located(), ..config.clone() };
        self.write("config.toml", &config.to_toml())
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn config(&self) -> Result<Config> {
        Config::load(&self.config_file(), &self.registry)
    }

    /// Writes the schema.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_schema(&self, schema: &Schema) -> Result<()> {
        let text = toml::to_string(schema).expect("a schema is TOML");
        self.put("data.toml", |path| Ok(write_bytes(path, text.as_bytes())?))
    }

    /// Reads the schema.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn schema(&self) -> Result<Schema> {
        self.check("data.toml")?;
        /// Read first: later versions may have other fields.
        #[derive(Deserialize)]
        struct Version {
            #[serde(default)]
            format: u32,
        }
        let version: Version =
            self.read("data.toml", |text| toml::from_str(text).map_err(|error| error.message().to_string()))?;
        if version.format > FORMAT {
            let (path, format) = (self.path.display(), version.format);
            let advice = "use the version of the program that created it";
            return Err(Error::Failed(format!(
                "{path} has format {format}, but this program knows formats up to {FORMAT}: {advice}"
            )));
        }
        let schema: Schema =
            self.read("data.toml", |text| toml::from_str(text).map_err(|error| error.message().to_string()))?;
        schema.check().map_err(|reason| Error::damaged(&self.path.join("data.toml"), reason))?;
        Ok(schema)
    }

    /// Writes the result.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_summary(&self, summary: &Summary) -> Result<()> {
        let text = serde_json::to_string_pretty(summary).expect("a summary is JSON");
        self.put("summary.json", |path| Ok(write_bytes(path, text.as_bytes())?))
    }

    /// Reads the result; none if the run has not finished.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn summary(&self) -> Result<Option<Summary>> {
        if !self.path.join("summary.json").exists() {
            return Ok(None);
        }
        self.check("summary.json")?;
        self.read("summary.json", |text| serde_json::from_str(text).map_err(|error| error.to_string())).map(Some)
    }

    /// Removes the files of a run that has not trained, and the folder if it is empty then.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub(crate) fn discard(&self) -> Result<()> {
        for name in ["config.toml", "data.toml", "experiment.log", FILES, LOCK] {
            let path = self.path.join(name);
            fs::remove_file(&path).or_else(|error| {
                if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(Error::at("remove", &path, error)) }
            })?;
        }
        // The folder stays if anything else is in it.
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }

    /// Removes the files of a finished training: its result and its report.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn reopen(&self) -> Result<()> {
        let mut files = vec![self.report_file(), self.path.join("summary.json")];
        for name in CARD {
            if !self.is_changed(name)? {
                files.push(self.path.join(name));
            }
        }
        for path in files {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::at("remove", &path, error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes a file whose digest is stored. The digest is removed while the file is written, so that a crash leaves a
    /// file without a digest instead of one that is refused.
    pub(super) fn put(&self, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let path = self.path.join(name);
        own_file(&path)?;
        let mut digests = self.digests()?;
        if digests.remove(name).is_some() {
            self.write_digests(&digests)?;
        }
        write(&path)?;
        digests.insert(name.to_string(), Digest::of(&path).map_err(|error| Error::at("read", &path, error))?);
        self.write_digests(&digests)
    }

    /// Checks that a file is unchanged since it was written, if it has a digest.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        let Some(written) = self.digests()?.remove(name) else { return Ok(()) };
        match Digest::of(&path) {
            Err(error) => Err(Error::damaged(&path, error)),
            Ok(found) if found != written => {
                Err(Error::damaged(&path, format!("it has changed since it was written (by its digest in {FILES})")))
            }
            Ok(_) => Ok(()),
        }
    }

    /// Whether a person has changed a file that the program writes: it exists, and its digest is another one. A link
    /// does not count, since writing replaces it.
    pub(crate) fn is_changed(&self, name: &str) -> Result<bool> {
        let path = self.path.join(name);
        match path.is_file() && !path.is_symlink() {
            true => Ok(Digest::of(&path).ok() != self.digests()?.remove(name)),
            false => Ok(false),
        }
    }

    /// Writes a text whose digest is stored, unless a person has changed the file.
    pub(crate) fn put_unless_changed(&self, name: &str, text: &str) -> Result<()> {
        let is_same = || fs::read(self.path.join(name)).is_ok_and(|before| before == text.as_bytes());
        match self.is_changed(name)? && !is_same() {
            true => Ok(()),
            false => self.put(name, |path| Ok(write_bytes(path, text.as_bytes())?)),
        }
    }

    fn digests(&self) -> Result<BTreeMap<String, Digest>> {
        match self.path.join(FILES).exists() {
            true => self.read(FILES, |text| serde_json::from_str(text).map_err(|error| error.to_string())),
            false => Ok(BTreeMap::new()),
        }
    }

    fn write_digests(&self, digests: &BTreeMap<String, Digest>) -> Result<()> {
        self.write(FILES, &serde_json::to_string_pretty(digests).expect("digests are JSON"))
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join(name);
        own_file(&path)?;
        Ok(write_bytes(&path, text.as_bytes())?)
    }

    pub(super) fn read<T: DeserializeOwned>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let path = self.path.join(name);
        let text = bytes(&path).and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
        parse(&text.map_err(|reason| Error::damaged(&path, reason))?).map_err(|reason| Error::damaged(&path, reason))
    }
}

/// Whether a folder is empty, or holds only what is left of a run that was killed before its configuration was written.
/// Such a run has locked the folder first.
///
/// # Errors
/// A folder that cannot be read.
fn is_free(path: &Path) -> Result<bool> {
    let names = names(path)?;
    let is_locked = names.iter().any(|name| name == LOCK);
    Ok(names
        .iter()
        .all(|name| is_locked && ([LOCK, FILES, "data.toml"].contains(&name.as_str()) || name.starts_with(PARTIAL))))
}

/// The error for a folder that cannot become a new run.
pub(super) fn not_empty(path: &Path) -> Error {
    let path = path.display();
    Error::Failed(format!(
        "{path} is not empty: choose another `--out`, or continue it with `ae train --resume {path}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evaluation::CodeStatistics,
        reconstruction_error::{Comparison, ReconstructionErrors},
    };

    #[test]
    fn a_result_with_any_numbers_can_be_read_again() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&place.path().join("run")), "", &Registry::default()).unwrap();
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let figures = ReconstructionErrors { sse: number, mse: number, fvu: number };
            let part = Comparison { model: figures, pca: figures, mean: figures };
            let code = CodeStatistics {
                l0: number,
                dead_units: 1,
                mean_activation: number,
                saturation: Some(number),
                jacobian_norm2: number,
            };
            let summary = Summary {
                variant: "sparse".to_string(),
                data: "rows".to_string(),
                device: "flex".to_string(),
                d_input: 2,
                code_dim: 1,
                parameters: 7,
                epochs: 3,
                best_epoch: 2,
                train_seconds: number,
                seed: u64::MAX,
                train: part,
                test: part,
                measured_rows: [4, 5],
                pca_components: 2,
                linear_map: None,
                random_dictionary: None,
                code,
                diverged: Some(3),
            };
            folder.write_summary(&summary).unwrap();
            let read = folder.summary().unwrap().unwrap();
            assert!(
                read.test.model.sse.is_nan() && read.train_seconds.is_nan() && read.code.jacobian_norm2.is_nan(),
                "{number}"
            );
            assert_eq!((read.seed, read.diverged, read.code.saturation), (u64::MAX, Some(3), None));
        }
    }

    #[test]
    fn a_run_killed_before_it_had_a_configuration_is_started_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("run");
        fs::create_dir(&path).unwrap();
        let create = || RunFolder::create(Some(&path), "", &Registry::default());
        let put = |name: &str| fs::write(path.join(name), "{}").unwrap();
        put("data.toml");
        assert!(create().unwrap_err().to_string().contains("is not empty"), "no run was here");
        let partial = format!("{PARTIAL}x1y2");
        [LOCK, FILES, &partial].into_iter().for_each(put);
        drop(create().unwrap().claim().unwrap());
        assert!(!path.join(partial).exists());
        put("notes.txt");
        assert!(create().unwrap_err().to_string().contains("is not empty"));
        fs::remove_file(path.join("notes.txt")).unwrap();
        put("config.toml");
        assert!(create().unwrap_err().to_string().contains("is not empty"));
    }
}
