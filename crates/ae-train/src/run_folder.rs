//! The folder of a run: the only place that knows file names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use ae_data::{
    BUILTIN, Column, Geometry, Scaling,
    sink::{PARTIAL, write_bytes},
};
use ae_model::{Inputs, Layout, Model, Registry};
use burn::{
    module::Module,
    store::{ModuleSnapshot, SafetensorsStore},
    tensor::Device,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error, Result,
    anomaly::Detector,
    baseline::Pca,
    checkpoint::names,
    config::Config,
    digest::Digest,
    evaluation::{CodeFigures, Figures, null_is_nan},
    nearest::Reference,
};

/// What is known about a run's data: enough to check other data against it and to scale it alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Version of the folder's format: 0 before it had one.
    #[serde(default)]
    pub format: u32,
    /// Short name of the source.
    pub name: String,
    /// Features of a row.
    pub d_input: usize,
    /// Rows that were trained on.
    pub train_rows: usize,
    /// Rows that the best epoch was chosen by.
    pub validation_rows: usize,
    /// Rows that nothing was chosen by.
    pub test_rows: usize,
    /// Shape of the images, if the rows are images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geometry: Option<Geometry>,
    /// The value of white, if the rows are pictures from files: 255, or 65535 of 16 bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub white: Option<u32>,
    /// The type of the values, if the rows are images.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub element: String,
    /// Names of the classes, if the rows have labels with names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_names: Option<Vec<String>>,
    /// The class that was learned from alone, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal: Option<String>,
    /// Fitted on the training rows.
    pub scaling: Scaling,
    /// The columns that are learned from, if the rows are of a table: decided once, and what later rows are read by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    /// The columns that were there and are not learned from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<String>,
    /// The rows of which no value is there, which are in no part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blank_rows: Vec<usize>,
    /// What tells the data from any other: see [`Rows::fingerprint`](ae_data::Rows::fingerprint).
    pub fingerprint: String,
}

impl Schema {
    /// Whether everything that it says fits together.
    ///
    /// # Errors
    /// What does not, in words.
    pub fn check(&self) -> std::result::Result<(), String> {
        let width = self.d_input;
        if width == 0 {
            return Err("its rows have no features".to_string());
        }
        if let Some(Geometry { channels, height, width: columns }) = self.geometry
            && [height, columns].iter().try_fold(channels, |size, &side| size.checked_mul(side)) != Some(width)
        {
            return Err(format!("images of {channels}x{height}x{columns} do not have the {width} values of its rows"));
        }
        if !self.columns.is_empty() {
            self.columns.iter().try_for_each(Column::check)?;
            let names: BTreeSet<&String> = self.columns.iter().map(|column| &column.name).collect();
            if names.len() < self.columns.len() {
                return Err("two of its columns have one name".to_string());
            }
            let found = ae_data::Encoding::new(self.columns.clone()).width();
            if found != width {
                return Err(format!("its columns are {found} features, and its rows have {width}"));
            }
        }
        if self.white.is_some_and(|white| !matches!(white, 255 | 65_535)) {
            return Err("white is neither 255 nor 65535".to_string());
        }
        if let (Some(normal), Some(names)) = (&self.normal, &self.label_names)
            && !names.contains(normal)
        {
            return Err(format!("its normal class `{normal}` is none of its classes"));
        }
        if !self.blank_rows.is_sorted_by(|before, after| before < after) {
            return Err("its blank rows are in no order".to_string());
        }
        self.scaling.check(width)
    }

    /// What a model is built for.
    pub fn inputs(&self) -> Inputs {
        let image = self.geometry.map(|geometry| [geometry.channels, geometry.height, geometry.width]);
        let layout = ae_data::Encoding::new(self.columns.clone()).layout();
        let layout = Layout { numbers: layout.numbers, booleans: layout.booleans, categories: layout.categories };
        let layout = Some(layout).filter(|layout| !self.columns.is_empty() && !layout.is_numbers());
        Inputs { features: self.d_input, image, unit_range: self.scaling.is_unit_range(), layout }
    }
}

/// Errors of the model beside its baselines on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Of the model.
    #[serde(flatten)]
    pub model: Figures,
    /// Of principal component analysis with as many components as the code has units.
    pub pca: Figures,
    /// Of predicting the training rows' mean.
    pub mean: Figures,
}

/// The result of a run, in the units of the scaled data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The variant.
    pub variant: String,
    /// Short name of the data.
    pub data: String,
    /// Where it was trained.
    pub device: String,
    /// Features of a row.
    pub d_input: usize,
    /// Units of the code.
    pub code_dim: usize,
    /// Trained numbers.
    pub parameters: usize,
    /// Epochs that were trained.
    pub epochs: usize,
    /// The one that was kept.
    pub best_epoch: usize,
    /// Seconds of training and validation, without reading data and the final measurements.
    #[serde(deserialize_with = "null_is_nan")]
    pub train_seconds: f64,
    /// Seed of weights, splits and order.
    pub seed: u64,
    /// On all rows that are not test rows, validation included: what PCA is fitted to.
    pub train: Part,
    /// On the test rows.
    pub test: Part,
    /// Rows that the two were measured on: all of them, or a sample of rows that stay in their file.
    pub measured_rows: [usize; 2],
    /// What the code does on the test rows.
    pub code: CodeFigures,
    /// The first epoch whose loss was infinite, which ended the training; none if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged: Option<usize>,
}

/// The version of the folders that this program writes. It reads those of every version up to it.
pub const FORMAT: u32 = 1;

/// Name of the file that holds the digests of others.
const FILES: &str = "files.json";

/// Names of the model card and of the architecture as data.
pub(crate) const CARD: [&str; 2] = ["README.md", "config.json"];

/// Name of the file that is locked.
const LOCK: &str = ".lock";

/// A run's folder that this process alone changes.
#[derive(Debug)]
pub struct Lock {
    /// The lock is that of the open file.
    _file: File,
}

/// A run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    /// The parts that its configuration can name.
    registry: Registry,
}

impl RunFolder {
    /// Makes a new folder: `out`, or the next free number under `runs/`.
    ///
    /// # Errors
    /// A folder that holds something, or that cannot be made.
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

    /// A folder that a run made.
    ///
    /// # Errors
    /// A folder that is not a run's.
    pub fn open(path: &Path, registry: &Registry) -> Result<Self> {
        let folder = Self { path: path.to_owned(), registry: registry.clone() };
        match folder.config_file().is_file() {
            true => Ok(folder),
            false => Err(Error::Failed(format!("{} is no run folder: it holds no config.toml", path.display()))),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn config_file(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The values of each epoch.
    pub fn metrics_file(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    /// Writes the page.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_report(&self, page: &str) -> Result<()> {
        self.write("report.html", page)
    }

    /// The page.
    pub fn report_file(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Records of the best epoch and the last three.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// Weights of the best epoch.
    pub fn weights_file(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// The [lock](Self::lock) of a folder that is to become a run's.
    ///
    /// # Errors
    /// A folder that another process has made its own since it was looked at.
    pub(crate) fn claim(&self) -> Result<Lock> {
        let lock = self.lock()?;
        if self.config_file().exists() {
            return Err(not_empty(&self.path));
        }
        for name in names(&self.path)?.into_iter().filter(|name| name.starts_with(PARTIAL)) {
            let path = self.path.join(name);
            fs::remove_file(&path).map_err(|error| Error::at("remove", &path, error))?;
        }
        Ok(lock)
    }

    /// Keeps every other process from changing this folder until the lock is dropped, or this process ends.
    ///
    /// # Errors
    /// A folder that another process is changing, or that cannot be written.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.path.join(LOCK);
        own_file(&path)?;
        own_folder(&self.checkpoints())?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| Error::at("write", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { folder: self.path.clone() }),
            // A file system without locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Lock { _file: file }),
            Err(TryLockError::Error(error)) => Err(Error::at("lock", &path, error)),
        }
    }

    /// Writes the configuration; a path in it becomes absolute, so that the run can be resumed from any folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        let mut config = config.clone();
        if BUILTIN.iter().all(|set| set.name != config.data.source)
            && config.data.source != "-"
            && let Ok(path) = std::path::absolute(&config.data.source)
        {
            config.data.source = path.to_string_lossy().into_owned();
        }
        self.write("config.toml", &config.to_toml())
    }

    /// The configuration.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn config(&self) -> Result<Config> {
        Config::load(&self.config_file(), &self.registry)
    }

    /// Writes what is known about the data.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_schema(&self, schema: &Schema) -> Result<()> {
        let text = toml::to_string(schema).expect("a schema is TOML");
        self.put("data.toml", |path| Ok(write_bytes(path, text.as_bytes())?))
    }

    /// What is known about the data.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn schema(&self) -> Result<Schema> {
        self.check("data.toml")?;
        /// What is read first: later versions may have other fields.
        #[derive(Deserialize)]
        struct Version {
            #[serde(default)]
            format: u32,
        }
        let version: Version =
            self.read("data.toml", |text| toml::from_str(text).map_err(|error| error.message().to_string()))?;
        if version.format > FORMAT {
            let (path, format) = (self.path.display(), version.format);
            let advice = "use the version of the program that made it";
            return Err(Error::Failed(format!(
                "{path} has format {format}, and this program knows those up to {FORMAT}: {advice}"
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

    /// The result; none if the run has not ended.
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

    /// Removes what is in the folder of a run before it trains, and the folder if it is empty then.
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
        // Whatever else is there stays, and the folder with it.
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }

    /// Removes what a training leaves when it has ended: its result, its page, and its card unless a person has changed
    /// it.
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

    /// Writes what the scores of training rows are like.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_detector(&self, detector: &Detector) -> Result<()> {
        let text = serde_json::to_string_pretty(detector).expect("a detector is JSON");
        self.put("detector.json", |path| Ok(write_bytes(path, text.as_bytes())?))?;
        let reference = &detector.reference;
        let (rows, width) = (reference.len(), reference.width);
        let values: Vec<u8> = reference.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let missing: Vec<u8> = reference.missing.iter().map(|missing| u8::from(*missing)).collect();
        let view = |kind, shape: Vec<usize>, bytes| {
            TensorView::new(kind, shape, bytes).expect("a tensor has as many bytes as its shape says")
        };
        // JSON is for people: reading a number back from it can change its last digit, which would change who is
        // flagged.
        let numbers = detector.numbers().map(|(name, numbers)| (name, numbers.len(), bytes_of(numbers)));
        let mut parts = vec![("rows", view(Dtype::F32, vec![rows, width], &values))];
        parts.extend(numbers.iter().map(|(name, count, bytes)| (*name, view(Dtype::F64, vec![*count], bytes))));
        if !missing.is_empty() {
            parts.push(("missing", view(Dtype::BOOL, vec![rows, width], &missing)));
        }
        let file = safetensors::serialize(parts, None).expect("tensors can be put together");
        self.put("neighbours.safetensors", |path| Ok(write_bytes(path, &file)?))
    }

    /// What the scores of training rows are like.
    ///
    /// # Errors
    /// A file that cannot be read, or a run that has not ended.
    pub fn detector(&self) -> Result<Detector> {
        self.check("detector.json")?;
        self.check("neighbours.safetensors")?;
        let mut detector: Detector =
            self.read("detector.json", |text| serde_json::from_str(text).map_err(|error| error.to_string()))?;
        let schema = self.schema()?;
        let columns = if schema.columns.is_empty() { schema.d_input } else { schema.columns.len() };
        if !detector.is_sound(columns) {
            return Err(Error::damaged(
                &self.path.join("detector.json"),
                "it does not fit the run's columns, or is damaged",
            ));
        }
        let path = self.path.join("neighbours.safetensors");
        let failed = |reason: String| Error::damaged(&path, reason);
        let bytes = bytes(&path).map_err(failed)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| failed(error.to_string()))?;
        // Folders of format 0 have them in JSON alone.
        for (name, numbers) in detector.numbers_mut() {
            let Ok(exact) = file.tensor(name) else { continue };
            let (exact, _) = exact.data().as_chunks::<8>();
            let exact: Vec<f64> = exact.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
            let is_same = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * a.abs();
            if exact.len() != numbers.len() || !exact.iter().zip(&*numbers).all(is_same) {
                return Err(failed(format!("its `{name}` is not that of detector.json")));
            }
            numbers.copy_from_slice(&exact);
        }
        let rows = file.tensor("rows").map_err(|error| failed(error.to_string()))?;
        let mut values: Vec<f32> = rows
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
            .collect();
        let fits = rows.dtype() == Dtype::F32
            && rows.shape().len() == 2
            && rows.shape()[1] == schema.d_input
            && rows.shape()[0] > 0;
        if !fits || !values.iter().all(|value| value.is_finite()) {
            return Err(failed("its rows are not those of the run".to_string()));
        }
        if let Ok(missing) = file.tensor("missing") {
            if missing.dtype() != Dtype::BOOL || missing.data().len() != values.len() {
                return Err(failed("its parts do not fit together".to_string()));
            }
            values
                .iter_mut()
                .zip(missing.data())
                .filter(|(_, missing)| **missing != 0)
                .for_each(|(value, _)| *value = f32::NAN);
        }
        detector.reference = std::sync::Arc::new(Reference::of(values, schema.d_input));
        Ok(detector)
    }

    /// Writes the principal components of the training rows, which results are compared with.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_pca(&self, pca: &Pca) -> Result<()> {
        let (mean, components, variances, total) = pca.parts();
        let parts = [
            ("mean", vec![mean.len()], bytes_of(mean)),
            ("components", vec![pca.components(), mean.len()], bytes_of(&components)),
            ("variances", vec![variances.len()], bytes_of(variances)),
            ("total", vec![1], bytes_of(&[total])),
        ];
        let tensors = parts.iter().map(|(name, shape, bytes)| {
            (
                *name,
                TensorView::new(Dtype::F64, shape.clone(), bytes)
                    .expect("a tensor has as many bytes as its shape says"),
            )
        });
        let file = safetensors::serialize(tensors, None).expect("tensors can be put together");
        self.put("pca.safetensors", |path| Ok(write_bytes(path, &file)?))
    }

    /// The principal components of the training rows.
    ///
    /// # Errors
    /// A file that cannot be read, or a run that has not ended.
    pub fn pca(&self) -> Result<Pca> {
        self.check("pca.safetensors")?;
        let path = self.path.join("pca.safetensors");
        let failed = |reason: String| Error::damaged(&path, reason);
        let bytes = bytes(&path).map_err(failed)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| failed(error.to_string()))?;
        let part = |name: &str| -> Result<Vec<f64>> {
            let tensor = file.tensor(name).map_err(|error| failed(error.to_string()))?;
            if tensor.dtype() != Dtype::F64 {
                return Err(failed(format!("`{name}` holds {:?} instead of F64", tensor.dtype())));
            }
            let (numbers, _) = tensor.data().as_chunks::<8>();
            Ok(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
        };
        let (mean, components, variances) = (part("mean")?, part("components")?, part("variances")?);
        let (width, total) = (self.schema()?.d_input, part("total")?);
        match (mean.len() == width, total.as_slice()) {
            (true, [total]) => {
                Pca::from_parts(mean, &components, variances, *total).map_err(|error| failed(error.to_string()))
            }
            (true, _) => Err(failed(format!("`total` holds {} numbers instead of one", total.len()))),
            (false, _) => Err(failed(format!("its mean has {} features, the run's data {width}", mean.len()))),
        }
    }

    /// Writes the weights twice: `model.safetensors` for every framework, `model.bpk` as Burn's own record.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_model(&self, model: &Model) -> Result<()> {
        self.put("model.safetensors", |path| {
            // One entry of metadata, the one that Python's loaders look for: several would be written in random order,
            // and equal weights would then make different files.
            let mut store = SafetensorsStore::from_file(path).overwrite(true).clear_metadata().metadata("format", "pt");
            model.save_into(&mut store).map_err(|error| Error::at("write", path, error))?;
            // The writer makes a file for its owner alone; whoever may read the run may read its weights.
            let opened =
                fs::metadata(self.config_file()).and_then(|config| fs::set_permissions(path, config.permissions()));
            opened.map_err(|error| Error::at("write", path, error))
        })?;
        self.put("model.bpk", |path| {
            model.clone().into_record().save(path).map_err(|error| Error::at("write", path, error))
        })
    }

    /// The model of the best epoch.
    ///
    /// # Errors
    /// Weights that are missing, damaged, or of another model than the configuration describes.
    pub fn model(&self, device: &Device) -> Result<Model> {
        let (config, schema) = (self.config()?, self.schema()?);
        let weights = self.weights_file();
        if !weights.is_file() {
            return Err(Error::at("read", &weights, "the run has no weights yet; resume it first"));
        }
        self.check("model.safetensors")?;
        let inputs = schema.inputs();
        let other = |reason: &dyn fmt::Display| {
            Error::damaged(
                &weights,
                format!("its weights are not those of the model in config.toml and data.toml ({reason})"),
            )
        };
        config.variant()?.check(&config.model, &inputs).map_err(|error| other(&error.within("model")))?;
        // No model is built that has more weights than the file has bytes.
        let (bytes, most) =
            (fs::metadata(&weights).map_or(0, |metadata| metadata.len()), config.model.weights(&inputs));
        if most.is_none_or(|most| most as u64 > bytes) {
            return Err(other(&format!(
                "{} in {bytes} bytes",
                most.map_or("beyond counting".to_string(), |most| most.to_string())
            )));
        }
        let mut model = config.model.init(&inputs, device);
        let mut store = SafetensorsStore::from_file(&weights);
        model.load_from(&mut store).map_err(|error| {
            // The reader lists every weight that does not fit: the first ones will do.
            let reason = error.to_string().replace('\n', " ");
            let short: String = reason.chars().take(200).collect();
            other(&if short.len() < reason.len() { short + " ..." } else { short })
        })?;
        Ok(model)
    }

    /// Writes a file whose digest is kept. While it is written it has none, so that a crash leaves a file of which
    /// nothing is said, not one that is refused.
    fn put(&self, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
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

    /// Whether a file is what was written, as far as is known.
    fn check(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        let Some(written) = self.digests()?.remove(name) else { return Ok(()) };
        match Digest::of(&path) {
            Err(error) => Err(Error::damaged(&path, error)),
            Ok(found) if found != written => {
                Err(Error::damaged(&path, format!("it is not what was written, by its digest in {FILES}")))
            }
            Ok(_) => Ok(()),
        }
    }

    /// Whether a file that the program writes has been changed by a person: it is there, and not as it was written. A
    /// link counts as none, since writing replaces it.
    pub(crate) fn is_changed(&self, name: &str) -> Result<bool> {
        let path = self.path.join(name);
        match path.is_file() && !path.is_symlink() {
            true => Ok(Digest::of(&path).ok() != self.digests()?.remove(name)),
            false => Ok(false),
        }
    }

    /// Writes a text whose digest is kept, unless a person has changed it.
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

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join(name);
        own_file(&path)?;
        Ok(write_bytes(&path, text.as_bytes())?)
    }

    fn read<T: DeserializeOwned>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let path = self.path.join(name);
        let text = bytes(&path).and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
        parse(&text.map_err(|reason| Error::damaged(&path, reason))?).map_err(|reason| Error::damaged(&path, reason))
    }
}

/// Numbers as they are in a file.
fn bytes_of(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The bytes of a file; of a folder of somebody else's it could be anything, such as a pipe that never ends.
pub(crate) fn bytes(path: &Path) -> std::result::Result<Vec<u8>, String> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err("it is no file".to_string()),
        _ => fs::read(path).map_err(|error| error.to_string()),
    }
}

/// Has what is written at `path` be written in the run's folder: a link to another place, which somebody else's folder
/// may have there, is removed rather than followed.
///
/// # Errors
/// A link that cannot be removed, or what is neither a file nor a link.
pub(crate) fn own_file(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => {
            fs::remove_file(path).map_err(|error| Error::at("replace the link", path, error))
        }
        Ok(metadata) if !metadata.is_file() => Err(Error::at("write", path, "it is no file")),
        _ => Ok(()),
    }
}

/// Whether a folder in the run's folder is there, and not a link to another place.
///
/// # Errors
/// A link.
pub(crate) fn own_folder(path: &Path) -> Result<()> {
    match path.is_symlink() {
        true => Err(Error::at("write into", path, "it is a link to another place: remove the link first")),
        false => Ok(()),
    }
}

/// Whether a folder holds nothing, or only what a run leaves that was killed before its configuration was written,
/// which is locked first.
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

fn not_empty(path: &Path) -> Error {
    let path = path.display();
    Error::Failed(format!(
        "{path} is not empty: choose another `--out`, or continue it with `ae train --resume {path}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Matrix;

    #[test]
    fn a_result_is_read_again_whatever_was_measured() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&place.path().join("run")), "", &Registry::default()).unwrap();
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let figures = Figures { sse: number, mse: number, fvu: number };
            let part = Part { model: figures, pca: figures, mean: figures };
            let code = CodeFigures {
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
    fn a_run_that_was_killed_before_it_had_a_configuration_is_begun_anew() {
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

    #[test]
    fn principal_components_come_back_or_it_is_said_why_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&place.path().join("run")), "", &Registry::default()).unwrap();
        let method = ae_data::ScalingMethod::None;
        let schema = |d_input: usize| Schema {
            format: FORMAT,
            name: "rows".to_string(),
            d_input,
            train_rows: 3,
            validation_rows: 0,
            test_rows: 0,
            geometry: None,
            white: None,
            element: String::new(),
            label_names: None,
            normal: None,
            scaling: Scaling { method, offset: vec![0.0; d_input], scale: vec![1.0; d_input], constant: Vec::new() },
            columns: Vec::new(),
            carried: Vec::new(),
            blank_rows: Vec::new(),
            fingerprint: String::new(),
        };
        folder.write_schema(&schema(2)).unwrap();
        let pca = Pca::fit(Matrix { values: &[0.0, 1.0, 3.0, 2.0, 4.0, 0.5], width: 2 }, 1).unwrap();
        folder.write_pca(&pca).unwrap();
        assert_eq!(folder.pca().unwrap().parts(), pca.parts());
        folder.write_schema(&Schema { format: FORMAT + 1, ..schema(2) }).unwrap();
        let said = folder.schema().unwrap_err().to_string();
        assert!(said.contains(&format!("has format {}", FORMAT + 1)) && said.lines().count() == 1, "{said}");
        folder.write_schema(&schema(2)).unwrap();

        folder.write_schema(&schema(3)).unwrap();
        let said = folder.pca().unwrap_err().to_string();
        assert!(
            said.contains("its mean has 2 features, the run's data 3") && said.contains("bring the file back"),
            "{said}"
        );
        folder.write_schema(&schema(2)).unwrap();

        // What was damaged is known by its digest, and without one by what it holds.
        let path = folder.path().join("pca.safetensors");
        let mut damaged = fs::read(&path).unwrap();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(folder.pca().unwrap_err().to_string().contains("not what was written"));
        fs::remove_file(folder.path().join(FILES)).unwrap();

        let bytes = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let good = [bytes(&[0.0, 0.0]), bytes(&[1.0, 0.0]), bytes(&[2.0]), bytes(&[3.0])];
        let write = |parts: &[Vec<u8>; 4], kind: Dtype| {
            let size = if kind == Dtype::F64 { 8 } else { 4 };
            let names = ["mean", "components", "variances", "total"];
            let view = |bytes| TensorView::new(kind, vec![<[u8]>::len(bytes) / size], bytes).unwrap();
            let tensors = names.into_iter().zip(parts.iter().map(|bytes| view(bytes)));
            fs::write(folder.path().join("pca.safetensors"), safetensors::serialize(tensors, None).unwrap()).unwrap();
        };
        write(&good, Dtype::F64);
        assert_eq!(folder.pca().unwrap().explained(), 2.0 / 3.0);
        write(&good, Dtype::F32);
        assert!(folder.pca().unwrap_err().to_string().contains("F32 instead of F64"));
        let wrong = [
            (1, vec![1.0, 0.0, 0.0]),
            (1, vec![f64::NAN, 0.0]),
            (2, vec![]),
            (2, vec![-1.0]),
            (3, vec![]),
            (3, vec![1.0]),
            (3, vec![1.0, 2.0]),
        ];
        for (part, values) in wrong {
            let mut parts = good.clone();
            parts[part] = bytes(&values);
            write(&parts, Dtype::F64);
            let said = folder.pca().unwrap_err().to_string();
            assert!(said.starts_with("cannot use") && said.lines().count() == 1, "{part} {values:?}: {said}");
        }
    }
}
